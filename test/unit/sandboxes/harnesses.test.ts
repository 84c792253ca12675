// Harnesses without their programs: what the log says to our own loop, what is handed over, and how vendors' lines are read.
import { expect, test } from 'vitest';
import { buildContext } from '../../../core/brain/context.ts';
import { nextStep, openCalls } from '../../../core/brain/step.ts';
import { claudeCode } from '../../../sandboxes/harnesses/claude-code.ts';
import { codex } from '../../../sandboxes/harnesses/codex.ts';
import { handoverOf } from '../../../sandboxes/harnesses/handover.ts';
import { restOf } from '../../../sandboxes/harnesses/recorder.ts';
import { createLines, familyOf } from '../../../sandboxes/harnesses/run-program.ts';
import { commandsOf, doneOf } from '../../../sandboxes/harnesses/script.ts';
import { answered, type Draft, logOf, replied, rested, result, said, use } from '../core/brain/logs.ts';

const by = (draft: Draft, harness = 'codex'): Draft => ({ ...draft, payload: { ...draft.payload, harness } });
const session = (id: string, harness = 'codex'): Draft => ({
  type: 'harness.session',
  payload: { harness, vendor_session_id: id },
});

test('a call of a program is never open, never carried out, and its result alone asks for no answer', () => {
  const cut = logOf([said('do it'), by(use('u1'))]);
  expect(openCalls(cut)).toEqual([]);
  expect(nextStep(cut)).toEqual({ kind: 'request' });
  const done = logOf([said('do it'), by(use('u1')), by(result('u1')), by(answered('done')), by(replied())]);
  expect(nextStep(done)).toEqual({ kind: 'idle', reason: { type: 'end_turn' } });
  // The same without its mark is a call of ours.
  expect(nextStep(logOf([said('do it'), use('u1')])).kind).toBe('execute');
});

test('our own model reads what a program did as a report, not as calls it could make again', () => {
  const slice = logOf([
    said('do it'),
    by(answered('I look.')),
    by(use('u1', 'allow', 'Bash')),
    by(result('u1', 'listing')),
    by(answered('done')),
    by(replied()),
    rested(),
    said('and now?'),
  ]);
  const { messages } = buildContext({ slice, compaction: null, budgetTokens: 10_000, timeZone: 'UTC' });
  const blocks = messages.flatMap(({ content }) => content);
  expect(blocks.every(({ type }) => type === 'text')).toBe(true);
  expect(JSON.stringify(messages)).toMatch(/codex called Bash.*listing.*done.*and now\?/s);
});

test('a program goes on with its own conversation, and hears what others did since', () => {
  const first = [said('one'), session('t1'), by(answered('1')), by(replied()), rested()];
  const own = logOf([...first, said('two')]);
  const told = handoverOf({ harness: 'codex', slice: own, compaction: null, session: own[1]!, note: null });
  expect(told).toMatchObject({ resume: 't1', prompt: 'two', since: '' });
  expect(told.transcript).toBe('User: one\nAssistant: 1');
  const mixed = logOf([...first, said('two'), answered('2, natively'), replied(), rested(), said('three')]);
  const after = handoverOf({ harness: 'codex', slice: mixed, compaction: null, session: mixed[1]!, note: null });
  expect(after).toMatchObject({ resume: 't1', prompt: 'three', since: 'User: two\nAssistant: 2, natively' });
  const fresh = handoverOf({
    harness: 'claude-code',
    slice: mixed,
    compaction: null,
    session: null,
    note: 'It was lost.',
  });
  expect(fresh.resume).toBeNull();
  expect(fresh.prompt).toBe('(It was lost.)\n\nthree');
  expect(fresh.transcript).toContain('Assistant: 2, natively');
});

test('what was cut off is said to have been', () => {
  const slice = logOf([said('one'), session('t1'), by(use('u1'))]);
  const { prompt } = handoverOf({ harness: 'codex', slice, compaction: null, session: slice[1]!, note: null });
  expect(prompt).toMatch(/cut off.*one$/s);
});

test('script: lines are commands, fences hold them where there are any, and what is done is not done again', () => {
  expect(commandsOf(logOf([said('# build\nmake\n\nmake test')]))).toEqual(['make', 'make test']);
  expect(commandsOf(logOf([said('Please run\n```sh\nmake\n```\nand tell me.')]))).toEqual(['make']);
  const line = (id: string, number: number): Draft => {
    const draft = by(use(id), 'script');
    return { ...draft, payload: { ...draft.payload, input: { command: 'x', line: number } } };
  };
  const turn = logOf([said('a\nb'), line('u1', 1), by(result('u1'), 'script'), line('u2', 2)]);
  expect(doneOf(turn, null)).toBe(1);
  // Its changes are not in the files that were saved.
  expect(doneOf(turn, 2)).toBe(0);
});

test('lines come whole, whatever the chunks; a family is a program and all that came from it', () => {
  const lines = createLines();
  const bytes = Buffer.from('{"a":"ü"}\n{"b"');
  expect(lines(bytes.subarray(0, 7))).toEqual([]);
  expect([...lines(bytes.subarray(7)), ...lines(Buffer.from(':1}\n'))]).toEqual(['{"a":"ü"}', '{"b":1}']);
  const process = (pid: number, parent: number, program: string) => ({
    pid,
    parent,
    argv: [program],
    startedAt: 0,
    ports: [],
  });
  const all = [process(2, 1, '/p'), process(3, 2, 'sh'), process(4, 3, 'sleep'), process(9, 1, 'server')];
  expect(familyOf(all, '/p').sort()).toEqual([2, 3, 4]);
});

test('vendors’ lines: calls and results pair up, figures are ours, noise is nothing', () => {
  const call = {
    type: 'assistant',
    message: {
      id: 'm',
      model: 'x',
      content: [{ type: 'tool_use', id: 't', name: 'Bash', input: { command: 'ls' } }],
      usage: { input_tokens: 3 },
    },
  };
  expect(claudeCode.parse(JSON.stringify(call))).toMatchObject([
    { type: 'step', id: 'm' },
    { type: 'call', id: 't', name: 'Bash' },
  ]);
  const back = { type: 'user', message: { content: [{ type: 'tool_result', tool_use_id: 't', content: 'a.txt' }] } };
  expect(claudeCode.parse(JSON.stringify(back))).toEqual([{ type: 'result', id: 't', text: 'a.txt', isError: false }]);
  const failed = { type: 'result', subtype: 'error_during_execution', is_error: true, errors: ['broken'] };
  expect(claudeCode.parse(JSON.stringify(failed))).toMatchObject([{ type: 'end', ok: false, text: 'broken' }]);
  const item = {
    id: 'i',
    type: 'command_execution',
    command: 'false',
    aggregated_output: '',
    exit_code: 1,
    status: 'failed',
  };
  expect(codex.parse(JSON.stringify({ type: 'item.completed', item }))).toMatchObject([
    { type: 'call', id: 'i' },
    { type: 'result', isError: true },
  ]);
  const usage = { input_tokens: 10, cached_input_tokens: 4, output_tokens: 2 };
  expect(codex.parse(JSON.stringify({ type: 'turn.completed', usage }))).toMatchObject([
    { type: 'end', total: { usage: { input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 2 } } },
  ]);
  for (const line of ['', 'warning: x', '{"half', '{"type":"new thing"}'])
    for (const adapter of [claudeCode, codex]) expect(adapter.parse(line)).toEqual([]);
});

test('a total counts once what its steps have told', () => {
  const some = (input_tokens: number) => ({
    input_tokens,
    output_tokens: 1,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  });
  expect(restOf(some(10), [some(4), some(3)])).toEqual({ ...some(3), output_tokens: 0 });
});
