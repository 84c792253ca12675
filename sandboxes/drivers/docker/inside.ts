// The programs that list, pack and unpack the files of a sandbox, run inside it as its own user: the host sees only bytes.
import { StewardError } from '../../../core/errors.ts';
import { type Execution, PLACES, type Sandbox, type Snapshot } from '../../driver.ts';
import { FIND, type Listing, parseListing } from './listing.ts';

export type Exec = Sandbox['exec'];
type Bytes = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

const MB = 1024 * 1024;
/** A million files or so. */
const LISTING_BYTES = 256 * MB;
const PIECE = 64 * 1024;
/** Of what a program complains about, and how many complaints are passed on. */
const KEPT_WORDS = 16 * 1024;
const MOST_OMISSIONS = 50;
const PLAIN = { env: { LC_ALL: 'C' }, cwd: '/' } as const;

// Everything may be read and written until it is unpacked; what it is to be in the end is set afterwards.
const PACK = [
  ...['tar', '--create', '--file=-', '--directory=/', '--format=posix', '--pax-option=delete=atime,delete=ctime'],
  ...['--hard-dereference', '--sparse', '--mode=u+rwX', '--ignore-failed-read'],
  ...['--no-recursion', '--null', '--verbatim-files-from', '--files-from=-'],
];
const UNPACK = [
  ...['tar', '--extract', '--file=-', '--directory=/', '--no-same-owner', '--preserve-permissions'],
  ...['--delay-directory-restore', '--no-overwrite-dir'],
];
const READ_LIST = 'local $/; my @all = split /\\0/, <STDIN>;';
const REMOVE = ['perl', '-e', `${READ_LIST} unlink($_) || rmdir($_) for reverse @all`];
const SET_MODES = [
  'perl',
  '-e',
  `${READ_LIST} while (@all) { my ($mode, $path) = splice @all, 0, 2; chmod oct $mode, $path }`,
];

/** What could not be had, and why. */
export type Omission = NonNullable<Snapshot['left']>[number];
type Note = (omission: Omission) => void;

export async function listFiles(exec: Exec, note: Note = () => {}): Promise<Listing> {
  const parts: Uint8Array[] = [];
  const execution = exec(FIND, { ...PLAIN, outputBytes: LISTING_BYTES });
  for await (const part of outputOf(execution, 'list its files', note)) parts.push(part);
  return parseListing(Buffer.concat(parts));
}

/** A tar of these paths (of a listing). What went away meanwhile, or may not be read, is left out. */
export async function* packFiles(
  exec: Exec,
  paths: readonly string[],
  mostBytes: number,
  note: Note = () => {},
): AsyncGenerator<Uint8Array> {
  const execution = exec(PACK, { ...PLAIN, stdin: 'open', outputBytes: mostBytes });
  // When it ends early, its end says why.
  give(execution, listOf(paths)).catch(() => {});
  yield* outputOf(execution, 'save its files', note);
}

/** What is there already is written over. */
export const unpackFiles = (exec: Exec, tar: Bytes): Promise<void> => feed(exec, UNPACK, tar);

/** In this order, which is that of a listing: folders before what is in them. One that is not empty stays. */
export const removeFiles = (exec: Exec, paths: readonly string[]): Promise<void> =>
  feed(exec, REMOVE, listOf(paths.map((path) => `/${path}`)));

/** Deepest first, because a folder that closes hides what is in it. */
export const setModes = (exec: Exec, entries: readonly { path: string; mode: string }[]): Promise<void> =>
  feed(exec, SET_MODES, listOf(entries.toReversed().flatMap(({ path, mode }) => [mode, `/${path}`])));

function* listOf(texts: readonly string[]): Generator<Buffer> {
  const whole = Buffer.from(texts.map((text) => `${text}\0`).join(''), 'latin1');
  for (let at = 0; at < whole.length; at += PIECE) yield whole.subarray(at, at + PIECE);
}

async function give(execution: Execution, input: Bytes): Promise<void> {
  for await (const piece of input) await execution.write(piece);
  execution.end();
}

async function feed(exec: Exec, argv: string[], input: Bytes): Promise<void> {
  const execution = exec(argv, { ...PLAIN, stdin: 'open' });
  const given = give(execution, input).catch((error: unknown) => {
    // Nothing more to read will come: it must not wait for it.
    execution.signal('KILL');
    throw error;
  });
  const [ended, handed] = await Promise.allSettled([swallow(outputOf(execution, 'take its files back')), given]);
  // Its own end says more than the pipe that broke because of it, unless it is the input that failed.
  const failure = handed.status === 'rejected' && !(handed.reason instanceof StewardError) ? handed : ended;
  if (failure.status === 'rejected') throw failure.reason;
}

async function swallow(bytes: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of bytes);
}

/** stdout. Code 1 is find's and tar's "not everything could be read"; more is a failure. */
async function* outputOf(execution: Execution, what: string, note: Note = () => {}): AsyncGenerator<Uint8Array> {
  let stderr = '';
  const fail = (code: 'unavailable' | 'too_large', why: string) =>
    new StewardError(code, `The sandbox could not ${what}: ${why}.`, { op: what });
  for await (const event of execution) {
    if (event.type === 'stdout') yield event.data;
    if (event.type === 'stderr') stderr = (stderr + Buffer.from(event.data).toString('latin1')).slice(-KEPT_WORDS);
    if (event.type !== 'exit') continue;
    if (event.limited) throw fail('too_large', 'there is too much of it');
    if (event.code !== null && event.code <= 1) return void omissions(stderr).forEach(note);
    const words = stderr.trim().split('\n').slice(-3).join('; ');
    throw fail('unavailable', words || `it ended with ${event.signal ?? event.code}`);
  }
}

const COMPLAINT = /^(?:find|tar): '?(.+?)'?: (?:Warning: )?((?:Cannot|[Pp]ermission|file changed|socket).*)$/;
const inWorkspace = PLACES.workspace.slice(1);

/** What went away by itself is no omission. */
function omissions(stderr: string): Omission[] {
  return stderr
    .split('\n')
    .flatMap((line) => {
      const [, name, why] = COMPLAINT.exec(line) ?? [];
      if (name === undefined || why === undefined || why.includes('No such file')) return [];
      const path = name.replace(/^\//, '');
      return [{ path: path.startsWith(`${inWorkspace}/`) ? path.slice(inWorkspace.length + 1) : `/${path}`, why }];
    })
    .slice(0, MOST_OMISSIONS);
}
