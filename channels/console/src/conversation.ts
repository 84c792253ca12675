// Turns a log into what a reader sees: messages, folded tool calls, notes. Pure; the timeline shows the raw log instead.
import { callIdOf, imagesOf, number, originOf, record, stopReasonOf, string, textOf } from './fields.ts';
import { duration } from './format.ts';
import { isQueued } from './reduce.ts';
import type { Origin, SessionEvent } from './types.ts';

export type CallStatus = 'waiting' | 'running' | 'done' | 'failed' | 'denied' | 'in_doubt' | 'stopped';

export interface ToolCall {
  id: string;
  name: string;
  input: unknown;
  status: CallStatus;
  /** Why the policy asked or refused. */
  reason: string;
  /** What the person wrote when denying. */
  denyMessage: string;
  result: string;
  startedAt: string;
  endedAt: string | null;
}

export type Item =
  | { kind: 'user'; id: string; at: string; text: string; images: string[]; origin: Origin | null; queued: boolean }
  | { kind: 'answer'; id: string; at: string; text: string; interrupted: boolean }
  | { kind: 'tool'; id: string; at: string; call: ToolCall }
  | { kind: 'note'; id: string; at: string; tone: 'quiet' | 'warn'; text: string; detail: string }
  | { kind: 'error'; id: string; at: string; title: string; message: string; hint: string }
  | { kind: 'unknown'; id: string; at: string; event: SessionEvent };

const INVISIBLE = new Set([
  'agent.thinking',
  'session.updated',
  'user.tool_confirmation',
  'user.define_outcome',
  // What sandboxes do as they should is in the timeline.
  'sandbox.started',
  'sandbox.ended',
  'checkpoint.created',
  // What was written on another page; what became of it is told by memory.written.
  'memory.edited',
  'memory.received',
  'memory.filed',
]);

/** What one event adds to the page by itself; null when it only changes something else or says nothing to a reader. */
function itemOf(event: SessionEvent): Item | null {
  const base = { id: event.id, at: event.created_at };
  const note = (tone: 'quiet' | 'warn', text: string, detail = ''): Item => ({
    kind: 'note',
    ...base,
    tone,
    text,
    detail,
  });
  if (event.redacted === true && (event.type === 'user.message' || event.type === 'agent.message')) {
    return note('quiet', event.type === 'user.message' ? 'A message was forgotten.' : 'An answer was forgotten.');
  }
  switch (event.type) {
    case 'user.message':
      return {
        kind: 'user',
        ...base,
        text: textOf(event.content),
        images: imagesOf(event.content),
        origin: originOf(event),
        queued: isQueued(event),
      };
    case 'agent.message':
      return { kind: 'answer', ...base, text: textOf(event.content), interrupted: event.interrupted === true };
    case 'user.interrupt':
      return note('quiet', isQueued(event) ? 'Stopping…' : 'You stopped the answer.');
    case 'agent.thread_context_compacted':
      return note('quiet', 'The conversation so far was summarised to make room.', string(event.summary));
    case 'session.error':
      return errorOf(event);
    case 'session.tainted':
      return note(
        'quiet',
        'Text from outside entered this conversation. Acting outward now asks you first.',
        string(event.why),
      );
    case 'session.redacted':
      return note('quiet', 'Something in this conversation was forgotten on request.');
    case 'session.status_terminated':
      return note('quiet', 'This conversation has ended.');
    case 'session.deleted':
      return note('quiet', 'This conversation was deleted.');
    case 'session.status_idle':
      return restNote(event, note);
    case 'delivery.failed':
      return note(
        'warn',
        `An answer could not be delivered to ${string(event.channel) || 'its channel'}.`,
        string(event.why),
      );
    case 'sandbox.lost':
      return note('warn', 'The sandbox was lost; the next command gets a fresh one.', string(event.reason));
    case 'sandbox.egress':
      return refusedNote(event, note);
    case 'checkpoint.failed':
      return note('warn', 'The files of the sandbox could not be saved.', string(event.reason));
    case 'checkpoint.restored':
      return note('quiet', 'The files of the sandbox went back to an earlier checkpoint.');
    case 'budget.alert':
      return note('warn', budgetText(event));
    case 'schedule.message':
      if (event.redacted === true) return note('quiet', 'Something a schedule said was forgotten.');
      if (event.kind === 'alert') return note('warn', textOf(event.content));
      return { kind: 'answer', ...base, text: `⏰ ${textOf(event.content)}`, interrupted: false };
    case 'clock.jump':
      return note('quiet', clockText(event));
    case 'memory.recalled':
      return recalledNote(event, note);
    case 'memory.written':
      return note('quiet', writtenText(event));
    case 'memory.imported':
      return note('quiet', `${string(event.speaker) || 'Somebody'}: ${string(event.text)}`);
    default:
      if (INVISIBLE.has(event.type) || event.type.startsWith('span.') || event.type.startsWith('session.status_'))
        return null;
      return { kind: 'unknown', ...base, event };
  }
}

function clockText(event: SessionEvent): string {
  if (event.kind === 'slept') return `The machine slept for ${duration(number(event.for_ms))}.`;
  const by = number(event.by_ms);
  return `The clock of the machine was set ${by < 0 ? 'back' : 'forward'} by ${duration(Math.abs(by))}.`;
}

function recalledNote(event: SessionEvent, note: (tone: 'quiet', text: string, detail?: string) => Item): Item {
  const lines = textOf(event.content)
    .split('\n')
    .filter((line) => line.startsWith('- '));
  const count = lines.length === 1 ? 'something' : `${lines.length} things`;
  return note('quiet', `Memory found ${count} said before.`, lines.join('\n'));
}

const WRITTEN: Record<string, string> = {
  save: 'Kept in memory.',
  edit: 'Memory was corrected.',
  answer: 'Memory was changed as you answered.',
  forget: 'Something was forgotten for good.',
  undo: 'A change of memory was taken back.',
  idle: 'What matters of this conversation was kept in memory.',
  nightly: 'Memory was put in order.',
  weekly: 'Old things in memory were archived.',
  import: 'Memory was imported.',
  file: 'A file of memory was written.',
};
const writtenText = (event: SessionEvent): string => WRITTEN[string(event.kind)] ?? 'Memory changed.';

/** Hosts that were reached as allowed are in the timeline; those that were not, a reader wants to know of. */
function refusedNote(event: SessionEvent, note: (tone: 'quiet' | 'warn', text: string) => Item): Item | null {
  const hosts = Array.isArray(event.hosts) ? event.hosts.map(record) : [];
  const refused = hosts.filter((host) => host.verdict === 'denied').map((host) => string(host.host));
  return refused.length > 0 ? note('quiet', `Not reached, because it is not allowed: ${refused.join(', ')}`) : null;
}

function budgetText(event: SessionEvent): string {
  const spent = typeof event.spent_usd === 'number' ? `$${event.spent_usd.toFixed(2)}` : 'a large part';
  const limit = typeof event.limit_usd === 'number' ? `$${event.limit_usd.toFixed(2)}` : 'the daily budget';
  return `${spent} of ${limit} is spent today.`;
}

/** Idle always has a reason; only the two a reader must know of leave a trace. */
function restNote(event: SessionEvent, note: (tone: 'quiet' | 'warn', text: string) => Item): Item | null {
  const why = stopReasonOf(event).type;
  if (why === 'retries_exhausted') {
    return note('warn', 'I tried several times and stopped. Your message is safe: send another one and I try again.');
  }
  if (why === 'budget_reached') {
    return note(
      'warn',
      'Today’s budget is used up, so I stopped before the next request. I go on tomorrow, or at once after STEWARD_BUDGET_DAY_USD is raised and you write again.',
    );
  }
  return null;
}

function errorOf(event: SessionEvent): Item {
  const error = record(event.error);
  const message = string(error.message) || 'Something went wrong.';
  const base = { id: event.id, at: event.created_at };
  if (string(record(error.retry_status).type) === 'retrying') {
    return { kind: 'note', ...base, tone: 'quiet', text: 'A try failed; trying again.', detail: message };
  }
  const title = string(error.type).replaceAll('_', ' ') || 'error';
  return { kind: 'error', ...base, title, message, hint: string(event.hint) };
}

const CALLS = new Set(['agent.tool_use', 'agent.mcp_tool_use', 'agent.custom_tool_use']);
const RESULTS = new Set(['agent.tool_result', 'agent.mcp_tool_result', 'user.custom_tool_result']);

function callOf(event: SessionEvent): ToolCall {
  const permission = string(event.evaluated_permission);
  const custom = event.type === 'agent.custom_tool_use';
  return {
    id: event.id,
    name: string(event.name) || 'tool',
    input: event.input ?? {},
    status: permission === 'deny' ? 'denied' : permission === 'ask' || custom ? 'waiting' : 'running',
    reason: string(event.reason),
    denyMessage: '',
    result: '',
    startedAt: event.created_at,
    endedAt: null,
  };
}

function finish(call: ToolCall, event: SessionEvent): void {
  call.result = textOf(event.content);
  call.endedAt = event.created_at;
  if (event.status === 'in_doubt') call.status = 'in_doubt';
  else if (call.status !== 'denied') call.status = event.is_error === true ? 'failed' : 'done';
}

function confirm(call: ToolCall, event: SessionEvent): void {
  if (call.status !== 'waiting') return;
  call.status = event.result === 'allow' ? 'running' : 'denied';
  call.denyMessage = string(event.deny_message);
}

/** The page, oldest first. Same events, same items: safe to memoise on the events array. */
export function conversation(events: readonly SessionEvent[]): Item[] {
  const items: Item[] = [];
  const calls = new Map<string, ToolCall>();
  for (const event of events) {
    const call = calls.get(callIdOf(event));
    if (CALLS.has(event.type)) {
      const started = callOf(event);
      calls.set(event.id, started);
      items.push({ kind: 'tool', id: event.id, at: event.created_at, call: started });
      continue;
    }
    if (RESULTS.has(event.type)) {
      // Its call may be on an older page that is not loaded yet.
      if (call) finish(call, event);
      continue;
    }
    if (event.type === 'user.tool_confirmation' && call) confirm(call, event);
    if (event.type === 'session.status_idle' && stopReasonOf(event).type !== 'requires_action') {
      // Idle means nothing runs: a call without a result by now gets none. One that waits for a person goes on waiting.
      for (const open of calls.values())
        if (open.endedAt === null && open.status === 'running') open.status = 'stopped';
    }
    const item = itemOf(event);
    if (item) push(items, item);
  }
  return items;
}

/** The same note twice in a row is one note: ten failed tries are one line. */
function push(items: Item[], item: Item): void {
  const last = items.at(-1);
  if (item.kind === 'note' && last?.kind === 'note' && last.text === item.text && last.detail === item.detail)
    items.pop();
  items.push(item);
}
