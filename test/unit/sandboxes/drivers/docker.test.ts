// The docker driver against a real Podman: what the probe finds, what is told when something is missing, saves in a chain, and other lives.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../core/clock.ts';
import { createIds } from '../../../../core/ids.ts';
import { DEFAULT_LIMITS, type Sandbox, type SandboxSpec } from '../../../../sandboxes/driver.ts';
import { createApi } from '../../../../sandboxes/drivers/docker/api.ts';
import { createDocker, type DockerDeps } from '../../../../sandboxes/drivers/docker.ts';
import { leftovers } from '../../../helpers/leftovers.ts';
import { type Podman, startPodman } from '../../../helpers/podman.ts';

const started = await startPodman();
const podman = 'missing' in started ? null : started;
afterAll(() => podman?.stop());

const { now } = systemClock;
const ids = createIds(now);
const LIMITS = { ...DEFAULT_LIMITS, memoryMb: 512, cpus: 1, pids: 128, diskMb: 256 };

function driverOver({ socketPath, image, mounts, folder }: Podman, over: Partial<DockerDeps> = {}) {
  const root = over.root ?? mkdtempSync(join(folder, 'r-'));
  const driver = createDocker({ root, now, socketPath, image, mounts, ...over });
  return { root, driver };
}
const specOf = (over: Partial<SandboxSpec> = {}): SandboxSpec => ({
  id: ids('sbx'),
  labels: { session: 'sesn_1' },
  workspace: { type: 'empty' },
  env: {},
  mounts: [],
  limits: LIMITS,
  profile: 'strict',
  listen: null,
  ...over,
});

async function sh(sandbox: Sandbox, script: string): Promise<string> {
  const execution = sandbox.exec(['sh', '-c', script]);
  let output = '';
  for await (const event of execution)
    if (event.type === 'stdout' || event.type === 'stderr') output += Buffer.from(event.data).toString('latin1');
  const { code } = await execution.result;
  if (code !== 0) throw new Error(`“${script}” ended with ${code}: ${output}`);
  return output;
}

if (!podman) {
  const { missing } = started as { missing: string };
  it.skip(`the docker driver: ${missing}`);
}

// Containers take their time where everything else runs at once.
describe.skipIf(!podman)('the docker driver', { timeout: 60_000 }, () => {
  const at = podman!;

  it('probes a real container: walls, each limit, the socket, pause and saves; and leaves nothing', async () => {
    const { driver, root } = driverOver(at);
    const report = await driver.probe();
    expect(report).toMatchObject({
      driver: 'docker',
      ok: true,
      isolation: 'container',
      egressLocked: true,
      limits: { disk: 'watchdog', wall: 'timer' },
      snapshot: true,
      detail: expect.stringMatching(/^Podman \d.*image localhost/),
    });
    // As root all of them hold; for an ordinary user on the first cgroups none does, and the findings say so.
    const lacking = (['memory', 'cpu', 'pids'] as const).filter((name) => report.limits[name] === null);
    expect(report.findings.map(({ text }) => text)).toEqual(
      lacking.length === 0 ? [] : [`Not limited here: ${lacking.join(', ')}.`],
    );
    if (process.getuid?.() === 0) expect(lacking).toEqual([]);
    expect(await driver.list()).toEqual([]);
    expect([...readdirSync(join(root, 'live')), ...readdirSync(join(root, 'snapshots'))]).toEqual([]);
    expect(leftovers({ marks: [root] }).filter(({ kind }) => kind !== 'zombie')).toEqual([]);
  });

  it('is a container as the daemon sees it, known by labels', async () => {
    const { driver, root } = driverOver(at);
    const spec = specOf();
    const sandbox = await driver.create(spec);
    const api = createApi({ socketPath: at.socketPath });
    const [row] = await api.list([`steward.sandbox=${spec.id}`]);
    expect(row!.Labels).toMatchObject({ 'steward.home': root, 'steward.labels': '{"session":"sesn_1"}' });
    expect((await api.inspect(row!.Id)).HostConfig).toMatchObject({
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      Memory: 512 * 1024 * 1024,
      MemorySwap: 512 * 1024 * 1024,
      PidsLimit: 128,
    });
    expect(await driver.list()).toEqual([sandbox.info]);
    await driver.stop();
    expect(await sandbox.ended).toBe('Steward stopped');
    expect(await api.list([`steward.home=${root}`])).toEqual([]);
  });

  it('says what is missing: the image, Perl in it, a folder to show, a runtime', async () => {
    const absent = driverOver(at, { image: 'localhost/not-there:1' });
    const report = await absent.driver.probe();
    expect(report.ok).toBe(false);
    expect(report.findings).toEqual([
      {
        level: 'error',
        text: 'The image localhost/not-there:1 is not there.',
        fix: 'Fetch it once: podman pull localhost/not-there:1',
      },
    ]);
    const bare = driverOver(at, { mounts: [] });
    await expect(bare.driver.create(specOf())).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('has no Perl'),
      hint: expect.stringContaining('Debian or Ubuntu'),
    });
    expect(await bare.driver.list()).toEqual([]);
    expect(readdirSync(join(bare.root, 'live'))).toEqual([]);
    const mounts = [{ from: join(bare.root, 'nothing'), to: '/mnt/nothing' }];
    await expect(driverOver(at).driver.create(specOf({ mounts }))).rejects.toMatchObject({ code: 'not_found' });
    expect(readdirSync(bare.root)).not.toContain('nothing');
    await expect(driverOver(at, { runtime: 'runsd' }).driver.create(specOf())).rejects.toMatchObject({
      code: 'bad_config',
      hint: expect.stringContaining('runc'),
    });
  });

  it('saves a chain of states, each of which comes back as it was', async () => {
    const { driver, root } = driverOver(at);
    const sandbox = await driver.create(specOf());
    const lineage = 'sesn_chain';
    const tree = `find . "$HOME" -mindepth 1 -printf '%p %y %m %l ' \\( -type f -printf %T@ -o -printf - \\) -printf '\\0' | sort -z | tr '\\0' '\\n'; find . "$HOME" -type f -print0 | sort -z | xargs -0 cat`;
    await sh(
      sandbox,
      `mkdir keep; echo kept > keep/file; mkdir closed; echo inside > closed/file; chmod 555 closed; echo x > sealed; chmod 400 sealed`,
    );
    const states: { ref: SandboxSpec['workspace']; tree: string }[] = [];
    // Names that change what they are, files that come and go, a closed folder in which something changes.
    const edits = [
      'mkdir turns; echo 1 > turns/a',
      'rm -r turns; ln -s /tmp turns',
      'rm turns; echo file > turns',
      'rm turns; mkdir -p turns/deep; echo 2 > turns/deep/b; rm keep/file',
      'chmod 755 closed; echo more >> closed/file; chmod 555 closed',
      'echo home > "$HOME/.profile"; printf new > "$(printf "odd\\n\\377name")"',
    ];
    for (let turn = 0; turn < 30; turn++) {
      await sh(sandbox, `${edits[turn] ?? `echo ${turn} > counter; echo ${turn} > file-${turn % 4}`}`);
      const { ref, changed } = await sandbox.snapshot({ lineage });
      expect(changed).toBe(true);
      states.push({ ref: { type: 'snapshot', ref }, tree: await sh(sandbox, tree) });
    }
    const refOf = (index: number) =>
      (states[index]!.ref as Extract<SandboxSpec['workspace'], { type: 'snapshot' }>).ref;
    expect(await sandbox.snapshot({ lineage })).toMatchObject({ changed: false, ref: refOf(29), changes: [] });
    for (const index of [1, 3, 5, 23, 29]) {
      const back = await driver.create(specOf({ workspace: states[index]!.ref }));
      expect(await sh(back, tree)).toBe(states[index]!.tree);
      // What came back is known: nothing has changed yet, and the next save holds only what does.
      expect(await back.snapshot({ lineage })).toMatchObject({ changed: false, ref: refOf(index) });
      await sh(back, 'echo mine > mine');
      expect((await back.snapshot({ lineage })).changes).toEqual([{ path: 'mine', kind: 'added' }]);
      await back.kill('compared');
    }
    // The chain was begun anew on the way: the last state needs a few tars, not thirty.
    await driver.prune(lineage, new Set([refOf(29).id]));
    const files = readdirSync(join(root, 'snapshots', lineage, 'docker'));
    expect(files.filter((name) => name.endsWith('.tar.zst')).length).toBeLessThan(10);
    expect(files.filter((name) => name.endsWith('.manifest.zst'))).toHaveLength(1);
    await driver.prune(lineage, new Set());
    expect(readdirSync(join(root, 'snapshots'))).toEqual([]);
    await driver.stop();
  });

  it('names what could not be saved', async () => {
    const { driver } = driverOver(at);
    const sandbox = await driver.create(specOf());
    await sh(sandbox, 'echo x > shut; mkdir closed; echo y > closed/y; echo z > fine; chmod 000 shut closed');
    const { left, ref } = await sandbox.snapshot({ lineage: 'sesn_left' });
    expect(left).toEqual(
      expect.arrayContaining([
        { path: 'closed', why: 'Permission denied' },
        { path: 'shut', why: expect.stringContaining('Permission denied') },
      ]),
    );
    const back = await driver.create(specOf({ workspace: { type: 'snapshot', ref } }));
    expect(await sh(back, 'cat fine')).toBe('z\n');
    await driver.stop();
  });

  it('refuses a snapshot of another driver, before anything is started', async () => {
    const { driver, root } = driverOver(at);
    const ref = { id: 'ckpt_1', driver: 'bwrap', lineage: 'sesn_1', createdAt: 0, label: null };
    await expect(driver.create(specOf({ workspace: { type: 'snapshot', ref } }))).rejects.toMatchObject({
      code: 'invalid',
      hint: expect.stringContaining('STEWARD_SANDBOX=bwrap'),
    });
    expect(readdirSync(root)).not.toContain('live');
  });

  it('ends with the process that made it; what is left is for its own next life alone', async () => {
    const { root, driver } = driverOver(at);
    const other = driverOver(at);
    const id = ids('sbx');
    const code = `
      import { createDocker } from ${JSON.stringify(new URL('../../../../sandboxes/drivers/docker.ts', import.meta.url).href)};
      const driver = createDocker({ now: Date.now, ...JSON.parse(process.argv[1]) });
      const sandbox = await driver.create(JSON.parse(process.argv[2]));
      await sandbox.exec(['sh', '-c', 'trap "" TERM HUP; setsid sleep 300 & sleep 300 &']).result;
      console.log('working');
      setInterval(() => {}, 60_000);`;
    const deps = { root, socketPath: at.socketPath, image: at.image, mounts: at.mounts };
    const args = ['--input-type=module-typescript', '-e', code, JSON.stringify(deps), JSON.stringify(specOf({ id }))];
    const life = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(life.stdout, 'data');
    expect((await driver.list()).map((info) => [info.id, info.state])).toEqual([[id, 'running']]);
    expect(await other.driver.gc(new Set())).toEqual({ removed: [] });
    const api = createApi({ socketPath: at.socketPath });
    const [row] = await api.list([`steward.sandbox=${id}`]);
    life.kill('SIGKILL');
    await once(life, 'exit');
    // Closed with its maker: its stdin, the runner, and with that all of it.
    await expect.poll(async () => (await api.inspect(row!.Id)).State.Running, { timeout: 20_000 }).toBe(false);
    expect(await driver.gc(new Set([id]))).toEqual({ removed: [] });
    expect(await driver.gc(new Set())).toEqual({ removed: [id] });
    expect([await driver.list(), readdirSync(join(root, 'live'))]).toEqual([[], []]);
    rmSync(root, { recursive: true });
  });

  it('tells the reason when the container is taken away from under it, and is gone', async () => {
    const { driver, root } = driverOver(at);
    const sandbox = await driver.create(specOf());
    const running = sandbox.exec(['sleep', '300']).result.catch((error: { code?: string }) => error.code);
    const api = createApi({ socketPath: at.socketPath });
    const [row] = await api.list([`steward.sandbox=${sandbox.id}`]);
    await api.remove(row!.Id);
    expect(await running).toBe('sandbox_lost');
    expect(await sandbox.ended).toMatch(/runner/);
    expect([await driver.list(), readdirSync(join(root, 'live'))]).toEqual([[], []]);
  });

  it('is lost with the daemon, says so, and is cleared away when there is one again', async () => {
    const { driver, root } = driverOver(at);
    const sandbox = await driver.create(specOf());
    const running = sandbox.exec(['sleep', '300']).result.catch((error: { code?: string }) => error.code);
    const revive = await at.crash();
    expect(await running).toBe('sandbox_lost');
    expect(await sandbox.ended).toMatch(/runner/);
    await expect(sandbox.kill('it is gone')).rejects.toMatchObject({ code: 'unavailable' });
    expect(await driver.probe()).toMatchObject({
      ok: false,
      findings: [
        { level: 'error', text: expect.stringContaining('the daemon is down'), fix: expect.stringContaining('start') },
      ],
    });
    await expect(driver.create(specOf())).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    await revive();
    expect((await driver.probe()).ok).toBe(true);
    expect(await driver.gc(new Set())).toEqual({ removed: [sandbox.id] });
    expect(readdirSync(join(root, 'live'))).toEqual([]);
  });

  it('is ended when it fills more disk than it may', async () => {
    const { driver } = driverOver(at);
    const sandbox = await driver.create(specOf({ limits: { ...LIMITS, diskMb: 20 } }));
    await sh(sandbox, 'head -c 10000000 /dev/zero > within');
    sandbox.exec(['sh', '-c', 'head -c 40000000 /dev/zero > "$HOME/over"; sleep 60']).result.catch(() => {});
    expect(await sandbox.ended).toMatch(/MB of disk where 20 are allowed/);
    expect(await driver.list()).toEqual([]);
  });
});
