// The suite must bite: drivers that each break one promise, and the case that has to find it out.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { appendFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import {
  type ExecEvent,
  type Execution,
  PLACES,
  type ProbeReport,
  type Sandbox,
  type SandboxDriver,
} from '../../sandboxes/driver.ts';
import { outcomeOf } from '../helpers/cases.ts';
import { harnessCalled } from './sandbox/drivers.ts';
import { type Harness, makeRoot, openStage } from './sandbox/stage.ts';
import { ALL } from './sandbox/topics.ts';

interface Variant {
  /** What this driver does wrong. */
  bad: string;
  /** A driver that is right but for that. */
  base: 'fake' | 'bwrap';
  sandbox?(real: Sandbox, root: string): Sandbox;
  driver?(real: SandboxDriver, root: string): SandboxDriver;
  report?: Partial<ProbeReport>;
  /** The beginnings of names of cases; each has to fail. */
  found: string[];
}

const withExecution = (real: Sandbox, change: (execution: Execution) => Partial<Execution>): Sandbox => ({
  ...real,
  exec(argv, options) {
    const execution = real.exec(argv, options);
    return Object.defineProperties(
      {} as Execution,
      Object.getOwnPropertyDescriptors({ ...wrapped(execution), ...change(execution) }),
    );
  },
});
/** The same, but as plain properties that can be replaced one by one. */
const wrapped = (execution: Execution): Execution => ({
  write: (data) => execution.write(data),
  end: () => execution.end(),
  signal: (name) => execution.signal(name),
  get result() {
    return execution.result;
  },
  [Symbol.asyncIterator]: () => execution[Symbol.asyncIterator](),
});
const events = (execution: Execution, change: (all: AsyncIterable<ExecEvent>) => AsyncGenerator<ExecEvent>) => ({
  [Symbol.asyncIterator]: () => change(execution),
});
const withFiles = (real: Sandbox, change: Partial<Sandbox['files']>): Sandbox => ({
  ...real,
  files: { ...real.files, ...change },
});
const workspaceOf = (root: string, id: string, path: string) =>
  join(root, 'live', id, 'workspace', path.replace(PLACES.workspace, ''));

const variants: Variant[] = [
  {
    bad: 'goes through a shell',
    base: 'fake',
    sandbox: (real) => ({ ...real, exec: (argv, options) => real.exec(['sh', '-c', argv.join(' ')], options) }),
    found: ['commands: an argv reaches the program as it is'],
  },
  {
    bad: 'shows the environment of the host',
    base: 'fake',
    sandbox: (real) => ({
      ...real,
      exec: (argv, options) =>
        real.exec(argv, { ...options, env: { ...(process.env as Record<string, string>), ...options?.env } }),
    }),
    found: ['commands: the environment is the driver’s small one'],
  },
  {
    bad: 'loses a byte at the end of each piece',
    base: 'fake',
    sandbox: (real) =>
      withExecution(real, (execution) =>
        events(execution, async function* (all) {
          for await (const event of all)
            yield event.type === 'stdout' ? { ...event, data: event.data.subarray(0, -1) } : event;
        }),
      ),
    found: ['commands: both streams keep every byte', 'back-pressure and caps: a reader that pauses'],
  },
  {
    bad: 'mixes the two streams',
    base: 'fake',
    sandbox: (real) =>
      withExecution(real, (execution) =>
        events(execution, async function* (all) {
          for await (const event of all) yield event.type === 'stderr' ? { ...event, type: 'stdout' } : event;
        }),
      ),
    found: ['commands: both streams keep every byte'],
  },
  {
    bad: 'goes on after the exit',
    base: 'fake',
    sandbox: (real) =>
      withExecution(real, (execution) =>
        events(execution, async function* (all) {
          const kept: ExecEvent[] = [];
          for await (const event of all) event.type === 'stdout' ? kept.push(event) : yield event;
          yield* kept;
        }),
      ),
    found: ['commands: the last event is the exit'],
  },
  {
    bad: 'takes everything, read or not',
    base: 'fake',
    sandbox: (real) =>
      withExecution(real, (execution) => {
        const held: ExecEvent[] = [];
        const done = (async () => {
          for await (const event of execution) held.push(event);
        })();
        return events(execution, async function* () {
          await done;
          yield* held;
        });
      }),
    found: ['back-pressure and caps: what is not read'],
  },
  {
    bad: 'has no cap on output',
    base: 'fake',
    sandbox: (real) => ({
      ...real,
      exec: (argv, options) => real.exec(argv, { ...options, outputBytes: Number.MAX_SAFE_INTEGER }),
    }),
    found: ['back-pressure and caps: exactly the cap', 'back-pressure and caps: without a word on it'],
  },
  {
    bad: 'cuts at the cap and lets the command run on',
    base: 'fake',
    sandbox: (real) => ({
      ...real,
      exec(argv, options) {
        const most = options?.outputBytes ?? 0;
        const execution = real.exec(argv, { ...options, outputBytes: Number.MAX_SAFE_INTEGER });
        return {
          ...wrapped(execution),
          ...events(execution, async function* (all) {
            let bytes = 0;
            for await (const event of all) {
              if (event.type === 'stdout') bytes += event.data.length;
              if (bytes <= most) yield event;
            }
          }),
        };
      },
    }),
    found: ['back-pressure and caps: output past the cap'],
  },
  {
    bad: 'forgets timeouts',
    base: 'fake',
    sandbox: (real) => ({
      ...real,
      exec(argv, options) {
        const { timeoutMs: _, ...rest } = options ?? {};
        return real.exec(argv, rest);
      },
    }),
    found: ['commands: a timeout is a TERM'],
  },
  {
    bad: 'kills at once when the time is over',
    base: 'fake',
    sandbox: (real) => ({
      ...real,
      exec(argv, options) {
        const execution = real.exec(argv, options);
        if (options?.timeoutMs) setTimeout(() => execution.signal('KILL'), options.timeoutMs - 20);
        return execution;
      },
    }),
    found: ['commands: a timeout is a TERM'],
  },
  {
    bad: 'lets a command run on when nobody listens any more',
    base: 'fake',
    sandbox: (real) =>
      withExecution(real, (execution) => {
        const inner = execution[Symbol.asyncIterator]();
        return { [Symbol.asyncIterator]: () => ({ next: () => inner.next() }) };
      }),
    found: ['commands: ending the loop early'],
  },
  {
    bad: 'signals the leader of the group only',
    base: 'fake',
    sandbox: (real) => {
      let last: string | null = null;
      return {
        ...real,
        exec(argv, options) {
          if (argv[0] !== 'perl') return real.exec(argv, options);
          const name = `leader-${Math.random()}`;
          last = name;
          const execution = real.exec(['sh', '-c', `echo $$ > "$HOME/${name}"; exec "$@"`, 'sh', ...argv], options);
          return {
            ...wrapped(execution),
            signal: (signal) =>
              void real.exec(['sh', '-c', `kill -${signal} "$(cat "$HOME/${last}")"`]).result.catch(() => {}),
          };
        },
      };
    },
    found: ['input and signals: each signal reaches every process'],
  },
  {
    bad: 'takes all input at once',
    base: 'fake',
    sandbox: (real) =>
      withExecution(real, (execution) => ({
        async write(data) {
          void execution.write(data).catch(() => {});
        },
      })),
    found: ['input and signals: a slow reader slows the writer'],
  },
  {
    bad: 'never tells who waits that the sandbox is gone',
    base: 'fake',
    sandbox: (real) => withExecution(real, () => ({ result: new Promise(() => {}) })),
    found: ['the end: who waits for a killed sandbox', 'commands: result comes whether or not'],
  },
  {
    bad: 'writes in two steps',
    base: 'fake',
    sandbox: (real, root) =>
      withFiles(real, {
        async write(path, data) {
          const file = workspaceOf(root, real.id, path);
          const bytes = Buffer.from(data);
          await rm(file, { force: true });
          await mkdir(join(file, '..'), { recursive: true });
          await appendFile(file, bytes.subarray(0, bytes.length / 2));
          await new Promise((resolve) => setTimeout(resolve, 5));
          await appendFile(file, bytes.subarray(bytes.length / 2));
        },
      }),
    found: ['files: whole or not at all'],
  },
  {
    bad: 'reads whatever is there, for as long as it takes',
    base: 'fake',
    sandbox: (real) =>
      withFiles(real, {
        async read(path) {
          const parts: Uint8Array[] = [];
          for await (const event of real.exec(['cat', path])) if (event.type === 'stdout') parts.push(event.data);
          return Buffer.concat(parts);
        },
      }),
    found: ['files: only regular files are read', 'files: a part is read by offset and limit'],
  },
  {
    bad: 'reads files on the host, through links',
    base: 'bwrap',
    sandbox: (real, root) => withFiles(real, { read: async (path) => readFile(workspaceOf(root, real.id, path)) }),
    found: ['files: a link in the workspace does not lead the host astray'],
  },
  {
    bad: 'unpacks whatever comes',
    base: 'fake',
    sandbox: (real, root) =>
      withFiles(real, {
        async upload(path, archive) {
          const into = workspaceOf(root, real.id, path);
          mkdirSync(into, { recursive: true });
          const child = spawn('tar', ['-xPf', '-', '-C', into], { stdio: ['pipe', 'ignore', 'ignore'] });
          child.stdin.on('error', () => {});
          archive.pipe(child.stdin);
          await new Promise((resolve) => child.once('exit', resolve));
          return { files: 0, bytes: 0 };
        },
      }),
    found: [
      'archives: refused as a whole: a name that climbs',
      'archives: refused as a whole: a symbolic link',
      'archives: refused as a whole: a symbolic link and a file through it',
      'archives: refused as a whole: a hard link',
      'archives: refused as a whole: a pipe',
      'archives: refused as a whole: what is no tar',
    ],
  },
  {
    bad: 'refuses a bad archive after it has unpacked the good part',
    base: 'fake',
    sandbox: (real) =>
      withFiles(real, {
        async upload(path, archive) {
          await real.files.write(`${path}/honest`, 'x');
          return real.files.upload(path, archive);
        },
      }),
    found: ['archives: refused as a whole: a name that climbs'],
  },
  {
    bad: 'saves the workspace and not the home',
    base: 'fake',
    sandbox: (real) => ({
      ...real,
      async snapshot(options) {
        await real.exec(['sh', '-c', 'rm -rf "$HOME"/* "$HOME"/.[!.]*']).result;
        return real.snapshot(options);
      },
    }),
    found: ['snapshots: a snapshot comes back whole'],
  },
  {
    bad: 'calls every snapshot a new one',
    base: 'fake',
    sandbox: (real) => ({
      ...real,
      async snapshot(options) {
        await real.files.write('.stamp', String(Math.random()));
        return real.snapshot(options);
      },
    }),
    found: ['snapshots: a snapshot says what changed'],
  },
  {
    bad: 'forgets snapshots with the sandbox they came from',
    base: 'fake',
    sandbox: (real, root) => ({
      ...real,
      async kill(reason) {
        await real.kill(reason);
        await rm(join(root, 'snapshots'), { recursive: true, force: true });
      },
    }),
    found: ['snapshots: a snapshot comes back whole'],
  },
  {
    bad: 'prunes nothing',
    base: 'fake',
    driver: (real) => ({ ...real, prune: async () => {} }),
    found: ['snapshots: prune drops what is not kept'],
  },
  {
    bad: 'forks into the same files',
    base: 'fake',
    sandbox: (real, root) => ({
      ...real,
      async fork(spec) {
        const forked = await real.fork(spec);
        const folder = join(root, 'live', spec.id, 'workspace');
        await rm(folder, { recursive: true });
        await promisify(execFile)('ln', ['-s', join(root, 'live', real.id, 'workspace'), folder]);
        return forked;
      },
    }),
    found: ['snapshots: a fork has the same files and goes its own way'],
  },
  {
    bad: 'pauses in name only',
    base: 'fake',
    sandbox: (real) => {
      const info = { ...real.info };
      return {
        ...real,
        info,
        async pause() {
          info.state = 'paused';
        },
        async resume() {
          info.state = 'running';
        },
        stats: async () => ({ ...(await real.stats()), state: info.state }),
      };
    },
    found: ['pause: a paused sandbox does nothing'],
  },
  {
    bad: 'says it pauses and has no pause',
    base: 'fake',
    sandbox: (real) => ({ ...real, pause: null, resume: null }),
    found: ['pause: pause and resume are there'],
  },
  {
    bad: 'measures nothing',
    base: 'fake',
    sandbox: (real) => ({
      ...real,
      stats: async () => ({
        cpuMicros: 0,
        rssBytes: 1,
        pids: 1,
        diskBytes: 0,
        lastOutputAt: null,
        state: real.info.state,
      }),
    }),
    found: [
      'stats and processes: processor time',
      'stats and processes: memory and processes',
      'stats and processes: the disk',
      'stats and processes: the time of the last output',
    ],
  },
  {
    bad: 'leaves its folder on kill',
    base: 'fake',
    sandbox: (real, root) => ({
      ...real,
      async kill(reason) {
        await real.kill(reason);
        mkdirSync(join(root, 'live', real.id), { recursive: true });
      },
    }),
    found: ['the end: kill leaves no process', 'the end: kill twice'],
  },
  {
    bad: 'leaves a process on kill',
    base: 'fake',
    sandbox: (real) => ({
      ...real,
      async kill(reason) {
        spawn('sleep', ['4'], { env: { CONTRACT_SANDBOX: real.id }, stdio: 'ignore', detached: true }).unref();
        await real.kill(reason);
      },
    }),
    found: ['the end: kill leaves no process'],
  },
  {
    bad: 'takes work after its end',
    base: 'fake',
    sandbox: (real) => {
      const { exec } = real;
      let gone = false;
      return {
        ...real,
        exec(argv, options) {
          if (!gone) return exec(argv, options);
          const result = { code: 0, signal: null, limited: null } as const;
          return {
            write: async () => {},
            end() {},
            signal() {},
            result: Promise.resolve(result),
            async *[Symbol.asyncIterator]() {
              yield { type: 'exit', ...result };
            },
          };
        },
        async kill(reason) {
          gone = true;
          await real.kill(reason);
        },
      };
    },
    found: ['the end: a killed sandbox takes no more work'],
  },
  {
    bad: 'does not say that it ended',
    base: 'fake',
    sandbox: (real) => ({ ...real, ended: new Promise<string>(() => {}) }),
    found: ['the end: a sandbox killed inside by its own hand', 'the end: a sandbox that reached its longest life'],
  },
  {
    bad: 'answers for a wedged sandbox',
    base: 'fake',
    sandbox: (real) => ({ ...real, ping: async () => true }),
    found: ['the end: ping tells a living sandbox'],
  },
  {
    bad: 'never ends a life that is too long',
    base: 'fake',
    driver: (real) => ({
      ...real,
      create: (spec) => real.create({ ...spec, limits: { ...spec.limits, wallMs: 3_600_000 } }),
    }),
    found: ['the end: a sandbox that reached its longest life'],
  },
  {
    bad: 'leaves what a create that failed had made',
    base: 'bwrap',
    driver: (real, root) => ({
      ...real,
      create: (spec) =>
        real.create(spec).catch((error) => {
          mkdirSync(join(root, 'live', spec.id), { recursive: true });
          throw error;
        }),
    }),
    found: ['the end: a create that fails on the way'],
  },
  {
    bad: 'lists what is gone',
    base: 'fake',
    driver(real) {
      const made: Sandbox[] = [];
      return {
        ...real,
        async create(spec) {
          const sandbox = await real.create(spec);
          made.push(sandbox);
          return sandbox;
        },
        list: async () => made.map(({ info }) => ({ ...info, state: 'running' as const })),
      };
    },
    found: ['lives: list tells the living ones'],
  },
  {
    bad: 'clears nothing away at boot',
    base: 'fake',
    driver: (real) => ({ ...real, gc: async () => ({ removed: [] }) }),
    found: ['lives: what a killed daemon left'],
  },
  {
    bad: 'clears away what is to be kept',
    base: 'fake',
    driver: (real) => ({ ...real, gc: () => real.gc(new Set()) }),
    found: ['lives: what a killed daemon left'],
  },
  {
    bad: 'stops without ending what is alive',
    base: 'fake',
    driver: (real) => ({ ...real, stop: async () => {} }),
    found: ['lives: stop ends everything'],
  },
  {
    bad: 'takes an id twice',
    base: 'fake',
    driver(real) {
      const made = new Map<string, Sandbox>();
      return {
        ...real,
        async create(spec) {
          const sandbox = made.get(spec.id) ?? (await real.create(spec));
          made.set(spec.id, sandbox);
          return sandbox;
        },
      };
    },
    found: ['lives: an id is used once'],
  },
  {
    bad: 'reports limits it does not enforce',
    base: 'fake',
    report: { limits: { memory: 'cgroup v1', cpu: 'cgroup v1', pids: 'cgroup v1', disk: 'quota', wall: 'timer' } },
    found: ['limits: memory: within', 'limits: cpu', 'limits: pids', 'limits: disk: within'],
  },
  {
    bad: 'says nothing of what it does not enforce',
    base: 'fake',
    report: { findings: [] },
    found: ['probe: the report is whole'],
  },
  {
    bad: 'reports walls it does not have',
    base: 'fake',
    report: { isolation: 'namespaces', egressLocked: true },
    found: [
      'commands: workspace and home are where',
      'files: a link in the workspace',
      'snapshots: links in the tree',
      'connections: a port of the host',
      'the end: what is inside cannot end its runner',
      'probe: a locked egress is one',
      'walls: the way out is the socket',
      'walls: a folder of the host that is shown',
      'walls: the system is read-only',
      'walls: strict refuses ptrace',
      'walls: inside it is nobody in particular',
    ],
  },
];

/** A variant as a driver of the suite. */
function harnessOf(variant: Variant): Harness {
  const base = harnessCalled(variant.base);
  return {
    ...base,
    open(root) {
      const real = base.open(root);
      const seen: SandboxDriver = variant.driver?.(real, root) ?? real;
      return {
        ...seen,
        create: async (spec) => {
          const sandbox = await seen.create(spec);
          return variant.sandbox?.(sandbox, root) ?? sandbox;
        },
      };
    },
  };
}

const missing = await harnessCalled('bwrap').missing();

describe.concurrent('a driver that breaks a promise is found out', () => {
  const roots: string[] = [];
  afterAll(async () => {
    for (const root of roots) await rm(root, { recursive: true, force: true });
  });

  for (const variant of variants) {
    test.skipIf(variant.base === 'bwrap' && missing !== null)(`it ${variant.bad}`, { timeout: 120_000 }, async () => {
      const harness = harnessOf(variant);
      const honest = harnessCalled(variant.base);
      for (const name of variant.found) {
        const cases = ALL.filter((one) => one.name.startsWith(name));
        expect(cases.length, name).toBeGreaterThan(0);
        for (const one of cases) {
          const root = makeRoot();
          roots.push(root);
          const driver = harness.open(root);
          // The promise that is broken may be the one that cleans up.
          const broom = honest.open(root);
          const report = { ...(await driver.probe()), ...variant.report };
          const { stage, close } = openStage(harness, driver, report, root);
          const outcome = await outcomeOf(one, stage, 20_000);
          await close().catch(() => {});
          await driver.stop();
          await broom.gc(new Set());
          await broom.stop();
          expect(outcome.status, one.name).toBe('failed');
        }
      }
    });
  }
});
