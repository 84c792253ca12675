// The fake of the sandboxes fails on demand, as real ones do: once, for a while, or for good; the suite of all drivers says the rest.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../core/clock.ts';
import { StewardError } from '../../../core/errors.ts';
import { createIds } from '../../../core/ids.ts';
import { DEFAULT_LIMITS, type SandboxSpec } from '../../../sandboxes/driver.ts';
import { createFakeSandboxes, diskFull, type FakeSandboxes } from '../../fakes/sandbox.ts';

const ids = createIds(systemClock.now);
let root: string;
let fake: FakeSandboxes;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fake-'));
  fake = createFakeSandboxes({ root, now: systemClock.now, newId: () => ids('ckpt') });
});
afterEach(async () => {
  await fake.stop();
  rmSync(root, { recursive: true, force: true });
});

const spec = (): SandboxSpec => ({
  id: ids('sbx'),
  labels: {},
  workspace: { type: 'empty' },
  env: {},
  mounts: [],
  limits: DEFAULT_LIMITS,
  profile: 'strict',
  listen: null,
});
const later = <T>(ms: number, value: T) => new Promise<T>((resolve) => setTimeout(resolve, ms, value));
const failure = new StewardError('unavailable', 'No.', { op: 'start a sandbox' });

test('the next create fails, the one after works', async () => {
  fake.trouble('create', { type: 'error', error: failure });
  await expect(fake.create(spec())).rejects.toBe(failure);
  const sandbox = await fake.create(spec());
  expect(await sandbox.exec(['true']).result).toMatchObject({ code: 0 });
  expect(fake.calls.map(({ call }) => call)).toEqual(['create', 'create', 'exec']);
});

test('a probe that fails says no', async () => {
  fake.trouble('probe', { type: 'error', error: failure });
  expect((await fake.probe()).ok).toBe(false);
  expect((await fake.probe()).ok).toBe(true);
});

test('lost in the middle of a command: its output so far, then sandbox_lost, and the next call too', async () => {
  const sandbox = await fake.create(spec());
  fake.trouble('exec', { type: 'lost', afterMs: 150 });
  const execution = sandbox.exec(['sh', '-c', 'echo begun; sleep 60']);
  let text = '';
  for await (const event of execution) if (event.type === 'stdout') text += Buffer.from(event.data);
  expect(text).toBe('begun\n');
  await expect(execution.result).rejects.toMatchObject({ code: 'sandbox_lost' });
  expect(await sandbox.ended).toMatch(/ended/);
  expect(() => sandbox.exec(['true'])).toThrow(expect.objectContaining({ code: 'sandbox_lost' }));
  expect(await fake.list()).toEqual([]);
});

test('lost by itself, between calls', async () => {
  const sandbox = await fake.create(spec());
  fake.lose(sandbox.id);
  await sandbox.ended;
  expect(sandbox.info.state).toBe('gone');
});

test('wedged: no answer to anything, and a kill helps', async () => {
  const sandbox = await fake.create(spec());
  fake.wedge(sandbox.id);
  expect(await sandbox.ping(100)).toBe(false);
  const result = sandbox.exec(['true']).result.catch((error: StewardError) => error.code);
  expect(await Promise.race([result, later(100, 'nothing')])).toBe('nothing');
  await sandbox.kill('it is wedged');
  expect(await result).toBe('sandbox_lost');
});

test('a call that hangs does so for the life of the sandbox, and no other call with it', async () => {
  const sandbox = await fake.create(spec());
  fake.trouble('snapshot', { type: 'hang' });
  const saving = sandbox.snapshot({ lineage: 'one' }).catch((error: StewardError) => error.code);
  expect(await Promise.race([saving, later(100, 'nothing')])).toBe('nothing');
  expect(await sandbox.ping(2_000)).toBe(true);
  await sandbox.kill('enough');
  expect(await saving).toBe('sandbox_lost');
});

test('slow: late, and right', async () => {
  const sandbox = await fake.create(spec());
  fake.trouble('exec', { type: 'slow', ms: 200 });
  const began = performance.now();
  expect(await sandbox.exec(['sh', '-c', 'exit 3']).result).toMatchObject({ code: 3 });
  expect(performance.now() - began).toBeGreaterThan(190);
});

test('a full disk, as often as told, until all is calm again', async () => {
  const sandbox = await fake.create(spec());
  fake.trouble('write', { type: 'error', error: diskFull() }, 100);
  fake.trouble('snapshot', { type: 'error', error: diskFull() });
  await expect(sandbox.files.write('a', 'x')).rejects.toMatchObject({ code: 'disk_full' });
  await expect(sandbox.files.write('a', 'x')).rejects.toMatchObject({ code: 'disk_full' });
  await expect(sandbox.snapshot({ lineage: 'one' })).rejects.toMatchObject({ code: 'disk_full' });
  fake.calm();
  await sandbox.files.write('a', 'x');
  expect(Buffer.from(await sandbox.files.read('a')).toString()).toBe('x');
});

test('a restore that fails leaves no sandbox', async () => {
  const first = await fake.create(spec());
  const { ref } = await first.snapshot({ lineage: 'one' });
  await first.kill('done');
  fake.trouble('restore', { type: 'error', error: failure });
  await expect(fake.create({ ...spec(), workspace: { type: 'snapshot', ref } })).rejects.toBe(failure);
  expect(await fake.list()).toEqual([]);
});
