// Saved states: complete, independent of the sandbox they came from, restored into a new one, dropped when nobody keeps them.
import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { PLACES, type Sandbox, type Snapshot, type SnapshotRef } from '../../../sandboxes/driver.ts';
import { nothingLeft } from '../../helpers/leftovers.ts';
import { refusal } from './files.ts';
import { isolated, out, type SandboxCase, type Stage, sh } from './stage.ts';

const saves = ({ report }: Stage) => (report.snapshot ? null : 'this driver has no snapshots');

/** A tree with everything that is easily forgotten. */
const TREE = `mkdir -p src/deep empty node_modules/dep "$HOME/.config"
  printf 'let x = 1' > src/a.js; printf '#!/bin/sh\\necho ran' > src/run; chmod 755 src/run; chmod 600 src/a.js
  ln -s a.js src/link; ln -s /nowhere src/dangling; head -c 100000 /dev/urandom > src/deep/data; printf ignored > ignored.log
  printf '*.log\\nnode_modules\\n' > .gitignore; printf dep > node_modules/dep/index.js; printf home > "$HOME/.config/tool"
  printf 'a b' > 'with space'; printf u > 'ümläut 漢'; printf dash > -- -dash`;
/** Everything about the tree that has to come back. */
const FINGERPRINT = `{ find . "$HOME" -mindepth 1 -not -path './.git/*' -printf '%P %y %l ' \\( -type f -printf '%m ' -o -printf - \\) -printf '\\n' | sort
  find . "$HOME" -type f -not -path './.git/*' -exec sha256sum {} + | sed "s#$HOME#HOME#" | sort; }`;

const fingerprint = (sandbox: Sandbox) => out(sandbox, FINGERPRINT);
const kinds = ({ changes }: Snapshot) => Object.fromEntries(changes.map(({ path, kind }) => [path, kind]));

export const snapshots: SandboxCase[] = [
  {
    name: 'a snapshot comes back whole in another sandbox, after the first one is gone',
    needs: saves,
    async run({ open, newId, driver, atEnd }) {
      const lineage = newId();
      atEnd(() => driver.prune(lineage, new Set()));
      const first = await open();
      await out(first, TREE);
      const before = await fingerprint(first);
      const began = Date.now();
      const { ref, changed, tookMs } = await first.snapshot({ lineage, label: 'the first' });
      assert.equal(changed, true);
      assert.deepEqual([ref.driver, ref.lineage, ref.label], [driver.name, lineage, 'the first']);
      assert.ok(ref.createdAt >= began - 5 && ref.createdAt <= Date.now() + 5);
      assert.ok(tookMs >= 0 && tookMs < 20_000);
      await first.kill('its files live on');
      const second = await open({ workspace: { type: 'snapshot', ref } });
      assert.equal(await fingerprint(second), before);
      assert.equal(await out(second, './src/run; cat src/link'), 'ran\nlet x = 1');
      await out(second, 'echo more >> src/a.js; rm -r empty; echo new > src/new');
    },
  },
  {
    name: 'a snapshot is what was there then: later changes and deletions are not in it',
    needs: saves,
    async run({ open, newId, driver, atEnd }) {
      const lineage = newId();
      atEnd(() => driver.prune(lineage, new Set()));
      const sandbox = await open();
      await out(sandbox, 'echo one > a; mkdir d; echo x > d/x; echo h > "$HOME/h"');
      const first = await sandbox.snapshot({ lineage });
      await out(sandbox, 'echo two > a; rm -r d; echo new > b; rm "$HOME/h"');
      const second = await sandbox.snapshot({ lineage });
      assert.notEqual(first.ref.id, second.ref.id);
      const then = await open({ workspace: { type: 'snapshot', ref: first.ref } });
      assert.equal(await out(then, 'cat a d/x "$HOME/h"; ls -A'), 'one\nx\nh\na\nd\n');
      const now = await open({ workspace: { type: 'snapshot', ref: second.ref } });
      assert.equal(await out(now, 'cat a b; ls -A; ls -A "$HOME"'), 'two\nnew\na\nb\n');
    },
  },
  {
    name: 'a snapshot says what changed; of the same tree it is the one before',
    needs: saves,
    async run({ open, newId, driver, atEnd }) {
      const lineage = newId();
      atEnd(() => driver.prune(lineage, new Set()));
      const sandbox = await open();
      await out(sandbox, 'mkdir d; echo 1 > d/stays; echo 1 > d/changes; echo 1 > goes');
      const first = await sandbox.snapshot({ lineage });
      assert.deepEqual(kinds(first), { 'd/changes': 'added', 'd/stays': 'added', goes: 'added' });
      const same = await sandbox.snapshot({ lineage });
      assert.equal(same.changed, false);
      assert.equal(same.ref.id, first.ref.id);
      assert.deepEqual([same.changes, same.more], [[], 0]);
      await out(sandbox, 'echo 2 > d/changes; rm goes; echo 1 > comes');
      const second = await sandbox.snapshot({ lineage });
      assert.equal(second.changed, true);
      assert.deepEqual(kinds(second), { 'd/changes': 'modified', goes: 'deleted', comes: 'added' });
      await out(sandbox, 'chmod 755 comes');
      assert.equal((await sandbox.snapshot({ lineage })).changed, true, 'a mode is a change');
      await out(sandbox, 'echo x > "$HOME/.profile"');
      assert.equal((await sandbox.snapshot({ lineage })).changed, true, 'the home counts');
    },
  },
  {
    name: 'at most 200 changes are named, the rest is counted',
    needs: saves,
    async run({ open, newId, driver, atEnd }) {
      const lineage = newId();
      atEnd(() => driver.prune(lineage, new Set()));
      const sandbox = await open();
      await out(sandbox, 'seq -f file%g 450 | xargs touch');
      const { changes, more } = await sandbox.snapshot({ lineage });
      assert.equal(changes.length, 200);
      assert.equal(more, 250);
    },
  },
  {
    name: 'repositories come back as repositories: history, branches, nested ones, and work that was not committed',
    needs: saves,
    async run({ open, newId, driver, atEnd }) {
      const lineage = newId();
      atEnd(() => driver.prune(lineage, new Set()));
      const sandbox = await open();
      if ((await sh(sandbox, 'command -v git')).code !== 0) return;
      const as =
        'git config --global user.email a@b; git config --global user.name A; git config --global init.defaultBranch main';
      await out(
        sandbox,
        `${as}; git init -q .; echo 1 > a; git add a; git commit -qm first; git branch side; echo 2 > a; git add a; echo 3 > a
         mkdir -p sub/nested; cd sub/nested; git init -q .; echo n > n; git add n; git commit -qm nested`,
      );
      const look =
        'git status --porcelain -- a; git log --format=%H --all; git branch; git -C sub/nested log --format=%H; git stash list; git fsck 2>&1';
      const before = await out(sandbox, look);
      const { ref } = await sandbox.snapshot({ lineage });
      const back = await open({ workspace: { type: 'snapshot', ref } });
      assert.equal(await out(back, look), before);
      assert.equal(await out(back, 'git show :a; cat a; cat sub/nested/n'), '2\n3\nn\n');
      await out(back, 'git commit -qam second && git log --oneline | wc -l');
      await out(sandbox, 'git commit -qm second');
      assert.equal((await sandbox.snapshot({ lineage })).changed, true, 'a commit is a change');
    },
  },
  {
    name: 'what a repository in the workspace says is not obeyed while it is saved',
    needs: saves,
    async run({ open, newId, driver, folder, atEnd }) {
      const lineage = newId();
      atEnd(() => driver.prune(lineage, new Set()));
      const outside = folder();
      chmodSync(outside, 0o777);
      const sandbox = await open();
      await out(
        sandbox,
        `mkdir -p .git/hooks .git/objects .git/refs; echo 'ref: refs/heads/main' > .git/HEAD; echo x > a
         printf '#!/bin/sh\\ntouch ${outside}/ran-%s\\n' hook > .git/hooks/post-index-change
         for hook in pre-commit post-checkout fsmonitor-watchman reference-transaction; do cp .git/hooks/post-index-change .git/hooks/$hook; done
         chmod +x .git/hooks/*
         printf '[core]\\n fsmonitor = "touch ${outside}/ran-fsmonitor; false"\\n hooksPath = .git/hooks\\n worktree = ${outside}\\n[filter "x"]\\n clean = touch ${outside}/ran-clean\\n smudge = touch ${outside}/ran-smudge\\n' > .git/config
         echo '* filter=x' > .gitattributes; cp .git/config "$HOME/.gitconfig"`,
      );
      const { ref } = await sandbox.snapshot({ lineage });
      const back = await open({ workspace: { type: 'snapshot', ref } });
      assert.equal(await out(back, 'cat a .gitattributes'), 'x\n* filter=x\n');
      assert.deepEqual(readdirSync(outside), []);
    },
  },
  {
    name: 'links in the tree are saved as links: nothing of the host comes in, or is written over',
    needs: (stage) => saves(stage) ?? isolated(stage),
    async run({ open, newId, driver, folder, atEnd }) {
      const lineage = newId();
      atEnd(() => driver.prune(lineage, new Set()));
      const outside = folder();
      writeFileSync(`${outside}/secret`, 'canary-of-the-host', { mode: 0o666 });
      chmodSync(outside, 0o777);
      const sandbox = await open();
      await out(
        sandbox,
        `ln -s ${outside}/secret key; ln -s ${outside} door; ln -s ${outside} "$HOME/door"; mkdir real; echo x > real/file`,
      );
      const first = await sandbox.snapshot({ lineage });
      // A folder becomes a link: what is restored over it must not go through.
      await out(sandbox, `rm -r real; ln -s ${outside} real`);
      const second = await sandbox.snapshot({ lineage });
      for (const { ref } of [second, first]) {
        const back = await open({ workspace: { type: 'snapshot', ref } });
        assert.equal(await out(back, 'readlink key door "$HOME/door"'), `${outside}/secret\n${outside}\n${outside}\n`);
        assert.equal((await sh(back, 'cat key')).code, 1);
        assert.equal((await sh(back, 'grep -r canary-of-the-host . "$HOME"')).code, 1);
      }
      assert.deepEqual(readdirSync(outside), ['secret']);
      assert.equal(readFileSync(`${outside}/secret`, 'utf8'), 'canary-of-the-host');
    },
  },
  {
    name: 'a tree that changes while it is saved is no failure',
    needs: saves,
    async run({ open, newId, driver, atEnd }) {
      const lineage = newId();
      atEnd(() => driver.prune(lineage, new Set()));
      const sandbox = await open();
      const churn = sandbox.exec([
        'perl',
        '-e',
        `for (my $i = 0; ; $i++) { my $d = 'd' . $i % 7; mkdir $d; open my $f, '>', "$d/f$i"; print $f $i x 100; close $f;
          rename "$d/f$i", 'moved' . $i % 50; unlink glob 'd' . ($i + 3) % 7 . '/*'; rmdir 'd' . ($i + 3) % 7 }`,
      ]);
      await out(sandbox, 'echo steady > steady');
      for (let i = 0; i < 4; i++) {
        const { ref } = await sandbox.snapshot({ lineage });
        if (i < 3) continue;
        const back = await open({ workspace: { type: 'snapshot', ref } });
        assert.equal(await out(back, 'cat steady'), 'steady\n');
      }
      churn.signal('KILL');
      await churn.result;
    },
  },
  {
    name: 'a file nobody may read, and a folder nobody may enter, do not stop a save',
    needs: saves,
    async run({ open, newId, driver, atEnd }) {
      const lineage = newId();
      atEnd(() => driver.prune(lineage, new Set()));
      const sandbox = await open();
      await out(
        sandbox,
        'echo x > shut; mkdir closed; echo y > closed/y; mkfifo pipe; chmod 000 shut closed; echo open > fine',
      );
      const { ref } = await sandbox.snapshot({ lineage });
      const back = await open({ workspace: { type: 'snapshot', ref } });
      assert.equal(await out(back, 'cat fine'), 'open\n');
    },
  },
  {
    name: 'prune drops what is not kept, and nothing of another lineage; an unknown lineage is no error',
    needs: saves,
    async run({ open, newId, driver, atEnd }) {
      const [lineage, other] = [newId(), newId()];
      for (const one of [lineage, other]) atEnd(() => driver.prune(one, new Set()));
      const sandbox = await open();
      const refs: SnapshotRef[] = [];
      for (const word of ['one', 'two', 'three']) {
        await out(sandbox, `echo ${word} > word; head -c 1000 /dev/urandom > noise`);
        refs.push((await sandbox.snapshot({ lineage })).ref);
      }
      const elsewhere = (await sandbox.snapshot({ lineage: other })).ref;
      await driver.prune(lineage, new Set([refs[1]!.id]));
      const read = async (ref: SnapshotRef) => out(await open({ workspace: { type: 'snapshot', ref } }), 'cat word');
      assert.equal(await read(refs[1]!), 'two\n');
      assert.equal(await refusal(read(refs[0]!)), 'not_found');
      assert.equal(await refusal(read(refs[2]!)), 'not_found');
      assert.equal(await read(elsewhere), 'three\n');
      // The next one still comes out right, although what it builds on was dropped.
      await out(sandbox, 'echo four > word');
      assert.equal(await read((await sandbox.snapshot({ lineage })).ref), 'four\n');
      await driver.prune(newId(), new Set());
    },
  },
  {
    name: 'a snapshot outlives the driver that took it',
    needs: saves,
    async run({ life, newId, newRoot, spec }) {
      const root = newRoot();
      const first = life(root);
      const lineage = newId();
      const sandbox = await first.create(spec());
      await out(sandbox, 'echo kept > a; echo h > "$HOME/h"');
      const { ref } = await sandbox.snapshot({ lineage });
      await first.stop();
      const second = life(root);
      await second.gc(new Set());
      const back = await second.create(spec({ workspace: { type: 'snapshot', ref } }));
      assert.equal(await out(back, 'cat a "$HOME/h"'), 'kept\nh\n');
      await second.prune(lineage, new Set());
    },
  },
  {
    name: 'a snapshot nobody knows is not_found, and nothing is left of the try',
    needs: saves,
    async run({ driver, spec, newId, traces }) {
      const unknown = spec({
        workspace: {
          type: 'snapshot',
          ref: { id: newId().replace('sbx', 'ckpt'), driver: driver.name, lineage: newId(), createdAt: 0, label: null },
        },
      });
      assert.equal(await refusal(driver.create(unknown)), 'not_found');
      await nothingLeft(traces(unknown.id));
    },
  },
  {
    name: 'a fork has the same files and goes its own way',
    needs: saves,
    async run({ open, spec, atEnd }) {
      const first = await open();
      await out(first, `${TREE}; sleep 300 >/dev/null 2>&1 &`);
      const before = await fingerprint(first);
      const wanted = spec({ env: { FORKED: 'yes' } });
      const second = await first.fork(wanted);
      atEnd(() => second.kill('the case is over'));
      assert.equal(second.id, wanted.id);
      assert.equal(await fingerprint(second), before);
      assert.equal(
        await out(second, 'echo $FORKED; echo theirs > src/a.js; rm "$HOME/.config/tool"; cat src/a.js'),
        'yes\ntheirs\n',
      );
      assert.equal(await fingerprint(first), before);
      await second.kill('only the fork');
      assert.equal(
        await out(first, `cat src/a.js; cat ${PLACES.workspace}/src/a.js 2>/dev/null | wc -c | grep -c .`),
        'let x = 11\n',
      );
    },
  },
];
