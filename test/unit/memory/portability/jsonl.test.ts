// A JSONL export is all of it, and comes back byte by byte: rows, links, what was forgotten, and what search answers.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StewardError } from '../../../../core/errors.ts';
import { forgetSession } from '../../../../core/forget.ts';
import { OWNER_STORE } from '../../../../core/memory-stores.ts';
import { draftSession } from '../../../helpers/record.ts';
import { type Home, lessHeader, openHome, rows } from './rig.ts';

const DAY = 86_400_000;
const API = { kind: 'owner', actor: { type: 'api_actor', api_key_id: 'apikey_steward' } } as const;

/** A home in which everything has happened that an export must carry. */
async function livedIn(): Promise<Home> {
  const home = openHome();
  const { clock } = home.record;
  const answer = (text: string, tainted = false) =>
    home.record.events.append(home.sessionId, [
      { type: 'agent.message', payload: { content: [{ type: 'text', text }] }, tainted },
    ]);
  home.say('Where did we leave the blue canoe?');
  answer('It is in the boathouse at Lake Orta, behind the sails.');
  home.say(`A long story: ${'the boathouse keeps its secrets; '.repeat(900)}`);
  const old = home.add('Ann lives in Bergen', { subject: 'owner', slot: 'home', pinned: true });
  await clock.advance(30 * DAY);
  home.changes.apply({
    scope: 'owner',
    sessionId: home.sessionId,
    kind: 'edit',
    ops: [
      {
        kind: 'supersede',
        ids: [old.id],
        draft: home.draft('Ann lives in Oslo', { subject: 'owner', slot: 'home' }),
        why: 'moved',
      },
    ],
  });
  const wrong = home.add('The boiler is a Vaillant', { subject: 'boiler', slot: 'brand' });
  home.changes.apply({
    scope: 'owner',
    sessionId: home.sessionId,
    kind: 'edit',
    ops: [{ kind: 'retire', id: wrong.id, why: 'it was wrong' }],
  });
  const a = home.add('Tea is taken without sugar');
  const b = home.add('No sugar in tea');
  home.add('Drinks tea without sugar', { parents: [a.id, b.id] });
  home.add('Buy oars by Friday', { tier: 'state', kind: 'loop', expiresAt: clock.now() + 3 * DAY });
  const cold = home.add('The old phone number was 555-0199');
  home.changes.apply({
    scope: 'owner',
    sessionId: home.sessionId,
    kind: 'weekly',
    ops: [{ kind: 'archive', id: cold.id, why: 'old' }],
  });
  const undone = home.add('Ann is allergic to kelp');
  home.changes.undo(undone.changeId);
  // Words from outside wait for the owner; a group keeps its own.
  const group = home.record.sessions.create(draftSession('group')).id;
  home.questions.open({
    scope: 'owner',
    kind: 'promotion',
    proposal: home.draft('The lake is private', { authority: 'outside' }),
    itemId: null,
  });
  home.record.events.append(group, [
    { type: 'user.message', payload: { content: [{ type: 'text', text: 'group talk' }] } },
  ]);
  const secret = home.record.sessions.create({ ...draftSession(), metadata: { incognito: 'true' } }).id;
  home.say('incognito talk about kites', secret);
  const forgotten = home.add('The garage code is four tulips');
  home.forget.forget(forgotten.id, { sources: true, sessionId: home.sessionId });
  const store = home.stores.create({ name: 'Notes', description: '', metadata: { a: '1' } });
  const { memory } = home.stores.createMemory(store.id, { path: '/a.md', content: 'first' }, API);
  home.stores.updateMemory(store.id, memory!.id, { content: 'second' }, API);
  home.stores.createMemory(OWNER_STORE, { path: '/reference/boat.md', content: '- The canoe is blue\n' }, API);
  await home.import('transcript', {
    'chat.jsonl': '{"speaker":"Bo","time":"2025-03-07T18:00:00Z","text":"Rain all week in Porto"}\n',
  });
  return home;
}

const refusedWith = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    const { code, message, hint } = error as StewardError;
    return `${code}: ${message} ${hint ?? ''}`;
  }
  return 'nothing was thrown';
};

describe('a JSONL export', () => {
  it('comes back into an empty home byte by byte, and search answers as before', async () => {
    const home = await livedIn();
    const first = await home.jsonl();
    const next = openHome();
    await next.record.clock.advance(400 * DAY);
    const done = await next.import('jsonl', { 'memory.jsonl': first });
    expect(done.skipped).toEqual([]);
    const second = await next.jsonl();
    expect(second).not.toBe(first);
    expect(lessHeader(second).split('\n')).toEqual(lessHeader(first).split('\n'));
    for (const query of [
      'where is the blue canoe',
      'Ann lives in',
      'tea sugar',
      'Porto rain',
      'phone number',
      'boathouse secrets',
    ]) {
      const before = await home.find(query);
      expect(before.length, query).toBeGreaterThan(0);
      const after = await next.find(query);
      expect(
        after.map(({ id }) => id),
        query,
      ).toEqual(before.map(({ id }) => id));
      // How common a word is, is counted over all there is: the group's words are not here.
      for (const [index, { score }] of after.entries()) expect(score).toBeCloseTo(before[index]!.score, 1);
    }
    expect(next.holds()).toEqual(home.holds().filter((text) => text !== 'Buy oars by Friday'));
    expect(next.questions.list().map(({ text }) => text)).toEqual(home.questions.list().map(({ text }) => text));
    expect(next.tombstones.isForgotten('The garage code is four tulips')).toBe(true);
  });

  it('has every part in it, and nothing of groups, incognito talk and what was forgotten', async () => {
    const home = await livedIn();
    const text = await home.jsonl();
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const [header, ...rest] = lines;
    expect(header).toMatchObject({ format: 'steward-memory', version: 1 });
    const n = (type: string) => rest.filter((line) => line.type === type).length;
    expect(header!.counts).toEqual({
      sessions: n('session'),
      events: n('event'),
      items: n('item'),
      changes: n('change'),
      questions: 1,
      tombstones: n('tombstone'),
      files: n('store') + n('version') + n('file'),
    });
    expect(rest.find((line) => line.text === 'Ann lives in Bergen')).toMatchObject({
      superseded_by: expect.any(String),
      pinned_at: expect.any(Number),
      sources: [{ quote: 'Ann lives in Bergen' }],
    });
    expect(rest.find((line) => line.text === 'Drinks tea without sugar')!.parents).toHaveLength(2);
    for (const gone of ['group talk', 'kites', 'tulips']) expect(text).not.toContain(gone);
  });

  it('says the same of the past after it came back, and can be undone there', async () => {
    const home = openHome();
    const at = home.record.clock.now();
    const old = home.add('Ann lives in Bergen', { subject: 'owner', slot: 'home' });
    await home.record.clock.advance(DAY);
    const { added } = home.changes.apply({
      scope: 'owner',
      sessionId: home.sessionId,
      kind: 'edit',
      ops: [
        {
          kind: 'supersede',
          ids: [old.id],
          draft: home.draft('Ann lives in Oslo', { subject: 'owner', slot: 'home' }),
          why: 'moved',
        },
      ],
    });
    const next = openHome();
    await next.import('jsonl', { 'memory.jsonl': await home.jsonl() });
    await next.record.clock.advance(2 * DAY);
    expect(next.holds(at + 1)).toEqual(['Ann lives in Bergen']);
    expect(next.holds()).toEqual(['Ann lives in Oslo']);
    next.changes.undo(added[0]!.changeId);
    expect(next.holds()).toEqual(['Ann lives in Bergen']);
  });

  it('twice is nothing new, and into the home it came from as well', async () => {
    const home = await livedIn();
    const text = await home.jsonl();
    const next = openHome();
    await next.import('jsonl', { 'memory.jsonl': text });
    for (const one of [next, home]) {
      const before = lessHeader(await one.jsonl());
      const again = await one.import('jsonl', { 'memory.jsonl': text });
      expect(again).toMatchObject({ items: 0, events: 0 });
      expect(
        again.skipped.every(({ why }) => why === 'is here already'),
        JSON.stringify(again.skipped),
      ).toBe(true);
      expect(lessHeader(await one.jsonl())).toBe(before);
    }
  });

  it('does not bring back what is forgotten where it arrives', async () => {
    const home = openHome();
    home.add('The safe is behind the third shelf');
    home.add('Lamps are in the attic');
    const text = await home.jsonl();
    const next = openHome();
    const same = next.add('The safe is behind the third shelf');
    next.forget.forget(same.id, { sources: true, sessionId: next.sessionId });
    const done = await next.import('jsonl', { 'memory.jsonl': text });
    expect(next.holds()).toEqual(['Lamps are in the attic']);
    expect(done.skipped).toEqual([
      { what: '1 event', why: 'was forgotten here' },
      { what: '1 memory', why: 'was forgotten here' },
    ]);
    expect(await next.jsonl()).not.toContain('third shelf');
  });

  it('asks where something else is known', async () => {
    const home = openHome();
    home.add('Ann lives in Oslo', { subject: 'owner', slot: 'home' });
    const text = await home.jsonl();
    const next = openHome();
    next.add('Ann lives in Rome', { subject: 'owner', slot: 'home' });
    const done = await next.import('jsonl', { 'memory.jsonl': text });
    expect(done.skipped).toEqual([{ what: '1 memory', why: expect.stringContaining('waits for you') }]);
    expect(next.holds()).toEqual(['Ann lives in Rome']);
    expect(next.questions.list()).toHaveLength(1);
  });

  it('does not bring back a conversation that was deleted, nor what rested on it alone', async () => {
    const home = openHome();
    const id = home.record.newSession();
    home.add('The cellar key is under the mat', {
      sources: [{ eventId: home.say('The cellar key is under the mat', id).id, quote: 'cellar key' }],
    });
    home.add('Ann likes plums');
    const text = await home.jsonl();
    home.record.db.tx(() => {
      home.forget.sessionDeleted(id);
      forgetSession(home.record, id);
    });
    await home.import('jsonl', { 'memory.jsonl': text });
    expect(home.holds()).toEqual(['Ann likes plums']);
    expect(await home.jsonl()).not.toContain('cellar');
  });

  it('a dry run says the same and changes nothing', async () => {
    const home = await livedIn();
    const text = await home.jsonl();
    const next = openHome();
    const before = rows(next.record);
    const dry = await next.import('jsonl', { 'memory.jsonl': text }, { dryRun: true });
    expect(rows(next.record)).toBe(before);
    expect(dry).toEqual(await next.import('jsonl', { 'memory.jsonl': text }));
    expect(dry.events).toBeGreaterThan(10);
  });

  it('breaks off when memory changes under it', async () => {
    const home = openHome();
    for (let i = 0; i < 700; i++) home.say(`message ${i}`);
    home.add('one');
    const stream = home.portability.export('jsonl')[Symbol.asyncIterator]();
    await stream.next();
    home.add('two');
    const rest = async () => {
      for (let piece = await stream.next(); !piece.done; piece = await stream.next());
    };
    expect(await refusedWith(rest())).toContain('conflict: Memory changed while it was exported.');
  });
});

describe('a bad JSONL file', () => {
  const bad = async (change: (lines: string[]) => string[] | string, says: string) => {
    const home = await livedIn();
    const lines = (await home.jsonl()).trimEnd().split('\n');
    const changed = change(lines);
    const next = openHome();
    const before = rows(next.record);
    const data = typeof changed === 'string' ? changed : `${changed.join('\n')}\n`;
    expect(await refusedWith(next.import('jsonl', { 'memory.jsonl': data }))).toContain(says);
    expect(rows(next.record)).toBe(before);
  };
  const header = (lines: string[], change: object) => [
    JSON.stringify({ ...JSON.parse(lines[0]!), ...change }),
    ...lines.slice(1),
  ];
  const at = (lines: string[], type: string) => lines.findIndex((line) => line.startsWith(`{"type":"${type}"`));
  const edit = (lines: string[], type: string, change: object) =>
    lines.map((line, index) => (index === at(lines, type) ? JSON.stringify({ ...JSON.parse(line), ...change }) : line));

  it.each<[string, (lines: string[]) => string[] | string, string]>([
    ['from a newer version', (lines) => header(lines, { version: 2 }), 'was written by a newer Steward'],
    ['of something else', () => '{"hello":"world"}\n', 'is not the first line of an export'],
    ['that is empty', () => '\n', 'is empty'],
    ['without its end', (lines) => lines.slice(0, -3), 'is cut off'],
    ['cut within a line', (lines) => lines.join('\n').slice(0, -40), 'the file breaks off here'],
    ['with a broken line', (lines) => lines.with(4, '{"type":'), 'line 5 is not valid JSON'],
    ['with a line of another kind', (lines) => lines.with(4, '{"type":"poem"}'), 'line 5 does not fit'],
    ['with a line twice', (lines) => lines.toSpliced(3, 0, lines[2]!), 'is there twice'],
    ['without the session of an event', (lines) => lines.toSpliced(at(lines, 'session'), 1), 'refers to the session'],
    [
      'with a text that is too long',
      (lines) => edit(lines, 'item', { text: 'x'.repeat(300_000) }),
      'does not fit: text',
    ],
    ['with times that are none', (lines) => edit(lines, 'item', { valid_from: 1.5 }), 'valid_from'],
    ['with the memory of somebody else', (lines) => edit(lines, 'item', { scope: 'sesn_1' }), 'scope'],
    [
      'with an event that steers',
      (lines) => edit(lines, 'event', { event: 'session.status_running' }),
      'is no event of',
    ],
    ['with the mark of a message to come', (lines) => edit(lines, 'event', { dedupe: 'telegram:1:2' }), 'dedupe'],
    ['with words from nowhere', (lines) => edit(lines, 'event', { origin: { role: 'owner' } }), 'origin'],
    ['with a proposal that is none', (lines) => edit(lines, 'question', { proposal: '{}' }), 'proposal: is not what'],
    ['with a change that is none', (lines) => edit(lines, 'change', { ops: 'nothing' }), 'ops: is not what'],
    [
      'with a circle of successors',
      (lines) => edit(lines, 'item', { superseded_by: (JSON.parse(lines[at(lines, 'item')]!) as { id: string }).id }),
      'would take its own place',
    ],
    ['nested without end', (lines) => lines.with(2, '[['.repeat(200) + ']]'.repeat(200)), 'nested too deep'],
  ])('%s is refused in one sentence, and nothing changes', async (_, change, says) => bad(change, says));

  it('changed at random is refused as a whole, or taken as a whole', async () => {
    const home = await livedIn();
    const lines = (await home.jsonl()).trimEnd().split('\n');
    const next = openHome();
    const before = rows(next.record);
    const value = fc.oneof(
      fc.constantFrom(null, '', 'owner', 'mem_X', lines[1]!.slice(0, 60), -1, 1e300, [], {}, true),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: lines.length - 2 }), fc.nat({ max: 30 }), value, async (line, field, other) => {
        const read = JSON.parse(lines[line + 1]!) as Record<string, unknown>;
        const keys = Object.keys(read);
        const changed = { ...read, [keys[field % keys.length]!]: other };
        const data = `${lines.with(line + 1, JSON.stringify(changed)).join('\n')}\n`;
        try {
          await next.import('jsonl', { 'memory.jsonl': data }, { dryRun: true });
        } catch (error) {
          if (!(error instanceof StewardError)) throw error;
        }
        return rows(next.record) === before;
      }),
      { numRuns: 150 },
    );
  });

  it('or a path that leads elsewhere', async () => {
    const home = openHome();
    for (const path of ['../memory.jsonl', '/etc/passwd', 'a/../../b', 'C:\\x', 'a\u0000b', ''])
      expect(await refusedWith(home.import('jsonl', { [path]: '{}' })), path).toContain('invalid: ');
  });
});
