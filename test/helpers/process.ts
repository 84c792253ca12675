// Real Steward processes for tests: each with a data folder and a port of its own, an environment of its own, and an end.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rootOf } from '../../sandboxes/root.ts';
import { COMPILE_CACHE } from './compile-cache.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface StewardOptions {
  /** An earlier data folder, to start again over it; made, and removed by `stop`, when left out. */
  home?: string;
  /** Settings and anything else the process is to see. Nothing of the test's own environment reaches it. */
  env?: Record<string, string>;
  /** What Node runs, from the root of the project; `core/cli.mjs run` when left out. */
  args?: readonly string[];
  /** For the ready line. */
  timeoutMs?: number;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface StewardProcess {
  home: string;
  url: string;
  token: string;
  pid: number;
  /** From the start of the process to its ready line, milliseconds. */
  startedInMs: number;
  /** Everything it wrote so far, both streams. */
  output(): string;
  exited: Promise<Exit>;
  /** Sends a signal (SIGKILL when left out) and waits for the end. The data folder stays. */
  kill(signal?: NodeJS.Signals): Promise<Exit>;
  /** Ends it if it still runs and removes a data folder that was made here. */
  stop(): Promise<void>;
}

export const makeHome = (): string => mkdtempSync(join(tmpdir(), 'steward-test-'));

interface Started {
  child: ChildProcess;
  output(): string;
  exited: Promise<Exit>;
}

function launch(home: string, options: StewardOptions): Started {
  let output = '';
  const child = spawn(process.execPath, options.args ?? ['core/cli.mjs', 'run'], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      HOME: home,
      TZ: 'UTC',
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      STEWARD_HOME: home,
      STEWARD_PORT: '0',
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr])
    stream!.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const exited = once(child, 'close').then(([code, signal]): Exit => ({ code, signal }));
  return { child, output: () => output, exited };
}

/** The address of the ready line, once there is one. */
function readyUrl(output: string): string | null {
  for (const line of output.split('\n')) {
    if (!line.includes('"msg":"ready"')) continue;
    try {
      return String((JSON.parse(line) as { url: unknown }).url);
    } catch {
      // The line is not complete yet.
    }
  }
  return null;
}

/** Starts Steward and resolves once it is ready. Rejects with its output when it ends, or is not ready in time. */
export async function startSteward(options: StewardOptions = {}): Promise<StewardProcess> {
  const home = options.home ?? makeHome();
  const began = performance.now();
  const { child, output, exited } = launch(home, options);
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    child.kill(signal);
    return exited;
  };
  const url = await new Promise<string>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`Steward ${why}. Its output:\n${output()}`));
    const timer = setTimeout(() => void kill().then(() => fail('was not ready in time')), options.timeoutMs ?? 15_000);
    const look = () => {
      const found = readyUrl(output());
      if (found === null) return;
      clearTimeout(timer);
      child.stdout!.off('data', look);
      resolve(found);
    };
    child.stdout!.on('data', look);
    void exited.then(({ code, signal }) => {
      clearTimeout(timer);
      fail(`ended before it was ready (${signal ?? code})`);
    });
  });
  return {
    home,
    url,
    token: readFileSync(join(home, 'token'), 'utf8').trim(),
    pid: child.pid!,
    startedInMs: performance.now() - began,
    output,
    exited,
    kill,
    async stop() {
      await kill();
      if (options.home === undefined) rmSync(home, { recursive: true, force: true });
      // What it kept beside its home; a test that starts again over the same home goes on from what it finds in there.
      if (options.home === undefined) rmSync(rootOf(home, process.getuid!()), { recursive: true, force: true });
    },
  };
}

/** Runs a command of Steward, or a start that is expected to fail, to its end. Killed, with code null, when it takes longer. */
export async function runSteward(
  options: StewardOptions & { home: string },
): Promise<Exit & { output: string; tookMs: number }> {
  const began = performance.now();
  const { child, output, exited } = launch(options.home, options);
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 15_000);
  const exit = await exited;
  clearTimeout(timer);
  return { ...exit, output: output(), tookMs: performance.now() - began };
}
