// The judge of the chaos suites: from what was said, the log as the API tells it and what the world saw, to what is wrong. Pure.
import type { FakeMessage } from '../fakes/telegram.ts';
import { MARK } from './brain.ts';
import type { EffectCounts } from './effects.ts';
import type { WireEvent, WireSession } from './rig.ts';

export type EffectClass = 'pure' | 'keyed' | 'verifiable' | 'unsafe';

/** One message that was acknowledged: by the HTTP answer, or by Telegram's offset. Each carries a mark of its own. */
export interface Said {
  mark: string;
  /** Who said it where; the order within one place is a promise. */
  place: string;
  /** The Telegram chat the answer must stand in; null for the web, which reads the log. */
  chat: number | null;
  /** The call it asks for. */
  effect: EffectClass | null;
}

export interface Evidence {
  said: readonly Said[];
  sessions: readonly { session: WireSession; events: readonly WireEvent[] }[];
  chats: ReadonlyMap<number, readonly FakeMessage[]>;
  effects(label: string): EffectCounts;
  /** What /api/usage counts; null where only a part of the log is looked at. */
  usage: { requests: number; input_tokens: number; output_tokens: number } | null;
  outboxPending: number;
  /** How often the process was killed. */
  kills: number;
}

/** The rule that does not hold, and about what. */
export interface Finding {
  rule:
    | 'lost'
    | 'doubled'
    | 'unread'
    | 'unanswered'
    | 'answered twice'
    | 'answer to nothing'
    | 'order'
    | 'not in the chat'
    | 'twice in the chat'
    | 'left in the chat'
    | 'effect'
    | 'doubt hidden'
    | 'open call'
    | 'not at rest'
    | 'usage';
  what: string;
}

export const textOf = (event: WireEvent): string => (event.content ?? []).map((block) => block.text ?? '').join('\n');

/** A final answer of the suites' model; everything else in a chat is a placeholder, a card or a notice. */
const ANSWER = /^(?:↻ may be a repeat\n\n)?answer\b/;
/** Text that an unfinished edit left behind, or an empty placeholder. */
const PARTIAL = /…$/;
const marksIn = (text: string): string[] => [...new Set(text.replace(/in-doubt:m\d+/g, '').match(MARK) ?? [])];

const count = (list: readonly string[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const entry of list) counts.set(entry, (counts.get(entry) ?? 0) + 1);
  return counts;
};

export function judge(evidence: Evidence): Finding[] {
  const events = evidence.sessions.flatMap(({ events }) => events);
  return [
    ...messages(evidence, events),
    ...order(evidence),
    ...chats(evidence),
    ...calls(evidence, events),
    ...rest(evidence),
    ...usage(evidence, events),
  ];
}

/** The findings in words, the first of them where there are many. */
export function verdict(evidence: Evidence): string[] {
  const found = judge(evidence);
  const words = found.slice(0, 30).map(({ rule, what }) => `${rule}: ${what}`);
  return found.length > 30 ? [...words, `and ${found.length - 30} more`] : words;
}

/** Each message once in the log, and named by exactly one answer of the same session. */
function messages({ said, sessions }: Evidence, events: readonly WireEvent[]): Finding[] {
  const found: Finding[] = [];
  const stored = count(
    events.filter((event) => event.type === 'user.message').flatMap((event) => marksIn(textOf(event))),
  );
  const answers = count(
    sessions.flatMap(({ events }) => {
      const here = new Set(
        events.filter((event) => event.type === 'user.message').flatMap((event) => marksIn(textOf(event))),
      );
      return events
        .filter((event) => event.type === 'agent.message')
        .flatMap((event) => marksIn(textOf(event)))
        .filter((mark) => here.has(mark));
    }),
  );
  for (const { mark, place } of said) {
    const times = stored.get(mark) ?? 0;
    if (times === 0) found.push({ rule: 'lost', what: `${mark} of ${place}` });
    if (times > 1) found.push({ rule: 'doubled', what: `${mark} of ${place}, ${times} times` });
    const named = answers.get(mark) ?? 0;
    if (times > 0 && named === 0) found.push({ rule: 'unanswered', what: `${mark} of ${place}` });
    if (named > 1) found.push({ rule: 'answered twice', what: `${mark} of ${place}, ${named} times` });
  }
  for (const event of events) {
    if (event.type === 'agent.message' && marksIn(textOf(event)).length === 0)
      found.push({ rule: 'answer to nothing', what: `${event.id}: ${textOf(event)}` });
    if (event.processed_at === null) found.push({ rule: 'unread', what: `${event.type} ${event.id}` });
  }
  return found;
}

/** Per place: stored as said, and answered as said. */
function order({ said, sessions, chats }: Evidence): Finding[] {
  const places = new Map<string, string[]>();
  for (const { mark, place } of said) places.set(place, [...(places.get(place) ?? []), mark]);
  const found: Finding[] = [];
  const check = (what: string, marks: readonly string[]) => {
    for (const [place, sent] of places) {
      const rank = new Map(sent.map((mark, index) => [mark, index]));
      const seen = marks.map((mark) => rank.get(mark)).filter((index) => index !== undefined);
      const wrong = seen.findIndex((index, at) => at > 0 && index < seen[at - 1]!);
      if (wrong > 0) found.push({ rule: 'order', what: `${what} of ${place}: ${sent[seen[wrong]!]} comes too late` });
    }
  };
  for (const { events } of sessions)
    for (const type of ['user.message', 'agent.message'])
      check(
        type,
        events.filter((event) => event.type === type).flatMap((event) => marksIn(textOf(event))),
      );
  for (const [chat, list] of chats)
    check(
      `chat ${chat}`,
      list.filter(({ text }) => ANSWER.test(text) && !PARTIAL.test(text)).flatMap(({ text }) => marksIn(text)),
    );
  return found;
}

/** Exactly one final text for each message; a second one only when it says that it may be a repeat. */
function chats({ said, chats, kills }: Evidence): Finding[] {
  const found: Finding[] = [];
  const standing = new Map<string, number>();
  for (const [chat, list] of chats)
    for (const { text } of list) {
      if (!ANSWER.test(text) || PARTIAL.test(text) || text.startsWith('↻')) continue;
      for (const mark of marksIn(text)) standing.set(`${chat}/${mark}`, (standing.get(`${chat}/${mark}`) ?? 0) + 1);
    }
  for (const { mark, chat } of said) {
    if (chat === null) continue;
    const times = standing.get(`${chat}/${mark}`) ?? 0;
    if (times === 0) found.push({ rule: 'not in the chat', what: `${mark} in ${chat}` });
    if (times > 1) found.push({ rule: 'twice in the chat', what: `${mark} in ${chat}, ${times} times` });
  }
  for (const [chat, list] of chats) {
    const left = list.filter(({ text }) => PARTIAL.test(text));
    // A crash between the placeholder and the note of its id leaves the empty placeholder, never words.
    if (left.length > kills) found.push({ rule: 'left in the chat', what: `${left.length} placeholders in ${chat}` });
    for (const { text } of left)
      if (text !== '…') found.push({ rule: 'left in the chat', what: `"${text}" in ${chat}` });
  }
  return found;
}

/** Every call has one result, and the world saw what its class promises. */
function calls({ said, effects }: Evidence, events: readonly WireEvent[]): Finding[] {
  const found: Finding[] = [];
  const results = new Map<string, WireEvent[]>();
  for (const event of events) {
    if (event.type !== 'agent.tool_result') continue;
    const id = String(event.tool_use_id);
    results.set(id, [...(results.get(id) ?? []), event]);
  }
  const doubts = new Set<string>();
  const uses = new Map<string, number>();
  for (const event of events) {
    if (event.type !== 'agent.tool_use') continue;
    const { label } = event.input as { label: string };
    uses.set(label, (uses.get(label) ?? 0) + 1);
    const own = results.get(event.id) ?? [];
    if (own.length !== 1) found.push({ rule: 'open call', what: `${label}: ${own.length} results` });
    if (own.some((result) => result.status === 'in_doubt')) doubts.add(label);
  }
  const told = new Set(
    events
      .filter((event) => event.type === 'agent.message')
      .flatMap((event) => [...textOf(event).matchAll(/in-doubt:(m\d+)/g)].map((match) => match[1]!)),
  );
  for (const { mark, effect } of said) {
    if (effect === null) continue;
    const { applied, seen } = effects(mark);
    const bad = (why: string) => found.push({ rule: 'effect', what: `${effect} ${mark}: ${why}` });
    if ((uses.get(mark) ?? 0) !== 1)
      found.push({ rule: 'open call', what: `${mark}: called ${uses.get(mark) ?? 0} times` });
    const doubt = doubts.has(mark);
    if (doubt !== told.has(mark)) found.push({ rule: 'doubt hidden', what: `${effect} ${mark}` });
    if (doubt && effect !== 'unsafe') bad('in doubt');
    if (effect === 'unsafe' && seen > 1) bad(`repeated, ${seen} times`);
    if ((effect === 'keyed' || effect === 'verifiable') && applied > 1) bad(`took effect ${applied} times`);
    if (!doubt && applied === 0) bad('said to be done, and was not');
  }
  return found;
}

function rest({ sessions, outboxPending }: Evidence): Finding[] {
  const found: Finding[] = sessions
    .filter(({ session }) => session.status !== 'idle')
    .map(({ session }) => ({ rule: 'not at rest', what: `${session.id} is ${session.status}` }));
  if (outboxPending > 0) found.push({ rule: 'not at rest', what: `${outboxPending} rows in the outbox` });
  return found;
}

/** The ledger holds one row for each finished request, and the same tokens. A request a crash cut off has no end. */
function usage({ usage: ledger }: Evidence, events: readonly WireEvent[]): Finding[] {
  const ends = events.filter((event) => event.type === 'span.model_request_end');
  const starts = new Set(events.filter((event) => event.type === 'span.model_request_start').map(({ id }) => id));
  const found: Finding[] = [];
  const used = new Set<string>();
  for (const end of ends) {
    const start = String(end.model_request_start_id);
    if (!starts.has(start) || used.has(start))
      found.push({ rule: 'usage', what: `${end.id} ends a request that never began, or again` });
    used.add(start);
  }
  const sum = (key: 'input_tokens' | 'output_tokens') =>
    ends.reduce((total, end) => total + (end.model_usage as Record<string, number>)[key]!, 0);
  const logged = { requests: ends.length, input_tokens: sum('input_tokens'), output_tokens: sum('output_tokens') };
  if (ledger === null) return found;
  for (const key of ['requests', 'input_tokens', 'output_tokens'] as const)
    if (logged[key] !== ledger[key])
      found.push({ rule: 'usage', what: `${key}: ${ledger[key]} in the ledger, ${logged[key]} in the log` });
  return found;
}
