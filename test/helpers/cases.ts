// Cases that run where vitest cannot: in a process of another user. The test awaits by name what that process reports.
import { type ChildProcess, spawn } from 'node:child_process';
import { inspect } from 'node:util';
import { standstill } from './standstill.ts';

export interface Case<S> {
  /** What is promised, as a sentence. */
  name: string;
  /** Why it has no meaning on this stage; null: it has. */
  needs?(stage: S): string | null;
  run(stage: S): Promise<void>;
  /** Nothing else runs at the same time: it measures, or it fills the machine. */
  alone?: boolean;
}

export type Outcome = { status: 'passed' } | { status: 'skipped'; why: string } | { status: 'failed'; error: string };

/** Nothing takes this long, on a machine that stands still now and then either. */
const NO_TIME_MS = 300_000;

/** Runs one case; what it throws, or that it never ends, is its outcome. */
export async function outcomeOf<S>(one: Case<S>, stage: S, timeoutMs = NO_TIME_MS): Promise<Outcome> {
  const why = one.needs?.(stage) ?? null;
  if (why !== null) return { status: 'skipped', why };
  const { promise: late, reject } = Promise.withResolvers<never>();
  const give = () => reject(new Error(`“${one.name}” did not end within ${timeoutMs} ms:\n${standstill()}`));
  const timer = setTimeout(give, timeoutMs);
  try {
    await Promise.race([one.run(stage), late]);
    return { status: 'passed' };
  } catch (error) {
    return { status: 'failed', error: error instanceof Error ? (error.stack ?? error.message) : inspect(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** Some at a time, those that want to be alone at the end; each is reported as soon as it ends. */
export async function runCases<S>(
  cases: readonly Case<S>[],
  stageFor: (one: Case<S>) => Promise<{ stage: S; close(): Promise<void> }>,
  report: (name: string, outcome: Outcome) => void,
  atOnce = 4,
): Promise<void> {
  const carry = async (one: Case<S>) => {
    let outcome: Outcome;
    try {
      const { stage, close } = await stageFor(one);
      outcome = await outcomeOf(one, stage);
      await close();
    } catch (error) {
      outcome = { status: 'failed', error: inspect(error) };
    }
    report(one.name, outcome);
  };
  const waiting = cases.filter((one) => !one.alone);
  const worker = async () => {
    for (let one = waiting.shift(); one; one = waiting.shift()) await carry(one);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  for (const one of cases.filter((one) => one.alone)) await carry(one);
}

/** In the child: tells the parent. */
export function tell(name: string, outcome: Outcome): void {
  process.send?.({ name, outcome });
}

/** In the child: ends with the parent, whatever is still going on. */
export function endWithParent(): void {
  process.once('disconnect', () => process.exit(1));
}

/** In the child: the last word, with how closing went; a handle somebody left open does not keep the process. */
export async function tellTheEnd(name: string, closing: Promise<void>): Promise<void> {
  const outcome: Outcome = await closing.then(
    () => ({ status: 'passed' }),
    (error: Error) => ({ status: 'failed', error: error.message }),
  );
  process.send?.({ name, outcome }, () => process.exit(0));
}

export interface Elsewhere {
  outcome(name: string): Promise<Outcome>;
  /** Waits until the process has ended by itself. */
  end(): Promise<void>;
}

/** Starts a script of cases (it calls `tell`) as another user, or as this one. */
export function casesElsewhere(
  script: string,
  options: {
    uid?: number;
    gid?: number;
    args?: readonly string[];
    env?: Record<string, string>;
    /** A descriptor the process is started with, as its fd 4. */
    hold?: number;
  },
): Elsewhere {
  const outcomes = new Map<string, PromiseWithResolvers<Outcome>>();
  const slot = (name: string) => {
    const known = outcomes.get(name) ?? Promise.withResolvers<Outcome>();
    outcomes.set(name, known);
    return known;
  };
  let output = '';
  let over: Outcome | null = null;
  const child: ChildProcess = spawn(process.execPath, [script, ...(options.args ?? [])], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc', ...(options.hold === undefined ? [] : [options.hold])],
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.gid ?? options.uid }),
    env: {
      PATH: process.env.PATH,
      HOME: '/',
      TZ: 'UTC',
      ...(options.uid !== undefined && { STEWARD_TEST_OWN_USER: 'yes' }),
      ...options.env,
    },
  });
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-20_000);
    });
  child.on('message', (message: { name: string; outcome: Outcome }) => slot(message.name).resolve(message.outcome));
  const ended = new Promise<void>((resolve) => {
    const finish = (how: string) => {
      over = {
        status: 'failed',
        error: `The process of the other user ended (${how}) without a word on this.\n${output}`,
      };
      for (const { resolve: settle } of outcomes.values()) settle(over);
      resolve();
    };
    child.once('error', (error) => finish(error.message));
    child.once('close', (code, signal) => finish(String(signal ?? code)));
  });
  return {
    async outcome(name) {
      if (over) slot(name).resolve(over);
      return slot(name).promise;
    },
    end: () => ended,
  };
}
