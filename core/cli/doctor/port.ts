// Can the console's port be had, or is it ours already?
import { createServer } from 'node:net';
import type { Finding, Patient } from './finding.ts';

export async function portCheck({ config: { host, port }, status }: Patient): Promise<Finding> {
  if (status) return { name: 'port', level: 'ok', detail: `${host}:${port} is ours.` };
  const code = await tryToListen(host, port);
  if (code === null) return { name: 'port', level: 'ok', detail: `${host}:${port} is free.` };
  const problems: Record<string, { detail: string; fix: string }> = {
    EADDRINUSE: {
      detail: `Another program listens on ${host}:${port}.`,
      fix: 'Stop it, or choose another STEWARD_PORT.',
    },
    EACCES: { detail: `Port ${port} needs root.`, fix: 'Choose a STEWARD_PORT of 1024 or more.' },
    EADDRNOTAVAIL: {
      detail: `${host} is no address of this machine.`,
      fix: 'Mend STEWARD_HOST; 127.0.0.1 always works.',
    },
  };
  const known = problems[code] ?? {
    detail: `${host}:${port} cannot be listened on (${code}).`,
    fix: 'Mend STEWARD_HOST or STEWARD_PORT.',
  };
  return { name: 'port', level: 'fail', ...known };
}

/** The error's code, null when it worked. */
function tryToListen(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}
