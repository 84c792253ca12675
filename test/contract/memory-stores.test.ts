// Memory stores as the official SDK meets them: stores, memories and versions, paging, preconditions, refusals, and bytes that are gone.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MessagesApi, startMessagesApi, toolResults } from '../fakes/messages-api.ts';
import { type StewardProcess, startSteward } from '../helpers/process.ts';
import { ask, ENVIRONMENT, request, sdk } from '../helpers/talk.ts';

const OWN = 'memstore_owner';
const KEY = 'sk-contract-000000000000';

let steward: StewardProcess;
let model: MessagesApi;
let client: Anthropic;

beforeAll(async () => {
  model = await startMessagesApi({ key: KEY });
  steward = await startSteward({ env: { ANTHROPIC_API_KEY: KEY, ANTHROPIC_BASE_URL: model.url } });
  client = sdk(steward);
});
afterAll(async () => {
  await steward?.stop();
  await model?.close();
});

interface Failure {
  status: number;
  error: { type: string; message: string; conflicting_path?: string; conflicting_memory_id?: string };
}
const failureOf = async (work: PromiseLike<unknown>): Promise<Failure> => {
  try {
    await work;
  } catch (error) {
    if (error instanceof Anthropic.APIError)
      return { status: error.status ?? 0, error: (error.error as { error: Failure['error'] }).error };
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
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const newStore = async () => (await client.beta.memoryStores.create({ name: 'A store' })).id;
const put = (store: string, path: string, content = path) =>
  client.beta.memoryStores.memories.create(store, { path, content });

describe('memory stores', () => {
  it('are made, read, changed, archived and deleted', async () => {
    const { memoryStores } = client.beta;
    const made = await memoryStores.create({ name: 'Notes', description: 'For tests', metadata: { a: '1', b: '2' } });
    expect(made).toEqual({
      id: expect.stringMatching(/^memstore_/),
      type: 'memory_store',
      name: 'Notes',
      description: 'For tests',
      metadata: { a: '1', b: '2' },
      created_at: expect.any(String),
      updated_at: made.created_at,
      archived_at: null,
    });
    const changed = await memoryStores.update(made.id, {
      name: 'Better',
      description: '',
      metadata: { a: null, c: '3' },
    });
    expect(changed).toMatchObject({ name: 'Better', description: '', metadata: { b: '2', c: '3' } });
    expect(await memoryStores.update(made.id, { name: null, description: null, metadata: null })).toMatchObject({
      name: 'Better',
      metadata: { b: '2', c: '3' },
    });
    const memory = await put(made.id, '/a.md');
    expect((await memoryStores.archive(made.id)).archived_at).not.toBeNull();
    expect(await statusOf(memoryStores.update(made.id, { name: 'x' }))).toBe(409);
    expect(await statusOf(put(made.id, '/b.md'))).toBe(409);
    expect(await statusOf(memoryStores.memories.update(memory.id, { memory_store_id: made.id, content: 'x' }))).toBe(
      409,
    );
    expect(await memoryStores.memories.delete(memory.id, { memory_store_id: made.id })).toEqual({
      id: memory.id,
      type: 'memory_deleted',
    });
    const ids = async (include: boolean) =>
      (await collect(memoryStores.list({ include_archived: include }))).map(({ id }) => id);
    expect(await ids(false)).not.toContain(made.id);
    expect(await ids(true)).toContain(made.id);
    expect(await memoryStores.delete(made.id)).toEqual({ id: made.id, type: 'memory_store_deleted' });
    expect(await statusOf(memoryStores.retrieve(made.id))).toBe(404);
    expect(await statusOf(memoryStores.memories.list(made.id))).toBe(404);
  });

  it('page, each once, by when they were made', async () => {
    const ids = [await newStore(), await newStore(), await newStore()];
    const all = (await collect(client.beta.memoryStores.list({ limit: 2 }))).map(({ id }) => id);
    expect(new Set(all).size).toBe(all.length);
    expect(all.filter((id) => ids.includes(id))).toEqual(ids);
    const { created_at } = await client.beta.memoryStores.retrieve(ids[1]!);
    const since = await collect(client.beta.memoryStores.list({ 'created_at[gte]': created_at }));
    expect(since.map(({ id }) => id)).toEqual(expect.arrayContaining(ids.slice(1)));
    const before = await collect(client.beta.memoryStores.list({ 'created_at[lte]': '2020-01-01T00:00:00Z' }));
    expect(before).toEqual([]);
    expect(await statusOf(client.beta.memoryStores.list({ page: 'bm9uc2Vuc2U' }))).toBe(400);
  });

  it.each([
    [{}],
    [{ name: '' }],
    [{ name: 'x'.repeat(256) }],
    [{ name: 'a\nb' }],
    [{ name: 'x', description: 'x'.repeat(1_025) }],
    [{ name: 'x', metadata: { '': 'x' } }],
    [{ name: 'x', metadata: { a: 'x'.repeat(513) } }],
    [{ name: 'x', metadata: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, 'v'])) }],
  ])('refuse %.60j', async (params) => {
    expect(await statusOf(client.beta.memoryStores.create(params as { name: string }))).toBe(400);
  });
});

describe('memories', () => {
  it('are made, read, changed, renamed and deleted, with their hash', async () => {
    const memory_store_id = await newStore();
    const { memories } = client.beta.memoryStores;
    const made = await memories.create(memory_store_id, { path: '/notes/a.md', content: 'Grüße' });
    expect(made).toEqual({
      id: expect.stringMatching(/^mem_/),
      type: 'memory',
      memory_store_id,
      memory_version_id: expect.stringMatching(/^memver_/),
      path: '/notes/a.md',
      content: null,
      content_sha256: sha256('Grüße'),
      content_size_bytes: 7,
      created_at: expect.any(String),
      updated_at: made.created_at,
    });
    expect(await memories.retrieve(made.id, { memory_store_id })).toEqual({ ...made, content: 'Grüße' });
    expect((await memories.retrieve(made.id, { memory_store_id, view: 'basic' })).content).toBeNull();
    const renamed = await memories.update(made.id, { memory_store_id, path: '/b.md', view: 'full' });
    expect(renamed).toMatchObject({ id: made.id, path: '/b.md', content: 'Grüße' });
    expect(renamed.memory_version_id).not.toBe(made.memory_version_id);
    const same = await memories.update(made.id, { memory_store_id, content: 'Grüße' });
    expect(same.memory_version_id).toBe(renamed.memory_version_id);
    expect((await put(memory_store_id, '/empty.md', '')).content_size_bytes).toBe(0);
    expect(await memories.delete(made.id, { memory_store_id })).toEqual({ id: made.id, type: 'memory_deleted' });
    expect(await statusOf(memories.retrieve(made.id, { memory_store_id }))).toBe(404);
    expect(await statusOf(memories.retrieve(made.id, { memory_store_id: await newStore() }))).toBe(404);
  });

  it('are not written over what somebody else wrote', async () => {
    const memory_store_id = await newStore();
    const { memories } = client.beta.memoryStores;
    const made = await put(memory_store_id, '/a.md', 'one');
    const precondition = { type: 'content_sha256', content_sha256: made.content_sha256 } as const;
    await memories.update(made.id, { memory_store_id, content: 'two', precondition });
    expect(
      await failureOf(memories.update(made.id, { memory_store_id, content: 'three', precondition })),
    ).toMatchObject({
      status: 409,
      error: { type: 'memory_precondition_failed_error', message: expect.stringContaining('something else by now') },
    });
    const stale = memories.delete(made.id, { memory_store_id, expected_content_sha256: made.content_sha256 });
    expect((await failureOf(stale)).error.type).toBe('memory_precondition_failed_error');
    expect((await memories.retrieve(made.id, { memory_store_id })).content).toBe('two');
    await memories.delete(made.id, { memory_store_id, expected_content_sha256: sha256('two') });
  });

  it('do not share a path, nor lie inside one another', async () => {
    const store = await newStore();
    const made = await put(store, '/notes');
    const conflict = (path: string) => failureOf(put(store, path));
    for (const path of ['/notes', '/notes/todo.md'])
      expect(await conflict(path)).toMatchObject({
        status: 409,
        error: { type: 'memory_path_conflict_error', conflicting_memory_id: made.id, conflicting_path: '/notes' },
      });
    const other = await put(store, '/a/b/c.md');
    expect((await conflict('/a/b')).error.conflicting_path).toBe('/a/b/c.md');
    const renamed = client.beta.memoryStores.memories.update(other.id, { memory_store_id: store, path: '/notes/x' });
    expect((await failureOf(renamed)).error.conflicting_memory_id).toBe(made.id);
    expect((await put(store, '/notes-archive')).path).toBe('/notes-archive');
  });

  it.each([
    'no-slash.md',
    '/',
    '/a//b',
    '/a/../b',
    '/./a',
    '/a\u0000b',
    '/a\u202eb',
    '/a\u2028b',
    '/cafe\u0301',
    `/${'a/'.repeat(20)}b`,
    `/${'x'.repeat(1_024)}`,
  ])('refuse the path %j', async (path) => {
    expect(await statusOf(put(OWN, path, 'x'))).toBe(400);
    expect(await statusOf(put(await newStore(), path, 'x'))).toBe(400);
  });

  it('hold 102,400 bytes each, and no more', async () => {
    const store = await newStore();
    await put(store, '/full.md', 'é'.repeat(51_200));
    expect(await statusOf(put(store, '/more.md', 'é'.repeat(51_201)))).toBe(413);
  });

  it('are listed by path, by folder, and in pages', async () => {
    const store = await newStore();
    const paths = ['/a.md', '/notes/1.md', '/notes/2.md', '/notes/deep/3.md', '/notes-archive/4.md', '/z/5.md'];
    for (const path of paths.toReversed()) await put(store, path);
    const { memories } = client.beta.memoryStores;
    const list = async (params: object) => (await collect(memories.list(store, params))).map(({ path }) => path);
    const sorted = paths.toSorted();
    expect(await list({})).toEqual(sorted);
    expect(await list({ limit: 2 })).toEqual(sorted);
    expect(await list({ path_prefix: '/notes/' })).toEqual(['/notes/1.md', '/notes/2.md', '/notes/deep/3.md']);
    expect(await list({ depth: 1 })).toEqual(['/a.md', '/notes-archive/', '/notes/', '/z/']);
    expect(await list({ depth: 1, limit: 1 })).toEqual(['/a.md', '/notes-archive/', '/notes/', '/z/']);
    const [folder] = (await memories.list(store, { depth: 1, path_prefix: '/notes/' })).data.slice(-1);
    expect(folder).toEqual({ type: 'memory_prefix', path: '/notes/deep/' });
    const full = await memories.list(store, { view: 'full', limit: 100 });
    expect(full.data.map((entry) => entry.type === 'memory' && entry.content)).toEqual(sorted);
    for (const wrong of [
      { path_prefix: '/notes' },
      { path_prefix: 'notes/' },
      { depth: 2 },
      { page: 'eA' },
      { view: 'all' },
    ])
      expect(await statusOf(memories.list(store, wrong as object)), JSON.stringify(wrong)).toBe(400);
  });
});

describe('versions', () => {
  it('keep every change, who made it, and how it was', async () => {
    const memory_store_id = await newStore();
    const { memories, memoryVersions } = client.beta.memoryStores;
    const { id } = await put(memory_store_id, '/a.md', 'one');
    await memories.update(id, { memory_store_id, content: 'two' });
    await memories.update(id, { memory_store_id, path: '/b.md' });
    await memories.delete(id, { memory_store_id });
    await put(memory_store_id, '/other.md');
    const list = await collect(memoryVersions.list(memory_store_id, { memory_id: id, view: 'full', limit: 3 }));
    expect(list.map((version) => [version.operation, version.path, version.content, version.content_sha256])).toEqual([
      ['deleted', '/b.md', null, null],
      ['modified', '/b.md', 'two', sha256('two')],
      ['modified', '/a.md', 'two', sha256('two')],
      ['created', '/a.md', 'one', sha256('one')],
    ]);
    for (const version of list)
      expect(version).toMatchObject({
        type: 'memory_version',
        memory_id: id,
        memory_store_id,
        created_by: { type: 'api_actor', api_key_id: expect.stringMatching(/^apikey_/) },
        redacted_at: null,
        redacted_by: null,
      });
    const created = await collect(memoryVersions.list(memory_store_id, { operation: 'created' }));
    expect(created.map(({ path, content }) => [path, content])).toEqual([
      ['/other.md', null],
      ['/a.md', null],
    ]);
    const by = (api_key_id: string) => collect(memoryVersions.list(memory_store_id, { api_key_id }));
    expect([(await by('apikey_steward')).length, (await by('apikey_none')).length]).toEqual([5, 0]);
    const first = list.at(-1)!;
    expect(await memoryVersions.retrieve(first.id, { memory_store_id })).toEqual(first);
    expect(await statusOf(memoryVersions.retrieve('memver_none', { memory_store_id }))).toBe(404);
  });

  it('are redacted for good: the trail stays, the bytes do not', async () => {
    const memory_store_id = await newStore();
    const { memories, memoryVersions } = client.beta.memoryStores;
    const canary = 'canary-2b6e19f3';
    const { id } = await put(memory_store_id, `/${canary}.md`, `the code is ${canary}`);
    await memories.update(id, { memory_store_id, path: '/a.md', content: 'nothing' });
    const [head, old] = await collect(memoryVersions.list(memory_store_id, { memory_id: id }));
    expect(await statusOf(memoryVersions.redact(head!.id, { memory_store_id }))).toBe(409);
    const redacted = await memoryVersions.redact(old!.id, { memory_store_id });
    expect(redacted).toMatchObject({
      id: old!.id,
      operation: 'created',
      created_by: old!.created_by,
      created_at: old!.created_at,
      path: null,
      content: null,
      content_sha256: null,
      content_size_bytes: null,
      redacted_at: expect.any(String),
      redacted_by: { type: 'api_actor' },
    });
    expect(await memoryVersions.redact(old!.id, { memory_store_id })).toEqual(redacted);
    expect(await memoryVersions.retrieve(old!.id, { memory_store_id })).toEqual(redacted);
    for (const name of ['steward.db', 'steward.db-wal']) {
      const file = join(steward.home, name);
      expect(existsSync(file) && readFileSync(file).includes(canary), name).toBe(false);
    }
  });
});

describe('the store of the owner', () => {
  it('is there from the start, and stays', async () => {
    const [first] = await collect(client.beta.memoryStores.list());
    expect(first).toMatchObject({ id: OWN, name: 'Steward', archived_at: null });
    expect(await statusOf(client.beta.memoryStores.delete(OWN))).toBe(409);
    expect(await statusOf(client.beta.memoryStores.archive(OWN))).toBe(409);
    expect(await statusOf(client.beta.memoryStores.update(OWN, { name: 'x' }))).toBe(409);
  });

  it('shows and changes what Steward knows, line by line', async () => {
    const memory_store_id = OWN;
    const { memories, memoryVersions } = client.beta.memoryStores;
    const made = await memories.create(OWN, {
      path: '/reference/tea.md',
      content: '# Tea\n\n- Oolong in the morning\n- Never with sugar\n',
      view: 'full',
    });
    expect(made.content).toBe('# tea\n\n- Oolong in the morning\n- Never with sugar\n');
    expect(made.content_sha256).toBe(sha256(made.content!));
    const found = await request(steward, '/api/memory/search?q=oolong');
    expect(JSON.stringify(found.body)).toContain('Oolong in the morning');
    const precondition = { type: 'content_sha256', content_sha256: made.content_sha256 } as const;
    const changed = await memories.update(made.id, {
      memory_store_id,
      content: '- Oolong in the evening\n',
      view: 'full',
      precondition,
    });
    expect(changed).toMatchObject({ id: made.id, content: '# tea\n\n- Oolong in the evening\n' });
    expect(
      (await failureOf(memories.update(made.id, { memory_store_id, content: '- x', precondition }))).error.type,
    ).toBe('memory_precondition_failed_error');
    const again = await failureOf(memories.create(OWN, { path: '/reference/tea.md', content: '- x' }));
    expect(again.error).toMatchObject({ type: 'memory_path_conflict_error', conflicting_memory_id: made.id });
    const versions = await collect(memoryVersions.list(OWN, { memory_id: made.id, view: 'full' }));
    expect(versions.map(({ operation, content }) => [operation, content])).toEqual([
      ['modified', '# tea\n\n- Oolong in the evening\n'],
      ['created', '# tea\n\n- Oolong in the morning\n- Never with sugar\n'],
    ]);
    const redacted = await memoryVersions.redact(versions[1]!.id, { memory_store_id });
    expect(redacted).toMatchObject({ path: null, content: null, redacted_by: { type: 'api_actor' } });
    const moved = await memories.update(made.id, { memory_store_id, path: '/reference/drinks.md', view: 'full' });
    expect(moved.content).toBe('# drinks\n\n- Oolong in the evening\n');
    await memories.delete(moved.id, { memory_store_id });
    expect((await collect(memories.list(OWN, { path_prefix: '/reference/' }))).map(({ path }) => path)).toEqual([]);
  });

  it('is the folder of the file tool: an agent that names it writes there', async () => {
    const tool = { type: 'memory_20250818', name: 'memory' };
    const agent = await client.beta.agents.create({ name: 'Keeper', model: 'claude-test-1', tools: [tool] as never });
    const session = await client.beta.sessions.create({ agent: agent.id, environment_id: ENVIRONMENT });
    const input = { command: 'create', path: '/memories/plans/spring.md', file_text: 'Paint the boat' };
    const offered: string[] = [];
    model.script((asked) => {
      offered.push(...(asked.tools ?? []).map(({ name }) => name));
      return toolResults(asked).length > 0 ? 'Noted.' : { content: [{ type: 'tool_use', name: 'memory', input }] };
    });
    await ask(steward, session.id, 'Note that I paint the boat in spring.');
    expect([...new Set(offered)]).toEqual(['memory']);
    const [note] = await collect(client.beta.memoryStores.memories.list(OWN, { path_prefix: '/plans/', view: 'full' }));
    expect(note).toMatchObject({ path: '/plans/spring.md', content: 'Paint the boat' });
    const [version] = await collect(client.beta.memoryStores.memoryVersions.list(OWN, { session_id: session.id }));
    expect(version).toMatchObject({
      operation: 'created',
      created_by: { type: 'session_actor', session_id: session.id },
    });
  });
});
