// The three wires against strict servers on loopback: what is sent, what is believed, and how each failure is named.
// Each promise has a client that breaks it, which the same checks find out.
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  createEmbed,
  type Embed,
  type Embedded,
  fitting,
  LONGEST_TEXT,
  type Source,
} from '../../../../memory/vectors/client.ts';
import { providers } from '../../../../memory/vectors/index.ts';
import { prefixesOf } from '../../../../memory/vectors/prefixes.ts';
import type { Provider } from '../../../../memory/vectors/provider.ts';
import { dot } from '../../../../memory/vectors/search.ts';
import {
  type EmbeddingsFake,
  type EmbeddingsOptions,
  type Fault,
  startEmbeddings,
  type Wire,
} from '../../../fakes/embeddings.ts';

const WIRES = ['voyage', 'openai', 'ollama'] as const;
const KEY = 'pa-a-key-nobody-should-see';
const synonyms = [
  ['car', 'automobile'],
  ['doctor', 'physician'],
];

async function fakeOf(options: EmbeddingsOptions): Promise<EmbeddingsFake> {
  const fake = await startEmbeddings({ synonyms, ...options });
  onTestFinished(() => fake.close());
  return fake;
}

/** How a client is made: the real one, or one with a fault. */
interface Client {
  embed: Embed;
  provider(wire: Wire): Provider;
}
const real: Client = { embed: createEmbed({ fetch }), provider: (wire) => providers[wire] };

interface Asked {
  texts?: readonly string[];
  use?: 'query' | 'document';
  model?: string;
  url?: string;
  key?: string | null;
  timeoutMs?: number;
  signal?: AbortSignal;
}

function ask(client: Client, fake: EmbeddingsFake, asked: Asked = {}): Promise<Embedded> {
  const provider = client.provider(fake.options.wire);
  const source: Source = {
    provider,
    url: asked.url ?? fake.url,
    model: asked.model ?? provider.model,
    key: asked.key === undefined ? KEY : asked.key,
  };
  return client.embed(source, {
    texts: asked.texts ?? ['hello there'],
    use: asked.use ?? 'document',
    signal: asked.signal ?? new AbortController().signal,
    timeoutMs: asked.timeoutMs ?? 5_000,
  });
}

function vectors(answer: Embedded): Float32Array[] {
  if (answer.kind === 'failed') throw new Error(`no vectors: ${answer.why}`);
  return answer.vectors;
}
function failure(answer: Embedded): Extract<Embedded, { kind: 'failed' }> {
  if (answer.kind !== 'failed') throw new Error('it did not fail');
  return answer;
}

type Check = (client: Client, wire: Wire) => Promise<void>;

const checks = {
  async 'each text gets its own vector, of length 1'(client, wire) {
    const fake = await fakeOf({ wire });
    const found = vectors(
      await ask(client, fake, { texts: ['a red car', 'the old physician', 'automobile, red', 'doctor'] }),
    );
    expect(found.map((vector) => Math.abs(1 - Math.hypot(...vector)) < 1e-5)).toEqual([true, true, true, true]);
    expect(dot(found[0]!, found[2]!)).toBeGreaterThan(0.99);
    expect(dot(found[1]!, found[3]!)).toBeGreaterThan(dot(found[1]!, found[0]!) + 0.1);
  },
  async 'a question lands near its answer: the model is told which is which'(client, wire) {
    const fake = await fakeOf({ wire });
    const model = wire === 'voyage' ? 'voyage-4' : 'nomic-embed-text';
    const question = vectors(await ask(client, fake, { texts: ['which automobile?'], use: 'query', model }))[0]!;
    const text = vectors(await ask(client, fake, { texts: ['the car'], use: 'document', model }))[0]!;
    expect(fake.requests.map(({ use }) => use)).toEqual(['query', 'document']);
    expect(dot(question, text)).toBeGreaterThan(0.99);
  },
  async 'a redirect is not followed: neither words nor key go elsewhere'(client, wire) {
    const elsewhere = await fakeOf({ wire });
    const fake = await fakeOf({ wire });
    fake.faults.next({
      kind: 'redirect',
      to: `${elsewhere.url}${fake.options.wire === 'ollama' ? '/api/embed' : '/v1/embeddings'}`,
    });
    expect(failure(await ask(client, fake)).why).toContain('redirect');
    expect(elsewhere.requests).toEqual([]);
  },
  async 'a wrong key is named, and never repeated'(client, wire) {
    const fake = await fakeOf({ wire, key: 'another', tellsKey: true });
    const answer = failure(await ask(client, fake));
    expect(answer).toMatchObject({ failure: 'denied' });
    expect(answer.why).toContain('Incorrect API key provided');
    expect(answer.why).not.toContain(KEY);
  },
  async 'a server that never answers is given up in time'(client, wire) {
    const fake = await fakeOf({ wire });
    fake.faults.stick({ kind: 'black_hole' });
    const patient = new Promise<never>((_, reject) =>
      setTimeout(() => reject(new Error('still waiting')), 1_000).unref(),
    );
    const answer = failure(await Promise.race([ask(client, fake, { timeoutMs: 100 }), patient]));
    expect(answer).toMatchObject({ failure: 'unavailable', why: expect.stringContaining('within 100 ms') });
  },
  async 'too much at once: the pause that is asked for is handed on'(client, wire) {
    const fake = await fakeOf({ wire });
    fake.faults.next({ kind: 'status', status: 429, retryAfter: 7, message: 'Slow down.' });
    expect(failure(await ask(client, fake))).toMatchObject({ failure: 'unavailable', retryAfterMs: 7_000 });
  },
  async 'an answer that is not what was asked for is not believed'(client, wire) {
    const fake = await fakeOf({ wire });
    const bad: Fault[] = [
      { kind: 'missing' },
      { kind: 'uneven' },
      { kind: 'not_a_number' },
      { kind: 'zero' },
      { kind: 'truncated' },
      { kind: 'cut' },
      { kind: 'html' },
      { kind: 'drop' },
      { kind: 'endless' },
      ...(wire === 'ollama' ? [] : [{ kind: 'doubled' } as const]),
    ];
    for (const fault of bad) {
      fake.faults.next(fault);
      const answer = await ask(client, fake, { texts: ['one', 'two'] });
      expect([fault.kind, answer.kind, answer.kind === 'failed' && answer.failure]).toEqual([
        fault.kind,
        'failed',
        'unavailable',
      ]);
    }
  },
} satisfies Record<string, Check>;

describe.each(WIRES)('%s', (wire) => {
  it.each(Object.entries(checks))('%s', async (_, check) => {
    await check(real, wire);
  });

  it('says why it was refused, and whether it is about the texts', async () => {
    const fake = await fakeOf({ wire, models: ['known'], refuses: (text) => text.includes('forbidden') });
    expect(failure(await ask(real, fake, { model: 'known', texts: ['forbidden'] }))).toMatchObject({
      failure: 'refused',
      why: expect.stringContaining('This input is not accepted.'),
    });
    expect(failure(await ask(real, fake, { model: 'other' })).why).toContain('model "other" not found');
    for (const status of [500, 503]) {
      fake.faults.next({ kind: 'status', status, message: 'It broke\n\u0007.' });
      expect(failure(await ask(real, fake, { model: 'known' }))).toMatchObject({
        failure: 'unavailable',
        why: `127.0.0.1:${fake.port}: ${status} It broke .`,
      });
    }
  });

  it('a server that is not there is named with its reason', async () => {
    const fake = await fakeOf({ wire });
    await fake.close().catch(() => {});
    expect(failure(await ask(real, fake)).why).toMatch(/^127\.0\.0\.1:\d+: .*(ECONNREFUSED|refused)/);
  });

  it('ends at once when it is told to', async () => {
    const fake = await fakeOf({ wire });
    fake.faults.stick({ kind: 'black_hole' });
    const stop = new AbortController();
    const asked = ask(real, fake, { signal: stop.signal });
    await fake.reached(1);
    stop.abort();
    expect(failure(await asked).why).toBe('stopped');
  });

  it('takes any text: too long, broken, empty of letters', async () => {
    const fake = await fakeOf({ wire });
    const texts = ['x'.repeat(10_000_000), '漢'.repeat(9_000), `${'😀'.repeat(5_000)}\ud800`, '\u0000\u0001', '🙂'];
    expect(vectors(await ask(real, fake, { texts }))).toHaveLength(5);
    expect(fake.texts().every((text) => Buffer.byteLength(text) <= 8_192)).toBe(true);
  });
});

describe('what breaks each promise is found out', () => {
  const through = (change: (init: RequestInit) => RequestInit): Client => ({
    ...real,
    embed: createEmbed({ fetch: (url, init) => fetch(url, change(init ?? {})) }),
  });
  const other = (change: Partial<Provider>): Client => ({
    ...real,
    provider: (wire) => ({ ...providers[wire], ...change }),
  });
  const inListOrder = (answer: unknown) =>
    (answer as { data: { embedding: unknown }[] }).data.map(({ embedding }) => embedding);
  const cases: [string, Client, Wire, keyof typeof checks][] = [
    [
      'goes by the order of the list',
      other({ vectors: inListOrder }),
      'openai',
      'each text gets its own vector, of length 1',
    ],
    [
      'believes two vectors for one text',
      other({ vectors: inListOrder }),
      'voyage',
      'an answer that is not what was asked for is not believed',
    ],
    [
      'leaves the prefixes out',
      other({ roles: () => ({ query: '', document: '' }) }),
      'ollama',
      'a question lands near its answer: the model is told which is which',
    ],
    [
      'leaves input_type out',
      other({
        request: (url, input) => {
          const made = providers.voyage.request(url, input);
          const { input_type: _, ...body } = made.body;
          return { ...made, body };
        },
      }),
      'voyage',
      'a question lands near its answer: the model is told which is which',
    ],
    [
      'follows redirects',
      through((init) => ({ ...init, redirect: 'follow' })),
      'openai',
      'a redirect is not followed: neither words nor key go elsewhere',
    ],
    [
      'waits for ever',
      through(({ signal: _, ...init }) => init),
      'ollama',
      'a server that never answers is given up in time',
    ],
    [
      'repeats what the server says',
      {
        ...real,
        embed: (source, input) =>
          createEmbed({
            fetch: (url, init) =>
              fetch(url, { ...init, headers: { ...init?.headers, authorization: `Bearer ${KEY}` } }),
          })({ ...source, key: null }, input),
      },
      'voyage',
      'a wrong key is named, and never repeated',
    ],
    [
      'hears no pause',
      {
        ...real,
        embed: async (source, input) => {
          const answer = await real.embed(source, input);
          return answer.kind === 'failed' ? { ...answer, retryAfterMs: null } : answer;
        },
      },
      'openai',
      'too much at once: the pause that is asked for is handed on',
    ],
  ];
  it.each(cases)('one that %s', async (_, client, wire, promise) => {
    await expect(checks[promise](client, wire)).rejects.toThrow();
  });
  it('and every promise has one', () => {
    expect(Object.keys(checks).filter((name) => !cases.some(([, , , promise]) => promise === name))).toEqual([]);
  });
});

describe('addresses', () => {
  const to = (wire: Wire, url: string) => providers[wire].request(url, { model: 'm', texts: ['x'], use: 'query' }).url;
  it.each([
    ['openai', 'https://api.openai.com', 'https://api.openai.com/v1/embeddings'],
    ['openai', 'http://127.0.0.1:1234/v1', 'http://127.0.0.1:1234/v1/embeddings'],
    ['openai', 'https://api.deepinfra.com/v1/openai', 'https://api.deepinfra.com/v1/openai/embeddings'],
    ['openai', 'https://host.example/v1/embeddings', 'https://host.example/v1/embeddings'],
    ['voyage', 'https://ai.mongodb.com/v1', 'https://ai.mongodb.com/v1/embeddings'],
    ['ollama', 'http://127.0.0.1:11434', 'http://127.0.0.1:11434/api/embed'],
    ['ollama', 'http://nas.local/ollama/api', 'http://nas.local/ollama/api/embed'],
  ] as const)('%s %s → %s', (wire, url, whole) => {
    expect(to(wire, url)).toBe(whole);
  });
});

describe('texts', () => {
  it('are cut between characters, not within', () => {
    expect(fitting('abc', 2)).toBe('ab');
    expect(fitting('aé', 2)).toBe('a');
    expect(fitting('a😀', 4)).toBe('a');
    expect(fitting('😀😀', 4)).toBe('😀');
    expect(fitting('', 4)).toBe('');
    for (let bytes = 0; bytes < 40; bytes++) {
      const cut = fitting('aé漢😀'.repeat(4), bytes);
      expect([Buffer.byteLength(cut) <= bytes, cut.includes('\ufffd')]).toEqual([true, false]);
    }
    expect(Buffer.byteLength(fitting('漢'.repeat(10_000)))).toBeGreaterThan(LONGEST_TEXT - 3);
  });
  it('get the words their model was trained with', () => {
    expect(prefixesOf('nomic-embed-text:v1.5').query).toBe('search_query: ');
    expect(prefixesOf('hf.co/intfloat/multilingual-e5-large')).toEqual({ query: 'query: ', document: 'passage: ' });
    expect(prefixesOf('snowflake-arctic-embed2').query).toBe('query: ');
    expect(prefixesOf('snowflake-arctic-embed:335m').query).toMatch(/^Represent/);
    expect(prefixesOf('bge-m3')).toEqual({ query: '', document: '' });
  });
  it('come back as base64 from some servers', async () => {
    const fake = await fakeOf({ wire: 'openai', base64: true });
    expect(vectors(await ask(real, fake))[0]).toHaveLength(256);
  });
});
