// PM2 as a separate program (it is AGPL: executed, never imported), with a home of its own inside $STEWARD_HOME.
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { z } from 'zod';
import { StewardError } from '../errors.ts';
import { readFileIfAny } from '../files.ts';

export const projectRoot = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');

/** What PM2 knows about our process. */
export interface Supervised {
  pid: number | null;
  /** PM2's word: `online`, `launching`, `waiting restart`, `stopped`, `errored` … */
  status: string;
  restarts: number;
  exitCode: number | null;
}

export interface Pm2 {
  /** False also when the daemon died: its children then live on without it. */
  alive(): boolean;
  /** Null when PM2 is not there or does not know us. Never starts a daemon. */
  find(): Promise<Supervised | null>;
  /** Returns when the process said it is ready, exited, or 20 s are over. */
  start(): Promise<void>;
  /** Ends the process gracefully and PM2 with it. */
  stop(): Promise<void>;
}

/** A Unix socket's path has at most 107 bytes on Linux and 103 on macOS. */
const longestSocketPath = 103;

const listing = z.array(
  z.looseObject({
    name: z.string(),
    pid: z.number().nullish(),
    pm2_env: z.looseObject({
      status: z.string(),
      restart_time: z.number().catch(0),
      exit_code: z.number().nullish().catch(null),
    }),
  }),
);

export function pm2Home(home: string): string {
  return join(home, 'pm2');
}

/** A sentence when PM2 cannot work in this home, else null. */
export function pm2HomeProblem(home: string): string | null {
  const socket = join(pm2Home(home), 'rpc.sock');
  return Buffer.byteLength(socket) > longestSocketPath
    ? `STEWARD_HOME is too long for a socket: ${socket} has ${Buffer.byteLength(socket)} bytes of at most ${longestSocketPath}.`
    : null;
}

/** True when PM2 of this home started the process: with PM2 gone, one that nobody watches any more. Linux only. */
export function startedByPm2(home: string, pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .includes(`PM2_HOME=${pm2Home(home)}`);
  } catch {
    return false;
  }
}

export function createPm2(home: string, env: Readonly<Record<string, string | undefined>>): Pm2 {
  const folder = pm2Home(home);

  async function run(...args: string[]): Promise<string> {
    const problem = pm2HomeProblem(home);
    if (problem)
      throw new StewardError('bad_config', problem, { op: 'start PM2', hint: 'Choose a shorter STEWARD_HOME.' });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
    const program = join(projectRoot, 'node_modules', 'pm2', 'bin', 'pm2');
    const result = await execa(process.execPath, [program, ...args], {
      cwd: projectRoot,
      env: environment(home, env),
      extendEnv: false,
      stdin: 'ignore',
      all: true,
      reject: false,
      timeout: 60_000,
    });
    if (result.exitCode === 0) return result.stdout;
    throw new StewardError(
      'unavailable',
      `PM2 failed at "${args[0]}": ${lastLine(result.all) ?? result.shortMessage}`,
      {
        op: 'run PM2',
        hint: `Its own log is ${join(folder, 'pm2.log')}.`,
      },
    );
  }

  function alive(): boolean {
    const pid = Number(readFileIfAny(join(folder, 'pm2.pid')));
    return Number.isInteger(pid) && pid > 0 && isAlive(pid);
  }

  async function find(): Promise<Supervised | null> {
    if (!alive()) return null;
    const text = await run('jlist', '--silent');
    // Warnings may stand before the list.
    const found = listing.safeParse(JSON.parse(text.slice(text.lastIndexOf('\n', text.lastIndexOf(']')) + 1) || '[]'));
    const app = found.success ? found.data.find(({ name }) => name === 'steward') : undefined;
    if (!app) return null;
    const { status, restart_time, exit_code } = app.pm2_env;
    return { pid: app.pid || null, status, restarts: restart_time, exitCode: exit_code ?? null };
  }

  return {
    alive,
    find,
    async start() {
      await run('start', join(projectRoot, 'ecosystem.config.cjs'), '--only', 'steward', '--silent');
    },
    async stop() {
      if (!alive()) return;
      if (await find()) await run('delete', 'steward', '--silent');
      await run('kill', '--silent');
    },
  };
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * An allow-list: the daemon and what it starts see nothing else of the shell. The two switches keep PM2 from
 * reporting its version and ours to its maker, which it does without checking whom it talks to.
 */
function environment(home: string, env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const passed = ['HOME', 'LANG', 'TZ', 'NODE_ENV'].flatMap((key) => (env[key] ? [[key, env[key]] as const] : []));
  const own = [dirname(process.execPath), join(projectRoot, 'node_modules', '.bin')];
  const path = [...new Set([...own, ...(env.PATH ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter)])];
  return {
    ...Object.fromEntries(passed),
    PATH: path.join(delimiter),
    STEWARD_HOME: home,
    PM2_HOME: pm2Home(home),
    PM2_DISCRETE_MODE: 'true',
    PM2_DISABLE_VERSION_CHECK: 'true',
    PM2_NO_INTERACTION: 'true',
  };
}

function lastLine(text: string | undefined): string | undefined {
  return text?.trim().split('\n').pop() || undefined;
}
