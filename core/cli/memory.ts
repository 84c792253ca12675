// `steward memory`, looking: what is known and why, what was found, what changed, what waits for a decision.
import type { MemoryHit } from '../memory.ts';
import { foundText } from '../memory-text.ts';
import type { Client } from './client.ts';
import * as shapes from './memory-shapes.ts';
import { page } from './shapes.ts';
import { ago, harmless, oneLine, say, sayJson, type Terminal, table } from './terminal.ts';

export const ROOT = '/api/memory';
export const WIDTH = 100;

export interface Listing {
  json?: boolean;
}
/** Where the person sits. */
export const day = (time: string | number): string => new Date(time).toLocaleDateString('sv-SE');
export const pathOf = (id: string, rest = '') => `${ROOT}/items/${encodeURIComponent(id)}${rest}`;

function rowsOf(items: readonly shapes.ItemView[]): string {
  const rows = items.map((item) => [
    item.id,
    item.tier + (item.pinned ? ' *' : ''),
    item.valid_to === null ? day(item.valid_from) : `${day(item.valid_from)} – ${day(item.valid_to)}`,
    item.retired_at !== null ? 'retired' : item.authority,
    oneLine([item.subject, item.slot].filter(Boolean).join(' / '), 30),
    oneLine(item.text, WIDTH),
  ]);
  return table(['ID', 'TIER', 'SINCE', 'WORDS OF', 'ABOUT', 'TEXT'], rows);
}

export interface ListOptions extends Listing {
  tier?: string;
  kind?: string;
  subject?: string;
  asOf?: string;
  retired?: boolean;
  pinned?: boolean;
  scope?: string;
  limit: number;
}

/** Follows the pages until there are enough. */
async function items(client: Client, options: ListOptions): Promise<{ list: shapes.ItemView[]; more: boolean }> {
  const list: shapes.ItemView[] = [];
  let cursor: string | null | undefined = '';
  while (typeof cursor === 'string' && list.length < options.limit) {
    const query = new URLSearchParams({
      order: 'desc',
      limit: String(Math.min(200, options.limit - list.length)),
      ...(options.tier && { tier: options.tier }),
      ...(options.kind && { kind: options.kind }),
      ...(options.subject && { subject: options.subject }),
      ...(options.asOf && { as_of: options.asOf }),
      ...(options.scope && { scope: options.scope }),
      ...(options.retired && { include_retired: 'true' }),
      ...(options.pinned && { pinned: 'true' }),
      ...(cursor && { page: cursor }),
    });
    const part = await client.get(`${ROOT}?${query}`, page(shapes.item));
    list.push(...part.data);
    cursor = part.next_page;
  }
  return { list, more: typeof cursor === 'string' };
}

export async function listMemory(client: Client, terminal: Terminal, options: ListOptions): Promise<void> {
  const { list, more } = await items(client, options);
  if (options.json) return sayJson(terminal, list);
  if (list.length === 0)
    return say(terminal, options.asOf ? `Nothing is known of that time.` : 'Nothing is remembered that fits.');
  say(terminal, rowsOf(list));
  if (more) say(terminal, `… and more: --limit ${options.limit * 4}, or steward memory search WORDS`);
}

export interface SearchOptions extends Listing {
  limit: number;
  after?: string;
  before?: string;
  by?: string;
  items?: boolean;
  said?: boolean;
  retired?: boolean;
}

export async function searchMemory(
  client: Client,
  terminal: Terminal,
  words: string,
  options: SearchOptions,
): Promise<void> {
  const query = new URLSearchParams({
    q: words,
    limit: String(Math.min(100, options.limit)),
    ...(options.after && { after: options.after }),
    ...(options.before && { before: options.before }),
    ...(options.by && { actor: options.by }),
    ...(options.items && { kinds: 'item' }),
    ...(options.said && { kinds: 'event' }),
    ...(options.retired && { include_retired: 'true' }),
  });
  const answer = await client.get(`${ROOT}/search?${query}`, shapes.found);
  if (options.json) return sayJson(terminal, answer);
  const hits = answer.data.map((hit): MemoryHit => ({ ...hit, at: Date.parse(hit.at), sessionId: null, why: {} }));
  say(terminal, harmless(foundText({ ...answer, hits }, day, 200)));
}

export async function showMemory(client: Client, terminal: Terminal, id: string, options: Listing): Promise<void> {
  const item = await client.get(pathOf(id), shapes.shown);
  if (options.json) return sayJson(terminal, item);
  const facts: [string, string | null][] = [
    ['about', [item.subject, item.slot].filter(Boolean).join(' / ') || null],
    ['tier', `${item.tier}, ${item.kind}${item.pinned ? ', pinned' : ''}`],
    ['words of', item.authority],
    ['holds', `from ${day(item.valid_from)}${item.valid_to === null ? '' : ` to ${day(item.valid_to)}`}`],
    ['expires', item.expires_at && day(item.expires_at)],
    ['recorded', `${day(item.recorded_at)} (${item.change_id})`],
    ['retired', item.retired_at && `${day(item.retired_at)}: ${item.retire_reason ?? ''}`],
    ['then', item.superseded_by],
  ];
  const lines = facts.flatMap(([name, value]) => (value === null ? [] : [`  ${name.padEnd(9)} ${value}`]));
  const sources = item.sources.map((source) => {
    const where = [day(source.at), source.who, source.channel].filter(Boolean).join(', ');
    return `  ${source.event_id}  ${where}${source.quote === '' ? '' : `\n    “${source.quote}”`}`;
  });
  const others = (title: string, list: readonly shapes.ItemView[]) =>
    list.length > 0 ? ['', title, ...list.map((other) => `  ${other.id}  ${oneLine(other.text, WIDTH)}`)] : [];
  const chain = item.history.length > 1 ? others('History, oldest first:', item.history) : [];
  const text = [
    `${item.id}: ${item.text}`,
    '',
    ...lines,
    '',
    sources.length > 0 ? 'It comes from:' : 'It was made of other memories.',
    ...sources,
    ...chain,
    ...others('Made of it:', item.derived),
  ];
  say(terminal, harmless(text.join('\n')));
}

export async function showHistory(client: Client, terminal: Terminal, id: string, options: Listing): Promise<void> {
  const { data } = await client.get(pathOf(id, '/history'), page(shapes.item));
  if (options.json) return sayJson(terminal, data);
  say(terminal, rowsOf(data));
}

export async function showChanges(
  client: Client,
  terminal: Terminal,
  id: string | undefined,
  options: Listing & { limit: number },
): Promise<void> {
  if (id !== undefined) {
    const one = await client.get(`${ROOT}/changes/${encodeURIComponent(id)}`, shapes.changeShown);
    if (options.json) return sayJson(terminal, one);
    const lines = (sign: string, list: readonly shapes.ItemView[]) =>
      list.map((item) => `${sign} ${item.id}  ${oneLine(item.text, WIDTH)}`);
    const head = `${one.id}: ${one.kind}, ${one.at}${one.undone_by ? `, undone by ${one.undone_by}` : ''}`;
    const erased = one.erased > 0 ? [`${one.erased} erased for good`] : [];
    return say(
      terminal,
      [head, ...lines('+', one.added_items), ...lines('-', one.retired_items), ...erased].join('\n'),
    );
  }
  const { data } = await client.get(`${ROOT}/changes?limit=${Math.min(100, options.limit)}`, page(shapes.change));
  if (options.json) return sayJson(terminal, data);
  if (data.length === 0) return say(terminal, 'Memory has not changed yet.');
  const rows = data.map((one) => [
    one.id,
    one.kind,
    ago(one.at, terminal.now()),
    `+${one.added.length} -${one.retired.length}${one.erased > 0 ? ` ×${one.erased}` : ''}`,
    one.undone_by ? `undone by ${one.undone_by}` : '',
  ]);
  say(terminal, table(['CHANGE', 'KIND', 'WHEN', 'WHAT', ''], rows));
}

export async function showQuestions(client: Client, terminal: Terminal, options: Listing): Promise<void> {
  const { data } = await client.get(`${ROOT}/questions`, page(shapes.question));
  if (options.json) return sayJson(terminal, data);
  if (data.length === 0) return say(terminal, 'Nothing waits for your decision.');
  for (const { id, text } of data) say(terminal, harmless(`${id}  ${text}`));
  say(terminal, '\nsteward memory answer ID yes|no');
}

export async function showStats(client: Client, terminal: Terminal, options: Listing): Promise<void> {
  const stats = await client.get(`${ROOT}/stats`, shapes.stats);
  if (options.json) return sayJson(terminal, stats);
  const rows = Object.entries(stats.items).map(([tier, count]) => [tier, String(count)]);
  say(terminal, table(['TIER', 'ITEMS'], rows));
  say(terminal, `\n${stats.indexed} texts can be searched; ${stats.questions} questions wait for you.`);
}
