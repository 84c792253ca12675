// `steward hook` and `steward webhook`: ways in and out for programs; a secret is printed once, when it is made.
import { z } from 'zod';
import type { Client } from './client.ts';
import { anything, page } from './shapes.ts';
import { ago, harmless, oneLine, say, sayJson, type Terminal, table } from './terminal.ts';

const time = z.string().nullish();
const hook = z.looseObject({
  name: z.string(),
  path: z.string(),
  scheme: z.string(),
  schedule_id: z.string(),
  enabled: z.boolean(),
  readable: z.boolean(),
  accepted: z.number(),
  ignored: z.number(),
  last_at: time,
  secret: z.string().optional(),
});
const target = z.looseObject({
  name: z.string(),
  url: z.string(),
  events: z.array(z.string()),
  enabled: z.boolean(),
  readable: z.boolean(),
  note: z.string().nullish(),
  delivered: z.number(),
  failed: z.number(),
  last_at: time,
  secret: z.string().optional(),
});

export interface Options {
  json?: boolean;
}
export interface NewHook extends Options {
  name: string;
  schedule: string;
  scheme: string;
  event?: string[];
  action?: string[];
  label?: string[];
  repo?: string[];
  author?: string[];
  anyAuthor?: boolean;
}
export interface NewTarget extends Options {
  name: string;
  url: string;
  event?: string[];
  allowPrivate?: boolean;
}

const hookPath = (name: string, more = '') => `/api/hooks/${encodeURIComponent(name)}${more}`;
const targetPath = (name: string, more = '') => `/api/webhooks/${encodeURIComponent(name)}${more}`;
const shown = (row: { enabled: boolean; readable: boolean }) =>
  !row.readable ? 'needs a new secret' : row.enabled ? 'on' : 'off';

/** The only time it can be seen. */
const sayOnce = (terminal: Terminal, secret: string | undefined, use: string) =>
  say(terminal, `Secret (shown this once): ${harmless(secret ?? '')}\n${use}`);

const useOf = (row: z.infer<typeof hook>, url: string): string =>
  row.scheme === 'github'
    ? `On GitHub: Settings → Webhooks → Add webhook, with this secret, content type application/json and the public URL of ${row.path}.`
    : [
        'To call it from a shell:',
        "  BODY='what happened'; T=$(date +%s)",
        '  SIG=$(printf %s "$T.$BODY" | openssl dgst -sha256 -hmac "$SECRET" -r | cut -d" " -f1)',
        `  curl -H "Steward-Signature: t=$T,v1=$SIG" -H "Steward-Delivery: $T-1" --data-binary "$BODY" ${url}${row.path}`,
      ].join('\n');

export async function addHook(client: Client, terminal: Terminal, wanted: NewHook): Promise<void> {
  const filters = {
    events: wanted.event ?? [],
    actions: wanted.action ?? [],
    labels: wanted.label ?? [],
    repositories: wanted.repo ?? [],
    authors: wanted.anyAuthor ? ['*'] : (wanted.author ?? []),
  };
  const given = wanted.scheme === 'github' || Object.values(filters).some((list) => list.length > 0);
  const body = {
    name: wanted.name,
    schedule: wanted.schedule,
    scheme: wanted.scheme,
    ...(given && { filters }),
  };
  const made = await client.send('POST', '/api/hooks', body, hook);
  if (wanted.json) return sayJson(terminal, made);
  say(terminal, `${made.path} starts ${made.schedule_id} from now on.`);
  sayOnce(terminal, made.secret, useOf(made, client.url));
}

export async function showHooks(client: Client, terminal: Terminal, options: Options): Promise<void> {
  const { data } = await client.get('/api/hooks', page(hook));
  if (options.json) return sayJson(terminal, data);
  if (data.length === 0) return say(terminal, 'No webhook comes in. steward hook add NAME --schedule ID makes one.');
  const rows = data.map((row) => [
    oneLine(row.path, 70),
    row.scheme,
    oneLine(row.schedule_id, 60),
    shown(row),
    String(row.accepted),
    String(row.ignored),
    row.last_at ? ago(row.last_at, terminal.now()) : 'never',
  ]);
  say(terminal, table(['HOOK', 'SCHEME', 'STARTS', 'STATE', 'RUNS', 'IGNORED', 'LAST'], rows));
}

export async function rotateHook(client: Client, terminal: Terminal, name: string, options: Options): Promise<void> {
  const made = await client.send('POST', hookPath(name, '/rotate'), undefined, hook);
  if (options.json) return sayJson(terminal, made);
  sayOnce(terminal, made.secret, 'The old one is worth nothing from now on.');
}

export async function switchHook(
  client: Client,
  terminal: Terminal,
  { name, enabled }: { name: string; enabled: boolean },
  options: Options,
): Promise<void> {
  const changed = await client.send('PATCH', hookPath(name), { enabled }, hook);
  if (options.json) return sayJson(terminal, changed);
  say(terminal, `${harmless(changed.name)} is ${enabled ? 'on' : 'off'}.`);
}

export async function removeHook(client: Client, terminal: Terminal, name: string, options: Options): Promise<void> {
  const gone = await client.send('DELETE', hookPath(name), undefined, anything);
  if (options.json) sayJson(terminal, gone);
  else say(terminal, `${harmless(name)} is removed; its schedule stays.`);
}

export async function testHook(client: Client, terminal: Terminal, name: string, options: Options): Promise<void> {
  const begun = await client.send('POST', hookPath(name, '/test'), undefined, z.looseObject({ run_id: z.string() }));
  if (options.json) sayJson(terminal, begun);
  else say(terminal, `Begun: ${harmless(begun.run_id)}.`);
}

export async function addTarget(client: Client, terminal: Terminal, wanted: NewTarget): Promise<void> {
  const body = {
    name: wanted.name,
    url: wanted.url,
    ...(wanted.event && { events: wanted.event }),
    ...(wanted.allowPrivate && { allow_private: true }),
  };
  const made = await client.send('POST', '/api/webhooks', body, target);
  if (wanted.json) return sayJson(terminal, made);
  say(terminal, `${harmless(made.url)} hears of ${harmless(made.events.join(', '))} from now on.`);
  sayOnce(terminal, made.secret, 'The receiver checks webhook-signature with it, as Standard Webhooks says.');
}

export async function showTargets(client: Client, terminal: Terminal, options: Options): Promise<void> {
  const { data } = await client.get('/api/webhooks', page(target));
  if (options.json) return sayJson(terminal, data);
  if (data.length === 0) return say(terminal, 'Nobody is told. steward webhook add NAME URL makes it so.');
  const rows = data.map((row) => [
    oneLine(row.name, 40),
    oneLine(row.url, 60),
    oneLine(row.events.join(' '), 40),
    shown(row),
    String(row.delivered),
    String(row.failed),
    row.last_at ? ago(row.last_at, terminal.now()) : 'never',
    oneLine(row.note ?? '', 80),
  ]);
  say(terminal, table(['NAME', 'URL', 'EVENTS', 'STATE', 'SENT', 'FAILED', 'LAST', 'NOTE'], rows));
}

export async function rotateTarget(client: Client, terminal: Terminal, name: string, options: Options): Promise<void> {
  const made = await client.send('POST', targetPath(name, '/rotate'), undefined, target);
  if (options.json) return sayJson(terminal, made);
  sayOnce(terminal, made.secret, 'The next request is signed with it.');
}

export async function switchTarget(
  client: Client,
  terminal: Terminal,
  { name, enabled }: { name: string; enabled: boolean },
  options: Options,
): Promise<void> {
  const changed = await client.send('PATCH', targetPath(name), { enabled }, target);
  if (options.json) return sayJson(terminal, changed);
  say(terminal, `${harmless(changed.name)} is ${enabled ? 'on' : 'off'}.`);
}

export async function removeTarget(client: Client, terminal: Terminal, name: string, options: Options): Promise<void> {
  const gone = await client.send('DELETE', targetPath(name), undefined, anything);
  if (options.json) sayJson(terminal, gone);
  else say(terminal, `${harmless(name)} is removed; what waits for it is not sent.`);
}

export async function testTarget(client: Client, terminal: Terminal, name: string, options: Options): Promise<void> {
  const queued = await client.send('POST', targetPath(name, '/test'), undefined, anything);
  if (options.json) sayJson(terminal, queued);
  else say(terminal, 'Queued. steward webhook list shows how it ended.');
}
