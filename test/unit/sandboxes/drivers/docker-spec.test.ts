// What a sandbox is as a container, and where the daemon is looked for: nothing that comes from a session moves a wall.
import { describe, expect, it } from 'vitest';
import { StewardError } from '../../../../core/errors.ts';
import { DEFAULT_LIMITS, type SandboxSpec } from '../../../../sandboxes/driver.ts';
import { findSocket, socketPlaces } from '../../../../sandboxes/drivers/docker/socket.ts';
import { command, containerBody, type Ground, identityOf } from '../../../../sandboxes/drivers/docker/spec.ts';

const ground: Ground = {
  image: 'debian:12',
  runtime: null,
  identity: { user: '1000:1000', userns: null, owner: { uid: 1000, gid: 1000 } },
  prctl: 157,
  selinux: false,
  home: '/home/ada/.steward',
};
const folders = { workspace: '/r/live/x/workspace', home: '/r/live/x/home', run: '/r/live/x/run' };
const plain: SandboxSpec = {
  id: 'sbx_x',
  labels: { session: 'sesn_1' },
  workspace: { type: 'empty' },
  env: {},
  mounts: [],
  limits: { ...DEFAULT_LIMITS, memoryMb: 512, cpus: 1.5, pids: 100 },
  profile: 'strict',
  listen: null,
};
const bodyOf = (over: Partial<SandboxSpec> = {}, on: Partial<Ground> = {}) =>
  containerBody({ ...plain, ...over }, folders, { ...ground, ...on }, 7);

describe('a container', () => {
  it('has no network, no capability, no new privilege, no writable root, and hard limits', () => {
    const body = bodyOf();
    expect(body).toMatchObject({
      Image: 'debian:12',
      User: '1000:1000',
      Entrypoint: ['perl'],
      OpenStdin: true,
      StdinOnce: true,
      Tty: false,
      Labels: {
        'steward.sandbox': 'sbx_x',
        'steward.home': '/home/ada/.steward',
        'steward.labels': '{"session":"sesn_1"}',
        'steward.created': '7',
      },
    });
    expect(body.HostConfig).toMatchObject({
      NetworkMode: 'none',
      Privileged: false,
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Memory: 512 * 1024 * 1024,
      MemorySwap: 512 * 1024 * 1024,
      NanoCpus: 1_500_000_000,
      PidsLimit: 100,
      LogConfig: { Type: 'none' },
    });
    expect(body.HostConfig.Mounts.map(({ Source, Target, ReadOnly }) => [Source, Target, ReadOnly])).toEqual([
      ['/r/live/x/workspace', '/workspace', false],
      ['/r/live/x/home', '/home/agent', false],
      ['/r/live/x/run', '/run/steward', true],
    ]);
    expect(Object.keys(body.HostConfig)).not.toContain('CapAdd');
    expect(Object.keys(body.HostConfig)).not.toContain('Runtime');
  });

  it('has the same walls whatever a session puts in its labels, variables and workspace', () => {
    const hostile = bodyOf({
      labels: { 'steward.sandbox': 'sbx_other', '"}': 'NetworkMode' },
      env: { NetworkMode: 'host', LD_PRELOAD: '/workspace/evil.so' },
      workspace: { type: 'snapshot', ref: { id: 'ckpt_1', driver: 'docker', lineage: 'l', createdAt: 0, label: null } },
    });
    expect(hostile.HostConfig).toEqual(bodyOf().HostConfig);
    expect(hostile.Labels['steward.sandbox']).toBe('sbx_x');
    // Variables are for commands; what starts the runner is the same always.
    expect(hostile.Env).toEqual(bodyOf().Env);
    expect(hostile.Cmd).toEqual(bodyOf().Cmd);
  });

  it('takes the runtime, the mapping of users and the labels of SELinux from the ground alone', () => {
    expect(bodyOf({}, { runtime: 'runsc' }).HostConfig).toMatchObject({ Runtime: 'runsc' });
    expect(bodyOf({}, { selinux: true }).HostConfig.SecurityOpt).toEqual(['no-new-privileges', 'label=disable']);
    const identity = { user: '501:20', userns: 'keep-id', owner: null };
    expect(bodyOf({}, { identity })).toMatchObject({ User: '501:20', HostConfig: { UsernsMode: 'keep-id' } });
  });

  it('shows folders read-only, and none over its own places', () => {
    const mounts = [{ from: '/srv/mirror', to: '/mnt/mirror' }];
    expect(bodyOf({ mounts }).HostConfig.Mounts.at(-1)).toMatchObject({
      Source: '/srv/mirror',
      Target: '/mnt/mirror',
      ReadOnly: true,
      BindOptions: { NonRecursive: true },
    });
    for (const to of ['/', '/run', '/run/steward', '/proc/self', '/workspace/a', '/home/agent', '/mnt/../usr', 'mnt'])
      expect(() => bodyOf({ mounts: [{ from: '/srv', to }] }), to).toThrow(StewardError);
  });

  it('starts the filter before the runner, and the way to the broker only where there is one', () => {
    expect(command(157, true)).toEqual([
      '-e',
      expect.stringContaining('syscall($prctl + 0, 22, 2, $fprog) == 0 or die'),
      '/run/steward/filter.bpf',
      '157',
      '/run/steward/runner.pl',
      '0',
      '1',
      '--relay=3128:/run/steward/broker.sock',
      '--own-namespace',
    ]);
    expect(command(null, false)).toEqual(['/run/steward/runner.pl', '0', '1', '--own-namespace']);
  });
});

describe('the user of a sandbox', () => {
  it.each([
    ['root, with the daemon of root', { uid: 0, gid: 0, engine: 'Docker', rootless: false }, '1000:1000', null, 1000],
    [
      'a user in the group docker',
      { uid: 1001, gid: 1002, engine: 'Docker', rootless: false },
      '1001:1002',
      null,
      null,
    ],
    ['a rootless Podman', { uid: 1001, gid: 1002, engine: 'Podman', rootless: true }, '1001:1002', 'keep-id', null],
    ['a rootless Docker', { uid: 1001, gid: 1002, engine: 'Docker', rootless: true }, '0:0', null, null],
  ] as const)('%s', (_, who, user, userns, owner) => {
    const identity = identityOf(who);
    expect([identity.user, identity.userns, identity.owner?.uid ?? null]).toEqual([user, userns, owner]);
  });
});

describe('the socket', () => {
  const around = { env: {}, platform: 'linux', home: '/home/ada', uid: 1001 };

  it('is the one of DOCKER_HOST when that is set, and only a socket of this machine', () => {
    expect(socketPlaces({ ...around, env: { DOCKER_HOST: 'unix:///a/b.sock' } })).toEqual(['/a/b.sock']);
    for (const DOCKER_HOST of ['tcp://10.0.0.1:2375', 'ssh://host'])
      expect(() => socketPlaces({ ...around, env: { DOCKER_HOST } })).toThrow(
        expect.objectContaining({ code: 'bad_config', hint: expect.stringContaining('unset DOCKER_HOST') }),
      );
  });

  it("is looked for at Docker's and Podman's places, the user's before the system's", () => {
    expect(socketPlaces(around)).toEqual([
      '/var/run/docker.sock',
      '/run/user/1001/docker.sock',
      '/run/user/1001/podman/podman.sock',
      '/run/podman/podman.sock',
    ]);
    expect(socketPlaces({ ...around, env: { XDG_RUNTIME_DIR: '/x' } })).toContain('/x/podman/podman.sock');
    expect(socketPlaces({ ...around, uid: 0 })).toEqual(['/var/run/docker.sock', '/run/podman/podman.sock']);
    expect(socketPlaces({ ...around, platform: 'darwin', home: '/Users/ada' })).toEqual(
      expect.arrayContaining(['/Users/ada/.docker/run/docker.sock', '/Users/ada/.colima/default/docker.sock']),
    );
  });

  it('is the first that is there; where none is, the one people expect', () => {
    const exists = (path: string) => path.includes('podman');
    expect(findSocket({ ...around, exists })).toBe('/run/user/1001/podman/podman.sock');
    expect(findSocket({ ...around, exists: () => false })).toBe('/var/run/docker.sock');
  });
});
