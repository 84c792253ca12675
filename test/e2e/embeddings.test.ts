// Searching by meaning in the whole process: found in other words, words alone when the provider is down, and its key nowhere.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type EmbeddingsFake, startEmbeddings } from '../fakes/embeddings.ts';
import { type StewardProcess, startSteward } from '../helpers/process.ts';

const KEY = 'pa-e2e-key-nobody-should-see';
let fake: EmbeddingsFake;
let steward: StewardProcess;

interface Found {
  data: { text: string; score: number }[];
  weak: boolean;
  degraded: string | null;
}

const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
  const response = await fetch(`${steward.url}${path}`, {
    method,
    headers: { 'x-api-key': steward.token, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  expect(response.ok, `${method} ${path}: ${response.status}`).toBe(true);
  return (await response.json()) as T;
};
const search = (words: string) => call<Found>('GET', `/api/memory/search?q=${encodeURIComponent(words)}`);

beforeEach(async () => {
  fake = await startEmbeddings({ wire: 'voyage', key: KEY, synonyms: [['car', 'automobile']] });
  steward = await startSteward({
    env: { STEWARD_EMBEDDINGS: 'voyage', STEWARD_EMBEDDINGS_KEY: KEY, STEWARD_EMBEDDINGS_URL: fake.url },
  });
});
afterEach(async () => {
  await steward.stop();
  await fake.close().catch(() => {});
});

it('finds what was meant, goes by words when the provider is gone, says so, and keeps its key', async () => {
  await call('POST', '/api/memory', { text: 'My automobile is parked under the chestnut' });
  for (let i = 0; i < 12; i++) await call('POST', '/api/memory', { text: `Something else entirely, number ${i}` });
  await expect.poll(() => fake.texts().filter((text) => text.includes('chestnut')).length).toBe(1);
  await expect
    .poll(async () => (await search('car')).data[0]?.text ?? '', { timeout: 10_000 })
    .toContain('under the chestnut');
  expect(await search('car')).toMatchObject({ degraded: null, weak: false });

  await fake.close();
  const words = await search('the chestnut and something new');
  expect(words.data[0]?.text).toContain('under the chestnut');
  expect(words.degraded).toMatch(/127\.0\.0\.1/);
  const status = await call<{ notices: { text: string }[] }>('GET', '/api/status');
  expect(status.notices.map(({ text }) => text).join()).toContain('embeddings: voyage voyage-4');
  const everything = [JSON.stringify(status), JSON.stringify(words), steward.output()].join();
  expect(everything).not.toContain(KEY);
  for (const file of ['steward.db', 'steward.db-wal'])
    expect(readFileSync(join(steward.home, file)).includes(KEY)).toBe(false);
});
