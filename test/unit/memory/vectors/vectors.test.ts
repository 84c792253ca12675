// Searching by meaning over a real record: what is found, what is never sent, what survives a crash, what is gone when it is forgotten.
import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { openTestMemory } from '../../../helpers/memory.ts';
import { fakeOf, KEY, type Life, openLife, settingsFor } from './rig.ts';

/** All bytes of the database and its WAL. */
const fileOf = ({ record }: Life): Buffer =>
  Buffer.concat([record.db.file, `${record.db.file}-wal`].map((path) => readFileSync(path)));
const vectorBytes = (life: Life, doc: number): Buffer =>
  Buffer.from(
    life.record.db
      .prepare<[number], { vector: Uint8Array }>('SELECT vector FROM memory_vectors WHERE doc = ?')
      .get(doc)!.vector,
  );

describe('finding', () => {
  it('what means the same in other words, and says that nothing does', async () => {
    const life = openLife(await fakeOf());
    for (const text of ['My automobile is in the garage', 'The physician said to rest', 'Dinner with Ann on Friday'])
      life.say(text);
    for (let i = 0; i < 30; i++) life.say(`Something else entirely, number ${i} of ${i * 7}`);
    await life.settled();
    expect((await life.near('Where did I put the car?'))[0]).toBe('My automobile is in the garage');
    expect((await life.near('What did the doctor say?'))[0]).toBe('The physician said to rest');
    expect((await life.search.search({ query: 'zyzzyva quokka' }, 'owner')).weak).toBe(true);
    expect(await life.vectors.search('   ', 5)).toEqual([]);
  });

  it('is fused into the one search: what shares no word with the question is a hit', async () => {
    const life = openLife(await fakeOf());
    const wanted = life.say('My automobile is in the garage');
    for (let i = 0; i < 30; i++) life.say(`Something else entirely, number ${i}`);
    await life.settled();
    const found = await life.search.search({ query: 'car?' }, 'owner');
    expect(found).toMatchObject({ degraded: null, weak: false });
    expect(found.hits[0]).toMatchObject({ id: wanted, why: { vector: expect.any(Number) } });
  });

  it('finds items, too, and new ones at once', async () => {
    const life = openLife(await fakeOf());
    const memory = openTestMemory({ record: life.record, index: life.docs });
    memory.add('The house has a blue door');
    for (let i = 0; i < 10; i++) life.say(`Something else entirely, number ${i}`);
    await life.settled();
    const row = life.record.db.prepare<[], { row: number }>('SELECT row FROM memory_items').get()!.row;
    const found = await life.vectors.search('home', 3);
    expect(found).toContainEqual({ doc: row * 2 + 1, score: expect.any(Number) });
  });

  it('gives the same answers by signs as by numbers', async () => {
    const fake = await fakeOf({ dimension: 256 });
    const life = openLife(fake);
    const topics = [
      'garage car wheel',
      'rain cloud storm',
      'bread oven flour',
      'violin concert hall',
      'tax form office',
    ];
    for (let i = 0; i < 200; i++) life.say(`${topics[i % 5]} ${i % 7} ${i * 31}`);
    await life.settled();
    const questions = ['wheel of the car', 'a storm with rain', 'flour for bread'];
    // Likeness is measured against some of the vectors, not the same ones in each life.
    const docsOf = async ({ vectors }: Life) => {
      const found = await Promise.all(questions.map((question) => vectors.search(question, 10)));
      return found.map((list) => (Array.isArray(list) ? list.map(({ doc }) => doc) : list.failed));
    };
    const exact = await docsOf(life);
    const next = await life.again({ exactBytes: 50 * 256 * 4 });
    await next.settled();
    expect(await docsOf(next)).toEqual(exact);
    expect(exact.map((list) => list.length)).toEqual([10, 10, 10]);
  });
});

describe('what is sent', () => {
  it("is the owner's alone: nothing of guests, groups and incognito conversations, neither said nor asked", async () => {
    const fake = await fakeOf();
    const life = openLife(fake);
    life.say('mine');
    life.say('a guest said this', { trust: 'guest' });
    life.say('a group said this', { trust: 'group' });
    life.say('nobody heard this', { incognito: true });
    await life.settled();
    expect(await life.vectors.search('asked by a guest', 5, 'sesn_guest')).toEqual([]);
    await life.search.search({ query: 'asked in a group' }, 'sesn_group');
    expect(new Set(fake.texts())).toEqual(new Set(['hello', 'mine']));
  });

  it('is each text once, however often it was said, in batches', async () => {
    const fake = await fakeOf();
    const life = openLife(fake, { idle: true });
    for (let i = 0; i < 100; i++) life.say(i % 2 ? 'ok' : `number ${i}`);
    life.vectors.start();
    await life.settled();
    life.say('ok');
    await life.settled();
    await vi.waitFor(() => expect(life.rows()).toHaveLength(101));
    const sent = fake.texts();
    expect(sent).toHaveLength(new Set(sent).size);
    expect(sent).toHaveLength(52);
    expect(fake.requests.length).toBeLessThan(10);
  });

  it('is nothing at all when it is off', async () => {
    const fake = await fakeOf();
    const life = openLife(fake, { embeddings: 'none' });
    life.say('mine');
    expect(await life.vectors.search('mine', 5)).toEqual([]);
    expect(await life.search.search({ query: 'mine' }, 'owner')).toMatchObject({
      degraded: null,
      hits: [{ text: 'mine' }],
    });
    expect(life.vectors.report()).toMatchObject({ provider: 'none', state: 'off' });
    expect(fake.requests).toEqual([]);
  });

  it('keeps the key out of the log', async () => {
    const fake = await fakeOf({ key: 'another one', tellsKey: true });
    const life = openLife(fake);
    await vi.waitFor(() => expect(life.logged.join()).toContain('Incorrect API key provided'));
    await life.near('x').catch(() => {});
    expect([...life.logged, JSON.stringify(life.vectors.report())].join()).not.toContain(KEY);
    expect(life.vectors.report().state).toBe('failing');
  });
});

describe('in the background', () => {
  it('goes on where it was cut off: nothing twice, nothing left out', async () => {
    const fake = await fakeOf();
    const life = openLife(fake, { idle: true });
    for (let i = 0; i < 80; i++) life.say(`number ${i}`);
    // The dimension, two batches, and then silence.
    fake.faults.next({ kind: 'none' }, { kind: 'none' }, { kind: 'none' }, { kind: 'black_hole' });
    life.vectors.start();
    await fake.reached(4);
    const next = await life.again();
    await next.settled();
    expect(next.rows()).toHaveLength(80);
    const lost = fake.requests[3]!.texts;
    const sent = fake.texts().filter((text) => text !== 'hello');
    expect(sent.length - lost.length).toBe(80);
    expect(new Set(sent).size).toBe(80);
  });

  it('pauses longer with each failure, as long as it is asked to, and recovers by itself', async () => {
    const fake = await fakeOf();
    const life = openLife(fake, { idle: true });
    life.say('mine');
    fake.faults.next(
      { kind: 'status', status: 500 },
      { kind: 'status', status: 503 },
      { kind: 'status', status: 429, retryAfter: 600 },
    );
    life.vectors.start();
    const { clock } = life.record;
    const tried = async (count: number, after: number) => {
      await vi.waitFor(() => expect(clock.sleeping()).toBe(1));
      expect(fake.requests).toHaveLength(count);
      await clock.advance(after - 1);
      expect(fake.requests).toHaveLength(count);
      await clock.advance(1);
    };
    await tried(1, 1_000);
    await tried(2, 2_000);
    await vi.waitFor(() => expect(life.vectors.report()).toMatchObject({ state: 'failing' }));
    expect(life.vectors.report().detail).toMatch(/Search goes by words alone/);
    await tried(3, 600_000);
    await life.settled();
    expect(life.rows()).toHaveLength(1);
    expect(life.vectors.report()).toMatchObject({
      state: 'ok',
      detail: '',
      dimension: 256,
      vectors: 1,
      tokens: expect.any(Number),
    });
  });

  it('leaves out the one text that is not taken, and asks for it no more', async () => {
    const fake = await fakeOf({ refuses: (text) => text.includes('forbidden') });
    const life = openLife(fake, { idle: true });
    for (let i = 0; i < 20; i++) life.say(i === 13 ? 'a forbidden word' : `number ${i}`);
    life.vectors.start();
    await life.settled();
    expect(life.rows().filter(({ size }) => size === 0)).toHaveLength(1);
    expect(life.rows()).toHaveLength(20);
    const asked = fake.texts().filter((text) => text.includes('forbidden')).length;
    const next = await life.again();
    next.say('one more');
    await next.settled();
    expect(fake.texts().filter((text) => text.includes('forbidden'))).toHaveLength(asked);
  });

  it('does not blame a text for a provider that takes none', async () => {
    const fake = await fakeOf();
    const life = openLife(fake);
    await life.settled();
    fake.options.refuses = () => true;
    life.say('innocent');
    await vi.waitFor(() => expect(life.vectors.report().state).toBe('failing'));
    expect(life.rows()).toEqual([]);
    delete fake.options.refuses;
    await life.record.clock.advance(60_000);
    await life.settled();
    expect(life.rows()).toMatchObject([{ size: 512 }]);
  });

  it('makes all of them anew for another model, and words go on in the meantime', async () => {
    const fake = await fakeOf();
    const life = openLife(fake);
    for (let i = 0; i < 300; i++) life.say(`number ${i}`);
    await life.settled();
    fake.faults.stick({ kind: 'black_hole' });
    const next = await life.again({ embeddingsModel: 'voyage-4-lite' });
    await fake.reached(fake.requests.length + 1);
    const found = await next.search.search({ query: 'number 7' }, 'owner');
    expect(found.degraded).toBeTruthy();
    expect(found.hits.length).toBeGreaterThan(0);
    fake.faults.stick(null);
    const last = await next.again({ embeddingsModel: null });
    await last.settled();
    expect(new Set(last.rows().map(({ model }) => model))).toEqual(new Set(['voyage:voyage-4:field:256']));
    const other = await last.again({ embeddingsModel: 'voyage-4-lite' });
    await other.settled();
    expect(new Set(other.rows().map(({ model }) => model))).toEqual(new Set(['voyage:voyage-4-lite:field:256']));
    expect(other.rows()).toHaveLength(300);
    expect((await other.near('number 7')).length).toBeGreaterThan(0);
  });

  it('notices another model behind the same name, but not one slip', async () => {
    const fake = await fakeOf();
    const life = openLife(fake);
    life.say('one');
    await life.settled();
    fake.faults.next({ kind: 'dimension', dimension: 48 });
    life.say('two');
    await vi.waitFor(() => expect(life.record.clock.sleeping()).toBe(1));
    await life.record.clock.advance(1_000);
    await life.settled();
    expect(life.rows().map(({ size }) => size)).toEqual([512, 512]);
    fake.options.dimension = 32;
    life.say('three');
    for (let tries = 0; tries < 2; tries++) {
      await vi.waitFor(() => expect(life.record.clock.sleeping()).toBe(1));
      await life.record.clock.advance(2_000);
    }
    await life.settled();
    expect(life.rows().map(({ size }) => size)).toEqual([64, 64, 64]);
    expect((await life.near('three'))[0]).toBe('three');
  });

  it('is built anew with the index, without asking anybody', async () => {
    const fake = await fakeOf();
    const life = openLife(fake);
    for (let i = 0; i < 20; i++) life.say(`number ${i}`);
    await life.settled();
    const sent = fake.texts().length;
    life.docs.rebuild();
    life.say('number 20');
    await life.settled();
    await vi.waitFor(() => expect(life.rows()).toHaveLength(21));
    expect(fake.texts()).toHaveLength(sent + 1);
  });

  it('looks again at what an older index had left out', async () => {
    const fake = await fakeOf();
    const life = openLife(fake);
    const late = life.say('left out before');
    for (let i = 0; i < 5; i++) life.say(`number ${i}`);
    await life.settled();
    life.vectors.remove([life.docOf(late)]);
    life.record.db.prepare("UPDATE memory_meta SET value = 'older' WHERE name = 'vectors.index'").run();
    const next = await life.again();
    await next.settled();
    expect(next.rows()).toHaveLength(6);
  });

  it('finds its way past thousands of messages that are none of its business', async () => {
    const fake = await fakeOf({ dimension: 8 });
    const life = openLife(fake, { idle: true });
    life.say('first');
    life.record.db.tx(() => {
      for (let i = 0; i < 1_600; i++) life.say(`a guest, ${i}`, { trust: 'guest' });
    });
    life.say('last');
    life.vectors.start();
    await life.settled();
    expect(fake.texts().sort()).toEqual(['first', 'hello', 'last']);
    expect(life.vectors.report()).toMatchObject({ state: 'ok', waiting: 0, vectors: 2 });
    expect(await life.vectors.search('last', 1)).toHaveLength(1);
  });

  it('ends at once when Steward stops', async () => {
    const fake = await fakeOf();
    fake.faults.stick({ kind: 'black_hole' });
    const life = openLife(fake);
    life.say('mine');
    await fake.reached(1);
    const from = performance.now();
    await life.vectors.stop();
    expect(performance.now() - from).toBeLessThan(500);
    expect(await life.vectors.search('x', 1)).toMatchObject({ failed: expect.any(String) });
  });

  it('takes other settings while it runs', async () => {
    const fake = await fakeOf();
    const other = await fakeOf({ wire: 'ollama', dimension: 32 });
    const life = openLife(fake);
    life.say('My automobile is in the garage');
    await life.settled();
    await life.vectors.reconfigure(settingsFor(other, { embeddingsKey: KEY }));
    await life.settled();
    expect(life.rows()).toMatchObject([{ model: 'ollama:bge-m3:plain:32', size: 64 }]);
    expect(await life.near('car')).toEqual(['My automobile is in the garage']);
    const before = other.requests.length;
    await life.vectors.reconfigure(settingsFor(other, { embeddingsKey: KEY }));
    expect([life.vectors.report().vectors, other.requests.length]).toEqual([1, before]);
    await life.vectors.reconfigure(settingsFor(other, { embeddings: 'none' }));
    const asked = other.requests.length;
    life.say('not for them');
    expect(await life.vectors.search('car', 1)).toEqual([]);
    expect(other.requests).toHaveLength(asked);
  });
});

describe('when a question cannot be asked', () => {
  it('the answer is by words alone, in time, and says so; nobody waits twice', async () => {
    const fake = await fakeOf();
    const life = openLife(fake, { patienceMs: 100 });
    life.say('The lexical words still match');
    await life.settled();
    fake.faults.stick({ kind: 'slow', ms: 5_000 });
    const first = await life.search.search({ query: 'lexical words' }, 'owner');
    expect(first).toMatchObject({ degraded: expect.stringContaining('within 100 ms'), hits: [{ kind: 'event' }] });
    const asked = fake.requests.length;
    const from = performance.now();
    expect((await life.search.search({ query: 'words match' }, 'owner')).degraded).toBeTruthy();
    expect([fake.requests.length, performance.now() - from < 90]).toEqual([asked, true]);
    expect(life.vectors.report()).toMatchObject({ state: 'failing' });
    fake.faults.stick(null);
    await life.record.clock.advance(5_000);
    expect((await life.search.search({ query: 'words match' }, 'owner')).degraded).toBeNull();
    expect(life.vectors.report()).toMatchObject({ state: 'ok', detail: '' });
  });

  it('the same question is asked once', async () => {
    const fake = await fakeOf();
    const life = openLife(fake);
    life.say('The doctor is in');
    await life.settled();
    const asked = fake.requests.length;
    await life.near('physician');
    fake.faults.stick({ kind: 'drop' });
    expect(await life.near('physician')).toEqual(['The doctor is in']);
    expect(fake.requests).toHaveLength(asked + 1);
  });
});

describe('forgetting', () => {
  it('takes the vector with the words: from the file, its WAL and memory', async () => {
    const life = openLife(await fakeOf());
    const gone = life.say('My automobile is in the garage');
    life.say('The physician said to rest');
    await life.settled();
    const bytes = vectorBytes(life, life.docOf(gone));
    expect(fileOf(life).includes(bytes)).toBe(true);
    life.record.events.redact(life.sessionId, [gone], 'forgotten');
    expect(fileOf(life).includes(bytes)).toBe(false);
    expect(life.rows()).toHaveLength(1);
    expect(await life.near('car')).not.toContain('');
    expect(life.vectors.report().vectors).toBe(1);
  });

  it('holds even where nobody tells the vectors: events and items', async () => {
    const life = openLife(await fakeOf());
    const memory = openTestMemory({ record: life.record, index: life.docs });
    const item = memory.add('The house has a blue door');
    await life.settled();
    const before = life.rows().length;
    const row = life.record.db.prepare<[], { row: number }>('SELECT row FROM memory_items').get()!.row;
    const bytes = vectorBytes(life, row * 2 + 1);
    memory.forget.forget(item.id, { sources: true, sessionId: memory.sessionId });
    expect(life.rows().length).toBe(before - 2);
    expect(fileOf(life).includes(bytes)).toBe(false);
    expect(await life.near('home')).toEqual([]);
  });

  it('is not undone by an answer that was on its way', async () => {
    const fake = await fakeOf();
    const life = openLife(fake);
    await life.settled();
    const sent = fake.requests.length;
    fake.faults.next({ kind: 'slow', ms: 150 });
    const gone = life.say('My automobile is in the garage');
    const stays = life.say('The physician said to rest');
    await fake.reached(sent + 1);
    life.record.events.redact(life.sessionId, [gone], 'forgotten');
    await vi.waitFor(() => expect(life.rows()).not.toEqual([]));
    expect(life.rows().map(({ doc }) => doc)).toEqual([life.docOf(stays)]);
  });

  it('of a whole session', async () => {
    const life = openLife(await fakeOf());
    life.say('one');
    life.say('two');
    await life.settled();
    life.vectors.forgetSession(life.sessionId);
    expect([life.rows(), life.vectors.report().vectors]).toEqual([[], 0]);
  });
});
