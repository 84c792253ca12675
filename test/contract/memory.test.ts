// /api/memory over the wire of a real process: every route, its paging, its refusals, and that nothing is half-changed by them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type StewardProcess, startSteward } from '../helpers/process.ts';
import { ask, newSession, request } from '../helpers/talk.ts';

interface Item {
  id: string;
  text: string;
  tier: string;
  pinned: boolean;
  valid_from: string;
  valid_to: string | null;
  retired_at: string | null;
  superseded_by: string | null;
  change_id: string;
}

let steward: StewardProcess;
beforeAll(async () => {
  steward = await startSteward();
});
afterAll(async () => {
  await steward?.stop();
});

const call = async (method: string, path: string, body?: unknown) => {
  const answer = await request(steward, `/api/memory${path}`, { method, ...(body !== undefined && { body }) });
  return { status: answer.status, body: answer.body as Record<string, unknown> };
};
const ok = async (method: string, path: string, body?: unknown) => {
  const answer = await call(method, path, body);
  expect(answer, JSON.stringify(answer.body)).toMatchObject({ status: 200 });
  return answer.body;
};
const save = async (text: string, more: object = {}): Promise<Item> =>
  (await ok('POST', '', { text, ...more })).item as Item;
const list = async (query = ''): Promise<Item[]> => (await ok('GET', query)).data as Item[];
const failure = async (method: string, path: string, body?: unknown): Promise<[number, string]> => {
  const answer = await call(method, path, body);
  expect(answer.body).toMatchObject({
    type: 'error',
    error: { type: expect.any(String), message: expect.any(String) },
  });
  return [answer.status, String((answer.body.error as { message: string }).message)];
};

describe('an item', () => {
  it('is saved, listed, shown with its source, found, and known when it is said again', async () => {
    const item = await save('Ada keeps bees in Utrecht', {
      kind: 'fact',
      subject: 'Hobby',
      slot: 'animals',
      pinned: true,
    });
    expect(item).toMatchObject({
      type: 'memory_item',
      scope: 'owner',
      tier: 'reference',
      kind: 'fact',
      subject: 'hobby',
      slot: 'animals',
      authority: 'owner',
      pinned: true,
      valid_to: null,
      expires_at: null,
    });
    expect(await list('?subject=hobby')).toEqual([item]);
    expect(await list('?pinned=true&tier=reference&kind=fact')).toEqual([item]);
    const shown = await ok('GET', `/items/${item.id}`);
    expect(shown).toMatchObject({ ...item, history: [item], derived: [] });
    expect(shown.sources).toMatchObject([{ quote: item.text, channel: 'web', who: 'owner' }]);
    const found = await ok('GET', '/search?q=bees&limit=3&kinds=item');
    expect(found).toMatchObject({ weak: false, degraded: null, took_ms: expect.any(Number) });
    expect(found.data).toMatchObject([{ id: item.id, trust: 'owner', kind: 'item', score: expect.any(Number) }]);
    expect(
      await ok('POST', '', { text: 'Ada keeps bees in Utrecht.', subject: 'hobby', slot: 'animals' }),
    ).toMatchObject({
      result: 'known',
      item: { id: item.id },
    });
  });

  it('is edited as a new row; the old one held until then, and can be asked for', async () => {
    const old = await save('Works at Initech', { subject: 'owner', slot: 'employer', valid_from: '2026-01-01' });
    const edited = await ok('PATCH', `/items/${old.id}`, { text: 'Works at Globex' });
    expect(edited).toMatchObject({
      result: 'saved',
      superseded: [old.id],
      item: { text: 'Works at Globex', subject: 'owner' },
    });
    const item = edited.item as Item;
    const history = (await ok('GET', `/items/${old.id}/history`)).data as Item[];
    expect(history).toMatchObject([
      { id: old.id, valid_from: '2026-01-01T00:00:00.000Z', valid_to: item.valid_from, superseded_by: item.id },
      { id: item.id, valid_to: null },
    ]);
    expect((await list('?as_of=2026-03-01&subject=owner')).map(({ text }) => text)).toEqual(['Works at Initech']);
    expect((await list('?subject=owner')).map(({ text }) => text)).toEqual(['Works at Globex']);
    expect(await list('?subject=owner&include_retired=true')).toHaveLength(2);
    // Only what is named changes, and what was so all along stays so.
    const moved = (await ok('PATCH', `/items/${item.id}`, { tier: 'identity', expires_at: '2030-01-01' })).item as Item;
    expect(moved).toMatchObject({
      tier: 'identity',
      valid_from: item.valid_from,
      expires_at: '2030-01-01T00:00:00.000Z',
    });
    // A text that was true all along: the wrong one never held.
    const right = { text: 'Works at Hooli', valid_from: moved.valid_from };
    const corrected = (await ok('PATCH', `/items/${moved.id}`, right)).item as Item;
    expect(corrected).toMatchObject({ valid_from: moved.valid_from, tier: 'identity' });
    expect(await ok('GET', `/items/${moved.id}`)).toMatchObject({ valid_to: moved.valid_from });
    // But not at a time of which something else is known.
    expect(await failure('PATCH', `/items/${corrected.id}`, { text: 'x', valid_from: '2025-01-01' })).toEqual([
      409,
      expect.stringContaining('has a value already'),
    ]);
  });

  it('is pinned, and retired: it stays in the history', async () => {
    const item = await save('The car is a Volvo');
    expect(await ok('POST', `/items/${item.id}/pin`)).toMatchObject({ pinned: true });
    expect(await ok('POST', `/items/${item.id}/pin`, { pinned: false })).toMatchObject({ pinned: false });
    const retired = await ok('POST', `/items/${item.id}/retire`, { reason: 'it was a Saab' });
    expect(retired).toMatchObject({ id: item.id, retire_reason: 'it was a Saab', retired_at: expect.any(String) });
    expect((await list()).map(({ id }) => id)).not.toContain(item.id);
    expect((await list('?include_retired=true')).map(({ id }) => id)).toContain(item.id);
    expect((await failure('PATCH', `/items/${item.id}`, { text: 'again' }))[0]).toBe(409);
    expect((await failure('POST', `/items/${item.id}/retire`))[0]).toBe(409);
  });

  it('is forgotten for good: nothing of it is left in the file', async () => {
    const words = 'the-canary-sings-at-dawn';
    const item = await save(`The signal is ${words}`);
    const session = await newSession(steward);
    await ask(steward, session, `remember that the signal is ${words}`);
    const done = await ok('DELETE', `/items/${item.id}?sources=true`);
    expect(done).toMatchObject({
      items: expect.any(Number),
      events: expect.any(Number),
      change_id: expect.any(String),
    });
    expect(await failure('GET', `/items/${item.id}`)).toEqual([404, expect.stringContaining(item.id)]);
    expect((await failure('DELETE', `/items/${item.id}`))[0]).toBe(404);
    for (const file of readdirSync(steward.home).filter((name) => name.startsWith('steward.db')))
      expect(readFileSync(join(steward.home, file)).includes(words), file).toBe(false);
    expect((await failure('POST', `/changes/${String(done.change_id)}/undo`))[0]).toBe(409);
  });

  it('and so is something that was said', async () => {
    const session = await newSession(steward);
    const { sent } = await ask(steward, session, 'The vault is behind the painting');
    expect(await ok('DELETE', `/events/${sent.id}`)).toMatchObject({ events: expect.any(Number) });
    expect((await failure('DELETE', `/events/${sent.id}`))[0]).toBe(400);
    expect((await failure('DELETE', '/events/sevt_nothing'))[0]).toBe(404);
    const found = (await ok('GET', '/search?q=painting')).data as { id: string }[];
    expect(found.map(({ id }) => id)).not.toContain(sent.id);
  });
});

describe('lists', () => {
  it('page, each once', async () => {
    const made: string[] = [];
    for (const n of [1, 2, 3, 4, 5]) made.push((await save(`Book number ${n} is read`, { subject: 'books' })).id);
    const seen: string[] = [];
    for (let page: string | null = ''; page !== null; ) {
      const part = await ok('GET', `?subject=books&limit=2${page && `&page=${page}`}`);
      expect((part.data as Item[]).length).toBeLessThanOrEqual(2);
      seen.push(...(part.data as Item[]).map(({ id }) => id));
      page = part.next_page as string | null;
    }
    expect(seen).toEqual(made);
    const changes: string[] = [];
    for (let page: string | null = ''; page !== null; ) {
      const part = await ok('GET', `/changes?limit=4${page && `&page=${page}`}`);
      changes.push(...(part.data as Item[]).map(({ id }) => id));
      page = part.next_page as string | null;
    }
    expect(new Set(changes).size).toBe(changes.length);
    expect(changes.length).toBeGreaterThan(8);
  });

  it.each([
    ['GET', '?page=bm9uc2Vuc2U'],
    ['GET', '?tier=cellar'],
    ['GET', '?as_of=yesterday'],
    ['GET', '?limit=0'],
    ['GET', '/search?q=x&kinds=gossip'],
    ['GET', '/search?q=x&after=2026-02-30'],
    ['GET', '/changes?page=bWVtXzE'],
    ['GET', '/export?format=pdf'],
    ['POST', '', {}],
    ['POST', '', { text: '' }],
    ['POST', '', { text: ' \u0000 ' }],
    ['POST', '', { text: 'x', tier: 'archive' }],
    ['POST', '', { text: 'x', kind: 'summary' }],
    ['POST', '', { text: 'x', valid_from: 'soon' }],
    ['POST', '', { text: 'y'.repeat(8_001) }],
    ['POST', '', { text: 'The key is ghp_abcdefghijklmnopqrstuvwxyz0123' }],
    ['PATCH', '/items/mem_x', {}],
    ['POST', '/consolidate', { kind: 'hourly' }],
    ['POST', '/questions/mqst_x/answer', {}],
    ['POST', '/import', { format: 'jsonl', files: [] }],
    ['POST', '/import', { format: 'jsonl', files: [{ path: 'memory.jsonl', data: '{"format":"other"}' }] }],
    ['POST', '/import', { format: 'markdown', files: [{ path: '../identity.md', data: '- x' }] }],
  ])('%s %s refuses %j', async (method, path, body?) => {
    const before = await ok('GET', '/stats');
    const [status, message] = await failure(method, path, body);
    expect(status).toBe(400);
    expect(message).toMatch(/\S/);
    expect(await ok('GET', '/stats')).toMatchObject({
      items: before.items,
      last_change_at: before.last_change_at,
    });
  });

  it.each([
    ['GET', '/items/mem_nothing'],
    ['GET', '/items/mem_nothing/history'],
    ['PATCH', '/items/mem_nothing', { text: 'x' }],
    ['DELETE', '/items/mem_nothing'],
    ['POST', '/items/mem_nothing/pin'],
    ['POST', '/items/mem_nothing/retire'],
    ['GET', '/changes/mchg_nothing'],
    ['POST', '/changes/mchg_nothing/undo'],
    ['POST', '/questions/mqst_nothing/answer', { accept: true }],
    ['GET', '/nothing'],
  ])('%s %s is not there', async (method, path, body?) => {
    expect((await failure(method, path, body))[0]).toBe(404);
  });

  it('need the token', async () => {
    const { status } = await fetch(`${steward.url}/api/memory`);
    expect(status).toBe(401);
  });
});

describe('search', () => {
  it.each([
    '"',
    "'; DROP TABLE events; --",
    'NEAR(a b)',
    'a AND OR NOT',
    '*',
    '(((',
    '\u0000',
    '😀',
    'x'.repeat(100_000),
    '',
  ])('takes anything: %j', async (query) => {
    const path = `/search?q=${encodeURIComponent(query.slice(0, 10_000))}`;
    expect(await ok('GET', path)).toMatchObject({ data: expect.any(Array), weak: expect.any(Boolean) });
  });

  it('says when nothing is certain', async () => {
    expect(await ok('GET', '/search?q=zygomorphic+quasar+lute')).toMatchObject({ data: [], weak: true });
  });
});

describe('changes and questions', () => {
  it('a change says what it did, and is taken back, and that, too', async () => {
    const item = await save('Tea is drunk at four');
    expect(await ok('GET', `/changes/${item.change_id}`)).toMatchObject({
      kind: 'save',
      added_items: [{ id: item.id }],
    });
    const undone = await ok('POST', `/changes/${item.change_id}/undo`);
    expect(undone).toMatchObject({ kind: 'undo', retired: [item.id] });
    expect((await list()).map(({ text }) => text)).not.toContain(item.text);
    await ok('POST', `/changes/${String(undone.id)}/undo`);
    expect((await list()).map(({ text }) => text)).toContain(item.text);
    expect((await failure('POST', `/changes/${item.change_id}/undo`))[0]).toBe(409);
  });

  it('what is only the owner’s to decide waits, and the answer is carried out once', async () => {
    const files = [
      { path: 'chat.jsonl', data: '{"speaker":"Bob","time":"2026-01-01T10:00:00Z","text":"Ada owes me 5 euros"}' },
    ];
    expect(await ok('POST', '/import', { format: 'transcript', files, dry_run: true })).toMatchObject({ events: 1 });
    expect(await ok('POST', '/import', { format: 'transcript', files })).toMatchObject({ events: 1 });
    expect(await ok('POST', '/import', { format: 'transcript', files })).toMatchObject({ events: 0 });
    expect(((await ok('GET', '/search?q=owes+euros')).data as object[])[0]).toMatchObject({
      who: 'Bob',
      trust: 'outside',
    });
    const zylos = [{ path: 'references.md', data: '# References\n\n- The landlord is Mr Dijkstra\n' }];
    await ok('POST', '/import', { format: 'zylos', files: zylos });
    const waiting = (await ok('GET', '/questions')).data as { id: string; text: string }[];
    const question = waiting.find(({ text }) => text.includes('Dijkstra'))!;
    const answer = `/questions/${question.id}/answer`;
    expect(await ok('POST', answer, { accept: true })).toMatchObject({ accepted: true, saved: { result: 'saved' } });
    expect((await failure('POST', answer, { accept: false }))[0]).toBe(409);
    expect((await list()).some(({ text }) => text.includes('Dijkstra'))).toBe(true);
  });

  it('consolidates on demand, dry or for good', async () => {
    const before = await ok('GET', '/stats');
    const dry = await ok('POST', '/consolidate', { kind: 'nightly', dry_run: true });
    expect(dry).toMatchObject({ kind: 'nightly', change_id: null, summary: expect.any(String) });
    expect((await ok('GET', '/stats')).last_change_at).toBe(before.last_change_at);
    expect(await ok('POST', '/consolidate', { kind: 'weekly' })).toMatchObject({ refused: [] });
  });
});

it('goes out as JSONL and as Markdown, and comes back into an empty home as it was', async () => {
  const raw = async (at: StewardProcess, format: string) =>
    (await fetch(`${at.url}/api/memory/export?format=${format}`, { headers: { 'x-api-key': at.token } })).text();
  const jsonl = await raw(steward, 'jsonl');
  expect(JSON.parse(jsonl.split('\n')[0]!)).toMatchObject({ format: 'steward-memory', version: 1 });
  const tree = (await raw(steward, 'markdown'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { path: string; data: string });
  expect(tree.map(({ path }) => path)).toContain('identity.md');

  const other = await startSteward();
  try {
    const files = [{ path: 'memory.jsonl', data: jsonl }];
    const imported = await request(other, '/api/memory/import', { body: { format: 'jsonl', files } });
    expect(imported.status, JSON.stringify(imported.body)).toBe(200);
    const theirs = (await request(other, '/api/memory?limit=200')).body.data as Item[];
    expect(theirs).toEqual(await list('?limit=200'));
    const cut = [{ path: 'memory.jsonl', data: jsonl.slice(0, jsonl.length - 40) }];
    const broken = await request(other, '/api/memory/import', { body: { format: 'jsonl', files: cut } });
    expect(broken.status).toBe(400);
  } finally {
    await other.stop();
  }
});
