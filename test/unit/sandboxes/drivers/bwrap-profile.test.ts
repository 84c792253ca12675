// What a sandbox is shown, as arguments of bwrap.
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../../../sandboxes/driver.ts';
import { diagnose } from '../../../../sandboxes/drivers/bwrap/diagnosis.ts';
import { judge, parseSeen } from '../../../../sandboxes/drivers/bwrap/look.ts';
import {
  baseEnv,
  checkMounts,
  type HostFacts,
  isolatedArguments,
  prelude,
  sandboxArguments,
} from '../../../../sandboxes/drivers/bwrap/profile.ts';

const facts: HostFacts = {
  arch: 'x64',
  perl: '/usr/bin/perl',
  links: [
    { path: '/bin', target: 'usr/bin' },
    { path: '/lib64', target: null },
  ],
  etc: { folder: '/r/host/etc-1', shown: [{ from: '/etc/ssl/certs', to: '/etc/ssl/certs' }] },
  node: { folder: '/r/host/node-v24', binary: null },
  disableUserns: true,
};
const folders = { workspace: '/r/live/sbx_1/workspace', home: '/r/live/sbx_1/home', run: '/r/live/sbx_1/run' };
const rlimits = { dataBytes: null, processes: null, nice: 0 };
const make = (over: Partial<Parameters<typeof sandboxArguments>[0]> = {}) =>
  sandboxArguments({ facts, folders, mounts: [], limits: DEFAULT_LIMITS, relay: true, ...over });

/** Every option that shows something of the host: option, from, to. */
const shown = (argv: readonly string[]) =>
  argv.flatMap((word, at) => (/^--(ro-|dev-)?bind/.test(word) ? [[word, argv[at + 1], argv[at + 2]].join(' ')] : []));
const has = (argv: readonly string[], ...words: string[]) => argv.join('\n').includes(words.join('\n'));

describe('the profile', () => {
  it('shows /usr, a made-up /etc and its own folders, and nothing else of the host', () => {
    expect(shown(make())).toEqual([
      '--ro-bind /usr /usr',
      '--ro-bind /lib64 /lib64',
      '--ro-bind /r/host/etc-1 /etc',
      '--ro-bind /etc/ssl/certs /etc/ssl/certs',
      '--bind /r/live/sbx_1/workspace /workspace',
      '--bind /r/live/sbx_1/home /home/agent',
      '--ro-bind /r/live/sbx_1/run /run/steward',
      '--ro-bind /r/host/node-v24 /opt/node',
    ]);
  });

  it('keeps the shape of /usr that the host has', () => {
    expect(has(make(), '--symlink', 'usr/bin', '/bin')).toBe(true);
  });

  it('takes away namespaces, capabilities, the environment and the terminal', () => {
    const argv = make();
    for (const word of [
      '--unshare-all',
      '--unshare-user',
      '--new-session',
      '--clearenv',
      '--disable-userns',
      '--as-pid-1',
    ])
      expect(argv).toContain(word);
    expect(has(argv, '--cap-drop', 'ALL')).toBe(true);
    expect(has(argv, '--uid', '1000', '--gid', '1000')).toBe(true);
    expect(argv).not.toContain('--share-net');
    expect(make({ facts: { ...facts, disableUserns: false } })).not.toContain('--disable-userns');
  });

  it('bounds what lies in memory, and closes the root after everything is in place', () => {
    const argv = make({ limits: { ...DEFAULT_LIMITS, memoryMb: 1_000 } });
    expect(has(argv, '--size', String(500 * 1024 * 1024), '--tmpfs', '/tmp')).toBe(true);
    expect(has(argv, '--size', String(250 * 1024 * 1024), '--tmpfs', '/dev/shm')).toBe(true);
    const closed = argv.lastIndexOf('--remount-ro');
    expect(argv[closed + 1]).toBe('/');
    expect(argv.lastIndexOf('--bind')).toBeLessThan(closed);
    expect(argv.lastIndexOf('--ro-bind')).toBeLessThan(closed);
  });

  it('starts the runner with a way to the broker only where there is one', () => {
    const program = (argv: string[]) => argv.slice(argv.indexOf('--') + 1);
    expect(program(make())).toEqual([
      '/usr/bin/perl',
      '/run/steward/runner.pl',
      '--relay=3128:/run/steward/broker.sock',
      '--own-namespace',
    ]);
    expect(program(make({ relay: false })).join(' ')).not.toContain('relay');
  });

  it('shows folders read-only where they are asked for', () => {
    const argv = make({ mounts: [{ from: '/srv/mirror.git', to: '/mnt/mirror.git' }] });
    expect(shown(argv)).toContain('--ro-bind /srv/mirror.git /mnt/mirror.git');
  });

  it('shows the program of Node itself when no copy could be made', () => {
    const node = { folder: '/r/host/node-v24', binary: '/home/me/node' };
    expect(shown(make({ facts: { ...facts, node } })).slice(-2)).toEqual([
      '--ro-bind /r/host/node-v24 /opt/node',
      '--ro-bind /home/me/node /opt/node/bin/node',
    ]);
    expect(baseEnv({ node: null }).PATH).not.toContain('/opt/node');
  });

  it('isolates a program: no folder of a sandbox, no Node, no broker', () => {
    const show = [
      { from: '/r/a', to: '/tree' },
      { from: '/r/b', to: '/out', write: true },
    ];
    const argv = isolatedArguments({
      facts,
      show,
      env: { A: 'b' },
      limits: DEFAULT_LIMITS,
      rlimits,
      argv: ['git', 'x'],
    });
    expect(shown(argv).slice(4)).toEqual(['--ro-bind /r/a /tree', '--bind /r/b /out']);
    expect(has(argv, '--setenv', 'A', 'b')).toBe(true);
    expect(argv.slice(-2)).toEqual(['git', 'x']);
  });
});

describe('folders to show', () => {
  it.each(['/mnt/a', '/srv/cache/npm', '/opt/tool'])('go to %s', (to) => {
    expect(() => checkMounts([{ from: '/a', to }])).not.toThrow();
  });
  it.each([
    '/',
    '/workspace',
    '/workspace/node_modules',
    '/home/agent/x',
    '/etc',
    '/usr/x',
    '/lib64',
    '/proc/1',
    '/dev/shm/a',
    '/tmp/x',
    '/run/steward/a',
    '/opt/node/bin',
    'mnt/a',
    '/mnt/../etc',
    '/mnt//a',
    '/mnt/a/',
    '/mnt/./a',
    '/mnt/a\0b',
  ])('never to %j', (to) => {
    expect(() => checkMounts([{ from: '/a', to }])).toThrow(expect.objectContaining({ code: 'invalid' }));
  });
});

describe('what runs before the runner', () => {
  it('sets only what has to be set', () => {
    const plain = prelude('x64', rlimits);
    expect(plain).toContain('umask 18');
    expect(plain).not.toContain('setpriority');
    expect(plain.match(/syscall\(302/g)).toHaveLength(1);
    const tight = prelude('arm64', { dataBytes: 5, processes: 7, nice: 19 });
    expect(tight.match(/syscall\(261/g)).toHaveLength(3);
    expect(tight).toContain('setpriority(0,0,19)');
  });
});

describe('what bwrap says, and what to do about it', () => {
  const open = { usernsClone: '1', apparmorRestrict: null, maxUserNamespaces: '90000' };
  const refusal = 'bwrap: No permissions to create new namespace, likely because the kernel does not allow it';
  it.each([
    [refusal, { ...open, usernsClone: '0' }, 'kernel.unprivileged_userns_clone=1'],
    [refusal, { ...open, maxUserNamespaces: '0' }, 'user.max_user_namespaces'],
    ['bwrap: setting up uid map: Permission denied', { ...open, apparmorRestrict: '1' }, '/etc/apparmor.d/bwrap'],
    [refusal, open, 'seccomp=unconfined'],
    ["bwrap: Can't mount proc on /newroot/proc: Operation not permitted", open, 'systempaths=unconfined'],
    ["bwrap: Can't find source path /root/x/live: Permission denied", open, 'chmod o+x /root/x'],
    ['bwrap: Creating new namespace failed: No space left on device', open, 'max_user_namespaces'],
    ['bwrap: execvp /usr/bin/perl: No such file or directory', open, 'perl-base'],
    ['bwrap: Unknown option --disable-userns', open, '0.8'],
    ['bwrap: something nobody has seen', open, 'doctor'],
    ['', open, 'doctor'],
  ])('%s', (said, switches, fix) => {
    const found = diagnose(said, switches);
    expect(found.fix).toContain(fix);
    expect(found.text).not.toBe('');
  });
});

describe('the look around', () => {
  const good =
    'uid=1000\ncapabilities=0000000000000000\nnoNewPrivs=1\nseccomp=2\ninterfaces=lo\nprocesses=2\nownInit=1\nhostFile=0\n' +
    'unshare=1\nmount=1\nwriteRoot=30\nwriteUsr=30\nhostPort=111\noutside=101\n';
  it('is content with a sandbox that keeps its promises', () => {
    expect(judge(parseSeen(good))).toEqual({ egressLocked: true, findings: [] });
  });
  it.each([
    ['uid=1000', 'uid=0'],
    ['capabilities=0000000000000000', 'capabilities=0000000000000400'],
    ['noNewPrivs=1', 'noNewPrivs=0'],
    ['seccomp=2', 'seccomp=0'],
    ['processes=2', 'processes=140'],
    ['ownInit=1', 'ownInit=0'],
    ['hostFile=0', 'hostFile=1'],
    ['unshare=1', 'unshare=0'],
    ['mount=1', 'mount=0'],
    ['writeUsr=30', 'writeUsr=0'],
    ['hostFile=0\n', ''],
  ])('finds %s turned to %s', (from, to) => {
    expect(judge(parseSeen(good.replace(from, to))).findings).toHaveLength(1);
  });
  it.each([
    ['interfaces=lo', 'interfaces=lo,eth0'],
    ['hostPort=111', 'hostPort=0'],
    ['outside=101', 'outside=0'],
    ['interfaces=lo\n', ''],
  ])('finds a way out: %s turned to %s', (from, to) => {
    const { egressLocked, findings } = judge(parseSeen(good.replace(from, to)));
    expect(egressLocked).toBe(false);
    expect(findings).toHaveLength(1);
  });
  it('believes nothing when nothing was said', () => {
    expect(judge(parseSeen('')).findings.length).toBeGreaterThan(5);
  });
});
