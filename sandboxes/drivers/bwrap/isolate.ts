// One program in a throw-away sandbox without network: how the host looks at a tree it does not trust.
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { StewardError } from '../../../core/errors.ts';
import type { Millis } from '../../../core/types.ts';
import type { Isolate } from '../../snapshots.ts';
import { killExactly, type Launched, startFailure } from './launch.ts';
import { STARTED } from './profile.ts';

const LONGEST_MS: Millis = 15 * 60_000;
const MOST_BYTES = 256 * 1024 * 1024;

async function collect(stream: Readable, tooMuch: () => void): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) {
      tooMuch();
      continue;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** `start` launches bwrap with the arguments for this program and gives back what removes its traces. */
export function createIsolate(
  start: (...call: Parameters<Isolate>) => Promise<{ launched: Launched; clear(): Promise<void> }>,
): Isolate {
  return async (argv, options) => {
    const { launched, clear } = await start(argv, options);
    const { stdin, stdout, stream } = launched;
    let signs = '';
    stream.on('data', (chunk: Buffer) => {
      signs += chunk.toString();
    });
    stream.resume();
    const streamEnded = stream.closed ? Promise.resolve() : once(stream, 'close').catch(() => {});
    let why: StewardError | null = null;
    const stop = (error: StewardError) => {
      why ??= error;
      killExactly(launched.inside);
    };
    const op = `run ${argv[0]} on the files of a sandbox`;
    const timer = setTimeout(
      () => stop(new StewardError('unavailable', `${argv[0]} took longer than 15 minutes.`, { op })),
      LONGEST_MS,
    );
    try {
      for (const part of [options.stdin ?? []].flat()) stdin!.write(part);
      stdin!.end();
      const output = await collect(stdout!, () =>
        stop(new StewardError('too_large', `${argv[0]} wrote more than 256 MiB.`, { op })),
      );
      const { code, signal, said } = await launched.exited;
      if (why) throw why;
      // Open for both ways, it closes when both have: the other end has gone with the program.
      stream.end();
      await streamEnded;
      if (signs !== STARTED) throw startFailure(said);
      return { code: code ?? 128 + (signal ?? 0), stdout: output, stderr: said };
    } finally {
      clearTimeout(timer);
      for (const each of [stream, stdin, stdout]) each?.destroy();
      await clear();
    }
  };
}
