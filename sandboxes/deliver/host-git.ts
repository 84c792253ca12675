// Git on the host: nothing of a repository's, user's or machine's configuration runs anything, and a credential is known to one child alone.
import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { StewardError } from '../../core/errors.ts';
import type { Millis } from '../../core/types.ts';
import type { Isolate } from '../snapshots.ts';

const TIMEOUT_MS: Millis = 5 * 60_000;
const FETCH_MS: Millis = 30 * 60_000;
const OUTPUT_BYTES = 64 * 1024 * 1024;
const COMPLAINT_BYTES = 16 * 1024;
/** What the machine says of its way to the network; everything else of this process's environment stays here. */
const PASSED = /^(?:GIT_SSL_CAINFO|SSL_CERT_(?:FILE|DIR)|SSH_AUTH_SOCK|(?:https?|all|no)_proxy)$/i;

/** The value of a header for one server: `https://host:port`. */
export interface Credential {
  origin: string;
  header: string;
  value: string;
  /** Every text that gives it away. */
  words: readonly string[];
}

export interface GitOptions {
  /** The bare repository it works on; none for `init`. */
  dir?: string;
  stdin?: Uint8Array;
  /** A file whose content is stdin. */
  stdinFile?: string;
  /** Protocols it may speak; none when left out. */
  protocols?: 'file' | 'https:http' | 'ssh';
  credential?: Credential | null;
  env?: Record<string, string>;
  timeoutMs?: Millis;
  outputBytes?: number;
  signal?: AbortSignal;
  /** What it writes may be read by others, as the sandboxes that see a mirror. */
  readable?: boolean;
}

export interface GitEnd {
  /** Null: it was killed. */
  code: number | null;
  limited: 'output' | 'time' | null;
  stdout: Buffer;
  /** Without secrets, at most 16 KiB. */
  stderr: string;
}

/** Resolves however it ends; rejects when git cannot be started, or with the reason of an abort. */
export type HostGit = (args: readonly string[], options?: GitOptions) => Promise<GitEnd>;

/** Set for every command, stronger than any file of configuration. */
export const CONFIG: readonly (readonly [string, string])[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.attributesFile', '/dev/null'],
  ['core.quotePath', 'false'],
  ['core.sshCommand', 'false'],
  ['core.gitProxy', ''],
  ['core.alternateRefsCommand', 'true'],
  ['credential.helper', ''],
  ['transfer.fsckObjects', 'true'],
  ['http.followRedirects', 'false'],
  ['http.lowSpeedLimit', '1'],
  ['http.lowSpeedTime', '60'],
  ['push.recurseSubmodules', 'no'],
  ['fetch.recurseSubmodules', 'no'],
  ['submodule.recurse', 'false'],
  ['push.gpgSign', 'false'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
];

const SSH = [
  'ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o ForwardAgent=no -o PermitLocalCommand=no',
  '-o ClearAllForwardings=yes -o ConnectTimeout=30',
].join(' ');

/** Pure. A credential travels as configuration in the environment of the child: no argument, no file. */
export function environmentFor(
  machine: Readonly<Record<string, string | undefined>>,
  { protocols, credential, env }: Pick<GitOptions, 'protocols' | 'credential' | 'env'>,
): Record<string, string> {
  const config = [
    ...CONFIG,
    ...(credential ? [[`http.${credential.origin}/.extraHeader`, `${credential.header}: ${credential.value}`]] : []),
  ];
  const passed = Object.entries(machine).filter(
    (entry): entry is [string, string] => PASSED.test(entry[0]) && entry[1] !== undefined,
  );
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: '/nonexistent',
    LC_ALL: 'C',
    ...Object.fromEntries(passed),
    ...env,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: 'false',
    SSH_ASKPASS: 'false',
    GIT_SSH_COMMAND: SSH,
    GIT_PROTOCOL_FROM_USER: '0',
    GIT_ALLOW_PROTOCOL: protocols ?? 'none',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_PAGER: 'cat',
    GIT_CONFIG_COUNT: String(config.length),
    ...Object.fromEntries(
      config.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key!],
        [`GIT_CONFIG_VALUE_${index}`, value!],
      ]),
    ),
  };
}

export function createHostGit(deps: { env: Readonly<Record<string, string | undefined>> }): HostGit {
  return async (args, options = {}) => {
    const { dir, signal, timeoutMs = TIMEOUT_MS, outputBytes = OUTPUT_BYTES } = options;
    signal?.throwIfAborted();
    const input = options.stdinFile === undefined ? null : await open(options.stdinFile, 'r');
    try {
      return await new Promise<GitEnd>((resolve, reject) => {
        const argv = ['git', ...(dir === undefined ? [] : ['--git-dir', dir]), ...args];
        const child = spawn('/bin/sh', ['-c', `umask ${options.readable ? '022' : '077'}; exec "$@"`, 'sh', ...argv], {
          cwd: '/',
          env: environmentFor(deps.env, options),
          stdio: [input?.fd ?? 'pipe', 'pipe', 'pipe'],
          // A group of its own: git's helpers end with it.
          detached: true,
        });
        const pieces: Buffer[] = [];
        let [size, complaint] = [0, ''];
        let limited: GitEnd['limited'] = null;
        const kill = (why: GitEnd['limited']) => {
          limited ??= why;
          try {
            if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
          } catch {
            // It has ended.
          }
        };
        const timer = setTimeout(() => kill('time'), timeoutMs);
        const stop = () => kill(null);
        signal?.addEventListener('abort', stop, { once: true });
        child.stdout!.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > outputBytes) kill('output');
          else pieces.push(chunk);
        });
        child.stderr!.on('data', (chunk: Buffer) => {
          complaint = (complaint + chunk.toString('utf8')).slice(-COMPLAINT_BYTES);
        });
        child.stdin?.on('error', () => {});
        child.stdin?.end(options.stdin);
        const over = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', stop);
        };
        child.on('error', (cause) => {
          over();
          reject(
            new StewardError('unavailable', `Git could not be started: ${cause.message}`, { op: 'run git', cause }),
          );
        });
        child.on('close', (code) => {
          over();
          if (signal?.aborted) return reject(signal.reason);
          const stderr = strike(complaint.toWellFormed(), options.credential?.words ?? []);
          resolve({ code, limited, stdout: Buffer.concat(pieces), stderr });
        });
      });
    } finally {
      await input?.close();
    }
  };
}

/** Pure. */
export const strike = (text: string, words: readonly string[]): string =>
  words.reduce((rest, word) => (word.length < 4 ? rest : rest.replaceAll(word, '[redacted]')), text);

/** The last line of what git complained of, for people. Pure. */
export function lastWords({ stderr, code, limited }: Omit<GitEnd, 'stdout'>): string {
  if (limited === 'time') return 'it did not end in time';
  if (limited === 'output') return 'it said too much';
  const line =
    stderr
      .trim()
      .split('\n')
      .at(-1)
      ?.trim()
      .replace(/^(?:fatal|error): /, '') ?? '';
  return line.slice(0, 300) || `git ended with ${code ?? 'a signal'}`;
}

/** For `mirror(…, {fetch})` of repositories that are not on this machine. */
export function fetchWith(git: HostGit, credential: Credential | null, local: boolean): Isolate {
  return async ([, ...args], { env }) => {
    const protocols = local ? 'file' : args.some((arg) => /^https?:/.test(arg)) ? 'https:http' : 'ssh';
    const ended = await git(args, {
      ...{ protocols, credential, timeoutMs: FETCH_MS, readable: true },
      ...(env && { env }),
    });
    return {
      code: ended.code ?? 137,
      stdout: ended.stdout,
      stderr: ended.limited === null ? ended.stderr : `${ended.stderr}\n${lastWords(ended)}`,
    };
  };
}
