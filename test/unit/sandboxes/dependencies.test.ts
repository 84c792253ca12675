// The package cache: the same lock files, the same packages; never more than its size, and nothing damaged is given out.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDependencies, dependencyKey, isLockFile } from '../../../sandboxes/dependencies.ts';
import { bareIsolate, makePlace, type Place } from '../../helpers/isolate.ts';

const platform = { os: 'linux', arch: 'x64', runtime: 'node 24' };
const lock = { path: 'package-lock.json', content: '{"lockfileVersion":3}' };
const key = (content: string) => dependencyKey([{ ...lock, content }], platform)!;

// As the service has it.
let umask = 0;
beforeAll(() => {
  umask = process.umask(0o077);
});
afterAll(() => void process.umask(umask));

describe('the key', () => {
  it('is of the lock files, wherever they are, and of nothing else', () => {
    const base = dependencyKey([lock], platform);
    expect(base).toMatch(/^[0-9a-f]{64}$/);
    expect(dependencyKey([{ path: 'src/a.ts', content: 'x' }, lock], platform)).toBe(base);
    const two = [lock, { path: 'api/Cargo.lock', content: 'c' }];
    expect(dependencyKey(two, platform)).toBe(dependencyKey([...two].reverse(), platform));
    const others = [
      dependencyKey([{ ...lock, content: 'other' }], platform),
      dependencyKey([{ ...lock, path: 'sub/package-lock.json' }], platform),
      dependencyKey([lock], { ...platform, arch: 'arm64' }),
      dependencyKey([lock], { ...platform, runtime: 'node 22' }),
      dependencyKey(two, platform),
    ];
    expect(new Set([base, ...others]).size).toBe(6);
    expect(dependencyKey([{ path: 'package.json', content: '{}' }], platform)).toBeNull();
    expect(dependencyKey([{ ...lock, content: Buffer.from(lock.content) }], platform)).toBe(base);
  });

  it.each([
    'npm-shrinkwrap.json',
    'a/pnpm-lock.yaml',
    'yarn.lock',
    'requirements.txt',
    'requirements-dev.txt',
    'poetry.lock',
    'uv.lock',
    'Cargo.lock',
    'go.sum',
    'Gemfile.lock',
  ])('%s is a lock file', (path) => expect(isLockFile(path)).toBe(true));
  it.each(['package.json', 'Cargo.toml', 'myrequirements.txt', 'go.mod', 'yarn.lock.bak'])('%s is none', (path) => {
    expect(isLockFile(path)).toBe(false);
  });
});

describe('the cache', () => {
  let place: Place;
  let now = 1_000_000;
  const isolate = bareIsolate();
  beforeEach(() => {
    place = makePlace();
  });
  afterEach(() => place.close());
  const open = (limits: { maxBytes?: number; maxEntryBytes?: number } = {}) =>
    createDependencies({ root: place.root, now: () => (now += 1_000), ...limits });
  const inside = async (folder: string, script: string) => {
    const ended = await isolate(['bash', '-ec', `cd ${folder}; ${script}`], {
      show: [{ from: folder, to: folder, write: true }],
    });
    if (ended.code !== 0) throw new Error(ended.stderr);
    return ended.stdout.toString();
  };
  const filled = async (bytes: number): Promise<string> => {
    const folder = place.folder();
    await inside(
      folder,
      `mkdir -p .bin a/b; head -c ${bytes} /dev/urandom > a/b/data; ln -s ../a/b/data .bin/tool; chmod 755 a/b/data`,
    );
    return folder;
  };
  const stored = () => readdirSync(join(place.root, 'dependencies')).sort();

  it('gives back what was kept, links and modes too, to another life as well', async () => {
    const folder = await filled(100_000);
    expect(await open().restore({ key: key('a'), folder: place.folder(), isolate })).toBe(false);
    expect(await open().save({ key: key('a'), folder, isolate })).toBe(true);
    const back = place.folder();
    expect(await open().restore({ key: key('a'), folder: back, isolate })).toBe(true);
    const look = `find . -mindepth 1 -printf '%P %y %m %l %U %T@\\n' | sort; sha256sum .bin/tool`;
    expect(await inside(back, look)).toBe(await inside(folder, look));
    expect(stored()).toEqual([`${key('a')}.json`, `${key('a')}.tar.zst`]);
    expect(statSync(join(place.root, 'dependencies', stored()[1]!)).mode & 0o077).toBe(0);
  });

  it('a damaged entry is dropped, and the folder left alone', async () => {
    const cache = open();
    for (const harm of [
      (bytes: Buffer) => {
        bytes[bytes.length >> 1]! ^= 1;
        return bytes;
      },
      (bytes: Buffer) => bytes.subarray(0, bytes.length - 10),
      () => Buffer.from('no archive'),
    ]) {
      await cache.save({ key: key('a'), folder: await filled(50_000), isolate });
      const file = join(place.root, 'dependencies', `${key('a')}.tar.zst`);
      writeFileSync(file, harm(readFileSync(file)));
      const into = place.folder();
      expect(await cache.restore({ key: key('a'), folder: into, isolate })).toBe(false);
      expect(readdirSync(into)).toEqual([]);
      expect(stored()).toEqual([]);
    }
  });

  it('what was not used for longest goes first', async () => {
    const cache = open({ maxBytes: 350_000 });
    for (const name of ['a', 'b', 'c']) await cache.save({ key: key(name), folder: await filled(100_000), isolate });
    await cache.restore({ key: key('a'), folder: place.folder(), isolate });
    await cache.save({ key: key('d'), folder: await filled(100_000), isolate });
    const there = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) => cache.restore({ key: key(name), folder: place.folder(), isolate })),
    );
    expect(there).toEqual([true, false, true, true]);
  });

  it('what is too large is not kept', async () => {
    const folder = await filled(200_000);
    expect(await open({ maxBytes: 100_000 }).save({ key: key('a'), folder, isolate })).toBe(false);
    expect(await open({ maxEntryBytes: 100_000 }).save({ key: key('a'), folder, isolate })).toBe(false);
    expect(stored()).toEqual([]);
  });

  it('two that save and restore the same at once do not disturb each other', async () => {
    const cache = open();
    const folder = await filled(300_000);
    await Promise.all([1, 2, 3].map(() => cache.save({ key: key('a'), folder, isolate })));
    const into = [1, 2, 3].map(() => place.folder());
    expect(await Promise.all(into.map((one) => cache.restore({ key: key('a'), folder: one, isolate })))).toEqual([
      true,
      true,
      true,
    ]);
  });

  it('what a life that was cut off left is swept away; a failed run keeps nothing', async () => {
    const cache = open();
    await cache.save({ key: key('a'), folder: await filled(1_000), isolate });
    writeFileSync(join(place.root, 'dependencies', 'x.tar.zst.new'), 'half');
    const failing = open();
    const folder = await filled(1_000);
    const broken = async () => ({ code: 2, stdout: Buffer.alloc(0), stderr: 'tar: a: No space left on device\n' });
    await expect(failing.save({ key: key('b'), folder, isolate: broken })).rejects.toMatchObject({ code: 'disk_full' });
    await expect(failing.save({ key: '../b', folder, isolate })).rejects.toMatchObject({ code: 'invalid' });
    expect(stored()).toEqual([`${key('a')}.json`, `${key('a')}.tar.zst`]);
  });
});
