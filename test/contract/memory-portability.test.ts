// Memory goes from one Steward to another over HTTP, as a person would move it: the same file comes out, and the same answers.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type StewardProcess, startSteward } from '../helpers/process.ts';
import { ask, newSession, request } from '../helpers/talk.ts';

let one: StewardProcess;
let two: StewardProcess;

beforeAll(async () => {
  [one, two] = await Promise.all([startSteward(), startSteward()]);
});
afterAll(async () => {
  await Promise.all([one?.stop(), two?.stop()]);
});

const get = async (at: StewardProcess, path: string): Promise<string> => {
  const response = await fetch(`${at.url}${path}`, { headers: { 'x-api-key': at.token } });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return text;
};
const post = (at: StewardProcess, path: string, body: object, method = 'POST') =>
  request(at, path, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
const lessHeader = (text: string) => text.replace(/"exported_at":"[^"]*"/, '');
const bring = (at: StewardProcess, format: string, files: Record<string, string>, more: object = {}) =>
  post(at, '/api/memory/import', {
    format,
    files: Object.entries(files).map(([path, data]) => ({ path, data })),
    ...more,
  });

interface Hit {
  id: string;
  text: string;
  score: number;
}
const find = async (at: StewardProcess, query: string): Promise<Hit[]> =>
  (JSON.parse(await get(at, `/api/memory/search?q=${encodeURIComponent(query)}`)) as { data: Hit[] }).data;

describe('memory', () => {
  it('moves: the second Steward exports the same bytes, and answers the same', async () => {
    await ask(one, await newSession(one), 'The spare key hangs behind the blue clock.');
    for (const text of ['Ann lives in Bergen', 'Tea is taken without sugar', 'The boat is called Kestrel'])
      expect((await post(one, '/api/memory', { text })).status).toBe(200);
    const first = await get(one, '/api/memory/export?format=jsonl');
    const done = await bring(two, 'jsonl', { 'memory.jsonl': first });
    expect([done.status, done.body]).toEqual([200, expect.objectContaining({ items: 3, skipped: [] })]);
    expect(lessHeader(await get(two, '/api/memory/export?format=jsonl')).split('\n')).toEqual(
      lessHeader(first).split('\n'),
    );
    for (const query of ['spare key', 'where does Ann live', 'boat Kestrel']) {
      const before = await find(one, query);
      expect(before.length, query).toBeGreaterThan(0);
      expect(
        (await find(two, query)).map(({ id }) => id),
        query,
      ).toEqual(before.map(({ id }) => id));
    }
  });

  it('refuses a file that is cut off, with what is wrong, and changes nothing', async () => {
    const text = await get(one, '/api/memory/export?format=jsonl');
    const before = lessHeader(await get(two, '/api/memory/export?format=jsonl'));
    const { status, body } = await bring(two, 'jsonl', { 'memory.jsonl': text.slice(0, -200) });
    expect([status, JSON.stringify(body)]).toEqual([400, expect.stringContaining('the file breaks off here')]);
    expect(lessHeader(await get(two, '/api/memory/export?format=jsonl'))).toBe(before);
  });

  it('that was forgotten does not come back, and leaves no bytes', async () => {
    const text = await get(one, '/api/memory/export?format=jsonl');
    const [hit] = await find(two, 'spare key blue clock');
    expect(hit!.text).toContain('blue clock');
    const item = await post(two, '/api/memory', { text: 'The spare key hangs behind the blue clock.' });
    const id = JSON.stringify(item.body).match(/mem_[0-9A-Z]{26}/)![0];
    const forgotten = await post(two, `/api/memory/items/${id}?sources=true`, {}, 'DELETE');
    expect(forgotten.status).toBe(200);
    expect((await bring(two, 'jsonl', { 'memory.jsonl': text })).status).toBe(200);
    expect((await find(two, 'spare key blue clock')).map((found) => found.text).join()).not.toContain('blue clock');
    for (const name of ['steward.db', 'steward.db-wal']) {
      const file = join(two.home, name);
      expect(existsSync(file) && readFileSync(file).includes('behind the blue clock'), name).toBe(false);
    }
  });

  it('comes as a transcript, too, and is found with its speaker and day', async () => {
    const chat = '{"speaker":"Bo","time":"2025-03-07T18:00:00Z","text":"The regatta in Stresa was rained off"}\n';
    const { body } = await bring(one, 'transcript', { 'chat.jsonl': chat });
    expect(body).toMatchObject({ events: 1, items: 0 });
    const [hit] = await find(one, 'regatta in Stresa');
    expect(hit).toMatchObject({ text: 'The regatta in Stresa was rained off', who: 'Bo', trust: 'outside' });
  });
});
