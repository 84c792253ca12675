// JSON lines to stdout, with every known secret removed from every line before it leaves the process.
import pino from 'pino';

export interface Log {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** Replaces each known secret by `[redacted]`; values shorter than 8 characters would hide ordinary words and are kept. */
export function redactor(secrets: () => readonly string[]): (text: string) => string {
  return (text) => {
    let clean = text;
    for (const secret of secrets()) {
      if (secret.length < 8) continue;
      clean = clean.replaceAll(secret, '[redacted]');
      const escaped = JSON.stringify(secret).slice(1, -1);
      if (escaped !== secret) clean = clean.replaceAll(escaped, '[redacted]');
    }
    return clean;
  };
}

export function createLog(options: { level: string; redact(text: string): string; write?(line: string): void }): Log {
  const write = options.write ?? ((line: string) => void process.stdout.write(line));
  return pino(
    { level: options.level, base: undefined, serializers: { error: pino.stdSerializers.err } },
    { write: (line: string) => write(options.redact(line)) },
  );
}
