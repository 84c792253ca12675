// Many sandboxes and many lives of a driver: what is listed, what a killed daemon leaves, and what a boot clears away.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { leftovers, nothingLeft, processesWith } from '../../helpers/leftovers.ts';
import { out, type SandboxCase, until } from './stage.ts';

const inRoot = (root: string, ...marks: string[]) => ({ marks, folders: [root, join(root, 'live')] });

export const lives: SandboxCase[] = [
  {
    name: 'list tells the living ones with labels and times, and no others',
    async run({ open, driver }) {
      const before = Date.now();
      const first = await open({ labels: { session: 'sesn_a', purpose: 'with "quotes" and ü' } });
      const second = await open({ labels: { session: 'sesn_b' } });
      const listed = new Map((await driver.list()).map((info) => [info.id, info]));
      assert.deepEqual(listed.get(first.id)?.labels, { session: 'sesn_a', purpose: 'with "quotes" and ü' });
      assert.deepEqual(listed.get(second.id)?.labels, { session: 'sesn_b' });
      const { createdAt, state } = listed.get(first.id)!;
      assert.ok(createdAt >= before - 1_000 && createdAt <= Date.now() + 1_000);
      assert.equal(state, 'running');
      assert.deepEqual(first.info.labels, { session: 'sesn_a', purpose: 'with "quotes" and ü' });
      await first.kill('gone');
      const rest = (await driver.list()).filter(({ state }) => state !== 'gone').map(({ id }) => id);
      assert.ok(!rest.includes(first.id) && rest.includes(second.id));
    },
  },
  {
    name: 'twelve at once start, and each has only its own files',
    async run({ open }) {
      const all = await Promise.all(Array.from({ length: 12 }, () => open()));
      await Promise.all(all.map((sandbox, i) => out(sandbox, `echo ${i} > mine; echo ${i} > "$HOME/mine"`)));
      const read = await Promise.all(all.map((sandbox) => out(sandbox, 'cat mine "$HOME/mine"; ls -A | wc -l')));
      assert.deepEqual(
        read,
        all.map((_, i) => `${i}\n${i}\n1\n`),
      );
      await Promise.all(all.map((sandbox) => sandbox.kill('enough')));
    },
  },
  {
    name: 'an id is used once: a second sandbox of that name is refused and the first goes on',
    async run({ open, driver, spec }) {
      const first = await open();
      await out(first, 'echo first > a');
      await assert.rejects(driver.create(spec({ id: first.id })));
      assert.equal(await out(first, 'cat a'), 'first\n');
      assert.equal(await first.ping(3_000), true);
    },
  },
  {
    name: 'an id that could lead elsewhere is refused',
    async run({ driver, spec }) {
      for (const id of ['../sbx_x', 'sbx_/../../x', '', '.', 'sbx_a b', 'sbx_\n', `sbx_${'a'.repeat(200)}`]) {
        const made = await driver.create(spec({ id, env: {} })).then(
          (sandbox) => sandbox.kill('it should not be').then(() => 'made'),
          (error: { code?: string }) => error.code,
        );
        assert.equal(made, 'invalid', JSON.stringify(id));
      }
    },
  },
  {
    name: 'stop ends everything that is alive, and leaves nothing',
    async run({ life, spec, newRoot }) {
      const root = newRoot();
      const driver = life(root);
      const mark = String(1_000_000 + Math.floor(Math.random() * 8_000_000));
      const made = await Promise.all([1, 2, 3].map(() => driver.create(spec())));
      for (const sandbox of made) await out(sandbox, `setsid sleep ${mark} >/dev/null 2>&1 &`);
      await until('they run', () => processesWith(mark).length === 3);
      await driver.stop();
      for (const sandbox of made) assert.notEqual(await sandbox.ended, '');
      assert.deepEqual(processesWith(mark), []);
      await nothingLeft(inRoot(root, mark, ...made.map(({ id }) => id)));
    },
  },
  {
    name: 'what a killed daemon left is cleared away at the next boot; what is to be kept is not',
    async run({ killedLife, life, atEnd }) {
      const { root, ids } = await killedLife(3);
      const next = life(root);
      atEnd(() => next.gc(new Set()).then(() => {}));
      const alive = (await next.list()).filter(({ state }) => state === 'running').map(({ id }) => id);
      const kept = ids[1]!;
      const left = () => ids.filter((id) => leftovers(inRoot(root, id)).some(({ kind }) => kind !== 'zombie'));
      const before = left();
      assert.ok(before.length === ids.length || alive.length === 0, 'what is there is found');
      const { removed } = await next.gc(new Set([kept]));
      assert.deepEqual([...removed].sort(), ids.filter((id) => id !== kept).sort());
      for (const id of ids) if (id !== kept) await nothingLeft(inRoot(root, id));
      assert.deepEqual(left(), before.includes(kept) ? [kept] : []);
      assert.deepEqual((await next.gc(new Set())).removed, before.includes(kept) ? [kept] : []);
      await nothingLeft(inRoot(root, ...ids));
      assert.deepEqual((await next.gc(new Set())).removed, []);
    },
  },
  {
    name: 'gc leaves what this life keeps running alone',
    async run({ life, spec, atEnd }) {
      const driver = life();
      const sandbox = await driver.create(spec());
      atEnd(() => sandbox.kill('the case is over'));
      await out(sandbox, 'echo mine > a');
      const { removed } = await driver.gc(new Set([sandbox.id]));
      assert.deepEqual(removed, []);
      assert.equal(await out(sandbox, 'cat a'), 'mine\n');
    },
  },
  {
    name: 'a new life works beside what an earlier one left',
    async run({ killedLife, life, spec, atEnd }) {
      const { root, ids } = await killedLife(2);
      const next = life(root);
      const sandbox = await next.create(spec());
      atEnd(() => sandbox.kill('the case is over'));
      assert.equal(await out(sandbox, 'echo works'), 'works\n');
      await next.gc(new Set([sandbox.id]));
      assert.equal(await out(sandbox, 'echo still'), 'still\n');
      await nothingLeft(inRoot(root, ...ids));
    },
  },
];
