// Checkpoints of a workspace with 20,000 files: nothing changed, one change, the first one, and a new sandbox from it.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_LIMITS, type Sandbox, type SandboxSpec } from '../../../sandboxes/driver.ts';
import { createBwrap } from '../../../sandboxes/drivers/bwrap.ts';
import { rootOf } from '../../../sandboxes/root.ts';
import { createSnapshots } from '../../../sandboxes/snapshots.ts';
import type { Bench } from '../bench.ts';
import { median, type Row, row } from '../report.ts';

const FILES = 20_000;
const LINEAGE = 'sesn_bench';

export async function measureCheckpoint(bench: Bench): Promise<Row[]> {
  const root = rootOf(bench.emptyHome(), process.getuid?.() ?? 1);
  let ids = 0;
  const newId = (prefix: string) => `${prefix}_bench${String(++ids).padStart(6, '0')}`;
  const snapshots = createSnapshots({ root, driver: 'bwrap', now: Date.now, newId: () => newId('ckpt') });
  const driver = createBwrap({ root, now: Date.now, snapshots });
  bench.own(async () => {
    await driver.stop();
    rmSync(root, { recursive: true, force: true });
  });
  const seen = await driver.probe();
  if (!seen.ok) {
    bench.say(`no sandbox here: ${seen.findings.map(({ text }) => text).join(' ')}`);
    return [];
  }
  const spec = (workspace: SandboxSpec['workspace']): SandboxSpec => ({
    ...{ id: newId('sbx'), labels: {}, workspace, env: {}, mounts: [], profile: 'strict', listen: null },
    limits: DEFAULT_LIMITS,
  });
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const from = performance.now();
    await work();
    return performance.now() - from;
  };

  const folder = bench.emptyHome();
  const tree = join(folder, 'tree');
  const size = plant(tree);
  const copies: number[] = [];
  for (let i = 0; i < bench.count(30); i += 10)
    copies.push(await timed(async () => execFileSync('cp', ['-a', tree, join(folder, `copy-${i}`)])));
  const base = { of: 'cp -a', base: median(copies) };

  const sandbox = await driver.create(spec({ type: 'empty' }));
  await unpack(sandbox, tree);
  const first = [await timed(() => sandbox.snapshot({ lineage: LINEAGE }))];
  const still: number[] = [];
  const changed: number[] = [];
  for (let i = 0; i < bench.count(100); i++) still.push(await timed(() => sandbox.snapshot({ lineage: LINEAGE })));
  for (let i = 0; i < bench.count(50); i++) {
    await sandbox.files.write('one.txt', String(i));
    changed.push(
      await timed(async () => {
        if (!(await sandbox.snapshot({ lineage: LINEAGE })).changed) throw new Error('a change was not seen');
      }),
    );
  }
  const { ref } = await sandbox.snapshot({ lineage: LINEAGE });
  // All of them stay until the end: on some file systems what is deleted makes what is created slow for minutes.
  const back: number[] = [];
  for (let i = 0; i < bench.count(20); i++)
    back.push(await timed(() => driver.create(spec({ type: 'snapshot', ref }))));

  const files = `${FILES.toLocaleString('en')} files`;
  return [
    row(`checkpoint: ${files}, nothing changed`, still, { figure: { p95: 50 } }),
    row(`checkpoint: ${files}, one change`, changed),
    row(`checkpoint: ${files}, the first`, first, { ratio: base, note: `${size} MB, as npm installs it` }),
    row(`checkpoint: ${files}, a new sandbox from it`, back, { figure: { p95: 1_000 }, ratio: base }),
  ];
}

/** Installed packages of this project, again and again until there are enough files. Resolves with their size in MB. */
function plant(tree: string): number {
  const from = fileURLToPath(new URL('../../../node_modules/', import.meta.url));
  mkdirSync(tree);
  let left = FILES;
  for (let copy = 1; left > 0; copy++) {
    const to = join(tree, `packages-${copy}`);
    // The packages that hold a whole program as one file are no typical ones.
    const names = readdirSync(from).filter(
      (name) => !/^(\.|@biomejs|@rolldown|@typescript|node-linux|lightningcss)/.test(name),
    );
    cpSync(from, to, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => {
        const name = relative(from, path).split('/')[0]!;
        return left > 0 && (name === '' || names.includes(name));
      },
    });
    left = FILES - Number(execFileSync('sh', ['-c', 'find "$1" -type f | wc -l', 'sh', tree], { encoding: 'utf8' }));
    if (left > 0) continue;
    execFileSync('sh', ['-c', 'find "$1" -type f | tail -n "$2" | xargs -d "\\n" rm', 'sh', tree, String(-left)]);
  }
  return Math.round(Number(execFileSync('du', ['-sm', tree], { encoding: 'utf8' }).split('\t')[0]));
}

async function unpack(sandbox: Sandbox, tree: string): Promise<void> {
  const tar = spawn('tar', ['-C', tree, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const execution = sandbox.exec(['tar', '-x'], { stdin: 'open' });
  for await (const chunk of tar.stdout as AsyncIterable<Buffer>) await execution.write(chunk);
  execution.end();
  const { code } = await execution.result;
  if (code !== 0) throw new Error(`tar ended with ${code}`);
}
