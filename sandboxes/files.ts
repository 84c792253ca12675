// Work on the files of a sandbox, done by a program inside it: names are arguments, never shell text.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { type ErrorCode, StewardError } from '../core/errors.ts';
import type { Millis } from '../core/types.ts';
import { type ExecResult, type Execution, type FileEntry, type Files, PLACES, type Sandbox } from './driver.ts';
import { checkedTar, TAR_LIMITS } from './tar.ts';

/** What `read` takes of a file when the caller names no limit, in bytes. */
const READ_LIMIT = 64 * 1024 * 1024;
const LIST_LIMIT = 10_000;
const WAIT_MS: Millis = 120_000;
const KINDS: readonly ErrorCode[] = [
  'not_found',
  'forbidden',
  'disk_full',
  'invalid',
  'too_large',
  'conflict',
  'unavailable',
];

interface Run {
  op: string;
  input?: (execution: Execution) => Promise<void>;
  outputBytes?: number;
  timeoutMs?: Millis;
}

/** `place`: where paths of the contract really are, when that is elsewhere. */
export function filesOver(exec: Sandbox['exec'], place: (path: string) => string = (path) => path): Files {
  const program = readFileSync(new URL('./files.pl', import.meta.url), 'utf8');
  const begin = (args: string[], path: string, options: Run): Execution => {
    if (path === '' || path.includes('\0')) {
      throw new StewardError('invalid', 'A path is empty or has a NUL byte in it.', { op: options.op });
    }
    const [verb = '', ...rest] = args;
    return exec(['perl', '-e', program, '--', verb, place(path), ...rest], {
      cwd: PLACES.workspace,
      stdin: options.input ? 'open' : 'empty',
      outputBytes: options.outputBytes ?? 64 * 1024 * 1024,
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    });
  };
  const run = async (args: string[], path: string, options: Run): Promise<Buffer> => {
    const execution = begin(args, path, { timeoutMs: WAIT_MS, ...options });
    // What fails here shows in how the program ends.
    const feeding = options.input?.(execution).catch(() => {});
    const out: Uint8Array[] = [];
    let complaint = '';
    for await (const event of execution) {
      if (event.type === 'stdout') out.push(event.data);
      if (event.type === 'stderr') complaint = `${complaint}${Buffer.from(event.data)}`.slice(-8_192);
    }
    await feeding;
    judge(await execution.result, complaint, options.op);
    return Buffer.concat(out);
  };

  return {
    async read(path, { offset = 0, limit = READ_LIMIT } = {}) {
      return run(['read', String(offset), String(limit)], path, {
        op: 'read a file of the sandbox',
        // The program refuses first: this only bounds what a false one could send.
        outputBytes: limit + 64 * 1024,
      });
    },
    async write(path, data, { mode } = {}) {
      const bytes = Buffer.from(data);
      const args = ['write', String(bytes.length), mode === undefined ? '' : String(mode & 0o777)];
      await run(args, path, {
        op: 'write a file of the sandbox',
        async input(execution) {
          await execution.write(bytes);
          execution.end();
        },
      });
    },
    async list(path, { depth = 1, limit = LIST_LIMIT } = {}) {
      const op = 'list a folder of the sandbox';
      const fields = (await run(['list', String(depth), String(limit)], path, { op })).toString('utf8').split('\0');
      const entries: FileEntry[] = [];
      for (let at = 0; at + 3 < fields.length; at += 4) {
        const [type, size, seconds, name = ''] = fields.slice(at, at + 4);
        entries.push({ path: name, type: typeOf(type), size: Number(size), modifiedAt: Number(seconds) * 1000 });
      }
      return entries;
    },
    async remove(path) {
      await run(['remove'], path, { op: 'remove a file of the sandbox' });
    },
    async upload(path, tar) {
      const op = 'unpack an archive in the sandbox';
      const { archive, totals } = checkedTar(tar);
      // Only an archive that was fine to its end gets the seal, and only then is anything moved to its place.
      const seal = randomBytes(4).toString('hex');
      const input = async (execution: Execution) => {
        try {
          for await (const chunk of archive) await execution.write(chunk);
          await execution.write(seal);
        } finally {
          execution.end();
        }
      };
      const unpacked = run(['unpack', seal], path, { op, input, timeoutMs: 3_600_000 }).finally(() =>
        archive.destroy(),
      );
      const [checked, arrived] = await Promise.allSettled([totals, unpacked]);
      // A lost sandbox breaks the archive too; else the guard's word comes before what the program made of its silence.
      if (arrived.status === 'rejected' && codeOf(arrived.reason) === 'sandbox_lost') throw arrived.reason;
      if (checked.status === 'rejected') throw checked.reason;
      if (arrived.status === 'rejected') throw arrived.reason;
      return checked.value;
    },
    download(path) {
      const op = 'pack files of the sandbox';
      const packed = async function* (): AsyncGenerator<Uint8Array> {
        const execution = begin(['pack'], path, { op, outputBytes: TAR_LIMITS.bytes + 1024 ** 3 });
        let complaint = '';
        for await (const event of execution) {
          if (event.type === 'stdout') yield event.data;
          if (event.type === 'stderr') complaint = `${complaint}${Buffer.from(event.data)}`.slice(-8_192);
        }
        const result = await execution.result;
        // 1: a file changed while tar read it, which says nothing about the archive.
        judge(result.code === 1 ? { ...result, code: 0 } : result, complaint, op);
      };
      return checkedTar(Readable.from(packed())).archive;
    },
  };
}

function judge(result: ExecResult, complaint: string, op: string): void {
  if (result.code === 0 && result.limited === null) return;
  const [, kind, why] = /(?:^|\n)!([a-z_]+) ([\s\S]+)$/.exec(complaint) ?? [];
  const code = KINDS.find((known) => known === kind);
  if (code && why) throw new StewardError(code, `${why}.`, { op });
  if (result.limited === 'time') throw new StewardError('unavailable', 'It took too long and was ended.', { op });
  if (result.limited === 'output') throw new StewardError('too_large', 'There is more of it than is taken.', { op });
  throw new StewardError(
    'unavailable',
    `The program for it failed in the sandbox: ${complaint.trim() || 'no word why'}.`,
    {
      op,
      hint: 'It needs perl and tar in there.',
    },
  );
}

const codeOf = (error: unknown): ErrorCode | null => (error instanceof StewardError ? error.code : null);

function typeOf(text: string | undefined): FileEntry['type'] {
  return text === 'file' || text === 'folder' || text === 'link' ? text : 'other';
}
