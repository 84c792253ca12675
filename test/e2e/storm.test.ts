// Everything at once, in an order drawn from a seed: whatever people, the model and the network do, each log stays whole.
import { expect, it, onTestFinished } from 'vitest';
import {
  type Fault,
  lastUserText,
  type MessagesRequest,
  type Scripted,
  startMessagesApi,
  toolResults,
} from '../fakes/messages-api.ts';
import { startSteward } from '../helpers/process.ts';
import { call, eventsOf, newSession, request, says, sdk, send, untilIdle, type WireEvent } from '../helpers/talk.ts';

/** mulberry32: small, and the same on every machine. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const FAULTS: readonly Fault[] = [
  { kind: 'status', status: 529 },
  { kind: 'status', status: 400, message: 'wrong on purpose' },
  { kind: 'drop' },
  { kind: 'cut', afterChunks: 3 },
  { kind: 'error_event', type: 'api_error', afterChunks: 2 },
  { kind: 'slow', msPerChunk: 15 },
  { kind: 'slow', msPerChunk: 40 },
];

const problems = (events: readonly WireEvent[]): string[] => {
  const found: string[] = [];
  const note = (bad: boolean, what: string) => bad && found.push(what);
  const of = (type: string) => events.filter((event) => event.type === type);
  const uses = events.filter((event) => event.type === 'agent.tool_use' || event.type === 'agent.custom_tool_use');
  const answers = events.flatMap((event) => {
    const id = (event.tool_use_id ?? event.custom_tool_use_id) as string | undefined;
    return id !== undefined && event.type.endsWith('tool_result') ? [id] : [];
  });
  note(new Set(answers).size !== answers.length, 'a call has two results');
  note(
    uses.some((use) => !answers.includes(use.id)),
    'a call has no result',
  );
  note(
    answers.some((id) => !uses.some((use) => use.id === id)),
    'a result has no call',
  );
  note(
    events.some((event) => event.processed_at === null),
    'an input was never read',
  );
  const ends = of('span.model_request_end').map((event) => event.model_request_start_id as string);
  note(
    of('span.model_request_start').some((start) => ends.filter((id) => id === start.id).length !== 1),
    'a request has no end, or two',
  );
  note(new Set(events.map((event) => event.position)).size !== events.length, 'two events stand in one place');
  note(
    of('agent.message').some((event) => !event.content?.some((block) => block.text?.trim())),
    'an empty answer',
  );
  for (const use of uses) {
    const started = events.filter((event) => event.type === 'span.tool_start' && event.tool_use_id === use.id).length;
    note(started > 1, 'a call was begun twice');
    const allowed = events.some(
      (event) => event.type === 'user.tool_confirmation' && event.tool_use_id === use.id && event.result === 'allow',
    );
    note(started > 0 && use.evaluated_permission !== 'allow' && !allowed, 'a call ran that nobody allowed');
  }
  return found;
};

it.each([1, 2])('a storm of people, faults and deletions leaves every log whole (seed %i)', async (seed) => {
  const random = randomOf(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const model = await startMessagesApi();
  onTestFinished(() => model.close());
  const brain = (asked: MessagesRequest): Scripted | string => {
    const text = lastUserText(asked);
    if (text === 'at last') return 'The end.';
    const roll = random();
    if (toolResults(asked).length > 0 && roll < 0.7) return 'Noted.';
    if (roll < 0.35) return `You said: ${text}`;
    if (roll < 0.4) return { content: [] };
    const calls = [
      { type: 'tool_use', name: 'slow', input: { ms: Math.floor(random() * 60) } },
      { type: 'tool_use', name: 'send_message', input: { to: 'telegram:7', text: 'x' } },
      { type: 'tool_use', name: 'custom', input: {} },
      { type: 'tool_use', name: 'nothing', raw: '{"half' },
      { type: 'tool_use', name: 'throws', input: {} },
    ] as const;
    return {
      content: [
        { type: 'text', text: 'Let me see.' },
        ...Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(calls)),
      ],
    };
  };
  model.script(brain);
  const steward = await startSteward({
    args: ['test/fixtures/steward-in-a-hurry.ts'],
    env: {
      ANTHROPIC_API_KEY: 'sk-test',
      ANTHROPIC_BASE_URL: model.url,
      STEWARD_BUDGET_DAY_USD: '100000',
      STEWARD_CONTEXT_TOKENS: '3000',
      CLOCK_FACTOR: '20',
    },
  });
  onTestFinished(() => steward.stop());
  const agent = await sdk(steward).beta.agents.create({
    name: 'Storm',
    model: 'claude-opus-5-5',
    tools: [
      { type: 'agent_toolset_20260401' },
      { type: 'custom', name: 'custom', description: 'c', input_schema: { type: 'object' } },
    ],
  });
  const fresh = () => newSession(steward, { agent: agent.id });
  const sessions = await Promise.all(Array.from({ length: 6 }, fresh));
  const statuses = new Map<number, number>();
  const post = async (id: string, ...events: object[]) => {
    const { status } = await request(steward, `/v1/sessions/${id}/events`, { body: { events } });
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  };
  const openCalls = async (id: string) => {
    const events = await request(
      steward,
      `/v1/sessions/${id}/events?types[]=agent.tool_use&types[]=agent.custom_tool_use&order=desc&limit=5`,
    );
    return (events.body.data as WireEvent[] | undefined) ?? [];
  };
  const answer = async (id: string) => {
    for (const use of await openCalls(id))
      if (use.type === 'agent.custom_tool_use')
        await post(id, {
          type: 'user.custom_tool_result',
          custom_tool_use_id: use.id,
          content: [{ type: 'text', text: 'result' }],
        });
      else if (use.evaluated_permission === 'ask')
        await post(id, {
          type: 'user.tool_confirmation',
          tool_use_id: use.id,
          result: random() < 0.5 ? 'allow' : 'deny',
        });
  };

  const person = async (turns: number) => {
    for (let turn = 0; turn < turns; turn++) {
      const at = Math.floor(random() * sessions.length);
      const id = sessions[at]!;
      const roll = random();
      if (roll < 0.45) await post(id, says(`message ${turn} ${'x'.repeat(Math.floor(random() * 300))}`));
      else if (roll < 0.55) await post(id, { type: 'user.interrupt' });
      else if (roll < 0.6) await post(id, says('first'), { type: 'user.interrupt' }, says('then'));
      else if (roll < 0.85) await answer(id);
      else if (roll < 0.93) model.faults.next(pick(FAULTS));
      else if (roll < 0.96) {
        const { status } = await request(steward, `/v1/sessions/${id}`, { method: 'DELETE' });
        // 409: it is at work; 404: somebody else was faster.
        if (status === 200) sessions[at] = await fresh();
        expect([200, 404, 409]).toContain(status);
      } else await new Promise((resolve) => setTimeout(resolve, random() * 40));
    }
  };
  await Promise.all(Array.from({ length: 5 }, () => person(50)));

  // The weather clears: whatever still waits is answered, and each conversation goes on.
  model.faults.clear();
  for (const id of sessions) {
    await send(steward, id, { type: 'user.interrupt' });
    const { seq } = (await send(steward, id, says('at last')))[0]!;
    const idle = await untilIdle(steward, id, seq, 15_000);
    expect(idle.stop_reason).toEqual({ type: 'end_turn' });
    const events = await eventsOf(steward, id);
    expect(events.findLast((event) => event.type === 'agent.message')?.content?.[0]?.text).toBe('The end.');
    // Memory asks the model beside the talk, also now: its request is given the time to end.
    await expect
      .poll(async () => problems(await eventsOf(steward, id)), { message: `seed ${seed}, session ${id}` })
      .toEqual([]);
  }
  expect([...statuses.keys()].filter((status) => ![200, 404, 409].includes(status))).toEqual([]);
  expect(model.requests.filter((each) => each.fault === null).flatMap((each) => each.refused ?? [])).toEqual([]);
  // The pulse of the scheduler beats in real seconds, which are many of this hurried clock: right after a beat it is on time.
  await expect
    .poll(() => call(steward, '/api/status'))
    .toMatchObject({ ready: true, sessions: { running: 0, rescheduling: 0 } });
  expect(steward.output()).not.toMatch(/"msg":"a (run|request|timed task) failed"(?!.*stale_run)/);
});

it('the checks find what is wrong in a log', () => {
  let position = 0;
  const event = (type: string, more: object = {}): WireEvent => {
    position += 1;
    return { id: `e${position}`, type, seq: position, position, processed_at: 'then', ...more };
  };
  const start = event('span.model_request_start');
  const end = event('span.model_request_end', { model_request_start_id: start.id });
  const use = event('agent.tool_use', { evaluated_permission: 'ask' });
  const allowed = event('user.tool_confirmation', { tool_use_id: use.id, result: 'allow' });
  const begun = event('span.tool_start', { tool_use_id: use.id });
  const result = event('agent.tool_result', { tool_use_id: use.id });
  const whole = [start, end, use, allowed, begun, result];
  expect(problems(whole)).toEqual([]);
  const again = (one: WireEvent) => ({ ...one, id: 'again', position: 99 });
  expect(problems([...whole, again(result)])).toEqual(['a call has two results']);
  expect(problems(whole.filter((one) => one !== result))).toEqual(['a call has no result']);
  expect(problems(whole.filter((one) => one !== end))).toEqual(['a request has no end, or two']);
  expect(problems([...whole, again(begun)])).toEqual(['a call was begun twice']);
  expect(problems(whole.filter((one) => one !== allowed))).toEqual(['a call ran that nobody allowed']);
  expect(problems([...whole, { ...event('user.message'), processed_at: null }])).toEqual(['an input was never read']);
  expect(problems([...whole, { ...event('x'), position: 1 }])).toEqual(['two events stand in one place']);
  expect(problems([...whole, event('agent.message', { content: [{ type: 'text', text: ' ' }] })])).toEqual([
    'an empty answer',
  ]);
});
