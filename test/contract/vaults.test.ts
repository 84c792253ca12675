// Vaults as the official SDK meets them: a round trip of every type, paging, refusals, and a secret that never comes back.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runSteward, type StewardProcess, startSteward } from '../helpers/process.ts';
import { ask, newSession, request, sdk } from '../helpers/talk.ts';

const DEFAULT = 'vlt_steward';
const CANARY = 'canary-b7e2f04d91c6';

let steward: StewardProcess;
let client: Anthropic;
/** Everything Steward answered, word for word. */
let answers = '';

beforeAll(async () => {
  steward = await startSteward({ env: { STEWARD_LOG_LEVEL: 'trace' } });
  const listen: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    answers += `${await response.clone().text()}\n${JSON.stringify([...response.headers])}\n`;
    return response;
  };
  client = sdk(steward).withOptions({ fetch: listen });
});
afterAll(async () => {
  await steward?.stop();
});

const failureOf = async (work: PromiseLike<unknown>): Promise<{ status: number; message: string }> => {
  try {
    await work;
  } catch (error) {
    if (error instanceof Anthropic.APIError) return { status: error.status ?? 0, message: error.message };
    throw error;
  }
  throw new Error('It did not fail.');
};
const statusOf = async (work: PromiseLike<unknown>) => (await failureOf(work)).status;
const collect = async <T>(list: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const item of list) all.push(item);
  return all;
};
const newVault = async () => (await client.beta.vaults.create({ display_name: 'A vault' })).id;
/** The two types of credential that the SDK does not know. */
const own = (auth: object) => auth as unknown as Anthropic.Beta.Vaults.CredentialCreateParams['auth'];

describe('vaults', () => {
  it('one exists from the first start and stays', async () => {
    const [first] = await collect(client.beta.vaults.list());
    expect(first).toMatchObject({ id: DEFAULT, type: 'vault', display_name: 'Default', archived_at: null });
    expect(await statusOf(client.beta.vaults.delete(DEFAULT))).toBe(409);
    expect(await statusOf(client.beta.vaults.archive(DEFAULT))).toBe(409);
  });

  it('are made, read, changed, archived and deleted', async () => {
    const { vaults } = client.beta;
    const made = await vaults.create({ display_name: 'Alice', metadata: { a: '1', b: '2' } });
    expect(made).toEqual({
      id: expect.stringMatching(/^vlt_/),
      type: 'vault',
      display_name: 'Alice',
      metadata: { a: '1', b: '2' },
      created_at: expect.any(String),
      updated_at: made.created_at,
      archived_at: null,
    });
    const changed = await vaults.update(made.id, { display_name: 'Alice B.', metadata: { a: null, c: '3' } });
    expect(changed).toMatchObject({ display_name: 'Alice B.', metadata: { b: '2', c: '3' } });
    expect(await vaults.update(made.id, { display_name: null, metadata: null })).toMatchObject({
      display_name: 'Alice B.',
      metadata: { b: '2', c: '3' },
    });
    expect(await vaults.retrieve(made.id)).toMatchObject({ display_name: 'Alice B.' });
    expect((await vaults.archive(made.id)).archived_at).not.toBeNull();
    expect(await statusOf(vaults.update(made.id, { display_name: 'x' }))).toBe(409);
    const ids = async (include: boolean) =>
      (await collect(vaults.list({ include_archived: include }))).map(({ id }) => id);
    expect(await ids(false)).not.toContain(made.id);
    expect(await ids(true)).toContain(made.id);
    expect(await vaults.delete(made.id)).toEqual({ id: made.id, type: 'vault_deleted' });
    expect(await statusOf(vaults.retrieve(made.id))).toBe(404);
  });

  it('page, each once', async () => {
    const ids = await Promise.all(Array.from({ length: 5 }, newVault));
    const first = await client.beta.vaults.list({ limit: 2 });
    expect(first.data).toHaveLength(2);
    expect(first.hasNextPage()).toBe(true);
    const all = (await collect(client.beta.vaults.list({ limit: 2 }))).map(({ id }) => id);
    expect(new Set(all).size).toBe(all.length);
    expect(all).toEqual(expect.arrayContaining(ids));
    expect(await statusOf(client.beta.vaults.list({ page: 'bm9uc2Vuc2U' }))).toBe(400);
  });

  it.each([
    [{ display_name: '' }],
    [{ display_name: 'x'.repeat(256) }],
    [{}],
    [{ display_name: 'x', metadata: { a: 'x'.repeat(513) } }],
  ])('refuse %j', async (params) => {
    expect(await statusOf(client.beta.vaults.create(params as { display_name: string }))).toBe(400);
  });

  it('hold no more than 16 metadata, also over several updates', async () => {
    const id = await newVault();
    const some = (from: number) => Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`k${from + n}`, 'v']));
    await client.beta.vaults.update(id, { metadata: some(0) });
    expect(await statusOf(client.beta.vaults.update(id, { metadata: some(10) }))).toBe(400);
  });
});

describe('credentials', () => {
  it('an environment variable: made, read, rotated, listed, archived, deleted', async () => {
    const vault_id = await newVault();
    const { credentials } = client.beta.vaults;
    const made = await credentials.create(vault_id, {
      display_name: 'GitHub',
      metadata: { a: '1' },
      auth: {
        type: 'environment_variable',
        secret_name: 'GITHUB_TOKEN',
        secret_value: `${CANARY}-env`,
        networking: { type: 'limited', allowed_hosts: ['API.github.com', '*.githubusercontent.com'] },
        injection_location: { header: true },
      },
    });
    const auth = {
      type: 'environment_variable',
      secret_name: 'GITHUB_TOKEN',
      networking: { type: 'limited', allowed_hosts: ['api.github.com', '*.githubusercontent.com'] },
      injection_location: { header: true, body: false },
    };
    expect(made).toEqual({
      id: expect.stringMatching(/^vcrd_/),
      type: 'vault_credential',
      vault_id,
      display_name: 'GitHub',
      auth,
      metadata: { a: '1' },
      created_at: expect.any(String),
      updated_at: made.created_at,
      archived_at: null,
    });
    expect(await credentials.retrieve(made.id, { vault_id })).toEqual(made);
    const changed = await credentials.update(made.id, {
      vault_id,
      display_name: 'GitHub, read only',
      metadata: { a: null, b: '2' },
      auth: {
        type: 'environment_variable',
        secret_value: `${CANARY}-env-2`,
        networking: { type: 'unrestricted' },
      },
    });
    expect(changed).toMatchObject({
      display_name: 'GitHub, read only',
      metadata: { b: '2' },
      auth: { ...auth, networking: { type: 'unrestricted' } },
    });
    const renamed = { type: 'environment_variable', secret_name: 'OTHER' } as const;
    expect(await failureOf(credentials.update(made.id, { vault_id, auth: renamed }))).toMatchObject({
      status: 400,
      message: expect.stringContaining('cannot be changed'),
    });
    expect((await collect(credentials.list(vault_id))).map(({ id }) => id)).toEqual([made.id]);
    expect(await statusOf(credentials.retrieve(made.id, { vault_id: DEFAULT }))).toBe(404);
    const archived = await credentials.archive(made.id, { vault_id });
    expect(archived.archived_at).not.toBeNull();
    expect(await credentials.archive(made.id, { vault_id })).toEqual(archived);
    expect(await statusOf(credentials.update(made.id, { vault_id, display_name: 'x' }))).toBe(409);
    expect(await collect(credentials.list(vault_id))).toEqual([]);
    expect(await collect(credentials.list(vault_id, { include_archived: true }))).toEqual([archived]);
    expect(await credentials.delete(made.id, { vault_id })).toEqual({ id: made.id, type: 'vault_credential_deleted' });
    expect(await statusOf(credentials.retrieve(made.id, { vault_id }))).toBe(404);
  });

  it('a bearer token and an OAuth token of MCP servers', async () => {
    const vault_id = await newVault();
    const { credentials } = client.beta.vaults;
    const bearer = await credentials.create(vault_id, {
      auth: { type: 'static_bearer', mcp_server_url: 'https://mcp.example.com/sse', token: `${CANARY}-bearer` },
    });
    expect(bearer).toMatchObject({
      display_name: null,
      metadata: {},
      auth: { type: 'static_bearer', mcp_server_url: 'https://mcp.example.com/sse' },
    });
    const again = { type: 'static_bearer', mcp_server_url: 'https://mcp.example.com/sse', token: 'another' } as const;
    expect(await statusOf(credentials.create(vault_id, { auth: again }))).toBe(409);
    await credentials.update(bearer.id, { vault_id, auth: { type: 'static_bearer', token: `${CANARY}-bearer-2` } });

    const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
    const oauth = await credentials.create(vault_id, {
      auth: {
        type: 'mcp_oauth',
        mcp_server_url: 'https://oauth.example.com/mcp',
        access_token: `${CANARY}-access`,
        expires_at: tomorrow,
        refresh: {
          client_id: 'client',
          refresh_token: `${CANARY}-refresh`,
          token_endpoint: 'https://oauth.example.com/token',
          token_endpoint_auth: { type: 'client_secret_basic', client_secret: `${CANARY}-client` },
          scope: 'read',
        },
      },
    });
    const refresh = {
      client_id: 'client',
      token_endpoint: 'https://oauth.example.com/token',
      token_endpoint_auth: { type: 'client_secret_basic' },
      resource: null,
      scope: 'read',
    };
    expect(oauth.auth).toEqual({
      type: 'mcp_oauth',
      mcp_server_url: 'https://oauth.example.com/mcp',
      expires_at: tomorrow,
      refresh,
    });
    const changed = await credentials.update(oauth.id, {
      vault_id,
      auth: {
        type: 'mcp_oauth',
        access_token: `${CANARY}-access-2`,
        refresh: {
          refresh_token: `${CANARY}-refresh-2`,
          scope: '',
          token_endpoint_auth: { type: 'client_secret_post', client_secret: `${CANARY}-client-2` },
        },
      },
    });
    expect(changed.auth).toMatchObject({ expires_at: tomorrow, refresh: { ...refresh, scope: null } });
    const late = { type: 'mcp_oauth', expires_at: '2020-01-01T00:00:00Z' } as const;
    expect(await statusOf(credentials.update(oauth.id, { vault_id, auth: late }))).toBe(400);
    expect(await failureOf(credentials.mcpOAuthValidate(oauth.id, { vault_id }))).toMatchObject({
      status: 400,
      message: expect.stringContaining('does not try MCP credentials out'),
    });
  });

  it("Steward's own types: a header, and a user with a password", async () => {
    const { credentials } = client.beta.vaults;
    const vault_id = await newVault();
    const key = await credentials.create(vault_id, {
      display_name: 'Weather',
      auth: own({ type: 'header', hosts: ['weather.example.com'], header: 'x-api-key', value: `${CANARY}-key` }),
    });
    expect(key.auth).toEqual({ type: 'header', hosts: ['weather.example.com'], header: 'x-api-key', prefix: '' });
    const git = await credentials.create(vault_id, {
      auth: own({ type: 'basic', hosts: ['git.example.com'], username: 'ada', password: `${CANARY}-password` }),
    });
    expect(git.auth).toEqual({ type: 'basic', hosts: ['git.example.com'], username: 'ada' });
    const changed = await credentials.update(git.id, {
      vault_id,
      auth: own({ type: 'basic', password: `${CANARY}-password-2` }) as never,
    });
    expect(changed.auth).toEqual(git.auth);
    expect((await collect(credentials.list(vault_id, { limit: 1 }))).map(({ id }) => id)).toEqual([key.id, git.id]);
  });

  it.each([
    ['a host with a path', { hosts: ['example.com/x'] }, 'bare host name'],
    ['a header with a line break', { header: 'X-Key\r\nHost: x' }, 'header name'],
    ['an empty secret', { value: '' }, 'must not be empty'],
    ['no secret', { value: undefined }, 'auth.value'],
    ['a secret under a wrong name', { value: undefined, valeu: `${CANARY}-typo` }, 'auth.value'],
    ['a secret in the place of a host', { hosts: [`${CANARY}/typo`] }, 'auth.hosts.0'],
    ['a type nobody knows', { type: 'ssh_key' }, 'auth.type'],
  ])('refuse %s, in words without the secret', async (_, wrong, says) => {
    const auth = { type: 'header', hosts: ['a.example.com'], header: 'X-Key', value: `${CANARY}-refused`, ...wrong };
    const { status, message } = await failureOf(client.beta.vaults.credentials.create(DEFAULT, { auth: own(auth) }));
    expect(status).toBe(400);
    expect(message).toContain(says);
    expect(message).not.toContain(CANARY);
  });

  it('refuse the body as a place for a secret', async () => {
    const { status, message } = await failureOf(
      client.beta.vaults.credentials.create(DEFAULT, {
        auth: {
          type: 'environment_variable',
          secret_name: 'A',
          secret_value: `${CANARY}-body`,
          networking: { type: 'limited', allowed_hosts: ['a.example.com'] },
          injection_location: { body: true },
        },
      }),
    );
    expect([status, message]).toEqual([400, expect.stringContaining('not put into bodies')]);
  });

  it('refuse the 21st of a vault, and any in one that is not there', async () => {
    const vault_id = await newVault();
    const create = (n: number, id = vault_id) =>
      client.beta.vaults.credentials.create(id, {
        auth: own({ type: 'header', hosts: ['a.example.com'], header: `X-${n}`, value: `${CANARY}-${n}` }),
      });
    for (let n = 0; n < 20; n++) await create(n);
    expect(await failureOf(create(20))).toMatchObject({ status: 400, message: expect.stringContaining('at most 20') });
    expect(await collect(client.beta.vaults.credentials.list(vault_id, { limit: 7 }))).toHaveLength(20);
    expect(await statusOf(create(0, 'vlt_none'))).toBe(404);
    expect(await statusOf(client.beta.vaults.credentials.list('vlt_none'))).toBe(404);
  });
});

describe('a secret', () => {
  it('is in no answer, no log and no file, and redacted where somebody else said it', async () => {
    // Kept by now under many names; here it is sent to where it does not belong.
    const kept = `${CANARY}-0`;
    const wrong = await request(steward, `/v1/vaults/${kept}`);
    const said = JSON.stringify(wrong.body);
    expect([wrong.status, said]).toEqual([404, expect.stringContaining('There is no vault [redacted].')]);
    expect(said).not.toContain(CANARY);

    await ask(steward, await newSession(steward), 'hello');
    expect(answers).toContain('vault_credential');
    expect(answers).not.toContain(CANARY);
    expect(steward.output()).toContain('"msg":"ready"');
    expect(steward.output()).not.toContain(CANARY);
    const files = readdirSync(steward.home, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    expect(files.map((file) => file.slice(steward.home.length + 1))).toEqual(
      expect.arrayContaining(['steward.db', 'vault.key']),
    );
    expect(files.filter((file) => readFileSync(file).includes(CANARY))).toEqual([]);
    expect(statSync(join(steward.home, 'vault.key')).mode & 0o777).toBe(0o600);
  });

  it('needs its key: with another one nothing starts, and the right one opens it again', async () => {
    await steward.kill('SIGTERM');
    const { home } = steward;
    const ended = await runSteward({ home, env: { STEWARD_VAULT_KEY: 'ab'.repeat(32) } });
    expect(ended.code).toBe(78);
    expect(ended.output).toMatch(/^The vault holds \d+ secrets, and the key in STEWARD_VAULT_KEY is not the one/);
    expect(ended.output).not.toContain('ab'.repeat(32));
    const again = await startSteward({ home });
    try {
      const vaults = await collect(sdk(again).beta.vaults.list({ limit: 100 }));
      const lists = await Promise.all(vaults.map(({ id }) => collect(sdk(again).beta.vaults.credentials.list(id))));
      expect(lists.flat().length).toBeGreaterThan(20);
      expect(JSON.stringify(lists)).not.toContain('"readable":false');
    } finally {
      await again.kill('SIGTERM');
    }
  });
});
