// The driver without walls: a sandbox in all but isolation, which it says, and which leaves nothing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createIds } from '../../../core/ids.ts';
import {
  BROKER_PORT,
  DEFAULT_LIMITS,
  PLACES,
  type Sandbox,
  type SandboxDriver,
  type SandboxSpec,
} from '../../../sandboxes/driver.ts';
import { createNone } from '../../../sandboxes/drivers/none.ts';
import { createSnapshots } from '../../../sandboxes/snapshots.ts';

let root: string;
let driver: SandboxDriver;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'none-')));
  driver = createNone({ root, now: Date.now });
});
afterEach(async () => {
  await driver.stop();
  rmSync(root, { recursive: true, force: true });
});

let made = 0;
const spec = (over: Partial<SandboxSpec> = {}): SandboxSpec => ({
  id: `sbx_none-${++made}`,
  labels: { session: 'sesn_1' },
  workspace: { type: 'empty' },
  env: {},
  mounts: [],
  limits: DEFAULT_LIMITS,
  profile: 'strict',
  listen: null,
  ...over,
});
async function out(sandbox: Sandbox, script: string): Promise<string> {
  let text = '';
  for await (const event of sandbox.exec(['sh', '-c', script])) {
    if (event.type === 'stdout' || event.type === 'stderr') text += Buffer.from(event.data);
  }
  return text;
}
const alive = (pid: number) =>
  existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));

describe('a sandbox without walls', () => {
  it('has a workspace and a home of its own and a small environment, whatever the daemon’s is', async () => {
    process.env.OF_THE_DAEMON = 'secret';
    const sandbox = await driver.create(spec({ env: { MINE: '1' } }));
    const env = await out(sandbox, 'env');
    delete process.env.OF_THE_DAEMON;
    const names = env
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0]);
    expect(names.sort()).toEqual(['HOME', 'LANG', 'MINE', 'PATH', 'PWD', 'TERM']);
    expect(await out(sandbox, 'pwd; echo $HOME')).toBe(
      `${root}/live/${sandbox.id}/workspace\n${root}/live/${sandbox.id}/home\n`,
    );
    const { code } = await sandbox.exec(['touch', 'here'], { cwd: `${PLACES.home}` }).result;
    expect(code).toBe(0);
    expect(await out(sandbox, 'ls ~')).toBe('here\n');
    expect((await sandbox.exec(['test', '-e', `${PLACES.home}/here`]).result).code).toBe(0);
  });

  it('knows its processes and what they use, and lets its ports be dialled', async () => {
    const sandbox = await driver.create(spec());
    const script = `const s = require('node:net').createServer((c) => c.end('hello')).listen(0, '127.0.0.1', () => require('node:fs').writeFileSync('port', String(s.address().port)))`;
    await sandbox.exec(['sh', '-c', '"$1" -e "$2" >/dev/null 2>&1 &', 'sh', process.execPath, script]).result;
    let port = 0;
    for (let i = 0; i < 300 && port === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      port = Number(Buffer.from(await sandbox.files.read('port').catch(() => new Uint8Array())).toString());
    }
    const listed = await sandbox.processes();
    expect(listed).toMatchObject([{ ports: [port] }]);
    expect(Buffer.concat(await (await sandbox.dial(port)).toArray()).toString()).toBe('hello');
    const stats = await sandbox.stats();
    expect(stats).toMatchObject({ state: 'running', pids: 1 });
    expect(stats.rssBytes).toBeGreaterThan(20_000_000);
    expect(stats.cpuMicros).toBeGreaterThan(0);
    expect(stats.diskBytes).toBeGreaterThan(4_000);
    expect(await sandbox.ping(2_000)).toBe(true);
  });

  it('ends with everything in it; others go on', async () => {
    const [one, two] = [await driver.create(spec()), await driver.create(spec())];
    expect((await driver.list()).map(({ id }) => id)).toEqual([one.id, two.id]);
    const pid = Number(
      await out(
        one,
        `setsid sh -c 'trap "" TERM HUP; cd /; sleep 100; :' >/dev/null 2>&1 & echo $!; mkdir -p shut/x; chmod 000 shut`,
      ),
    );
    const running = one.exec(['sleep', '100']);
    expect(alive(pid)).toBe(true);
    await Promise.all([one.kill('the test wants it'), one.kill('again')]);
    expect(await one.ended).toBe('the test wants it');
    expect(alive(pid)).toBe(false);
    await expect(running.result).rejects.toMatchObject({ code: 'sandbox_lost' });
    expect(() => one.exec(['true'])).toThrow(expect.objectContaining({ code: 'sandbox_lost' }));
    expect(one.info.state).toBe('gone');
    expect((await one.stats()).state).toBe('gone');
    expect(readdirSync(join(root, 'live'))).toEqual([two.id]);
    expect(await out(two, 'echo here')).toBe('here\n');
  });

  it('ends after its longest life, and when its runner is killed, with nothing left', async () => {
    const short = await driver.create(spec({ limits: { ...DEFAULT_LIMITS, wallMs: 100 } }));
    expect(await short.ended).toMatch(/longest life/);
    const sandbox = await driver.create(spec());
    const pid = Number(await out(sandbox, `setsid sleep 100 >/dev/null 2>&1 & echo $!`));
    const runner = Number(await out(sandbox, 'echo $PPID'));
    process.kill(runner, 'SIGKILL');
    expect(await sandbox.ended).toMatch(/runner/);
    expect(alive(pid)).toBe(false);
    expect(readdirSync(join(root, 'live'))).toEqual([]);
  });

  it('a wedged runner does not keep it from being killed', async () => {
    const sandbox = await driver.create(spec());
    const pid = Number(await out(sandbox, `setsid sleep 100 >/dev/null 2>&1 & echo $!`));
    process.kill(Number(await out(sandbox, 'echo $PPID')), 'SIGSTOP');
    expect(await sandbox.ping(50)).toBe(false);
    await sandbox.kill('it is wedged');
    expect(alive(pid)).toBe(false);
  });

  it('reaches the broker at the address the environment says, and shown folders where they are', async () => {
    const from = join(root, 'shown');
    mkdirSync(from);
    const broker = createServer((socket) => socket.on('data', (data) => socket.end(`to ${data}`)));
    const sandbox = await driver.create(
      spec({
        env: { ADDRESS: `http://127.0.0.1:${BROKER_PORT}/npm`, BUNDLE: '/mnt/ca/all.pem' },
        mounts: [{ from, to: '/mnt/ca' }],
        listen: async (path) => void (await once(broker.listen(path), 'listening')),
      }),
    );
    const [, port, bundle] =
      /127\.0\.0\.1:(\d+)\/npm\n(.*)\n/.exec(await out(sandbox, 'echo $ADDRESS; echo $BUNDLE')) ?? [];
    expect(bundle).toBe(join(from, 'all.pem'));
    expect(Number(port)).not.toBe(BROKER_PORT);
    const connection = await sandbox.dial(Number(port));
    connection.write('me');
    expect(Buffer.concat(await connection.toArray()).toString()).toBe('to me');
    broker.close();
  });

  it('saves, restores and forks with a store of snapshots', async () => {
    const ids = createIds(Date.now);
    const store = createSnapshots({ root, driver: 'none', now: Date.now, newId: () => ids('ckpt') });
    const saving = createNone({ root, now: Date.now, snapshots: store });
    const one = await saving.create(spec());
    await out(one, 'mkdir d; echo x > d/a; echo h > ~/h');
    const { ref, changed } = await one.snapshot({ lineage: 'sesn_1' });
    expect(changed).toBe(true);
    await out(one, 'echo y > d/a');
    const forked = await one.fork(spec());
    expect(await out(forked, 'cat d/a ~/h; echo z > d/a')).toBe('y\nh\n');
    expect(await out(one, 'cat d/a')).toBe('y\n');
    const back = await saving.create(spec({ workspace: { type: 'snapshot', ref } }));
    expect(await out(back, 'cat d/a ~/h')).toBe('x\nh\n');
    await saving.stop();
    await saving.prune('sesn_1', new Set());
    await expect(saving.create(spec({ workspace: { type: 'snapshot', ref } }))).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(readdirSync(join(root, 'live'))).toEqual([]);
  });

  it('without one saves nothing, and says so', async () => {
    const sandbox = await driver.create(spec());
    await expect(sandbox.snapshot({ lineage: 'l' })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(sandbox.fork(spec())).rejects.toMatchObject({ code: 'unavailable' });
    expect([sandbox.pause, sandbox.resume]).toEqual([null, null]);
  });
});

describe('the driver', () => {
  it('probes by starting one, and shows its lack of walls as an error', async () => {
    const report = await driver.probe();
    expect(report).toMatchObject({
      driver: 'none',
      ok: true,
      isolation: 'none',
      egressLocked: false,
      snapshot: false,
      pause: false,
    });
    expect(report.limits).toEqual({ memory: null, cpu: null, pids: null, disk: null, wall: 'timer' });
    expect(report.findings).toMatchObject([{ level: 'error', fix: expect.stringMatching(/STEWARD_SANDBOX=none/) }]);
    expect(readdirSync(join(root, 'live'))).toEqual([]);
  });

  it('says what is missing when it cannot start one', async () => {
    const path = join(root, 'file');
    const broken = createNone({ root: join(path, 'below'), now: Date.now });
    await driver.probe();
    const { writeFileSync } = await import('node:fs');
    writeFileSync(path, '');
    expect(await broken.probe()).toMatchObject({ ok: false, findings: [{ level: 'error' }, { level: 'error' }] });
  });

  it('a create that fails, an id that leads elsewhere or is taken: refused, and nothing is left', async () => {
    const wanted = spec({ listen: () => Promise.reject(new Error('no')) });
    await expect(driver.create(wanted)).rejects.toThrow('no');
    for (const id of ['../sbx_x', 'sbx_', 'sbx_a/b', 'x'])
      await expect(driver.create(spec({ id }))).rejects.toMatchObject({ code: 'invalid' });
    const one = await driver.create(spec());
    await out(one, 'echo kept > a');
    await expect(driver.create(spec({ id: one.id }))).rejects.toThrow();
    expect(await out(one, 'cat a')).toBe('kept\n');
    expect(readdirSync(join(root, 'live'))).toEqual([one.id]);
  });

  it('clears away what a killed daemon left, and ends what it was running', async () => {
    const program = `import { createNone } from ${JSON.stringify(new URL('../../../sandboxes/drivers/none.ts', import.meta.url).href)};
      const sandbox = await createNone({ root: ${JSON.stringify(root)}, now: Date.now }).create(${JSON.stringify({ ...spec(), id: 'sbx_left' })});
      await sandbox.exec(['sh', '-c', 'setsid sleep 100 >/dev/null 2>&1 & echo $! > pid']).result;
      console.log('ready'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const pid = Number(readFileSync(join(root, 'live/sbx_left/workspace/pid'), 'utf8'));
    expect(alive(pid)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    for (let i = 0; i < 300 && alive(pid); i++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(alive(pid)).toBe(false);
    expect(await driver.gc(new Set(['sbx_left']))).toEqual({ removed: [] });
    const mine = await driver.create(spec());
    expect(await driver.gc(new Set())).toEqual({ removed: ['sbx_left'] });
    expect(readdirSync(join(root, 'live'))).toEqual([mine.id]);
    await driver.prune('unknown', new Set());
  });
});
