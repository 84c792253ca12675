// The work branch out of a sandbox: a git bundle over its output, taken apart here and never believed: one ref, checked objects.
import { open, rm } from 'node:fs/promises';
import { StewardError } from '../../core/errors.ts';
import type { Millis } from '../../core/types.ts';
import { PLACES, type Sandbox } from '../driver.ts';
import { type HostGit, lastWords } from './host-git.ts';

const BUNDLE_MS: Millis = 10 * 60_000;
/** Of a change; what is larger is no change to review. */
export const BUNDLE_BYTES = 512 * 1024 * 1024;
const HEADER_BYTES = 64 * 1024;
const OP = 'take the change out of the sandbox';

const INSIDE: Readonly<Record<string, string>> = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_TERMINAL_PROMPT: '0',
  LC_ALL: 'C',
};

export interface Header {
  prerequisites: string[];
  refs: { name: string; commit: string }[];
  /** Where the pack begins. */
  length: number;
}

/** Pure. Null when these bytes do not begin a bundle of version 2 or 3 with SHA-1 names. */
export function parseHeader(bytes: Uint8Array): Header | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, HEADER_BYTES));
  const end = buffer.indexOf('\n\n');
  if (end < 0) return null;
  const [magic, ...lines] = buffer.subarray(0, end).toString('utf8').split('\n');
  if (magic !== '# v2 git bundle' && magic !== '# v3 git bundle') return null;
  const header: Header = { prerequisites: [], refs: [], length: end + 2 };
  for (const line of lines) {
    const [, less, commit, rest] = /^(-?)([0-9a-f]{40})(?: (.*))?$/.exec(line) ?? [];
    if (commit === undefined) {
      if (line === '@object-format=sha1') continue;
      return null;
    }
    if (less === '-') header.prerequisites.push(commit);
    else header.refs.push({ name: rest ?? '', commit });
  }
  return header;
}

/** Writes the branch, less what its base has, to `file`. Errors: conflict (nothing there to take), too_large, sandbox_lost. */
export async function takeOut(
  sandbox: Sandbox,
  at: { branch: string; base: string; file: string; limit?: number },
  signal: AbortSignal,
): Promise<Header> {
  const limit = at.limit ?? BUNDLE_BYTES;
  const argv = ['git', '-c', 'core.hooksPath=/dev/null', '-c', 'core.fsmonitor=false', '-C', PLACES.workspace];
  const running = sandbox.exec(
    [...argv, 'bundle', 'create', '--quiet', '--version=2', '-', `refs/heads/${at.branch}`, `^${at.base}`],
    { timeoutMs: BUNDLE_MS, outputBytes: limit + HEADER_BYTES, signal, env: { ...INSIDE } },
  );
  await rm(at.file, { force: true });
  const file = await open(at.file, 'wx', 0o600);
  let complaint = '';
  let begin = Buffer.alloc(0);
  let code: number | null = null;
  let limited: 'output' | 'time' | null = null;
  try {
    for await (const event of running) {
      if (event.type === 'stdout') {
        await file.appendFile(event.data);
        if (begin.length < HEADER_BYTES) begin = Buffer.concat([begin, event.data]);
      } else if (event.type === 'stderr')
        complaint = (complaint + Buffer.from(event.data).toString('utf8')).slice(-2_000);
      else if (event.type === 'exit') ({ code, limited } = event);
    }
    await running.result;
  } finally {
    await file.close();
  }
  signal.throwIfAborted();
  if (limited === 'output')
    throw new StewardError('too_large', `The change is larger than ${Math.round(limit / 1024 / 1024)} MB.`, {
      op: OP,
      hint: 'Look whether files were committed that can be made again.',
    });
  const why = lastWords({ stderr: complaint.toWellFormed(), code, limited });
  if (code !== 0)
    throw new StewardError('conflict', `The work branch ${at.branch} could not be taken out of the sandbox: ${why}`, {
      op: OP,
      retryable: limited === 'time',
    });
  const header = parseHeader(begin);
  if (header?.refs.length !== 1 || header.refs[0]!.name !== `refs/heads/${at.branch}`)
    throw new StewardError('conflict', 'What came out of the sandbox is not the work branch.', { op: OP });
  return header;
}

/**
 * Puts the pack of a bundle into the bare repository `dir`, each object checked, and resolves with the branch's commit once it is
 * seen to be whole and to descend from its base. Errors: conflict, with what git had against it.
 */
export async function takeIn(
  git: HostGit,
  at: { dir: string; file: string; header: Header; base: string },
  signal: AbortSignal,
): Promise<string> {
  const { dir, header, base } = at;
  const refuse = (why: string) =>
    new StewardError('conflict', `The change was refused by Steward's own git: ${why}`, {
      op: OP,
      hint: 'Nothing of it was kept.',
    });
  const head = header.refs[0]!.commit;
  const pack = await cut(at.file, header.length);
  // With --strict an object that is broken, or a .gitmodules or .gitattributes made to harm, ends it.
  const put = ['index-pack', '--stdin', '--fix-thin', '--strict', `--max-input-size=${BUNDLE_BYTES}`];
  const indexed = await git(put, { dir, stdinFile: pack, signal });
  await rm(pack, { force: true });
  if (indexed.code !== 0) throw refuse(lastWords(indexed));
  const whole = await git(['rev-list', '--objects', '--quiet', head, `^${base}`, '--'], { dir, signal });
  if (whole.code !== 0) throw refuse(lastWords(whole));
  const follows = await git(['merge-base', '--is-ancestor', base, head], { dir, signal });
  if (follows.code !== 0) throw refuse('the work branch does not descend from the commit it began at');
  return head;
}

/** The file without its first bytes, as a new file beside it. */
async function cut(path: string, from: number): Promise<string> {
  const pack = `${path}.pack`;
  const [input, output] = [await open(path, 'r'), await open(pack, 'w', 0o600)];
  try {
    const piece = Buffer.alloc(1024 * 1024);
    for (let position = from; ; ) {
      const { bytesRead } = await input.read(piece, 0, piece.length, position);
      if (bytesRead === 0) return pack;
      await output.write(piece, 0, bytesRead);
      position += bytesRead;
    }
  } finally {
    await input.close();
    await output.close();
  }
}
