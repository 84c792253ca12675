// `steward vault`: what is in it, and putting in, replacing and removing; the secret comes from a pipe or a hidden prompt.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text as readAll } from 'node:stream/consumers';
import { z } from 'zod';
import { StewardError } from '../errors.ts';
import { DEFAULT_VAULT, dropSecrets } from '../vault.ts';
import type { Client } from './client.ts';
import { anything, page } from './shapes.ts';
import { ago, harmless, oneLine, say, sayJson, type Terminal, table } from './terminal.ts';

const credential = z.looseObject({
  id: z.string(),
  vault_id: z.string(),
  display_name: z.string().nullish(),
  updated_at: z.string().nullish(),
  readable: z.boolean().optional(),
  auth: z.looseObject({ type: z.string() }),
});
type CredentialView = z.infer<typeof credential>;
const vault = z.looseObject({ id: z.string(), display_name: z.string() });

/** What the secret is called in an update, by the type of the credential. */
const SECRET_FIELD: Record<string, string> = {
  header: 'value',
  basic: 'password',
  environment_variable: 'secret_value',
  static_bearer: 'token',
  mcp_oauth: 'access_token',
};

/** Follows the pages of a listing to its end. */
async function every<T extends z.ZodType>(client: Client, path: string, item: T): Promise<z.infer<T>[]> {
  const all: z.infer<T>[] = [];
  for (let cursor: string | null | undefined = ''; cursor !== null && cursor !== undefined; ) {
    const query = new URLSearchParams({ limit: '100', ...(cursor && { page: cursor }) });
    const found: { data: z.infer<T>[]; next_page?: string | null } = await client.get(`${path}?${query}`, page(item));
    all.push(...found.data);
    cursor = found.next_page;
  }
  return all;
}

const pathOf = (vaultId: string, id = '') =>
  `/v1/vaults/${encodeURIComponent(vaultId)}/credentials${id && `/${encodeURIComponent(id)}`}`;

async function everything(client: Client): Promise<{ vaults: z.infer<typeof vault>[]; credentials: CredentialView[] }> {
  const vaults = await every(client, '/v1/vaults', vault);
  const lists = await Promise.all(vaults.map(({ id }) => every(client, pathOf(id), credential)));
  return { vaults, credentials: lists.flat() };
}

export async function showVault(client: Client, terminal: Terminal, options: { json?: boolean }): Promise<void> {
  const { vaults, credentials } = await everything(client);
  if (options.json) return sayJson(terminal, credentials);
  if (credentials.length === 0)
    return say(terminal, 'The vault is empty. steward vault add NAME --host HOST puts a secret into it.');
  const nameOf = new Map(vaults.map(({ id, display_name }) => [id, display_name]));
  const rows = credentials.map((item) => [
    oneLine(item.id, 40),
    oneLine(item.display_name ?? '', 30),
    oneLine(describeUse(item), 40),
    oneLine(hostsOf(item).join(' '), 60),
    ago(item.updated_at, terminal.now()),
    ...(vaults.length > 1 ? [oneLine(nameOf.get(item.vault_id) ?? '', 30)] : []),
  ]);
  const header = ['CREDENTIAL', 'NAME', 'USED AS', 'HOSTS', 'CHANGED', ...(vaults.length > 1 ? ['VAULT'] : [])];
  say(terminal, table(header, rows));
}

const auths = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('header'), header: z.string(), prefix: z.string(), hosts: z.array(z.string()) }),
  z.looseObject({ type: z.literal('basic'), username: z.string(), hosts: z.array(z.string()) }),
  z.looseObject({
    type: z.literal('environment_variable'),
    secret_name: z.string(),
    networking: z.looseObject({ allowed_hosts: z.array(z.string()).optional() }),
  }),
  z.looseObject({ type: z.enum(['static_bearer', 'mcp_oauth']), mcp_server_url: z.string() }),
]);

function describeUse(item: CredentialView): string {
  if (item.readable === false) return 'does not open: add it again';
  const auth = auths.safeParse(item.auth).data;
  if (!auth) return item.auth.type;
  if (auth.type === 'header') return `${auth.header}: ${auth.prefix}…`;
  if (auth.type === 'basic') return `Authorization: Basic ${auth.username}:…`;
  if (auth.type === 'environment_variable') return `$${auth.secret_name}`;
  return 'Authorization: Bearer …';
}

function hostsOf(item: CredentialView): string[] {
  const auth = auths.safeParse(item.auth).data;
  if (!auth) return [];
  if ('hosts' in auth) return auth.hosts as string[];
  if (auth.type === 'environment_variable') return auth.networking.allowed_hosts ?? ['any'];
  return [URL.canParse(auth.mcp_server_url) ? new URL(auth.mcp_server_url).host : auth.mcp_server_url];
}

export interface NewSecret {
  name: string;
  host: string[];
  header?: string;
  prefix?: string;
  basic?: string;
  env?: string;
  vault?: string;
  json?: boolean;
}

export async function addCredential(client: Client, terminal: Terminal, wanted: NewSecret): Promise<void> {
  const secret = await readSecret(terminal, `Secret of ${oneLine(wanted.name, 60)}`);
  const body = { display_name: wanted.name, auth: authOf(wanted, secret) };
  const made = await client.send('POST', pathOf(wanted.vault ?? DEFAULT_VAULT), body, credential);
  if (wanted.json) return sayJson(terminal, made);
  say(terminal, `${made.id} is kept: ${harmless(describeUse(made))} on ${harmless(hostsOf(made).join(', '))}.`);
}

function authOf({ host: hosts, basic, env, header = 'Authorization', prefix }: NewSecret, secret: string): object {
  if (basic !== undefined) return { type: 'basic', hosts, username: basic, password: secret };
  if (env !== undefined)
    return {
      type: 'environment_variable',
      secret_name: env,
      secret_value: secret,
      networking: { type: 'limited', allowed_hosts: hosts },
    };
  const usual = header.toLowerCase() === 'authorization' ? 'Bearer ' : '';
  return { type: 'header', hosts, header, prefix: prefix ?? usual, value: secret };
}

export interface Chosen {
  id: string;
  json?: boolean;
}

/** By id, or by a name that only one has. */
async function find(client: Client, wanted: string): Promise<CredentialView> {
  const { credentials } = await everything(client);
  const byId = credentials.find(({ id }) => id === wanted);
  if (byId) return byId;
  const named = credentials.filter(({ display_name }) => display_name === wanted);
  if (named.length === 1) return named[0]!;
  throw new StewardError(
    'not_found',
    named.length === 0
      ? `There is no credential ${wanted} in the vault.`
      : `${named.length} credentials are called ${wanted}: ${named.map(({ id }) => id).join(', ')}.`,
    { op: 'find a credential', hint: 'steward vault list shows them with their ids.' },
  );
}

export async function rotateCredential(client: Client, terminal: Terminal, { id, json }: Chosen): Promise<void> {
  const item = await find(client, id);
  const field = SECRET_FIELD[item.auth.type];
  if (!field)
    throw new StewardError('invalid', `A credential of type ${item.auth.type} cannot be rotated here.`, {
      op: 'rotate a secret',
      hint: 'Use the API.',
    });
  const label = oneLine(item.display_name ?? item.id, 60);
  const secret = await readSecret(terminal, `New secret of ${label}`);
  const body = { auth: { type: item.auth.type, [field]: secret } };
  const changed = await client.send('POST', pathOf(item.vault_id, item.id), body, credential);
  if (json) sayJson(terminal, changed);
  else say(terminal, `${label} has its new secret; running sandboxes use it from their next request on.`);
}

export async function removeCredential(client: Client, terminal: Terminal, { id, json }: Chosen): Promise<void> {
  const item = await find(client, id);
  const gone = await client.send('DELETE', pathOf(item.vault_id, item.id), undefined, anything);
  if (json) sayJson(terminal, gone);
  else say(terminal, `${oneLine(item.display_name ?? item.id, 60)} is removed.`);
}

/**
 * Never from the command line's arguments, which other users of the machine can read. From a pipe all of it, without the
 * line break at its end; from a person one line, which is not shown.
 */
async function readSecret(terminal: Terminal, label: string): Promise<string> {
  const { stdin } = terminal;
  const secret = stdin.isTTY
    ? await ask(terminal, `${label} (not shown): `, { hidden: true })
    : (await readAll(stdin)).replace(/\r?\n$/, '');
  if (secret === '')
    throw new StewardError('invalid', 'There is no secret.', {
      op: 'read a secret',
      hint: 'Type it at the prompt, or pipe it in: steward vault add NAME --host HOST < FILE',
    });
  return secret;
}

async function ask(terminal: Terminal, question: string, { hidden }: { hidden: boolean }): Promise<string> {
  const { stdin, stderr } = terminal;
  stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  // As a terminal of its own, so that nothing else echoes what is typed.
  const prompt = createInterface({ input: stdin, output: hidden ? nowhere : stderr, terminal: hidden, historySize: 0 });
  try {
    return await new Promise<string>((resolve, reject) => {
      prompt.once('line', resolve);
      prompt.once('SIGINT', () => prompt.close());
      prompt.once('close', () =>
        reject(new StewardError('invalid', 'Nothing was changed.', { op: 'ask for an answer' })),
      );
    });
  } finally {
    prompt.close();
    // Nobody saw the Enter either.
    if (hidden) stderr.write('\n');
  }
}

/** Works on the file itself, so only while nobody else does. */
export async function resetVault(home: string, terminal: Terminal, options: { yes?: boolean }): Promise<void> {
  if (!existsSync(join(home, 'steward.db'))) return say(terminal, `There is no vault in ${home}.`);
  if (!options.yes) {
    const answer = terminal.stdin.isTTY
      ? await ask(terminal, 'Remove every secret in the vault? They cannot be brought back. [y/N] ', { hidden: false })
      : '';
    if (!/^y(es)?$/i.test(answer.trim()))
      throw new StewardError('invalid', 'Nothing was removed.', {
        op: 'reset the vault',
        hint: 'Answer y, or say --yes.',
      });
  }
  const [{ takeLock }, { openDb }] = await Promise.all([import('../lock.ts'), import('../db.ts')]);
  const lock = takeLock(home);
  try {
    const db = openDb(home, { now: terminal.now });
    try {
      const count = dropSecrets(db, terminal.now());
      say(terminal, `Removed: ${count} secret${count === 1 ? '' : 's'}. Add them again once Steward runs.`);
    } finally {
      db.close();
    }
  } finally {
    lock.release();
  }
}
