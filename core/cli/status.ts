// `steward status`, `sessions` and `usage`: what the running process is doing, at a glance or as JSON.
import type { Client } from './client.ts';
import { type Hands, page, type SessionView, type Status, session, status, usage } from './shapes.ts';
import { ago, dollars, harmless, oneLine, say, sayJson, type Terminal, table } from './terminal.ts';

export async function showStatus(client: Client, terminal: Terminal, options: { json?: boolean }): Promise<void> {
  const found = await client.get('/api/status', status);
  if (options.json) sayJson(terminal, found);
  else say(terminal, harmless(describeStatus(found, terminal.now(), client.url)));
}

/** A few lines for a person, the trouble first. */
export function describeStatus(found: Status, now: number, url: string): string {
  const { model, channels, sessions, outbox, budget } = found;
  const lines: string[] = [];
  if (found.safe_mode) lines.push(`Safe mode: ${found.safe_mode.why} Only console and status work.`);
  if (found.disk.state === 'full') lines.push('The disk is full: nothing new is accepted until there is space.');
  for (const { level, text } of found.notices) lines.push(`${level === 'error' ? 'Error' : 'Note'}: ${text}`);
  const facts: [string, string][] = [
    [
      'Steward',
      `${found.version}, ${found.ready ? 'ready' : 'not ready'}, started ${ago(found.started_at, now)}, ${url}`,
    ],
    ['Model', `${model.configured.join(', ')} (${[model.state, model.detail].filter(Boolean).join('; ')})`],
    ...channels.map(({ name, state, detail, last_success_at }): [string, string] => [
      name,
      [state, detail, last_success_at ? `last success ${ago(last_success_at, now)}` : ''].filter(Boolean).join('; '),
    ]),
    ...(found.hands ? [['Hands', describeHands(found.hands)] satisfies [string, string]] : []),
    [
      'Sessions',
      `${sessions.total}, ${sessions.running} running${sessions.rescheduling ? `, ${sessions.rescheduling} waiting for the model` : ''}`,
    ],
    [
      'Approvals',
      found.approvals_pending > 0 ? `${found.approvals_pending} waiting (steward approve)` : 'none waiting',
    ],
    ['Outbox', `${outbox.pending} to send${outbox.dead ? `, ${outbox.dead} given up` : ''}`],
    [
      'Today',
      `${dollars(budget.day_spent_usd)} of ${dollars(budget.day_limit_usd)}${budget.unpriced_requests ? `, and ${budget.unpriced_requests} requests of unknown price` : ''}`,
    ],
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  return [...lines, ...facts.map(([name, text]) => `${name.padEnd(width)}  ${text}`)].join('\n');
}

/** What is enforced, in one line. */
export function describeHands(hands: Hands): string {
  if (hands.state !== 'on') return `${hands.driver}: ${hands.state === 'off' ? 'off' : 'being tried'}; ${hands.detail}`;
  const limits = Object.entries(hands.limits);
  const open = limits.filter(([, means]) => means === null).map(([name]) => name);
  return [
    hands.isolation === 'none'
      ? `${hands.driver}: NOTHING IS ISOLATED`
      : `${hands.driver}: isolation by ${hands.isolation}`,
    hands.egress_locked ? 'no way out but the broker' : 'the way out is open',
    ...limits.filter(([, means]) => means !== null).map(([name, means]) => `${name} by ${means}`),
    ...(open.length > 0 ? [`no limit on ${open.join(', ')}`] : []),
    ...(hands.alive > 0 ? [`${hands.alive} in use`] : []),
  ].join('; ');
}

export interface SessionsOptions {
  json?: boolean;
  limit: number;
  archived?: boolean;
}

export async function showSessions(client: Client, terminal: Terminal, options: SessionsOptions): Promise<void> {
  const query = new URLSearchParams({
    limit: String(options.limit),
    order: 'desc',
    include_archived: String(options.archived === true),
  });
  const { data } = await client.get(`/v1/sessions?${query}`, page(session));
  if (options.json) return sayJson(terminal, data);
  if (data.length === 0) return say(terminal, 'There is no session yet. steward chat begins one.');
  const rows = data.map((item) => [
    item.id,
    describeState(item),
    ago(item.updated_at, terminal.now()),
    oneLine(titleOf(item), 60),
  ]);
  say(terminal, table(['SESSION', 'STATUS', 'CHANGED', 'TITLE'], rows));
}

function describeState(item: SessionView): string {
  const reason = item.status === 'idle' ? item.stop_reason?.type : undefined;
  return reason && reason !== 'end_turn' ? `${item.status} (${reason})` : item.status;
}

function titleOf(item: SessionView): string {
  return item.title ?? (item.main ? 'the main conversation' : (item.kind ?? ''));
}

export async function showUsage(
  client: Client,
  terminal: Terminal,
  options: { json?: boolean; days: number },
): Promise<void> {
  const found = await client.get(`/api/usage?days=${options.days}`, usage);
  if (options.json) return sayJson(terminal, found);
  if (found.data.length === 0) return say(terminal, `No model request in the last ${options.days} days.`);
  const rows = found.data.map((row) =>
    [row.day, row.model, row.requests, row.input_tokens, row.output_tokens, dollars(row.cost_usd)].map(String),
  );
  say(terminal, table(['DAY', 'MODEL', 'REQUESTS', 'TOKENS IN', 'TOKENS OUT', 'COST'], rows));
  const unknown =
    found.unpriced_models.length > 0
      ? ` The price of ${found.unpriced_models.join(', ')} is unknown and not in it.`
      : '';
  say(terminal, `Total ${dollars(found.total_usd)} in ${options.days} days.${harmless(unknown)}`);
}
