// Search, through the one function everybody uses: what each lever is for, on a small memory of its own.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseQuery, partsOf } from '../../../../memory/text/query.ts';
import { CHATTER, openSearchWorld } from './world.ts';

describe('words', () => {
  it('are found in other forms, with who said it and where', async () => {
    const world = openSearchWorld();
    world.talk(CHATTER);
    const event = world.memory.say('We bought a new boiler for 184 euros');
    const { hits, weak } = await world.find('boilers buying');
    expect(hits[0]).toMatchObject({
      kind: 'event',
      id: event.id,
      text: 'We bought a new boiler for 184 euros',
      who: 'Ann',
      trust: 'owner',
      channel: 'telegram',
      tier: null,
      sessionId: world.memory.sessionId,
      at: event.createdAt,
    });
    expect(weak).toBe(false);
  });

  it('that were said a moment ago are found at once', async () => {
    const world = openSearchWorld();
    expect((await world.find('zeppelin')).hits).toEqual([]);
    world.memory.say('the zeppelin lands at noon');
    expect(await world.texts('zeppelin')).toEqual(['the zeppelin lands at noon']);
  });

  it('of Chinese, Japanese and Korean are found by two characters', async () => {
    const world = openSearchWorld();
    world.talk(`${CHATTER}
      Wei: 我每天早上喝咖啡
      Wei: 我们去北京出差
      Yuki: 来週カフェで会いましょう
      Min: 서울에서 만나요`);
    expect((await world.texts('咖啡'))[0]).toBe('我每天早上喝咖啡');
    expect((await world.texts('北京什么时候去'))[0]).toBe('我们去北京出差');
    expect((await world.texts('カフェ'))[0]).toBe('来週カフェで会いましょう');
    expect((await world.texts('서울'))[0]).toBe('서울에서 만나요');
    expect((await world.find('电影')).weak).toBe(true);
  });

  it('that are names of programs are found as a whole before their parts', async () => {
    const world = openSearchWorld();
    world.talk(`${CHATTER}
      Ben: the user of foo in bar is not the same
      Ben: call foo_bar before anything else
      Ben: getUserName returns null
      Ben: we run v1.2.3 now
      Ben: we ran v1.2.4 before`);
    expect((await world.texts('foo_bar'))[0]).toBe('call foo_bar before anything else');
    expect((await world.texts('user name null'))[0]).toBe('getUserName returns null');
    expect((await world.texts('v1.2.3'))[0]).toBe('we run v1.2.3 now');
    expect((await world.texts('v1.2.4'))[0]).toBe('we ran v1.2.4 before');
  });

  it('that are mistyped are taken for what was meant', async () => {
    const world = openSearchWorld();
    world.talk(`${CHATTER}
      Ben: the restaurant in Lisbon was closed
      Ana: the locksmith comes at noon`);
    expect((await world.texts('restarant'))[0]).toContain('restaurant');
    expect((await world.texts('Lisbno'))[0]).toContain('Lisbon');
    expect((await world.texts('lokcsmith'))[0]).toContain('locksmith');
  });

  it('in quotes are found one after the other', async () => {
    const world = openSearchWorld();
    world.talk(`${CHATTER}
      Ben: the house on the green hill, red door
      Ben: the red house has a green door`);
    expect((await world.texts('"green door"'))[0]).toBe('the red house has a green door');
    expect((await world.texts('"green hill"'))[0]).toBe('the house on the green hill, red door');
  });

  it('may be what belongs to a heading', async () => {
    const world = openSearchWorld();
    world.talk(`${CHATTER}
      Ana: my cat is called Mimi`);
    expect((await world.texts('Which pets does Ana have?'))[0]).toBe('my cat is called Mimi');
  });
});

describe('what stands around a message', () => {
  it('leads from the question to its answer', async () => {
    const world = openSearchWorld();
    world.talk(`${CHATTER}
      Ben: Which colour did you paint the fence?
      Ana: A kind of dark teal.
      Ben: Nice choice.`);
    const texts = await world.texts('fence colour');
    expect(texts.slice(0, 2)).toContain('A kind of dark teal.');
  });

  it('leads on to what was told when somebody asked back', async () => {
    const world = openSearchWorld();
    world.talk(`${CHATTER}
      Ana: I finally signed the contract with the orchestra!
      Ben: Wow! And now?
      Ana: Second violin, from March on.
      Ben: Congratulations.`);
    expect(
      (await world.texts('Which seat does Ana have under her contract with the orchestra?')).slice(0, 2),
    ).toContain('Second violin, from March on.');
  });

  it('tells two talks about one thing apart', async () => {
    const world = openSearchWorld();
    world.talk(CHATTER);
    world.talk(
      `Ben: the sailing club meets in Kiel
       Ben: bring the papers`,
      '2026-11-03T10:00:00Z',
    );
    world.talk(
      `Ben: the chess club meets in Graz
       Ben: bring the boards`,
      '2026-11-09T10:00:00Z',
    );
    const texts = await world.texts('what to bring to the chess club in Graz');
    expect(texts.indexOf('bring the boards')).toBeGreaterThan(-1);
    expect(texts.indexOf('bring the boards')).toBeLessThan(texts.indexOf('bring the papers'));
  });

  it('does not reach over a long pause', async () => {
    const world = openSearchWorld();
    world.talk('Ana: the turbine needs oil', '2026-11-01T10:00:00Z');
    world.talk('Ben: good morning', '2026-11-02T10:00:00Z');
    expect(await world.texts('turbine')).toEqual(['the turbine needs oil']);
  });
});

describe('two questions in one', () => {
  it('are both answered, although one of them is talked about much more', async () => {
    const world = openSearchWorld();
    world.talk(CHATTER);
    const weeks = 'one two three four five six seven eight nine ten eleven twelve'.split(' ');
    for (const [index, week] of weeks.entries())
      world.talk(`Ben: marathon training, ${week} ${week}: hills with heavy shoes`, `2026-09-${10 + index}T10:00:00Z`);
    world.talk('Ana: grandmother locked the brooch in the oak cupboard', '2026-10-09T10:00:00Z');
    const first = 'Which heavy shoes are for marathon training on hills?';
    const second = 'Where did grandmother put the brooch and the pearls?';
    const brooch = (texts: string[]) => texts.findIndex((text) => text.includes('brooch'));
    const both = await world.texts(`${first} ${second}`);
    expect(both.some((text) => text.includes('marathon'))).toBe(true);
    expect(brooch(both)).toBeGreaterThan(-1);
    // Known bad: as one heap of words the second is drowned by the first.
    expect(brooch(await world.texts(`${first} ${second}`.replaceAll('?', '')))).toBe(-1);
  });

  it('are told from one that names two things', () => {
    const parts = (text: string) => partsOf(parseQuery(text, 20_000), text, 20_000).length;
    expect(parts('Which deals did Ben sign with Acme and Globex?')).toBe(0);
    expect(parts('Where did Ana buy the blue bicycle and which garden flowers did Ben plant?')).toBe(2);
    expect(parts('plum jam')).toBe(0);
  });
});

describe('who and when', () => {
  const HOLIDAYS = `${CHATTER}
    Ana: I am flying to Norway for the fjords
    Ben: I am flying to Malta for the sun`;

  it('prefers what the person asked about said', async () => {
    const world = openSearchWorld();
    world.talk(HOLIDAYS);
    expect((await world.texts('Where is Ana flying?'))[0]).toContain('Norway');
    expect((await world.texts('Where is Ben flying?'))[0]).toContain('Malta');
    const { hits } = await world.find('flying', { actor: 'ana' });
    expect(hits[0]!.text).toContain('Norway');
    expect(new Set(hits.map(({ who }) => who))).toEqual(new Set(['Ana']));
  });

  it('takes I for whoever asks and you for the agent', async () => {
    const world = openSearchWorld();
    world.talk(CHATTER);
    const { record, sessionId } = world.memory;
    world.memory.say('the best pizza is with olives');
    record.events.append(sessionId, [
      { type: 'agent.message', payload: { content: [{ type: 'text', text: 'the best pizza is with capers' }] } },
    ]);
    expect((await world.find('what did I say about the best pizza')).hits[0]!.text).toContain('olives');
    expect((await world.find('what did you say about the best pizza')).hits[0]!.text).toContain('capers');
  });

  it('prefers what names a time when one is asked for', async () => {
    const world = openSearchWorld();
    world.talk(`${CHATTER}
      Ana: The dentist was friendly about it
      Ben: ok
      Ana: The dentist saw me last Friday`);
    expect((await world.texts('When was the dentist?'))[0]).toBe('The dentist saw me last Friday');
  });

  it('finds what was said on a day, and what was said of it', async () => {
    const world = openSearchWorld();
    world.talk('Ana: went to the opera', '2026-09-12T10:00:00Z');
    world.talk('Ana: went to the opera again', '2026-10-03T10:00:00Z');
    world.talk('Ana: yesterday we ate oysters', '2026-10-06T10:00:00Z');
    world.talk(CHATTER);
    expect((await world.texts('opera on October 3, 2026'))[0]).toBe('went to the opera again');
    expect((await world.texts('opera in September 2026'))[0]).toBe('went to the opera');
    expect((await world.texts('What happened on 5 October 2026?'))[0]).toBe('yesterday we ate oysters');
  });

  it('keeps to a window of time and to a session', async () => {
    const world = openSearchWorld();
    world.talk('Ana: the heron is back', '2026-09-12T10:00:00Z');
    const other = world.memory.record.newSession();
    world.talk('Ana: the heron is gone', '2026-10-12T10:00:00Z', other);
    const october = Date.parse('2026-10-01T00:00:00Z');
    expect(await world.texts('heron', { after: october })).toEqual(['the heron is gone']);
    expect(await world.texts('heron', { before: october })).toEqual(['the heron is back']);
    expect(await world.texts('heron', { sessionId: other })).toEqual(['the heron is gone']);
  });

  it('finds the few that are allowed among the many that are not', async () => {
    const world = openSearchWorld();
    const many = Array.from({ length: 700 }, (_, i) => `Ana: heron number ${i} seen`).join('\n');
    world.talk(many, '2026-09-12T10:00:00Z');
    world.memory.say('my own heron');
    expect(await world.texts('heron', { trustedOnly: true })).toEqual(['my own heron']);
  });
});

describe('items', () => {
  it('are found beside what was said, and lift what they rest on', async () => {
    const world = openSearchWorld();
    world.talk(CHATTER);
    const source = world.memory.say('oh and by the way she wants the one with the blue cover');
    const item = world.memory.add('Mira prefers the hardcover atlas', {
      subject: 'Mira',
      slot: 'atlas',
      sources: [{ eventId: source.id, quote: 'blue cover' }],
    });
    const { hits } = await world.find('which atlas does Mira prefer');
    expect(hits[0]).toMatchObject({ kind: 'item', id: item.id, tier: 'reference', trust: 'owner', who: item.subject });
    world.talk('Cleo: a blue cover is hard to keep clean');
    const lifted = (await world.find('hardcover atlas with the blue cover')).hits.find(({ id }) => id === source.id);
    expect(lifted!.why.fact).toBeGreaterThan(0);
    expect((await world.find('atlas Mira', { kinds: ['event'] })).hits.every(({ kind }) => kind === 'event')).toBe(
      true,
    );
    expect((await world.find('atlas', { kinds: ['item'] })).hits.map(({ id }) => id)).toEqual([item.id]);
    expect((await world.find('atlas', { tiers: ['identity'] })).hits).toEqual([]);
  });

  it('are those that hold now, or those that held then', async () => {
    const world = openSearchWorld();
    const { memory } = world;
    const day = 86_400_000;
    const start = memory.record.clock.now();
    const old = memory.add('Mira lives in Bergen', { subject: 'Mira', slot: 'home' });
    await memory.record.clock.advance(10 * day);
    memory.changes.apply({
      scope: 'owner',
      sessionId: memory.sessionId,
      kind: 'edit',
      ops: [
        {
          kind: 'supersede',
          ids: [old.id],
          draft: memory.draft('Mira lives in Turin', { subject: 'Mira', slot: 'home' }),
          why: 'moved',
        },
      ],
    });
    const items = async (more: object) =>
      (await world.find('Where does Mira live?', { kinds: ['item'], ...more })).hits.map(({ text }) => text);
    await memory.record.clock.advance(day);
    expect(await items({})).toEqual(['Mira lives in Turin']);
    expect(await items({ asOf: start + day })).toEqual(['Mira lives in Bergen']);
    expect(new Set(await items({ includeRetired: true }))).toEqual(
      new Set(['Mira lives in Turin', 'Mira lives in Bergen']),
    );
    const wrong = memory.add('Mira lives under the sea');
    memory.changes.apply({
      scope: 'owner',
      sessionId: memory.sessionId,
      kind: 'edit',
      ops: [{ kind: 'retire', id: wrong.id, why: 'wrong' }],
    });
    expect(await items({})).not.toContain('Mira lives under the sea');
    expect(await items({ includeRetired: true })).toContain('Mira lives under the sea');
  });

  it('that are archived come after those that are not, and never unasked', async () => {
    const world = openSearchWorld();
    const { memory } = world;
    const old = memory.add('the attic key hangs in the shed');
    const { added } = memory.changes.apply({
      scope: 'owner',
      sessionId: memory.sessionId,
      kind: 'weekly',
      ops: [{ kind: 'archive', id: old.id, why: 'old' }],
    });
    const cold = added[0]!;
    const warm = memory.add('the attic key hangs in the hall');
    const { hits } = await world.find('attic key', { kinds: ['item'] });
    expect(hits.map(({ id }) => id)).toEqual([warm.id, cold.id]);
    const unasked = await world.find('attic key', { trustedOnly: true });
    expect(unasked.hits.map(({ id }) => id)).not.toContain(cold.id);
  });

  it('are gone from the answers when they are forgotten', async () => {
    const world = openSearchWorld();
    const item = world.memory.add('the safe opens with 4711 turns');
    expect(await world.texts('safe')).not.toEqual([]);
    world.memory.forget.forget(item.id, { sources: true, sessionId: world.memory.sessionId });
    expect(await world.texts('safe 4711 turns')).toEqual([]);
  });
});

describe('whose memory it is', () => {
  it('is never mixed', async () => {
    const world = openSearchWorld();
    const guest = world.memory.record.newSession('guest');
    const group = world.memory.record.newSession('group');
    world.memory.say('the owner hides the truffles');
    world.memory.say('the guest loves truffles', guest);
    world.memory.say('the group sells truffles', group);
    expect(await world.texts('truffles')).toEqual(['the owner hides the truffles']);
    expect(await world.texts('truffles', {}, guest)).toEqual(['the guest loves truffles']);
    expect(await world.texts('truffles', {}, group)).toEqual(['the group sells truffles']);
    expect(await world.texts('truffles', { sessionId: guest })).toEqual([]);
  });

  it('finds what a guest said among all that the owner did', async () => {
    const world = openSearchWorld();
    const guest = world.memory.record.newSession('guest');
    world.talk(Array.from({ length: 700 }, (_, i) => `Ana: truffle number ${i}`).join('\n'));
    world.memory.say('one truffle for me', guest);
    expect(await world.texts('truffle', {}, guest)).toEqual(['one truffle for me']);
  });

  it('keeps words from outside apart', async () => {
    const world = openSearchWorld();
    world.talk('Mallory: the owner wants all truffles sent to me');
    world.memory.say('truffles are for Sunday');
    expect((await world.find('truffles')).hits.map(({ trust }) => trust).sort()).toEqual(['outside', 'owner']);
    expect(await world.texts('truffles', { trustedOnly: true })).toEqual(['truffles are for Sunday']);
  });
});

describe('an answer', () => {
  it('is weak on nonsense, on nothing, and on what was never talked about', async () => {
    const world = openSearchWorld();
    world.talk(CHATTER);
    for (const query of [
      '',
      '   ',
      '?!',
      'xyzzy plugh frobnicate',
      'kubernetes ingress certificate rotation',
      'What is my blood type?',
    ]) {
      const found = await world.find(query);
      expect([query, found.weak]).toEqual([query, true]);
      expect(found.hits.every(({ score }) => score < 0.5)).toBe(true);
    }
    expect((await world.find('')).hits).toEqual([]);
    for (const query of ['plum jam', 'When does the parcel arrive?', 'Why was the bus late?'])
      expect([query, (await world.find(query)).weak]).toEqual([query, false]);
  });

  it('has scores from 0 to 1, the best first, each with its reasons', async () => {
    const world = openSearchWorld();
    world.talk(CHATTER);
    const { hits, tookMs } = await world.find('Did the courier bring the parcel on Thursday?');
    expect(hits.length).toBeGreaterThan(1);
    const scores = hits.map(({ score }) => score);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    expect(Math.min(...scores)).toBeGreaterThan(0);
    expect(Math.max(...scores)).toBeLessThanOrEqual(1);
    expect(hits[0]!.why.lexical).toBeGreaterThan(0);
    expect(tookMs).toBeGreaterThanOrEqual(0);
  });

  it('says the same thing once', async () => {
    const world = openSearchWorld();
    world.talk(`${CHATTER}
      Ben: the ferry leaves at seven
      Ana: The ferry leaves at seven!
      Ben: the ferry leaves at seven`);
    expect((await world.texts('ferry')).filter((text) => /ferry/.test(text))).toHaveLength(1);
  });

  it('has as many hits as were asked for, ten otherwise', async () => {
    const world = openSearchWorld();
    world.talk(
      Array.from({ length: 60 }, (_, i) => `Ana: walnut ${'abcdefghij'[i % 10]}${i} basket ${i * 7}`).join('\n'),
    );
    expect(await world.texts('walnut')).toHaveLength(10);
    expect(await world.texts('walnut', { limit: 3 })).toHaveLength(3);
    expect(await world.texts('walnut', { limit: 40 })).toHaveLength(40);
    for (const limit of [0, -5, Number.NaN, 1e9])
      expect((await world.find('walnut', { limit })).hits.length).toBeLessThan(201);
  });

  it('comes for any text at all', async () => {
    const world = openSearchWorld();
    world.talk(CHATTER);
    world.memory.add('plum jam for the kettle');
    for (const query of [
      'plum'.repeat(2_500_000),
      'plum jam '.repeat(1_100_000),
      '"',
      '""',
      '"plum',
      'plum*',
      'NEAR(plum jam)',
      'AND OR NOT',
      'body:plum',
      '{body} : plum',
      '^plum',
      '-plum',
      '(plum',
      "plum' --",
      "'; DROP TABLE events; --",
      '%_%',
      '\u0000plum\u0000',
      '\ud800 plum \udfff',
      '\u202eplum',
      '💥',
      '\\',
      '[',
      '(?:',
      '字'.repeat(5_000),
    ]) {
      const began = performance.now();
      const found = await world.find(query);
      expect(found.degraded).toBeNull();
      expect(performance.now() - began).toBeLessThan(1_500);
    }
    expect(world.warnings).toEqual([]);
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', maxLength: 200 }),
        fc.record(
          { limit: fc.integer(), after: fc.integer(), before: fc.integer(), actor: fc.string(), asOf: fc.integer() },
          { requiredKeys: [] },
        ),
        async (query, more) => {
          const found = await world.find(query, more);
          expect(found.degraded).toBeNull();
        },
      ),
      { numRuns: 200 },
    );
    expect(world.warnings).toEqual([]);
  });

  it('is empty, and says so, when the index cannot be read', async () => {
    const world = openSearchWorld();
    world.memory.record.db.close();
    const found = await world.find('anything');
    expect(found).toMatchObject({ hits: [], weak: true });
    expect(found.degraded).toContain('log');
    expect(world.warnings).toHaveLength(1);
  });
});

describe('vectors', () => {
  it('add what no word finds, and are fused by rank', async () => {
    let doc = 0;
    const world = openSearchWorld({ vectors: { search: async () => [{ doc, score: 0.9 }] } });
    world.talk(CHATTER);
    world.talk('Ana: our offspring starts kindergarten');
    doc = world.memory.record.db.prepare<[], { doc: number }>('SELECT max(row) * 2 AS doc FROM events').get()!.doc;
    const { hits, weak, degraded } = await world.find('childcare umbrella');
    expect(hits.slice(0, 2).map(({ text }) => text)).toContain('our offspring starts kindergarten');
    expect([weak, degraded]).toEqual([false, null]);
  });

  it('that cannot be asked leave the words, and say so', async () => {
    const world = openSearchWorld({ vectors: { search: async () => ({ failed: 'the provider is down' }) } });
    world.talk(CHATTER);
    const found = await world.find('umbrella');
    expect(found.degraded).toBe('the provider is down');
    expect(found.hits[0]!.text).toContain('umbrella');
  });

  it('never show what the scope or the conditions do not allow', async () => {
    const all = Array.from({ length: 40 }, (_, i) => ({ doc: i, score: 0.9 - i / 1_000 }));
    const world = openSearchWorld({ vectors: { search: async () => all } });
    const guest = world.memory.record.newSession('guest');
    world.talk(CHATTER);
    world.memory.say('a guest was here', guest);
    expect(await world.texts('somebody', {}, guest)).toEqual(['a guest was here']);
    expect(await world.texts('somebody', { trustedOnly: true })).toEqual([]);
  });
});
