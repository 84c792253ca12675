// What the bwrap driver promises beyond the contract, in real sandboxes: the filter, users, isolated runs, and its own accidents.
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, test } from 'vitest';
import { DEFAULT_LIMITS, type Sandbox, type SandboxDriver, type SandboxSpec } from '../../../../sandboxes/driver.ts';
import { REFUSED } from '../../../../sandboxes/drivers/bwrap/seccomp-tables.ts';
import { readState } from '../../../../sandboxes/drivers/bwrap/state.ts';
import { createBwrap } from '../../../../sandboxes/drivers/bwrap.ts';
import type { Isolate, SnapshotStore } from '../../../../sandboxes/snapshots.ts';
import { processesSeen } from '../../../helpers/leftovers.ts';

const works = process.platform === 'linux' && existsSync('/usr/bin/bwrap');
if (!works) test.skip('bubblewrap is not installed (apt-get install bubblewrap)');
const isRoot = process.getuid?.() === 0;
const uids = { first: 2_000_000 + (process.pid % 10_000) * 20, count: 20 };

/** Saves nothing: lends out the isolated run a store is given. */
function lender(): { snapshots: SnapshotStore; lent: { isolate: Isolate; workspace: string }[] } {
  const lent: { isolate: Isolate; workspace: string }[] = [];
  const ref = { id: 'ckpt_x', driver: 'bwrap', lineage: 'l', createdAt: 0, label: null };
  return {
    lent,
    snapshots: {
      async save({ isolate, workspace }) {
        lent.push({ isolate, workspace });
        return { ref, changed: false, changes: [], more: 0, tookMs: 0 };
      },
      restore: async () => {},
      prune: async () => {},
      forget: async () => {},
    },
  };
}

const roots: string[] = [];
const drivers: SandboxDriver[] = [];
function open(deep = ''): { driver: SandboxDriver; root: string; lent: { isolate: Isolate; workspace: string }[] } {
  const base = mkdtempSync(join(tmpdir(), 'bw-'));
  chmodSync(base, 0o711);
  roots.push(base);
  const root = join(base, deep);
  mkdirSync(root, { recursive: true });
  const { snapshots, lent } = lender();
  const driver = createBwrap({ root, uids, now: Date.now, snapshots });
  drivers.push(driver);
  return { driver, root, lent };
}
afterAll(async () => {
  for (const driver of drivers) await driver.stop();
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

let made = 0;
const spec = (over: Partial<SandboxSpec> = {}): SandboxSpec => ({
  id: `sbx_unit${process.pid}x${made++}`,
  labels: {},
  workspace: { type: 'empty' },
  env: {},
  mounts: [],
  limits: { ...DEFAULT_LIMITS, diskMb: 100, wallMs: 60_000 },
  profile: 'strict',
  listen: null,
  ...over,
});

/** Folders of sandboxes, but for the one in reserve. */
const liveIn = (root: string): string[] =>
  readdirSync(join(root, 'live')).filter((name) => !name.startsWith('sbx_spare_'));

async function run(sandbox: Sandbox, ...argv: string[]): Promise<string> {
  let text = '';
  for await (const event of sandbox.exec(argv)) {
    if (event.type === 'stdout' || event.type === 'stderr') text += Buffer.from(event.data).toString();
    if (event.type === 'exit' && event.code !== 0) text += `[${event.code ?? event.signal}]`;
  }
  return text;
}

describe.skipIf(!works)('a sandbox of bwrap', () => {
  const { driver, root, lent } = open();

  it('refuses every call of the table, and kills another architecture’s', async () => {
    const arch = process.arch === 'arm64' ? 'arm64' : 'x64';
    const calls = REFUSED.filter((call) => call[arch] !== null);
    const script = calls.map(
      (call) => `print "${call.name} ", (syscall(${call[arch]}, 0, 0, 0, 0, 0) < 0 ? $!+0 : 0), "\\n";`,
    );
    const sandbox = await driver.create(spec());
    const seen = (await run(sandbox, 'perl', '-e', script.join(''))).trim().split('\n');
    const errno = { EPERM: 1, ENOSYS: 38, EOPNOTSUPP: 95, EPROTONOSUPPORT: 93, EAFNOSUPPORT: 97 };
    expect(seen).toEqual(calls.map((call) => `${call.name} ${errno[call.answer]}`));
    if (arch === 'x64') expect(await run(sandbox, 'perl', '-e', 'syscall(0x40000000 | 39)')).toBe('[SYS]');
    for (const [family, answer] of [
      [17, 97],
      [40, 97],
      [38, 97],
      [16, 0],
    ])
      expect(await run(sandbox, 'perl', '-e', `print socket(my $s, ${family}, 3, 0) ? 0 : $!+0`)).toBe(String(answer));
    await sandbox.kill('done');
  });

  it('has this Node, npm, an ordinary umask and a made-up /etc', async () => {
    const sandbox = await driver.create(spec());
    expect(await run(sandbox, 'node', '-p', 'process.version + require("os").networkInterfaces().lo.length')).toMatch(
      new RegExp(`^${process.version}\\d`),
    );
    if (spawnSync('npm', ['-v']).status === 0)
      expect(await run(sandbox, 'npm', 'config', 'get', 'prefix')).toBe('/home/agent/.local\n');
    expect(await run(sandbox, 'sh', '-c', 'umask; whoami; cut -d: -f1 /etc/passwd | tr "\\n" " "')).toBe(
      '0022\nagent\nroot agent nobody ',
    );
    await sandbox.kill('done');
  });

  it('runs a program isolated: only what is shown, no network, its exit code', async () => {
    const sandbox = await driver.create(spec());
    await sandbox.files.write('a.txt', 'hello');
    await sandbox.snapshot({ lineage: 'l' });
    const { isolate, workspace } = lent.at(-1)!;
    const show = [{ from: workspace, to: '/tree' }];
    const cat = await isolate(['sh', '-c', 'cat; cat /tree/a.txt; echo oh >&2; exit 3'], { show, stdin: 'in ' });
    expect({ ...cat, stdout: cat.stdout.toString() }).toEqual({ code: 3, stdout: 'in hello', stderr: 'oh\n' });
    const look =
      'ls / | tr "\\n" " "; ls /run/steward /workspace 2>&1 | wc -l; touch /tree/b 2>&1; cat /proc/net/dev | grep -c :';
    const { stdout } = await isolate(['sh', '-c', look], { show });
    expect(stdout.toString()).toMatch(
      /^bin dev etc (lib\w* )+proc run sbin tmp tree usr var 2\n.*Read-only file system\n1\n$/,
    );
    await isolate(['touch', '/tree/b'], { show: [{ from: workspace, to: '/tree', write: true }] });
    expect(await run(sandbox, 'ls')).toBe('a.txt\nb\n');
    await expect(isolate(['true'], { show: [{ from: join(root, 'nothing'), to: '/x' }] })).rejects.toMatchObject({
      code: 'unavailable',
    });
    await expect(isolate(['/no/such'], { show })).rejects.toMatchObject({
      message: expect.stringContaining('/no/such'),
    });
    await sandbox.kill('done');
  });

  it.skipIf(!isRoot)('is a user of its own, whose files no other sandbox’s user can reach', async () => {
    const [one, other] = [await driver.create(spec()), await driver.create(spec())];
    const ownerOf = ({ id }: Sandbox) => statSync(join(root, 'live', id, 'workspace')).uid;
    expect(ownerOf(one)).not.toBe(ownerOf(other));
    for (const each of [one, other]) expect(ownerOf(each)).toBeGreaterThanOrEqual(uids.first);
    const uid = ownerOf(other);
    const peek = spawnSync('ls', [join(root, 'live', one.id, 'workspace')], { uid, gid: uid, cwd: '/' });
    expect(peek.stderr.toString()).toContain('Permission denied');
    await Promise.all([one.kill('done'), other.kill('done')]);
    // Users come back: with those of the two and of one in reserve, none beyond is ever needed.
    const next = await driver.create(spec());
    expect(ownerOf(next)).toBeLessThanOrEqual(uids.first + 3);
    await next.kill('done');
  });

  it('leaves no zombie, however it ends', async () => {
    const before = new Set(processesSeen().map(({ pid }) => pid));
    const ended = await driver.create(spec());
    await ended.kill('done');
    const inside = await driver.create(spec());
    process.kill(readState(root, inside.id)!.bwrap.pid, 'SIGKILL');
    expect(await inside.ended).toMatch(/runner/);
    const defunct = () => processesSeen().filter(({ pid, state }) => state === 'Z' && !before.has(pid));
    await expect
      .poll(() => defunct().filter(({ uid }) => uid >= uids.first && uid < uids.first + uids.count))
      .toEqual([]);
  });

  it('is gone with all its files, whatever they are called and whoever may enter', async () => {
    const sandbox = await driver.create(spec());
    const script =
      'mkdir -p deep/closed/in; cd deep; for i in 1 2 3 4 5; do mkdir -p $(printf "d%.0s/" $(seq 100)); done; ' +
      'touch -- "-rf" "new\nline" "$(printf "\\377\\376")"; ln -s / root; ln -s /workspace loop; mkfifo pipe; ' +
      'touch closed/in/x; chmod 0 closed/in closed; cd ..; chmod 500 deep; chmod 0 /home/agent';
    expect(await run(sandbox, 'sh', '-c', script)).toBe('');
    await sandbox.kill('done');
    expect(liveIn(root)).toEqual([]);
  });

  it('counts what was removed and is still open, and what lies behind closed doors', async () => {
    const removed = await driver.create(spec());
    void run(
      removed,
      'perl',
      '-e',
      'open F, ">x"; unlink "x"; $b = "x" x 1e6; syswrite F, $b for 1..150; sleep 100',
    ).catch(() => {});
    expect(await removed.ended).toMatch(/disk limit/);
    const closed = await driver.create(spec());
    void run(closed, 'sh', '-c', 'mkdir a; head -c 150000000 /dev/zero > a/x; chmod 0 a; sleep 100').catch(() => {});
    expect(await closed.ended).toMatch(/disk limit/);
  }, 20_000);

  it('works where paths are too long for a socket', async () => {
    const long = open('a-rather-long-name-for-a-folder/'.repeat(3));
    for (let at = long.root; at.length > tmpdir().length; at = join(at, '..')) chmodSync(at, 0o711);
    let path = '';
    const sandbox = await long.driver.create(
      spec({
        async listen(socketPath) {
          path = socketPath;
        },
      }),
    );
    expect(path.length).toBeLessThan(108);
    expect(await run(sandbox, 'ls', '/run/steward/runner.pl')).toBe('/run/steward/runner.pl\n');
    await sandbox.kill('done');
    expect(existsSync(join(path, '..'))).toBe(false);
  });

  it('says what is in the way when its user cannot walk to the folder', async (t) => {
    if (!isRoot) t.skip('only sandboxes of root are other users');
    const closed = open('inner');
    chmodSync(join(closed.root, '..'), 0o700);
    const failure = closed.driver.create(spec());
    await expect(failure).rejects.toMatchObject({ code: 'unavailable', hint: expect.stringContaining('chmod o+x') });
    expect(liveIn(closed.root)).toEqual([]);
  });
});

describe.skipIf(!works)('the sandbox in reserve', () => {
  const spareOf = (root: string): string | undefined =>
    readdirSync(join(root, 'live')).find((name) => name.startsWith('sbx_spare_'));

  it('is there after the first, becomes the next of its kind, and nothing of it is shown', async () => {
    const { driver, root } = open();
    expect((await driver.probe()).ok).toBe(true);
    expect(spareOf(root)).toBeUndefined();
    const first = await driver.create(spec());
    const spare = spareOf(root)!;
    expect((await driver.list()).map(({ id }) => id)).toEqual([first.id]);
    expect(await driver.gc(new Set())).toEqual({ removed: [] });
    const { ino } = statSync(join(root, 'live', spare));
    const second = await driver.create(spec());
    expect(statSync(join(root, 'live', second.id)).ino).toBe(ino);
    expect(
      await run(
        second,
        'sh',
        '-c',
        'echo x > y; cat /workspace/y; ls -d /home/agent/* /run/steward/runner.pl 2>&1 | grep -v such',
      ),
    ).toBe('x\n/run/steward/runner.pl\n');
    expect(spareOf(root)).not.toBe(spare);
    await Promise.all([first.kill('done'), second.kill('done')]);
    await driver.stop();
    expect(readdirSync(join(root, 'live'))).toEqual([]);
  });

  it('is not taken for what it does not fit, nor when it has died', async () => {
    const { driver, root } = open();
    const strict = await driver.create(spec());
    const before = spareOf(root)!;
    const dev = await driver.create(spec({ profile: 'dev' }));
    await expect.poll(() => existsSync(join(root, 'live', before))).toBe(false);
    const dying = join(root, 'live', spareOf(root)!);
    const [bwrap] = processesSeen().filter(({ argv }) => argv.includes(join(dying, 'workspace')));
    process.kill(bwrap!.pid, 'SIGKILL');
    await expect.poll(() => existsSync(dying)).toBe(false);
    const next = await driver.create(spec({ profile: 'dev' }));
    expect(await run(next, 'echo', 'here')).toBe('here\n');
    await Promise.all([strict, dev, next].map((each) => each.kill('done')));
  });

  it('gives up its user to one that needs it', async () => {
    if (!isRoot) return;
    const base = mkdtempSync(join(tmpdir(), 'bw-'));
    chmodSync(base, 0o711);
    roots.push(base);
    const { snapshots } = lender();
    const driver = createBwrap({ root: base, uids: { first: uids.first + 18, count: 2 }, now: Date.now, snapshots });
    drivers.push(driver);
    const one = await driver.create(spec());
    const other = await driver.create(spec({ profile: 'dev' }));
    await expect(driver.create(spec())).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    await Promise.all([one.kill('done'), other.kill('done')]);
  });
});

describe.skipIf(!works)('accidents', () => {
  it('the starter dies: every sandbox is lost and said so, and the next one starts', async () => {
    const { driver, root } = open();
    const sandbox = await driver.create(spec());
    const [starter] = processesSeen().filter(({ argv }) =>
      argv.some((word) => word.startsWith(join(root, 'host/start-'))),
    );
    process.kill(starter!.pid, 'SIGKILL');
    expect(await sandbox.ended).not.toBe('');
    expect(liveIn(root)).toEqual([]);
    const next = await driver.create(spec());
    expect(await run(next, 'echo', 'here')).toBe('here\n');
    await next.kill('done');
  });

  it('a daemon died in the moment of a start: gc ends what waits there, and removes its folder', async () => {
    const { driver, root } = open();
    const folder = join(root, 'live', 'sbx_half');
    mkdirSync(join(folder, 'workspace'), { recursive: true });
    const half = spawn('sh', ['-c', 'sleep 100; :', '--info-fd', join(folder, 'workspace')], { stdio: 'ignore' });
    writeFileSync(join(folder, 'sandbox.json'), '{broken');
    expect(await driver.gc(new Set(['sbx_half']))).toEqual({ removed: [] });
    expect((await driver.list()).map(({ id, state }) => [id, state])).toEqual([['sbx_half', 'gone']]);
    const ended = new Promise((resolve) => half.once('exit', (_code, signal) => resolve(signal)));
    expect(await driver.gc(new Set())).toEqual({ removed: ['sbx_half'] });
    expect(await ended).toBe('SIGKILL');
    expect(existsSync(folder)).toBe(false);
  });
});

test.skipIf(!works || !isRoot || spawnSync('setpriv', ['--version']).status !== 0)(
  'an ordinary user’s sandbox: limits inside count only what is inside, and are reported as they are',
  async (t) => {
    const uid = 3_000_000 + (process.pid % 1_000_000);
    const base = mkdtempSync(join(tmpdir(), 'bwu-'));
    const module = fileURLToPath(new URL('../../../../sandboxes/drivers/bwrap.ts', import.meta.url));
    const script = `
      const { createBwrap } = await import(${JSON.stringify(module)});
      const driver = createBwrap({ root: ${JSON.stringify(base)}, now: Date.now, snapshots: {} });
      const { ok, limits } = await driver.probe();
      const sandbox = await driver.create(${JSON.stringify(spec({ limits: { ...DEFAULT_LIMITS, pids: 20, memoryMb: 300 } }))});
      let text = '';
      const argv = ['sh', '-c', 'ulimit -a | grep -E "process|data"; cat /proc/self/status | grep -E "^(Cap|NoNew)"; id -u'];
      for await (const event of sandbox.exec(argv)) if (event.data) text += Buffer.from(event.data).toString();
      await driver.stop();
      console.log(JSON.stringify({ ok, limits, text }));`;
    spawnSync('chown', [`${uid}:${uid}`, base]);
    const argv = [
      `--reuid=${uid}`,
      `--regid=${uid}`,
      '--clear-groups',
      process.execPath,
      '--input-type=module',
      '-e',
      script,
    ];
    const ran = spawnSync('setpriv', argv, { cwd: '/', env: { PATH: '/usr/bin:/bin' }, encoding: 'utf8' });
    rmSync(base, { recursive: true, force: true });
    if (/EACCES|ERR_MODULE_NOT_FOUND|permission denied/i.test(ran.stderr))
      t.skip('an ordinary user may not read this checkout');
    const { ok, limits, text } = JSON.parse(ran.stdout) as {
      ok: boolean;
      limits: Record<string, string>;
      text: string;
    };
    expect(ok).toBe(true);
    expect(limits).toMatchObject({ disk: 'watchdog', wall: 'timer' });
    expect(text).toMatch(/CapEff:\s+0+\n/);
    expect(text).toMatch(/NoNewPrivs:\s+1\n1000\n$/);
    if (limits.pids?.startsWith('prlimit')) {
      expect(text).toMatch(/process.* 22\n/);
      expect(text).toMatch(/data.* 307200\n/);
    }
    expect(readFileSync('/proc/self/status', 'utf8')).toContain('Uid:\t0');
  },
);
