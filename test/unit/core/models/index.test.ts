// The failover list: which name is served by whom, and that every provider in it is watched.
import { expect, test } from 'vitest';
import { createModels } from '../../../../core/models/index.ts';
import { startMessagesApi } from '../../../fakes/messages-api.ts';
import { ask, collect, done, failed } from './collect.ts';

test('serves `offline` itself and everything else over the wire, in the order given', async () => {
  const api = await startMessagesApi();
  const { list } = createModels({ models: ['claude-a', 'llama3', 'offline'], apiKey: 'k', baseURL: api.url });
  expect(list.map(({ name, provider }) => [name, provider.name])).toEqual([
    ['claude-a', 'anthropic'],
    ['llama3', 'anthropic'],
    ['offline', 'offline'],
  ]);
  for (const { name, provider } of list) done((await collect(provider, ask('hello', { model: name }))).outcome);
  await api.close();
  expect(api.requests.map(({ body }) => (body as { model: string }).model)).toEqual(['claude-a', 'llama3']);
});

test('watches them with the timings given', async () => {
  const api = await startMessagesApi();
  api.faults.next({ kind: 'hang_before_first_event' });
  const [first] = createModels({
    models: ['claude-a'],
    apiKey: 'k',
    baseURL: api.url,
    timings: { firstEventMs: 50 },
  }).list;
  const { outcome } = await collect(first!.provider, ask('hello'));
  await api.close();
  expect(failed(outcome).failure).toBe('stalled');
});
