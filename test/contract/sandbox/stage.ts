// Where a case of the suite plays: one driver, sandboxes that end with the case, other lives of the driver, and eyes outside.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../core/clock.ts';
import { createIds } from '../../../core/ids.ts';
import {
  DEFAULT_LIMITS,
  type ExecOptions,
  type ExecResult,
  type Execution,
  type Limits,
  type ProbeReport,
  type Sandbox,
  type SandboxDriver,
  type SandboxSpec,
} from '../../../sandboxes/driver.ts';
import type { Case } from '../../helpers/cases.ts';
import { nothingLeft, type Traces } from '../../helpers/leftovers.ts';

export type SandboxCase = Case<Stage>;

/** A driver as the suite needs it. One more driver is one more of these. */
export interface Harness {
  name: string;
  /** Starts what it needs (a service). One sentence why it cannot be tried here; null: it can. Called first. */
  missing(): Promise<string | null>;
  /** Ends what `missing` started. */
  stop?(): Promise<void>;
  /** A life of the driver over a folder; lives over one folder follow each other. */
  open(root: string): SandboxDriver;
  /** The same, with what it starts sandboxes with taken away. */
  openBroken?(root: string): SandboxDriver;
  /** Uids that nobody but its sandboxes uses. */
  uids?: { first: number; count: number };
  /** Where its roots have to be; null: anywhere. */
  folder?(): string | null;
  /** For another process that opens the same driver. */
  env?(): Record<string, string>;
}

export const SMALL: Limits = { ...DEFAULT_LIMITS, memoryMb: 512, cpus: 1, pids: 128, diskMb: 256, wallMs: 60_000 };

/** A life that was killed: what it left is for the next one. */
export interface KilledLife {
  root: string;
  ids: string[];
}

export interface Stage {
  readonly harness: Harness;
  readonly driver: SandboxDriver;
  readonly report: ProbeReport;
  /** Of `driver`. */
  readonly root: string;
  newId(): string;
  spec(over?: Partial<SandboxSpec>): SandboxSpec;
  /** Killed when the case ends. */
  open(over?: Partial<SandboxSpec>): Promise<Sandbox>;
  /** Another life of the driver, over a folder of its own unless told; stopped when the case ends. */
  life(root?: string): SandboxDriver;
  /** A process made `count` sandboxes, with processes in them, and was killed at once. */
  killedLife(count: number, state?: 'running' | 'paused'): Promise<KilledLife>;
  /** Made like `root`, and removed when the case ends. */
  newRoot(): string;
  /** A folder on the host, open to everybody. */
  folder(): string;
  /** How everything of this sandbox is recognised from outside. */
  traces(...ids: string[]): Traces;
  atEnd(work: () => void | Promise<void>): void;
}

const LIFE = fileURLToPath(new URL('../../fixtures/sandbox-life.ts', import.meta.url));

/** Short, because a unix socket's path has 107 bytes; open, because sandboxes may be other users. */
export function makeRoot(below?: string | null): string {
  const root = mkdtempSync(join(below ?? tmpdir(), 'sbx-'));
  chmodSync(root, 0o711);
  return root;
}

const inOrder = async (work: (() => void | Promise<void>)[]) => {
  for (const one of work.reverse()) await one();
};

/** What the cases of one harness share; each gets a stage of its own from it. */
export interface House {
  harness: Harness;
  report: ProbeReport;
  stage(): { stage: Stage; close(): Promise<void> };
  /** Rejects when anything of all the cases is left. */
  close(): Promise<void>;
}

export async function openHouse(harness: Harness): Promise<House> {
  const root = makeRoot(harness.folder?.());
  const driver = harness.open(root);
  const report = await driver.probe();
  return {
    harness,
    report,
    stage: () => openStage(harness, driver, report, root),
    async close() {
      await driver.stop();
      try {
        await nothingLeft({ marks: [root], ...(harness.uids && { uids: harness.uids }) });
      } finally {
        await harness.stop?.();
        rmSync(root, { recursive: true, force: true });
      }
    },
  };
}

export function openStage(
  harness: Harness,
  driver: SandboxDriver,
  report: ProbeReport,
  root: string,
): { stage: Stage; close(): Promise<void> } {
  const ends: (() => void | Promise<void>)[] = [];
  const ids = createIds(systemClock.now);
  const newId = () => ids('sbx');
  const newRoot = () => {
    const made = makeRoot(harness.folder?.());
    ends.push(() => rmSync(made, { recursive: true, force: true }));
    return made;
  };
  const stage: Stage = {
    harness,
    driver,
    report,
    root,
    newId,
    newRoot,
    spec(over = {}) {
      const id = over.id ?? newId();
      return {
        id,
        labels: { session: 'sesn_contract' },
        workspace: { type: 'empty' },
        mounts: [],
        limits: SMALL,
        profile: 'strict',
        listen: null,
        ...over,
        // Everything that runs inside carries the id in its environment, so that it is found from outside.
        env: { CONTRACT_SANDBOX: id, ...over.env },
      };
    },
    async open(over) {
      const sandbox = await driver.create(stage.spec(over));
      ends.push(() => sandbox.kill('the case is over'));
      return sandbox;
    },
    life(over = newRoot()) {
      const life = harness.open(over);
      ends.push(() => life.stop());
      return life;
    },
    async killedLife(count, state = 'running') {
      const over = newRoot();
      const child = spawn(process.execPath, [LIFE, harness.name, over, String(count), state], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: {
          ...process.env,
          ...harness.env?.(),
          SANDBOX_UIDS: harness.uids ? `${harness.uids.first}:${harness.uids.count}` : '',
        },
      });
      let output = '';
      for await (const piece of child.stdout.setEncoding('utf8')) {
        output += piece;
        if (output.includes('\n')) break;
      }
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null;
      child.kill('SIGKILL');
      await ended;
      if (!output.includes('\n')) throw new Error(`the life that was to be killed ended by itself: ${output}`);
      return { root: over, ids: JSON.parse(output) as string[] };
    },
    folder() {
      const made = newRoot();
      chmodSync(made, 0o755);
      return made;
    },
    traces: (...marks) => ({ marks, folders: [root, join(root, 'live')] }),
    atEnd: (work) => void ends.push(work),
  };
  return { stage, close: () => inOrder(ends) };
}

/** The reason to leave a case out where processes share the machine with everybody. */
export const isolated = ({ report }: Stage) => (report.isolation === 'none' ? 'there is no isolation' : null);

export interface Ran extends ExecResult {
  stdout: string;
  stderr: string;
}

/** Reads an execution to its end. Bytes become characters of the same number, so that every byte counts. */
export async function readAll(execution: Execution): Promise<Ran & { events: string[] }> {
  const chunks: Record<'stdout' | 'stderr', Uint8Array[]> = { stdout: [], stderr: [] };
  const events: string[] = [];
  let exit: ExecResult | null = null;
  for await (const event of execution) {
    if (exit) throw new Error(`an event after the exit: ${event.type}`);
    events.push(event.type);
    if (event.type === 'stdout' || event.type === 'stderr') chunks[event.type].push(event.data);
    if (event.type === 'exit') exit = { code: event.code, signal: event.signal, limited: event.limited };
  }
  if (!exit) throw new Error('the last event is not an exit');
  const text = (parts: Uint8Array[]) => Buffer.concat(parts).toString('latin1');
  return { ...exit, stdout: text(chunks.stdout), stderr: text(chunks.stderr), events };
}

export const run = async (sandbox: Sandbox, argv: readonly string[], options?: ExecOptions) =>
  readAll(sandbox.exec(argv, options));
export const sh = (sandbox: Sandbox, script: string, options?: ExecOptions) =>
  run(sandbox, ['sh', '-c', script], options);
export const perl = (sandbox: Sandbox, script: string, options?: ExecOptions) =>
  run(sandbox, ['perl', '-e', script], options);

/** The output of a script that has to succeed. */
export async function out(sandbox: Sandbox, script: string, options?: ExecOptions): Promise<string> {
  const { code, signal, limited, stdout, stderr } = await sh(sandbox, script, options);
  if (code !== 0)
    throw new Error(`“${script}” ended with ${signal ?? code}${limited ? ` (${limited})` : ''}: ${stderr}`);
  return stdout;
}

/** The first line of output, with the rest still to come. */
export async function firstLine(execution: Execution): Promise<{ line: string; rest: AsyncIterator<unknown> }> {
  const events = execution[Symbol.asyncIterator]();
  let text = '';
  while (!text.includes('\n')) {
    const next = await events.next();
    if (next.done) throw new Error(`it ended before its first line: ${text}`);
    if (next.value.type === 'exit') throw new Error(`it ended before its first line: ${text}`);
    if (next.value.type === 'stdout') text += Buffer.from(next.value.data).toString();
  }
  return { line: text.split('\n')[0]!, rest: events };
}

/** Waits for a fact. A look that throws counts as not yet. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  ms = 15_000,
): Promise<Exclude<T, false | null | undefined>> {
  const end = performance.now() + ms;
  let last: unknown = null;
  for (;;) {
    try {
      const value = await look();
      if (value) return value as Exclude<T, false | null | undefined>;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what} (${String(last)})`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

/** What a promise came to, or 'pending' after a time. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | 'pending'> {
  const { promise: late, resolve } = Promise.withResolvers<'pending'>();
  const timer = setTimeout(() => resolve('pending'), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
