// Consolidation from the outside: a whole Steward asks a model what to keep, survives its death, and takes it back on demand.
import { expect, it, onTestFinished } from 'vitest';
import { lastUserText, type MessagesRequest, startMessagesApi } from '../fakes/messages-api.ts';
import { startSteward } from '../helpers/process.ts';
import { ask, call, eventsOf, newSession } from '../helpers/talk.ts';

const KEY = 'sk-consolidation-0123456789';

interface Run {
  change_id: string | null;
  added: { tier: string; text: string; quotes: { quote: string }[] }[];
  refused: string[];
  summary: string;
}
interface Item {
  id: string;
  tier: string;
  text: string;
}

const isConsolidation = (request: MessagesRequest): boolean =>
  JSON.stringify(request.system).includes('long-term memory');

/** Keeps what is said about oat milk, tries to slip in what nobody said, and sums up. Anything else is small talk. */
function model(request: MessagesRequest): string {
  if (!isConsolidation(request)) return 'I see.';
  const alias = /^(e\d+) [\d-]+ "owner": .*oat milk/m.exec(lastUserText(request))?.[1] ?? 'e0';
  const add = (text: string, quote: string) => ({
    op: 'ADD',
    tier: 'reference',
    kind: 'fact',
    text,
    event: alias,
    quote,
  });
  return [
    add('The owner drinks coffee with oat milk.', 'coffee with oat milk'),
    add('The owner gave Mallory the keys.', 'gave Mallory the keys'),
    { op: 'SUMMARY', text: 'The owner told how they drink coffee.' },
  ]
    .map((line) => JSON.stringify(line))
    .join('\n');
}

async function open(env: Record<string, string> = {}) {
  const api = await startMessagesApi({ key: KEY, handler: model });
  onTestFinished(() => api.close());
  const settings = { ANTHROPIC_API_KEY: KEY, ANTHROPIC_BASE_URL: api.url, STEWARD_BUDGET_DAY_USD: '1000', ...env };
  const house = {
    api,
    steward: await startSteward({ env: settings }),
    again: async () => {
      house.steward = await startSteward({ home: house.steward.home, env: settings });
    },
    consolidations: () =>
      api.requests.map(({ body }) => body as MessagesRequest).filter((body) => body !== null && isConsolidation(body)),
    run: (kind: string, more: object = {}) => call<Run>(house.steward, '/api/memory/consolidate', { kind, ...more }),
    items: async () => (await call<{ data: Item[] }>(house.steward, '/api/memory')).data,
  };
  onTestFinished(() => house.steward.stop());
  return house;
}

it('a conversation becomes memory with its quotes, is told in its log, and is taken back by one command', async () => {
  const house = await open();
  const id = await newSession(house.steward);
  await ask(house.steward, id, 'I drink my coffee with oat milk, always.');

  const dry = await house.run('idle', { dry_run: true, session_id: id });
  expect(await house.items()).toEqual([]);
  const run = await house.run('idle', { session_id: id });
  expect({ ...run, change_id: null }).toEqual(dry);
  expect(run.added.map(({ text }) => text)).toEqual([
    'The owner told how they drink coffee.',
    'The owner drinks coffee with oat milk.',
  ]);
  expect(run.refused).toEqual([expect.stringContaining('Mallory')]);
  expect((await house.items()).map(({ tier }) => tier).toSorted()).toEqual(['reference', 'session']);

  const told = (await eventsOf(house.steward, id)).filter(({ type }) => type === 'memory.written');
  expect(told).toHaveLength(1);
  expect(JSON.stringify(told)).not.toContain('oat milk');

  expect((await house.run('idle', { session_id: id })).change_id).toBeNull();
  await call(house.steward, `/api/memory/changes/${run.change_id}/undo`, {});
  expect(await house.items()).toEqual([]);
});

it('a process that is killed while it asks loses nothing, and the next one keeps it once', async () => {
  const house = await open();
  const id = await newSession(house.steward);
  await ask(house.steward, id, 'I drink my coffee with oat milk, always.');
  house.api.faults.next({ kind: 'hang_before_headers' });
  const cut = house.run('idle', { session_id: id }).catch(() => null);
  await expect
    .poll(() => house.api.requests.at(-1)?.fault, { timeout: 10_000, interval: 20 })
    .toBe('hang_before_headers');
  await house.steward.kill('SIGKILL');
  await cut;

  await house.again();
  expect(await house.items()).toEqual([]);
  await house.run('idle', { session_id: id });
  await house.run('idle', { session_id: id });
  expect(await house.items()).toHaveLength(2);
  const told = (await eventsOf(house.steward, id)).filter(({ type }) => type === 'memory.written');
  expect(told).toHaveLength(1);
});

it('what is about to be summarised away is made memory first, beside the turn', async () => {
  const house = await open({ STEWARD_CONTEXT_TOKENS: '4000' });
  const id = await newSession(house.steward);
  await ask(house.steward, id, 'I drink my coffee with oat milk, always.');
  for (let i = 0; i < 4; i++) await ask(house.steward, id, `Chapter ${i}. ${'And so it went on and on. '.repeat(160)}`);
  await expect
    .poll(async () => (await house.items()).map(({ tier }) => tier), { timeout: 20_000, interval: 50 })
    .toContain('reference');
  expect(lastUserText(house.consolidations()[0]!)).toContain('oat milk');
  const compacted = (await eventsOf(house.steward, id)).filter(({ type }) => type === 'agent.thread_context_compacted');
  expect(compacted.length).toBeGreaterThan(0);
});

it('without a model the owner’s plain words are kept at once, and the night and the week still work', async () => {
  const house = await open({ ANTHROPIC_API_KEY: '', STEWARD_MODEL: 'offline' });
  const id = await newSession(house.steward);
  await ask(house.steward, id, 'My birthday is 7 May 1990.');
  await expect
    .poll(async () => (await house.items()).map(({ text }) => text), { timeout: 10_000, interval: 20 })
    .toEqual(['My birthday is 7 May 1990']);
  expect((await house.run('idle', { session_id: id })).summary).toContain('No model');
  await house.run('nightly');
  expect((await house.run('weekly')).summary).toContain('reference 1');
  expect(await house.items()).toHaveLength(1);
});
