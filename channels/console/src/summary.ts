// One line for every event of a log, and the groups the timeline filters by. Pure; unknown events get a line too.
import { callIdOf, imagesOf, number, originOf, record, stopReasonOf, string, textOf } from './fields.ts';
import { between, compact, duration, oneLine, plural, usd } from './format.ts';
import type { SessionEvent } from './types.ts';
import { shown } from './visible.ts';

export type Group = 'messages' | 'tools' | 'model' | 'status' | 'other';

export const groups: readonly { id: Group; label: string }[] = [
  { id: 'messages', label: 'Messages' },
  { id: 'tools', label: 'Tools' },
  { id: 'model', label: 'Model' },
  { id: 'status', label: 'Status' },
  { id: 'other', label: 'Other' },
];

const MESSAGES = new Set(['user.message', 'user.interrupt', 'agent.message']);

export function groupOf(type: string): Group {
  if (MESSAGES.has(type)) return 'messages';
  if (type.includes('tool_') || type.startsWith('sandbox.') || type.startsWith('checkpoint.')) return 'tools';
  if (type.startsWith('span.') || type === 'agent.thinking' || type === 'agent.thread_context_compacted')
    return 'model';
  if (type.startsWith('session.')) return 'status';
  return 'other';
}

/** The fields that say best what a call is about, in the order of how telling they are. */
const TELLING = [
  'command',
  'query',
  'url',
  'path',
  'file_path',
  'pattern',
  'title',
  'text',
  'message',
  'prompt',
  'to',
  'name',
];

/** What a tool call is about, in one line: its most telling argument, or all of them. */
export function inputSummary(input: unknown, length = 120): string {
  const fields = record(input);
  for (const key of TELLING) {
    const value = string(fields[key]);
    if (value !== '') return oneLine(shown(value.slice(0, length * 4)), length);
  }
  const text = JSON.stringify(input) ?? '';
  return text === '{}' ? '' : oneLine(shown(text.slice(0, length * 4)), length);
}

export type Lookup = (id: string) => SessionEvent | undefined;

/** Values of the fields besides the envelope: what an event nobody taught us about has to say. */
function rest(event: SessionEvent): string {
  const { id: _, type: _t, seq: _s, position: _n, created_at: _c, processed_at: _p, run_id: _r, ...fields } = event;
  return Object.entries(fields)
    .map(([key, value]) => `${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' · ');
}

function content(event: SessionEvent): string {
  const images = imagesOf(event.content).length;
  return [textOf(event.content), images > 0 ? `[${plural(images, 'image')}]` : ''].filter(Boolean).join(' ');
}

function requestEnd(event: SessionEvent, lookup: Lookup): string {
  const start = lookup(string(event.model_request_start_id));
  const usage = record(event.model_usage);
  const cached = number(usage.cache_read_input_tokens);
  const parts = [
    string(event.model) || string(start?.model),
    event.is_error === true ? `failed: ${string(event.error) || string(record(event.error).message) || 'error'}` : '',
    `${compact(number(usage.input_tokens) + cached + number(usage.cache_creation_input_tokens))} in`,
    cached > 0 ? `${compact(cached)} cached` : '',
    `${compact(number(usage.output_tokens))} out`,
    start ? duration(between(start.created_at, event.created_at)) : '',
    typeof event.cost_usd === 'number' ? usd(event.cost_usd) : event.cost_usd === null ? 'price unknown' : '',
  ];
  return parts.filter(Boolean).join(' · ');
}

function callResult(event: SessionEvent, lookup: Lookup): string {
  const call = lookup(callIdOf(event));
  const name = string(call?.name);
  const state = event.status === 'in_doubt' ? 'in doubt' : event.is_error === true ? 'failed' : '';
  const took = call ? duration(between(call.created_at, event.created_at)) : '';
  return [name, state, took, textOf(event.content)].filter(Boolean).join(' · ');
}

function confirmation(event: SessionEvent, lookup: Lookup): string {
  const name = string(lookup(string(event.tool_use_id))?.name);
  const verdict = event.result === 'allow' ? 'approved' : 'denied';
  return [verdict, name, string(event.deny_message)].filter(Boolean).join(' · ');
}

function egress(event: SessionEvent): string {
  const hosts = Array.isArray(event.hosts) ? event.hosts.map(record) : [];
  return hosts
    .map((host) => `${string(host.verdict)} ${string(host.host)}:${number(host.port)} ×${number(host.requests)}`)
    .join(' · ');
}

function saved(event: SessionEvent): string {
  const changes = Array.isArray(event.changes) ? event.changes.map(record) : [];
  const more = number(event.more);
  const names = changes.slice(0, 5).map((change) => `${string(change.kind)} ${string(change.path)}`);
  const others = changes.length - names.length + more;
  return [...names, others > 0 ? `and ${plural(others, 'more change')}` : ''].filter(Boolean).join(' · ');
}

const writers: Record<string, (event: SessionEvent, lookup: Lookup) => string> = {
  'user.message': (e) =>
    [originOf(e)?.channel ? `via ${originOf(e)?.channel}` : '', content(e)].filter(Boolean).join(' · '),
  'user.interrupt': () => 'stop',
  'user.tool_confirmation': confirmation,
  'agent.message': (e) => (e.interrupted === true ? 'interrupted · ' : '') + content(e),
  'agent.tool_use': (e) =>
    [string(e.name), string(e.evaluated_permission), inputSummary(e.input)].filter(Boolean).join(' · '),
  'agent.tool_result': callResult,
  'agent.thread_context_compacted': (e) => string(e.summary),
  'session.status_idle': (e) => stopReasonOf(e).type.replaceAll('_', ' '),
  'session.error': (e) => [string(record(e.error).type), string(record(e.error).message)].filter(Boolean).join(' · '),
  'session.tainted': (e) => string(e.why),
  'span.model_request_start': (e) => string(e.model),
  'span.model_request_end': requestEnd,
  'sandbox.started': (e) =>
    [string(e.driver), e.restored_from ? 'with saved files' : 'empty', duration(number(e.took_ms))].join(' · '),
  'sandbox.ended': (e) => string(e.reason),
  'sandbox.lost': (e) => string(e.reason),
  'sandbox.egress': egress,
  'checkpoint.created': saved,
  'checkpoint.failed': (e) => string(e.reason),
  'checkpoint.restored': (e) => string(e.checkpoint_id),
  'memory.recalled': (e) => content(e).replace(/<\/?memory[^>]*>/g, ' '),
  'memory.written': (e) => string(e.kind),
  'memory.edited': content,
  'memory.imported': (e) => `${string(e.speaker)}: ${string(e.text)}`,
  'schedule.message': (e) => `${string(e.name)} · ${content(e)}`,
  'clock.jump': (e) =>
    e.kind === 'slept' ? `slept ${duration(number(e.for_ms))}` : `set by ${duration(number(e.by_ms))}`,
  'delivery.failed': (e) => [string(e.channel), string(e.why)].filter(Boolean).join(' · '),
};

/** `lookup` finds other loaded events by id: the call of a result, the start of a span. */
export function summarise(event: SessionEvent, lookup: Lookup): string {
  if (event.redacted === true) return 'forgotten';
  const write = writers[event.type] ?? rest;
  return oneLine(shown(write(event, lookup).slice(0, 1200)), 300);
}
