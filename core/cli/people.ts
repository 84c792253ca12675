// `steward approve`, `deny`, `pair` and `login`: what the owner decides.
import { z } from 'zod';
import { StewardError } from '../errors.ts';
import type { Client } from './client.ts';
import { type ApprovalView, anything, identity, loginLink, page, pairing } from './shapes.ts';
import { ago, harmless, oneLine, say, sayJson, type Terminal, table } from './terminal.ts';
import { confirm, pendingApprovals } from './turn.ts';

export async function showLogin(client: Client, terminal: Terminal, options: { json?: boolean }): Promise<void> {
  const link = await client.send('POST', '/api/login-links', {}, loginLink);
  if (options.json) sayJson(terminal, link);
  else say(terminal, link.url);
}

export async function showApprovals(client: Client, terminal: Terminal, options: { json?: boolean }): Promise<void> {
  const waiting = await pendingApprovals(client);
  if (options.json) return sayJson(terminal, waiting);
  if (waiting.length === 0) return say(terminal, 'Nothing waits for approval.');
  for (const item of waiting) say(terminal, describeApproval(item, terminal.now()));
  say(terminal, 'steward approve ID or steward deny ID decides.');
}

function describeApproval(item: ApprovalView, now: number): string {
  const detail = harmless(item.detail).replace(/^/gm, '  ');
  return `${item.id}  ${oneLine(item.title, 100)} (asked ${ago(item.created_at, now)})\n  ${oneLine(item.why, 200)}\n${detail}\n`;
}

export interface Decision {
  id: string;
  allow: boolean;
  message?: string;
  json?: boolean;
}

export async function decide(client: Client, terminal: Terminal, decision: Decision): Promise<void> {
  const found = (await pendingApprovals(client)).find((item) => item.id === decision.id);
  if (!found)
    throw new StewardError('not_found', `No approval ${decision.id} is waiting.`, {
      op: 'decide',
      hint: 'steward approve lists what waits; an answered or expired one is gone.',
    });
  await confirm(client, found, decision.allow, decision.message);
  if (decision.json) sayJson(terminal, { id: found.id, result: decision.allow ? 'allow' : 'deny' });
  else say(terminal, `${decision.allow ? 'Allowed' : 'Denied'}: ${oneLine(found.title, 100)}`);
}

export interface PairOptions {
  json?: boolean;
  guest?: boolean;
  deny?: string;
  list?: boolean;
  revoke?: string;
}

export async function pair(
  client: Client,
  terminal: Terminal,
  code: string | undefined,
  options: PairOptions,
): Promise<void> {
  const done = (value: unknown, sentence: string) =>
    options.json ? sayJson(terminal, value) : say(terminal, sentence);
  if (options.revoke !== undefined) {
    const [, channel, user] = /^([^:]+):(.+)$/.exec(options.revoke) ?? [];
    if (!channel || !user)
      throw new StewardError('invalid', `${options.revoke} is not of the form channel:user.`, {
        op: 'revoke',
        hint: 'For example telegram:123456; steward pair --list shows them.',
      });
    await client.send(
      'DELETE',
      `/api/identities/${encodeURIComponent(channel)}/${encodeURIComponent(user)}`,
      undefined,
      anything,
    );
    return done({ channel, user_id: user, revoked: true }, `${options.revoke} is no longer paired.`);
  }
  if (options.deny !== undefined) {
    await client.send('POST', `/api/pairings/${encodeURIComponent(options.deny)}/deny`, {}, anything);
    return done({ code: options.deny, denied: true }, `Code ${options.deny} is refused.`);
  }
  if (code !== undefined) {
    const role = options.guest ? 'guest' : 'owner';
    const shape = z.looseObject({
      name: z.string().nullish(),
      channel: z.string().nullish(),
      user_id: z.string().nullish(),
    });
    const who = await client.send('POST', `/api/pairings/${encodeURIComponent(code)}/approve`, { role }, shape);
    return done(
      who,
      `${oneLine(who.name ?? who.user_id ?? code, 60)}${who.channel ? ` on ${who.channel}` : ''} is now paired as ${role}.`,
    );
  }
  return options.list ? showIdentities(client, terminal, options) : showPairings(client, terminal, options);
}

async function showPairings(client: Client, terminal: Terminal, options: PairOptions): Promise<void> {
  const { data } = await client.get('/api/pairings', page(pairing));
  if (options.json) return sayJson(terminal, data);
  if (data.length === 0) return say(terminal, 'Nobody waits to be paired. Write to the bot and a code appears here.');
  say(
    terminal,
    table(
      ['CODE', 'CHANNEL', 'USER', 'NAME'],
      data.map((row) => [row.code, row.channel, row.user_id, oneLine(row.name ?? '', 40)]),
    ),
  );
  say(terminal, 'steward pair CODE approves (as owner; --guest for a guest), steward pair --deny CODE refuses.');
}

async function showIdentities(client: Client, terminal: Terminal, options: PairOptions): Promise<void> {
  const { data } = await client.get('/api/identities', page(identity));
  if (options.json) return sayJson(terminal, data);
  if (data.length === 0) return say(terminal, 'Nobody is paired yet.');
  const rows = data.map((row) => [
    `${row.channel}:${row.user_id}`,
    row.role,
    ago(row.paired_at, terminal.now()),
    oneLine(row.name ?? '', 40),
  ]);
  say(terminal, table(['WHO', 'ROLE', 'PAIRED', 'NAME'], rows));
}
