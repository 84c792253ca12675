// The judge of the chaos suites, judged: a household where all is well passes, and each thing gone wrong is named.
import { describe, expect, it } from 'vitest';
import type { FakeMessage } from '../../fakes/telegram.ts';
import { type Evidence, judge } from '../../helpers/oracle.ts';
import type { WireEvent } from '../../helpers/rig.ts';

type Draft = Partial<WireEvent> & { type: string };

function log(drafts: readonly Draft[]): WireEvent[] {
  return drafts.map((draft, index) => ({
    id: `sevt_${index}`,
    seq: index + 1,
    position: index + 1,
    processed_at: '2026-11-20T08:00:00Z',
    ...draft,
  }));
}
const said = (text: string): Draft => ({ type: 'user.message', content: [{ type: 'text', text }] });
const answered = (text: string): Draft => ({ type: 'agent.message', content: [{ type: 'text', text }] });
const start = (id: string): Draft => ({ id, type: 'span.model_request_start' });
const end = (of: string): Draft => ({
  type: 'span.model_request_end',
  model_request_start_id: of,
  model_usage: { input_tokens: 10, output_tokens: 2 },
});
const call = (label: string): Draft => ({ id: `use_${label}`, type: 'agent.tool_use', input: { label } });
const result = (label: string, status?: string): Draft => ({
  type: 'agent.tool_result',
  tool_use_id: `use_${label}`,
  ...(status && { status }),
});
const message = (id: number, text: string): FakeMessage => ({ id, text, raw: text, history: [], buttons: [] });

/** Two messages in a chat, the second with an unsafe call; everything as it should be. */
const story: Draft[] = [
  said('hello m1'),
  start('r1'),
  end('r1'),
  answered('answer m1'),
  said('use unsafe m2'),
  start('r2'),
  end('r2'),
  call('m2'),
  result('m2'),
  start('r3'),
  end('r3'),
  answered('answer m2'),
];

interface Change {
  events?: Draft[];
  chat?: string[];
  world?: { applied: number; seen: number; looked: number };
  evidence?: Partial<Evidence>;
}

function household({ events = story, chat = ['answer m1', 'answer m2'], world, evidence }: Change = {}): Evidence {
  return {
    said: [
      { mark: 'm1', place: 'telegram 42', chat: 42, effect: null },
      { mark: 'm2', place: 'telegram 42', chat: 42, effect: 'unsafe' },
    ],
    sessions: [{ session: { id: 'sesn_1', status: 'idle', main: true, trust: 'owner' }, events: log(events) }],
    chats: new Map([[42, chat.map((text, index) => message(index + 1, text))]]),
    effects: () => world ?? { applied: 1, seen: 1, looked: 0 },
    usage: { requests: 3, input_tokens: 30, output_tokens: 6 },
    outboxPending: 0,
    kills: 1,
    ...evidence,
  };
}

const without = (...gone: Draft[]) => story.filter((draft) => !gone.includes(draft));
const swapped = (a: number, b: number) => story.with(a, story[b]!).with(b, story[a]!);

const wrong: { name: string; change: Change; rule: string }[] = [
  { name: 'a message that is not in the log', change: { events: without(story[0]!, story[3]!) }, rule: 'lost' },
  { name: 'a message that is there twice', change: { events: [said('hello m1'), ...story] }, rule: 'doubled' },
  { name: 'a message nobody answered', change: { events: without(story[3]!) }, rule: 'unanswered' },
  { name: 'a second answer', change: { events: [...story, answered('answer m1')] }, rule: 'answered twice' },
  {
    name: 'an answer to nothing',
    change: { events: [...story, answered('answer nothing')] },
    rule: 'answer to nothing',
  },
  {
    name: 'a message still queued',
    change: { events: story.with(0, { ...story[0]!, processed_at: null }) },
    rule: 'unread',
  },
  { name: 'messages stored in another order', change: { events: swapped(0, 4) }, rule: 'order' },
  { name: 'messages answered in another order', change: { events: swapped(3, 11) }, rule: 'order' },
  { name: 'answers in another order in the chat', change: { chat: ['answer m2', 'answer m1'] }, rule: 'order' },
  { name: 'an answer that was never sent', change: { chat: ['answer m1'] }, rule: 'not in the chat' },
  {
    name: 'an answer sent twice',
    change: { chat: ['answer m1', 'answer m2', 'answer m2'] },
    rule: 'twice in the chat',
  },
  {
    name: 'more empty placeholders than crashes',
    change: { chat: ['…', '…', 'answer m1', 'answer m2'] },
    rule: 'left in the chat',
  },
  { name: 'half an answer left', change: { chat: ['answer m …', 'answer m1', 'answer m2'] }, rule: 'left in the chat' },
  { name: 'an unsafe call repeated', change: { world: { applied: 2, seen: 2, looked: 0 } }, rule: 'effect' },
  { name: 'a call that never happened', change: { world: { applied: 0, seen: 0, looked: 0 } }, rule: 'effect' },
  {
    name: 'a doubt nobody told',
    change: { events: story.with(8, result('m2', 'in_doubt')) },
    rule: 'doubt hidden',
  },
  { name: 'a call without a result', change: { events: without(story[8]!) }, rule: 'open call' },
  { name: 'a call with two results', change: { events: [...story, result('m2')] }, rule: 'open call' },
  { name: 'a call nobody made', change: { events: without(story[7]!, story[8]!) }, rule: 'open call' },
  {
    name: 'a session still at work',
    change: {
      evidence: {
        sessions: [{ session: { id: 'sesn_1', status: 'running', main: true, trust: 'owner' }, events: log(story) }],
      },
    },
    rule: 'not at rest',
  },
  { name: 'an outbox that is not empty', change: { evidence: { outboxPending: 1 } }, rule: 'not at rest' },
  {
    name: 'a request the ledger does not know',
    change: { evidence: { usage: { requests: 2, input_tokens: 20, output_tokens: 4 } } },
    rule: 'usage',
  },
  { name: 'a request that ends twice', change: { events: [...story, end('r3')] }, rule: 'usage' },
];

describe('the oracle', () => {
  it('has nothing to say when all is well', () => expect(judge(household())).toEqual([]));

  it('lets a marked repeat, and one empty placeholder for a crash, pass', () => {
    expect(judge(household({ chat: ['…', 'answer m1', 'answer m2', '↻ may be a repeat\n\nanswer m2'] }))).toEqual([]);
  });

  it('lets a doubt pass that was told', () => {
    const events = story.with(8, result('m2', 'in_doubt')).with(11, answered('answer m2 in-doubt:m2'));
    expect(judge(household({ events, world: { applied: 0, seen: 0, looked: 0 } }))).toEqual([]);
  });

  it.each(wrong)('names $name', ({ change, rule }) => {
    expect(judge(household(change)).map((finding) => finding.rule)).toContain(rule);
  });
});
