// `steward trace`: the timeline of a session, or the custody of one message from received to confirmed.
import type { Client } from './client.ts';
import { custody, type EventView, event, page, status } from './shapes.ts';
import { dollars, harmless, oneLine, say, sayJson, type Terminal, table } from './terminal.ts';
import { textOf } from './transcript.ts';

export interface TraceOptions {
  json?: boolean;
  /** The newest so many events. */
  limit: number;
}

/** `target` is a session id, an event id, or nothing for the main session. */
export async function showTrace(
  client: Client,
  terminal: Terminal,
  target: string | undefined,
  options: TraceOptions,
): Promise<void> {
  if (target?.startsWith('sevt_')) return showCustody(client, terminal, target, options);
  const sessionId = target ?? (await client.get('/api/status', status)).main_session_id;
  if (!sessionId) return say(terminal, 'There is no session yet. steward chat begins one.');
  const events = await newestEvents(client, sessionId, options.limit);
  if (options.json) return sayJson(terminal, events);
  if (events.length === 0) return say(terminal, 'Nothing has happened in this session yet.');
  const rows = events.map((item, index) => [
    clock(item.created_at),
    sinceLast(item.created_at, events[index - 1]?.created_at),
    item.type,
    item.cost_usd ? dollars(item.cost_usd) : '',
    oneLine(summaryOf(item), 90),
  ]);
  say(terminal, table(['TIME', '+MS', 'TYPE', 'COST', 'WHAT'], rows));
}

async function newestEvents(client: Client, sessionId: string, limit: number): Promise<EventView[]> {
  const found: EventView[] = [];
  let next: string | null | undefined;
  do {
    const query = new URLSearchParams({
      order: 'desc',
      limit: String(Math.min(100, limit - found.length)),
      ...(next ? { page: next } : {}),
    });
    const answer = await client.get(`/v1/sessions/${encodeURIComponent(sessionId)}/events?${query}`, page(event));
    found.push(...answer.data);
    next = answer.data.length > 0 ? answer.next_page : null;
  } while (next && found.length < limit);
  return found.slice(0, limit).reverse();
}

async function showCustody(client: Client, terminal: Terminal, id: string, options: TraceOptions): Promise<void> {
  const found = await client.get(`/api/events/${encodeURIComponent(id)}/custody`, custody);
  if (options.json) return sayJson(terminal, found);
  const rows = found.steps.map((step, index) => [
    clock(step.at),
    sinceLast(step.at, found.steps[index - 1]?.at),
    step.step,
    oneLine(step.detail ?? '', 100),
  ]);
  say(terminal, table(['TIME', '+MS', 'STEP', 'WHAT'], rows));
}

const shownElsewhere = new Set(['id', 'type', 'created_at', 'processed_at', 'seq', 'position', 'run_id', 'cost_usd']);

/** What happened, in as few words as the event allows; unknown types are shown by their fields. */
export function summaryOf(item: EventView): string {
  if (item.content) return textOf(item);
  if (item.name)
    return `${item.name} ${JSON.stringify(item.input ?? {})}${item.evaluated_permission ? ` [${item.evaluated_permission}]` : ''}`;
  if (item.error) return item.error.message ?? JSON.stringify(item.error);
  if (item.stop_reason) return item.stop_reason.type;
  const fields = Object.entries(item).filter(
    ([key, value]) => !shownElsewhere.has(key) && value !== undefined && value !== null && value !== false,
  );
  return fields.map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join(' ');
}

function clock(time: string | null | undefined): string {
  if (!time) return '–';
  const date = new Date(time);
  const two = (value: number) => String(value).padStart(2, '0');
  return harmless(
    `${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`,
  );
}

function sinceLast(time: string | null | undefined, before: string | null | undefined): string {
  return time && before ? String(new Date(time).getTime() - new Date(before).getTime()) : '';
}
