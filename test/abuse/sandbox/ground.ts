// The ground of the abuse suites: a daemon with things worth stealing around it, its sandboxes, and probes run inside and outside.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProbeReport, Sandbox, SandboxDriver, SandboxSpec } from '../../../sandboxes/driver.ts';
import { harnessCalled } from '../../contract/sandbox/drivers.ts';
import { openStage, type Ran, run, type Stage } from '../../contract/sandbox/stage.ts';
import type { Case } from '../../helpers/cases.ts';
import { nothingLeft } from '../../helpers/leftovers.ts';
import { answers, prelude } from './perl.ts';

/** Stands wherever a secret would: environment, arguments, an open file, files, sockets. Nothing inside may ever read it. */
export const CANARY = process.env.STEWARD_TEST_CANARY ?? 'canary-is-not-set';

export interface Ground {
  driver: SandboxDriver;
  report: ProbeReport;
  isRoot: boolean;
  /** The daemon's data folder, 0700, with a canary in its files. */
  home: string;
  /** Of the driver. */
  root: string;
  stage: Stage;
  open(over?: Partial<SandboxSpec>): Promise<Sandbox>;
  /** A probe in a sandbox of its own, or in this one. */
  inside(code: string, sandbox?: Sandbox): Promise<Map<string, string>>;
  /** The same probe on the host as the daemon's user, in an empty folder. */
  outside(code: string): Promise<Map<string, string>>;
  atEnd(work: () => void | Promise<void>): void;
}

export type AbuseCase = Case<Ground>;

const arch = process.arch === 'arm64' ? 'arm64' : 'x64';
export const perlProbe = (code: string): string[] => ['perl', '-e', `${prelude(arch)}${code}`];

const text = (ran: Ran) => `${ran.stdout}${ran.stderr && `stderr: ${ran.stderr.trim()}\n`}`;

export interface House {
  ground(): Promise<{ stage: Ground; close(): Promise<void> }>;
  /** Rejects when anything of all the cases is left. */
  close(): Promise<void>;
}

/** As the daemon lays itself out: root's sandboxes beside its private folder, an ordinary user's inside. */
export async function openHouse(): Promise<House> {
  const harness = harnessCalled('bwrap');
  const missing = await harness.missing();
  if (missing) throw new Error(missing);
  const uid = process.getuid?.() ?? 0;
  const isRoot = uid === 0;
  // Root's sandboxes have users of their own; an ordinary one that was made up for this has nothing else.
  const uids = isRoot ? harness.uids : process.env.STEWARD_TEST_OWN_USER ? { first: uid, count: 1 } : undefined;
  const base = mkdtempSync(join(tmpdir(), 'abu-'));
  chmodSync(base, 0o711);
  const home = join(base, 'h');
  const root = isRoot ? join(base, 'r') : join(home, 'sandboxes');
  mkdirSync(home, { mode: 0o700 });
  mkdirSync(root, { mode: 0o711 });
  for (const name of ['steward.db', 'token', '.env', 'vault.key'])
    writeFileSync(join(home, name), CANARY, { mode: 0o600 });
  // Without rights of its own in the way: only the walls of the sandbox keep it from this one.
  writeFileSync(join(base, 'open'), CANARY, { mode: 0o666 });
  const driver = harness.open(root);
  const report = await driver.probe();
  return {
    async ground() {
      const { stage, close } = openStage(harness, driver, report, root);
      const ground: Ground = {
        driver,
        report,
        isRoot,
        home,
        root,
        stage,
        open: stage.open,
        atEnd: stage.atEnd,
        async inside(code, sandbox) {
          return answers(text(await run(sandbox ?? (await stage.open()), perlProbe(code))));
        },
        outside: (code) =>
          new Promise((resolve) => {
            const cwd = mkdtempSync(join(base, 'o-'));
            const [program = '', ...args] = perlProbe(code);
            execFile(
              program,
              args,
              { cwd, env: { PATH: process.env.PATH }, timeout: 20_000 },
              (error, stdout, stderr) => {
                rmSync(cwd, { recursive: true, force: true });
                resolve(answers(`${stdout}${stderr && `stderr: ${stderr}\n`}${error?.killed ? 'timeout: yes\n' : ''}`));
              },
            );
          }),
      };
      return { stage: ground, close };
    },
    async close() {
      await driver.stop();
      try {
        await nothingLeft({ marks: [base], ...(uids && { uids }) });
      } finally {
        rmSync(base, { recursive: true, force: true });
      }
    },
  };
}

/** Fails with all answers shown when one of them is another. Every label has to have answered, and no other. */
export function expectAnswers(where: string, got: Map<string, string>, wanted: Record<string, RegExp>): void {
  const wrong = Object.entries(wanted).filter(([label, answer]) => !answer.test(got.get(label) ?? 'no answer'));
  const more = [...got.keys()].filter((label) => !(label in wanted));
  const shown = [...got].map(([label, answer]) => `  ${label}: ${answer}`).join('\n');
  assert.ok(
    wrong.length === 0 && more.length === 0,
    `${where}: ${[...wrong.map(([label, answer]) => `${label} is ${got.get(label) ?? 'no answer'} and not ${answer}`), ...more.map((label) => `${label} was not asked`)].join(', ')}\n${shown}`,
  );
}

export interface Attempt {
  name: string;
  code: string;
  /** What every sandbox has to answer. */
  inside: Record<string, RegExp>;
  /**
   * The control: what the same attempt answers outside, so that a refusal inside is not the probe's own fault. 'root':
   * only there it works.
   */
  outside: Record<string, RegExp>;
  control?: 'root';
  /**
   * For the control alone, which runs for real on this machine: namespaces of its own for whatever the attempt would change.
   * It has to die when it does not get them.
   */
  before?: string;
  needs?(ground: Ground): string | null;
}

export const attempt = ({ name, code, inside, outside, control, before = '', needs }: Attempt): AbuseCase => ({
  name,
  ...(needs && { needs }),
  async run(ground) {
    if (control !== 'root' || ground.isRoot) expectAnswers('outside', await ground.outside(before + code), outside);
    expectAnswers('inside', await ground.inside(code), inside);
  },
});
