// A snapshot is the tree, byte for byte, and is told apart from the one before by nothing a program inside could forge.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Snapshot, SnapshotRef } from '../../../sandboxes/driver.ts';
import { createSnapshots, type Isolate, type SnapshotStore } from '../../../sandboxes/snapshots.ts';
import { bareIsolate, isolateUid, makePlace, type Place } from '../../helpers/isolate.ts';

const LINEAGE = 'sesn_test';
let place: Place;
let store: SnapshotStore;
let isolate: Isolate;
let numbers = 0;

const newId = () => `ckpt_${String(++numbers).padStart(8, '0')}`;
const openStore = (limits = {}) =>
  createSnapshots({ root: place.root, driver: 'test', now: () => performance.now(), newId, limits });

// As the service has it.
let umask = 0;
beforeAll(() => {
  umask = process.umask(0o077);
});
afterAll(() => void process.umask(umask));

beforeEach(() => {
  place = makePlace();
  isolate = bareIsolate();
  store = openStore();
});
afterEach(() => place.close());

interface Box {
  workspace: string;
  home: string;
}
const makeBox = (): Box => ({ workspace: place.folder(), home: place.folder() });
const save = (box: Box, more: { label?: string; isolate?: Isolate } = {}) =>
  store.save({ lineage: LINEAGE, isolate, ...box, ...more });

/** A shell in the workspace, as the uid that owns it. */
async function inside({ workspace, home }: Box, script: string): Promise<string> {
  const show = [workspace, home].map((path) => ({ from: path, to: path, write: true }));
  const env = { HOME: home, LC_ALL: 'C', GIT_CONFIG_NOSYSTEM: '1' };
  const ended = await isolate(['bash', '-ec', `cd ${workspace}\n${script}`], { show, env });
  if (ended.code !== 0) throw new Error(`${ended.code}: ${ended.stderr}`);
  return ended.stdout.toString('latin1');
}

/** Names, kinds, modes, times, targets, link counts and contents of everything, as text. */
const fingerprint = async (box: Box): Promise<string> =>
  (
    await inside(
      box,
      `for root in "$PWD" "$HOME"; do cd "$root"
         find . -mindepth 1 -printf '%P|%y|%m|%T@|%l|' \\( -type d -o -printf '%s|%n' \\) -printf '|%U\\0' | sort -z
         find . -type f -readable -print0 | sort -z | xargs -0r sha256sum -z
       done`,
    )
  ).replaceAll('\0', '\n');

async function restored(ref: SnapshotRef): Promise<Box> {
  const box = makeBox();
  await store.restore(ref, { ...box, isolate });
  return box;
}

const kinds = ({ changes }: Snapshot) => Object.fromEntries(changes.map(({ path, kind }) => [path, kind]));
const files = () => readdirSync(join(place.root, 'snapshots', LINEAGE));

const GIT = `export GIT_CONFIG_COUNT=5 GIT_CONFIG_KEY_0=user.email GIT_CONFIG_VALUE_0=a@b GIT_CONFIG_KEY_1=user.name GIT_CONFIG_VALUE_1=A \\
  GIT_CONFIG_KEY_2=init.defaultBranch GIT_CONFIG_VALUE_2=main GIT_CONFIG_KEY_3=protocol.file.allow GIT_CONFIG_VALUE_3=always \\
  GIT_CONFIG_KEY_4=advice.detachedHead GIT_CONFIG_VALUE_4=false
`;

describe('what comes back', () => {
  it('is every name, mode, time, link and byte', async () => {
    const box = makeBox();
    await inside(
      box,
      `mkdir -p src/deep empty 'with space' .config node_modules/x; printf '*.log\\nnode_modules\\n' > .gitignore
       echo ignored > a.log; echo dep > node_modules/x/index.js; printf run > src/run; chmod 755 src/run; chmod 600 .gitignore
       ln -s run src/link; ln -s /nowhere src/dangling; ln -s /usr outside; : > nothing
       ln src/run src/deep/same; printf x > "$(printf 'new\\nline')"; printf y > "$(printf 'bytes\\377\\376')"; printf z > ümläut
       head -c 3500000 /dev/urandom > big; head -c 1048576 /dev/zero > piece; printf d > -- -dash; printf q > 'quote"\\back'
       mkdir locked; echo in > locked/file; chmod 400 locked/file; touch -d '1985-10-26 08:15:00.123456789' locked/file
       touch -h -d '2001-01-01' src/link; chmod 550 locked; chmod 1777 empty; touch -d '2011-11-11 11:11:11.987654321' empty src
       mkdir "$HOME/.cache"; echo setting > "$HOME/.profile"; chmod 640 "$HOME/.profile"; ln "$HOME/.profile" "$HOME/.cache/again"`,
    );
    const before = await fingerprint(box);
    const { ref, changed, left } = await save(box, { label: 'all of it' });
    expect({ changed, left }).toEqual({ changed: true, left: [] });
    expect(ref).toMatchObject({ driver: 'test', lineage: LINEAGE, label: 'all of it' });
    const back = await restored(ref);
    expect(await fingerprint(back)).toBe(before);
    expect(before).toContain(`|${isolateUid}`);
    expect(before.split('\n').length).toBeGreaterThan(40);
  });

  it.each([
    [
      'a dirty index',
      'echo 1 > f; git add f; git commit -qm one; echo 2 > f; git add f; echo 3 > f; echo n > new; git rm -q --cached g',
    ],
    [
      'a merge',
      'git checkout -qb side; echo s > f; git commit -qam side; git checkout -q main; echo m > f; git commit -qam main; git merge side || true',
    ],
    [
      'a rebase',
      'git checkout -qb side; echo s > f; git commit -qam side; git checkout -q main; echo m > f; git commit -qam main; git rebase side || true',
    ],
    [
      'a detached head and stashes',
      'echo a >> f; git stash -q; echo b >> f; git stash -q; git commit -q --allow-empty -m x; git checkout -q HEAD~1',
    ],
    [
      'packs, tags and worktree state',
      'git tag -m t v1; for i in 1 2 3; do echo $i > f; git commit -qam $i; done; git gc -q; git update-index --assume-unchanged f; git sparse-checkout set --no-cone /f',
    ],
  ])('a repository with %s', async (_, script) => {
    const box = makeBox();
    const look = `${GIT} git status --porcelain=v2 --branch --show-stash; git stash list; git for-each-ref; git log --all --format=%H; git fsck --full 2>&1; git diff; git diff --cached; cat .git/HEAD`;
    await inside(box, `${GIT} git init -q; echo 0 > f; echo g > g; git add .; git commit -qm zero\n${script}`);
    const before = await inside(box, look);
    const bytes = await fingerprint(box);
    const { ref } = await save(box);
    const back = await restored(ref);
    expect(await fingerprint(back)).toBe(bytes);
    expect(await inside(back, look)).toBe(before);
    expect(before).toMatch(/# branch.oid [0-9a-f]{40}/);
  });

  it('a submodule, a nested clone and a worktree beside it', async () => {
    const box = makeBox();
    await inside(
      box,
      `${GIT} mkdir "$HOME/lib"; cd "$HOME/lib"; git init -q; echo l > l; git add .; git commit -qm lib
       cd ${box.workspace}; git init -q; git submodule --quiet add "$HOME/lib" sub; git commit -qm 'with sub'
       echo dirty >> sub/l; git clone -q "$HOME/lib" nested; echo more > nested/more; cd nested; git add more`,
    );
    const look = `${GIT} for d in . sub nested; do (cd $d; git status --porcelain=v2; git log --format=%H; git fsck 2>&1); done; git submodule status`;
    const before = await inside(box, look);
    const { ref } = await save(box);
    // Where the submodule came from is written with the old folder's name; the repositories do not need it.
    expect(await inside(await restored(ref), look)).toBe(before);
    expect(before).toMatch(/1 \.M S\.M\. /);
  });

  it('each of many snapshots as it was, whatever order they are asked for in', async () => {
    const box = makeBox();
    const states: { ref: SnapshotRef; print: string }[] = [];
    await inside(box, 'mkdir d; for i in $(seq 60); do echo $i > d/$i; done');
    for (let i = 0; i < 6; i++) {
      await inside(
        box,
        `echo ${i} > d/${i + 1}; rm -f d/${50 + i}; echo ${i} > new${i}; ${i === 3 ? 'rm d/2?; mv d e' : ':'}; mkdir -p d`,
      );
      const { ref } = await save(box);
      states.push({ ref, print: await fingerprint(box) });
    }
    for (const { ref, print } of states.reverse()) expect(await fingerprint(await restored(ref))).toBe(print);
    // Told against a complete one, most are small.
    const sizes = states.map(({ ref }) => statSync(join(place.root, 'snapshots', LINEAGE, `${ref.id}.snap`)).size);
    expect(Math.min(...sizes) * 3).toBeLessThan(Math.max(...sizes));
  });

  it('also when two are restored at once, and saved on from both', async () => {
    const box = makeBox();
    await inside(box, 'echo 1 > a');
    const { ref } = await save(box);
    const [left, right] = await Promise.all([restored(ref), restored(ref)]);
    await Promise.all([inside(left, 'echo l > a'), inside(right, 'echo r > b')]);
    const [one, two] = await Promise.all([save(left), save(right)]);
    expect([kinds(one), kinds(two)]).toEqual([{ a: 'modified' }, { b: 'added' }]);
    expect(await inside(await restored(one.ref), 'cat *')).toBe('l\n');
    expect(await inside(await restored(two.ref), 'cat *')).toBe('1\nr\n');
    expect((await save(box)).changed).toBe(false);
  });

  it('nothing of a snapshot nobody knows', async () => {
    const box = makeBox();
    await save(box);
    for (const ref of [
      { id: 'ckpt_none', lineage: LINEAGE },
      { id: '../x', lineage: LINEAGE },
      { id: 'ckpt_none', lineage: 'other' },
    ])
      await expect(
        store.restore({ driver: 'test', createdAt: 0, label: null, ...ref }, { ...box, isolate }),
      ).rejects.toMatchObject({ code: 'not_found' });
    await expect(store.forget('../..')).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('what counts as a change', () => {
  it('nothing touched: the snapshot before, found by one look, and nothing written', async () => {
    const box = makeBox();
    await inside(box, 'mkdir -p a/b; echo 1 > a/b/c; echo 2 > "$HOME/.rc"; mkfifo pipe');
    const first = await save(box);
    const runs: string[] = [];
    const counted: Isolate = (argv, options) => {
      runs.push(argv[0]!);
      expect(options.show.every(({ write }) => !write)).toBe(true);
      return isolate(argv, options);
    };
    const present = files();
    const again = await save(box, { isolate: counted, label: 'other' });
    expect(again).toMatchObject({ ref: first.ref, changed: false, changes: [], more: 0 });
    expect(runs).toEqual(['perl']);
    expect(files()).toEqual(present);
    // Also for another life of the program, and for a workspace that was just restored.
    store = openStore();
    expect((await save(box, { isolate: counted })).changed).toBe(false);
    const back = await restored(first.ref);
    expect((await save(back, { isolate: counted })).ref).toEqual(first.ref);
    expect(runs).toEqual(['perl', 'perl', 'perl']);
  });

  it('an empty workspace has a first snapshot, too', async () => {
    const box = makeBox();
    const first = await save(box);
    expect(first).toMatchObject({ changed: true, changes: [], more: 0 });
    expect(await save(box)).toMatchObject({ changed: false, ref: first.ref });
    expect(await fingerprint(await restored(first.ref))).toBe('');
  });

  it.each([
    ['content', 'echo 22 > dir/file', { 'dir/file': 'modified' }],
    [
      'content of the same size under an old time',
      `stamp=$(stat -c %y dir/file); printf 'X\\n' > dir/file; touch -d "$stamp" dir/file`,
      { 'dir/file': 'modified' },
    ],
    [
      'an exchange of folders whose files look alike',
      'mv dir old; mv twin dir; mv old twin',
      { 'dir/file': 'modified', 'twin/file': 'modified' },
    ],
    ['a file moved over another', 'mv twin/file dir/file', { 'dir/file': 'modified', 'twin/file': 'deleted' }],
    ['a mode', 'chmod 755 dir/file', { 'dir/file': 'modified' }],
    ['a new empty folder', 'mkdir -p fresh/er', { 'fresh/er': 'added' }],
    ['a new file in a deep folder', 'echo x > dir/deep/er/x', { 'dir/deep/er/x': 'added' }],
    ['a folder gone', 'rm -r dir', { 'dir/deep/er': 'deleted', 'dir/file': 'deleted' }],
    ['a link bent', 'ln -sfn twin link', { link: 'modified' }],
    [
      'a file that becomes a folder',
      'rm dir/file; mkdir dir/file; echo x > dir/file/x',
      { 'dir/file': 'modified', 'dir/file/x': 'added' },
    ],
    ['a hard link', 'ln dir/file also', { also: 'added' }],
    ['the home', 'echo x > "$HOME/.rc"', { '/home/agent': 'added' }],
    ['a repository', 'mkdir -p sub/.git/refs; echo x > sub/.git/HEAD', { 'sub/.git': 'added' }],
    [
      'a hole punched by mapping',
      `perl -e 'open my $f, "+<", "dir/file"; truncate $f, 0; print $f "zz"'`,
      { 'dir/file': 'modified' },
    ],
  ])('%s', async (_, script, expected) => {
    const box = makeBox();
    await inside(
      box,
      `mkdir -p dir/deep/er twin/deep/er; echo 1 > dir/file; echo 2 > twin/file; touch -d 1985-10-26 dir/file twin/file; ln -s dir link`,
    );
    await save(box);
    await inside(box, script);
    const found = await save(box);
    expect(kinds(found)).toEqual(expected);
    expect(await fingerprint(await restored(found.ref))).toBe(await fingerprint(box));
  });

  it('the same things right after a restore', async () => {
    const box = makeBox();
    await inside(box, 'mkdir dir twin; echo 1 > dir/file; echo 2 > twin/file; touch -d 1985-10-26 */file');
    const { ref } = await save(box);
    for (const [script, expected] of [
      ['mv dir old; mv twin dir; mv old twin', { 'dir/file': 'modified', 'twin/file': 'modified' }],
      ['stamp=$(stat -c %y dir/file); echo 9 > dir/file; touch -d "$stamp" dir/file', { 'dir/file': 'modified' }],
      ['rm twin/file', { 'twin/file': 'deleted' }],
    ] as const) {
      const back = await restored(ref);
      await inside(back, script);
      const found = await save(back);
      expect(kinds(found)).toEqual(expected);
      expect(await fingerprint(await restored(found.ref))).toBe(await fingerprint(back));
    }
  });

  it('an edit that hides its size and time, in whichever of many folders it lies', async () => {
    const box = makeBox();
    await inside(box, 'for i in $(seq 101 300); do mkdir $i; echo 1 > $i/file; done; touch -d 1985-10-26 */file');
    await save(box);
    // Looked at in parts by several at once: no part may be nobody's.
    for (const folder of [101, 104, 149, 198, 233, 299, 300]) {
      await inside(box, `printf 'X\\n' > ${folder}/file; touch -d 1985-10-26 ${folder}/file`);
      expect(kinds(await save(box))).toEqual({ [`${folder}/file`]: 'modified' });
    }
    await inside(box, 'chmod 750 200');
    expect(kinds(await save(box))).toEqual({ '200': 'modified' });
    await inside(box, 'echo x > top');
    expect(kinds(await save(box))).toEqual({ top: 'added' });
  });

  it('an edit within the second of the last save', async () => {
    const box = makeBox();
    await inside(box, 'mkdir d; echo 1 > d/a; touch -d 1985-10-26 d/a');
    for (const letter of 'PQRS') {
      await save(box);
      await inside(box, `printf '${letter}\\n' > d/a; touch -d 1985-10-26 d/a`);
      expect(kinds(await save(box))).toEqual({ 'd/a': 'modified' });
      expect((await save(box)).changed).toBe(false);
    }
  });

  it('not a new time alone, nor what came and went', async () => {
    const box = makeBox();
    await inside(box, 'mkdir d; echo 1 > d/a');
    const first = await save(box);
    await inside(box, 'touch d/a; echo x > d/b; rm d/b; echo 2 > d/a; echo 1 > d/a; mv d e; mv e d');
    expect(await save(box)).toMatchObject({ changed: false, ref: first.ref });
  });

  it('a clock that was set back hides nothing', async () => {
    const box = makeBox();
    await inside(box, 'echo 1 > a');
    await save(box);
    const note = join(place.root, 'snapshots', LINEAGE, files().find((name) => /^live-.*\.json$/.test(name))!);
    const live = JSON.parse(readFileSync(note, 'utf8')) as { stamp: { sec: number } };
    live.stamp.sec += 3_600;
    writeFileSync(note, JSON.stringify(live));
    await inside(box, 'echo 2 > b');
    expect(kinds(await save(box))).toEqual({ b: 'added' });
  });

  it('at most 200 are named', async () => {
    const box = makeBox();
    await inside(box, 'mkdir d; cd d; seq 450 | xargs touch');
    const { changes, more } = await save(box);
    expect([changes.length, more]).toEqual([200, 250]);
  });

  it('the same content is stored once', async () => {
    const box = makeBox();
    await inside(box, 'head -c 5000000 /dev/urandom > a; cp a b');
    await save(box);
    const size = () =>
      files().reduce((sum, name) => sum + statSync(join(place.root, 'snapshots', LINEAGE, name)).size, 0);
    const before = size();
    expect(before).toBeLessThan(5_200_000);
    await inside(box, 'mkdir moved; mv a moved/; cp moved/a c; printf end >> b');
    await save(box);
    expect(size() - before).toBeLessThan(1_100_000);
  });
});

describe('trees that were made to hurt', () => {
  it('links are not followed, nothing a repository says is run', async () => {
    const box = makeBox();
    const outside = place.folder();
    const marker = join(outside, 'ran');
    writeFileSync(join(outside, 'secret'), 'canary', { mode: 0o644 });
    await inside(
      box,
      `mkdir -p .git/hooks .git/objects/info .git/refs evil; echo 'ref: refs/heads/main' > .git/HEAD
       printf '[core]\\n fsmonitor = touch ${marker}\\n hooksPath = hooks\\n worktree = ${outside}\\n[include]\\n path = ${outside}/secret\\n' > .git/config
       echo ${outside} > .git/objects/info/alternates; printf '#!/bin/sh\\ntouch ${marker}\\n' > .git/hooks/post-checkout; chmod +x .git/hooks/*
       echo 'gitdir: ${outside}' > evil/.git; echo '* filter=x text ident' > .gitattributes; printf 'a\\r\\n$Id$\\r\\n' > text
       ln -s ${outside} way; ln -s ${outside}/secret key; ln -s .. up; ln -s way/secret chain`,
    );
    const before = await fingerprint(box);
    const { ref } = await save(box);
    const back = await restored(ref);
    expect(await fingerprint(back)).toBe(before);
    expect(existsSync(marker)).toBe(false);
    expect(before).not.toContain(createHash('sha256').update('canary').digest('hex'));
  });

  it('pipes, sockets, closed and giant files are left out, and said', async () => {
    const box = makeBox();
    await inside(
      box,
      `mkfifo pipe; perl -MSocket -e 'socket my $s, AF_UNIX, SOCK_STREAM, 0; bind $s, pack_sockaddr_un("sock") or die'
       truncate -s 3G giant; ln giant giant2; echo x > shut; chmod 000 shut; mkdir closed; echo y > closed/y; chmod 000 closed; echo fine > fine`,
    );
    const { ref, left } = await save(box);
    const why = Object.fromEntries(left!.map((omission) => [omission.path, omission.why]));
    expect(why).toMatchObject({
      pipe: expect.stringContaining('pipe'),
      sock: expect.any(String),
      giant: expect.stringContaining('1024 MB'),
    });
    expect(why).toMatchObject({
      giant2: expect.any(String),
      shut: expect.stringContaining('read'),
      closed: expect.stringContaining('mode'),
    });
    expect(Object.keys(why)).toHaveLength(6);
    expect(await inside(await restored(ref), 'ls; cat fine')).toBe('closed\nfine\nfine\n');
    // They are no change either, as long as nothing happens to them.
    expect((await save(box)).changed).toBe(false);
  });

  it('too much new at once is left out, too many names are refused', async () => {
    const box = makeBox();
    await inside(box, 'head -c 3000000 /dev/zero > a; head -c 3000000 /dev/zero > b');
    store = openStore({ totalBytes: 4_000_000 });
    expect((await save(box)).left).toHaveLength(1);
    store = openStore({ entries: 3 });
    await inside(box, 'echo x > x');
    await expect(save(box)).rejects.toMatchObject({ code: 'too_large' });
    expect(files().filter((name) => name.startsWith('work-') || name.endsWith('.new'))).toEqual([]);
  });

  it('a path longer than the kernel takes does not stop a save', async () => {
    const box = makeBox();
    await inside(
      box,
      `echo fine > fine; perl -e 'my $n = "d" x 200; for (1..30) { mkdir $n; chdir $n } open my $f, ">", "deep"; print $f "x"'`,
    );
    const { ref, left } = await save(box);
    expect(left!.length).toBeGreaterThan(0);
    await inside(box, 'echo more > more');
    expect((await save(box)).changed).toBe(true);
    expect(ref.id).toBeDefined();
  });

  it('files that change while they are saved', async () => {
    const box = makeBox();
    await inside(box, 'echo steady > steady; head -c 4000000 /dev/urandom > grows');
    const churn = inside(
      box,
      `exec perl -e 'for (my $i = 0; !-e "stop"; $i++) { my $d = "d" . $i % 5; mkdir $d; open my $f, ">", "$d/f$i"; print $f $i x 50; close $f;
        rename "$d/f$i", "m" . $i % 40; unlink glob "d" . ($i + 2) % 5 . "/*"; rmdir "d" . ($i + 2) % 5;
        symlink "steady", "s$i"; rename "s$i", "m" . ($i * 7) % 40; open $f, ">>", "grows"; print $f $i x 100; close $f }'`,
    );
    const refs: SnapshotRef[] = [];
    for (let i = 0; i < 6; i++) refs.push((await save(box)).ref);
    await inside(box, 'echo > stop');
    await churn;
    for (const ref of refs) expect(await inside(await restored(ref), 'cat steady')).toBe('steady\n');
    const last = await save(box);
    expect(await fingerprint(await restored(last.ref))).toBe(await fingerprint(box));
    expect(last.left).toEqual([]);
  });

  /** Does something at the moment between two programs of a save: `at` is the verb of the one that just ended. */
  const between =
    (at: 'check' | 'list', act: (argv: string[]) => unknown): Isolate =>
    async (argv, options) => {
      const ended = await isolate(argv, options);
      if (argv.includes(at)) await act(argv);
      return ended;
    };

  it('what changes between being looked at and the end of the save is found by the next one', async () => {
    const box = makeBox();
    await inside(box, 'echo old > a; echo 1 > b');
    await save(box);
    await inside(box, 'echo 2 > b');
    await save(box, { isolate: between('list', () => inside(box, 'echo new > a')) });
    const next = await save(box);
    expect(kinds(next)).toEqual({ a: 'modified' });
    expect(await inside(await restored(next.ref), 'cat a b')).toBe('new\n2\n');
  });

  it('a file that becomes a link, a pipe or nothing before it is read is not kept as what it was not', async () => {
    const box = makeBox();
    await inside(box, 'echo a > a; echo b > b; echo c > c; echo other > other');
    const act = () => inside(box, 'rm a b c; ln -s other a; mkfifo b');
    const { ref } = await save(box, { isolate: between('list', act) });
    expect(await inside(await restored(ref), 'ls')).toBe('other\n');
  });

  it('a folder that becomes a file while it is looked at takes what was seen in it along', async () => {
    const box = makeBox();
    await inside(box, 'mkdir -p d/e; echo x > d/e/x; echo fine > fine; ln d/e/x again');
    const twist = between('list', async (argv) => {
      // As if the walk had met the name a second time.
      const list = `${argv[argv.indexOf('list') + 1]}.0`;
      const [record, end] = ['w/d\0file\x00420\x002\x001.0\x001.0\x0099\x001\0\0', readFileSync(list, 'latin1')];
      const cut = end.lastIndexOf('\0end\0');
      writeFileSync(list, end.slice(0, cut) + record + end.slice(cut));
      await inside(box, 'mv d gone; echo file > d');
    });
    const { ref, left } = await save(box, { isolate: twist });
    const back = await restored(ref);
    expect(await inside(back, 'cat d fine; ls')).toContain('file\nfine\n');
    expect(left!.map(({ path }) => path)).toContain('d/e');
    expect(kinds(await save(box))).toMatchObject({ 'gone/e/x': 'added' });
  });

  it('a tree in uproar: each save can be restored, and is then what was saved', { timeout: 60_000 }, async () => {
    const box = makeBox();
    const uproar = inside(
      box,
      `exec perl -e 'my @n = map { "n$_" } 1..9; my $any = sub { join "/", map { $n[rand @n] } 0..int rand 3 };
        until (-e "stop") {
          my ($a, $b, $what) = ($any->(), $any->(), int rand 9);
          if ($what < 2) { mkdir $a }
          elsif ($what == 2) { if (open my $f, ">", $a) { print $f "x" x rand 9000 } }
          elsif ($what == 3) { if (open my $f, ">>", $a) { print $f "y" x 500 } }
          elsif ($what == 4) { rename $a, $b }
          elsif ($what == 5) { unlink $a or rmdir $a }
          elsif ($what == 6) { symlink $b, $a }
          elsif ($what == 7) { link $a, $b }
          else { chmod 0700 + int rand 077, $a if !-l $a }
        }'`,
    );
    let changed = 0;
    for (let i = 0; i < 8; i++) {
      const saved = await save(box);
      if (saved.changed) changed += 1;
      expect(await save(await restored(saved.ref))).toMatchObject({ ref: saved.ref, changed: false });
    }
    await inside(box, 'mkdir -p stop');
    await uproar;
    expect(changed).toBeGreaterThan(4);
  });
});

describe('faults', () => {
  /** Lines on stdout: the id of each snapshot that was made. */
  const LOOP = `
    import { createSnapshots } from ${JSON.stringify(new URL('../../../sandboxes/snapshots.ts', import.meta.url).href)};
    import { bareIsolate } from ${JSON.stringify(new URL('../../helpers/isolate.ts', import.meta.url).href)};
    import { writeFileSync, chownSync, appendFileSync } from 'node:fs';
    const [root, workspace, home, from, uid] = process.argv.slice(1);
    let n = Number(from);
    const store = createSnapshots({ root, driver: 'test', now: Date.now, newId: () => 'ckpt_' + String(++n).padStart(8, '0') });
    for (;;) {
      for (let i = 0; i < 5; i++) writeFileSync(workspace + '/f' + (n % 7) + i, String(n).repeat(5000 * i));
      appendFileSync(workspace + '/log', 'line ' + n + '\\n');
      for (let i = 0; i < 5; i++) chownSync(workspace + '/f' + (n % 7) + i, Number(uid), Number(uid));
      const { ref } = await store.save({ lineage: '${LINEAGE}', workspace, home, isolate: bareIsolate() });
      console.log(ref.id);
      if (n % 5 === 0) await store.prune('${LINEAGE}', new Set([...Array(4).keys()].map((k) => 'ckpt_' + String(n - k).padStart(8, '0'))));
    }`;

  it('killed at any moment, the store is whole: what was told is there, and nothing else is left', {
    timeout: 60_000,
  }, async () => {
    const box = makeBox();
    await inside(box, 'echo start > log');
    for (let round = 0; round < 5; round++) {
      const child = spawn(process.execPath, [
        '--input-type=module',
        '-e',
        LOOP,
        place.root,
        box.workspace,
        box.home,
        String(numbers),
        String(isolateUid),
      ]);
      let told = '';
      let complaint = '';
      child.stdout.on('data', (chunk: Buffer) => {
        told += chunk;
      });
      child.stderr.on('data', (chunk: Buffer) => {
        complaint += chunk;
      });
      const closed = once(child, 'close');
      while (!told.includes('\n') && child.exitCode === null) await Promise.race([once(child.stdout, 'data'), closed]);
      if (child.exitCode !== null) throw new Error(complaint);
      await new Promise((resolve) => setTimeout(resolve, 17 + round * 61));
      child.kill('SIGKILL');
      await closed;
      // Killed between writing a file and giving it away: nobody in a sandbox could have left it like that.
      for (const name of readdirSync(box.workspace)) chownSync(join(box.workspace, name), isolateUid, isolateUid);
      const ids = told.trim().split('\n');
      numbers = Number(ids.at(-1)!.slice(5)) + 20;
      store = openStore();
      const ref = { id: ids.at(-1)!, driver: 'test', lineage: LINEAGE, createdAt: 0, label: null };
      const back = await restored(ref);
      expect(await inside(back, 'cat log')).toContain('start\n');
      const next = await save(box);
      expect(await fingerprint(await restored(next.ref))).toBe(await fingerprint(box));
      expect(files().filter((name) => name.startsWith('work-') || name.endsWith('.new'))).toEqual([]);
    }
  });

  it('a program in there that is killed: the save fails, the store does not', { timeout: 60_000 }, async () => {
    const box = makeBox();
    await inside(box, 'for i in $(seq 60); do head -c 100000 /dev/urandom > f$i; done');
    const first = await save(box);
    let failures = 0;
    for (let delay = 0; delay < 40; delay += 5) {
      await inside(box, `for i in $(seq 60); do echo ${delay} >> f$i; done`);
      const killer = bareIsolate((kill) => setTimeout(kill, delay));
      await save(box, { isolate: killer }).catch((error: { code: string }) => {
        failures += 1;
        expect(error.code).toBe('unavailable');
      });
      const target = makeBox();
      await store
        .restore(first.ref, { ...target, isolate: killer })
        .catch((error: { code: string }) => expect(error.code).toBe('unavailable'));
    }
    expect(failures).toBeGreaterThan(0);
    const last = await save(box);
    expect(await fingerprint(await restored(last.ref))).toBe(await fingerprint(box));
    expect((await inside(await restored(first.ref), 'wc -c f1')).trim()).toBe('100000 f1');
  });

  it('a damaged store says so, keeps what is whole, and is mended by the next save', async () => {
    const box = makeBox();
    await inside(box, 'head -c 2500000 /dev/urandom > a');
    const first = await save(box);
    await inside(box, 'head -c 100000 /dev/urandom > b');
    const second = await save(box);
    const segment = join(place.root, 'snapshots', LINEAGE, `${second.ref.id}.seg`);
    const bytes = readFileSync(segment);
    bytes[1_000]! ^= 1;
    writeFileSync(segment, bytes);
    await expect(restored(second.ref)).rejects.toMatchObject({ code: 'unavailable' });
    expect(await inside(await restored(first.ref), 'ls')).toBe('a\n');
    writeFileSync(segment, bytes.subarray(0, 5_000));
    await expect(restored(second.ref)).rejects.toMatchObject({ code: 'unavailable' });
    await inside(box, 'echo c > c');
    const third = await save(box);
    expect(await fingerprint(await restored(third.ref))).toBe(await fingerprint(box));
  });
});

describe('what is kept', () => {
  const sizeOf = () =>
    files().reduce((sum, name) => sum + statSync(join(place.root, 'snapshots', LINEAGE, name)).size, 0);

  it('prune drops the rest and gives its room back', { timeout: 30_000 }, async () => {
    const box = makeBox();
    const states: { ref: SnapshotRef; print: string }[] = [];
    await inside(box, 'mkdir d; for i in $(seq 30); do echo $i > d/$i; done');
    for (let i = 0; i < 5; i++) {
      await inside(box, `head -c 1500000 /dev/urandom > noise; echo ${i} > d/1; echo ${i} > small${i}`);
      const { ref } = await save(box);
      states.push({ ref, print: await fingerprint(box) });
    }
    const before = sizeOf();
    const kept = [states[1]!, states[4]!];
    await store.prune(LINEAGE, new Set(kept.map(({ ref }) => ref.id)));
    expect(sizeOf()).toBeLessThan(before * 0.5);
    for (const { ref, print } of kept) expect(await fingerprint(await restored(ref))).toBe(print);
    for (const { ref } of [states[0]!, states[2]!, states[3]!])
      await expect(restored(ref)).rejects.toMatchObject({ code: 'not_found' });
    expect((await save(box)).changed).toBe(false);
    await inside(box, 'echo on > on');
    const next = await save(box);
    expect(await fingerprint(await restored(next.ref))).toBe(await fingerprint(box));
    await store.prune(LINEAGE, new Set([next.ref.id]));
    expect(await fingerprint(await restored(next.ref))).toBe(await fingerprint(box));
  });

  it('dropping what the workspace was last saved as does not disturb the next save', async () => {
    const box = makeBox();
    await inside(box, 'echo 1 > a');
    const first = await save(box);
    await inside(box, 'echo 2 > b');
    await save(box);
    await store.prune(LINEAGE, new Set([first.ref.id]));
    const next = await save(box);
    expect(next.changed).toBe(true);
    expect(await inside(await restored(next.ref), 'cat a b')).toBe('1\n2\n');
  });

  it('many small saves do not become many files', { timeout: 30_000 }, async () => {
    const box = makeBox();
    const ids: string[] = [];
    for (let i = 0; i < 34; i++) {
      writeFileSync(join(box.workspace, 'f'), String(i));
      chmodSync(join(box.workspace, 'f'), 0o644);
      ids.push((await save(box)).ref.id);
    }
    await store.prune(LINEAGE, new Set(ids));
    expect(files().filter((name) => name.endsWith('.seg'))).toHaveLength(1);
    const box7 = await restored({ id: ids[7]!, driver: 'test', lineage: LINEAGE, createdAt: 0, label: null });
    expect(await inside(box7, 'cat f')).toBe('7');
  });

  it('a lineage that is forgotten, or of which nothing is kept, leaves nothing', async () => {
    const box = makeBox();
    await inside(box, 'echo 1 > a');
    for (const end of [() => store.forget(LINEAGE), () => store.prune(LINEAGE, new Set())]) {
      await save(box);
      await end();
      expect(readdirSync(join(place.root, 'snapshots'))).toEqual([]);
      await end();
    }
  });

  it.runIf(process.getuid?.() === 0)('nobody else on the machine can look into it', async () => {
    const box = makeBox();
    await inside(box, 'echo private > a');
    await save(box);
    const folder = join(place.root, 'snapshots', LINEAGE);
    expect(statSync(folder).mode & 0o777).toBe(0o711);
    for (const name of files()) expect([name, statSync(join(folder, name)).mode & 0o077]).toEqual([name, 0]);
    // Not even the uid whose files they are: what was saved can be changed by nobody afterwards.
    const show = [
      { from: box.workspace, to: box.workspace },
      { from: folder, to: folder },
    ];
    const seen = await isolate(['sh', '-c', `ls ${folder}; cat ${folder}/stamp`], { show });
    expect(seen).toMatchObject({ stdout: Buffer.from('') });
  });
});
