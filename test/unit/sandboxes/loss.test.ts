// What is said when a sandbox is not the one of before: only what is really gone.
import { expect, test } from 'vitest';
import { type Loss, lossNote } from '../../../sandboxes/loss.ts';

const checkpoint = { id: 'ckpt_1', createdAt: Date.UTC(2026, 10, 20, 8), processes: [] };
const note = (change: Partial<Loss>) => lossNote({ last: null, checkpoint: null, undone: [], ...change });
const server = { pid: 7, parent: 1, argv: ['npm', 'run', 'dev'], startedAt: 0, ports: [5173] };

test('the first sandbox of a session is no loss', () => {
  expect(note({})).toBeNull();
});

test('one that was put away with everything saved is no loss', () => {
  expect(note({ last: { state: 'ended', reason: 'idle' }, checkpoint })).toBeNull();
});

test('a process that ran in it is told, with its port', () => {
  const text = note({ last: { state: 'ended', reason: 'idle' }, checkpoint: { ...checkpoint, processes: [server] } });
  expect(text).toContain('put away (idle)');
  expect(text).toContain('`npm run dev` (port 5173)');
});

test('a lost one tells what its files are and which calls are undone', () => {
  const undone = [{ id: 'sevt_a', name: 'bash' }];
  const text = note({ last: { state: 'lost', reason: 'memory limit' }, checkpoint, undone });
  expect(text).toContain('was lost (memory limit)');
  expect(text).toContain('2026-11-20T08:00:00.000Z (ckpt_1)');
  expect(text).toContain('The changes of one later call are gone: bash sevt_a');
});

test('without a checkpoint it begins empty, and long lists are cut', () => {
  const undone = Array.from({ length: 9 }, (_, i) => ({ id: `sevt_${i}`, name: 'write' }));
  const text = note({ last: { state: 'lost', reason: null }, undone });
  expect(text).toContain('It begins empty');
  expect(text).toContain('9 later calls are gone: write sevt_4');
  expect(text).toContain('and earlier ones');
});
