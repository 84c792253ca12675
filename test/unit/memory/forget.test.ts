// Forgetting: everything that says it goes, in one transaction, and its bytes with it; what does not say it stays, and the brain goes on.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { plainDigest } from '../../../core/brain/compaction.ts';
import { buildContext } from '../../../core/brain/context.ts';
import { replyTo } from '../../../core/brain/facts.ts';
import { createSlices } from '../../../core/brain/slices.ts';
import { nextStep, openCalls } from '../../../core/brain/step.ts';
import type { StewardError } from '../../../core/errors.ts';
import type { NewEvent } from '../../../core/events.ts';
import { forgetSession } from '../../../core/forget.ts';
import type { Id, JsonObject, LogEvent } from '../../../core/types.ts';
import { createDocs } from '../../../memory/index/docs.ts';
import { createMeta } from '../../../memory/meta.ts';
import { openTestMemory, type TestMemory } from '../../helpers/memory.ts';
import { makeFolder, openTestRecord, type TestRecord } from '../../helpers/record.ts';

const SECRET = 'zebra-7731-quux';
const SAYING = `my locker code is ${SECRET}`;

const files = (record: TestRecord) => [record.db.file, `${record.db.file}-wal`].filter(existsSync);
const bytesOf = (record: TestRecord, word = SECRET) =>
  files(record).filter((file) =>
    readFileSync(file, 'latin1').toLowerCase().includes(Buffer.from(word.toLowerCase()).toString('latin1')),
  );

/** With the real index, told of redactions as the room is wired. */
function open(options: Parameters<typeof openTestMemory>[0] = {}) {
  const record = options.record ?? openTestRecord();
  const docs = createDocs(record.db, { meta: createMeta(record.db), blobs: record.blobs, timeZone: 'UTC' });
  record.events.onRedacted((ids) => docs.removeEvents(ids));
  return { ...openTestMemory({ ...options, record, index: docs }), docs };
}

const text = (words: string): JsonObject => ({ content: [{ type: 'text', text: words }] });
const log = (memory: TestMemory, events: NewEvent[], sessionId = memory.sessionId): LogEvent[] =>
  memory.record.events.append(sessionId, events);
const payloadOf = (memory: TestMemory, id: Id) => memory.record.events.get(id)!.payload;
const isGone = (memory: TestMemory, event: { id: Id }) => payloadOf(memory, event.id).redacted === true;
const rest = { type: 'session.status_idle', payload: { stop_reason: { type: 'end_turn' } } };
const modelEnd = { type: 'span.model_request_end', payload: { is_error: false } };

/** A call of a tool with its result, as the brain leaves them. */
function call(memory: TestMemory, name: string, input: JsonObject, result: string): [LogEvent, LogEvent] {
  const [use] = log(memory, [{ type: 'agent.tool_use', payload: { name, input, evaluated_permission: 'allow' } }]);
  memory.record.calls.intend({ id: use!.id, sessionId: memory.sessionId, name, effect: 'pure', argsHash: 'x' });
  const [done] = log(memory, [
    { type: 'agent.tool_result', payload: { tool_use_id: use!.id, ...text(result), is_error: false } },
  ]);
  return [use!, done!];
}

describe('an item', () => {
  it('goes with whatever says the same, was made of it, asks about it, or was recalled of it', () => {
    const memory = open();
    const { items, changes, questions, record } = memory;
    const item = memory.add(SAYING, { pinned: true });
    const other = memory.add('Ann likes plain tea');
    const merged = changes.apply({
      scope: 'owner',
      sessionId: memory.sessionId,
      kind: 'nightly',
      ops: [{ kind: 'add', draft: memory.draft('Ann has a locker and likes tea', { parents: [item.id, other.id] }) }],
    }).added[0]!;
    const undone = changes.apply({
      scope: 'owner',
      sessionId: memory.sessionId,
      kind: 'edit',
      ops: [{ kind: 'retire', id: item.id, why: 'oops' }],
    });
    const copy = changes.undo(undone.change.id).added[0]!;
    questions.open({
      scope: 'owner',
      kind: 'contradiction',
      proposal: memory.draft(`${SAYING} or so`, { authority: 'agent' }),
      itemId: other.id,
    });
    const [recalled] = log(memory, [
      { type: 'memory.recalled', payload: { for: [], ids: [copy.id], ...text('- a line') } },
    ]);
    const [innocent] = log(memory, [
      { type: 'memory.recalled', payload: { for: [], ids: [other.id], ...text('- tea') } },
    ]);
    const [use] = call(memory, 'memory_save', { text: SAYING.toUpperCase() }, 'Saved.');
    const [, found] = call(memory, 'memory_search', { query: 'locker' }, `[m:${copy.id}] a line`);
    const [elsewhere] = call(memory, 'bash', { command: `echo ${SAYING}` }, 'ok');
    const [restored] = log(memory, [
      { type: 'agent.tool_use', payload: { name: 'memory_save', input: { text: SAYING } } },
    ]);
    const done = memory.forget.forget(item.id, { sources: false, sessionId: memory.sessionId });
    expect(done).toMatchObject({ items: 3, events: 4 });
    expect(isGone(memory, restored!)).toBe(true);
    for (const id of [item.id, copy.id, merged.id]) expect(items.get(id)).toBeNull();
    expect(items.get(other.id)).not.toBeNull();
    expect(questions.list()).toEqual([]);
    expect([recalled!, use, found].map((event) => isGone(memory, event))).toEqual([true, true, true]);
    expect([innocent!, elsewhere].map((event) => isGone(memory, event))).toEqual([false, false]);
    expect(record.db.prepare('SELECT count(*) AS n FROM memory_pins').get()).toEqual({ n: 0 });
    expect(record.db.prepare('SELECT count(*) AS n FROM memory_docs WHERE doc % 2 = 1').get()).toEqual({ n: 1 });
    expect(done.remains).toEqual([expect.stringContaining('still in the conversation')]);
    expect(JSON.stringify(done)).not.toContain(SECRET);
    expect(() => changes.undo(done.changeId)).toThrow('cannot be undone');
  });

  it('leaves what only shares a word with it, and other values of its slot', () => {
    const memory = open();
    const slot = { subject: 'owner', slot: 'home' };
    const old = memory.add('Ann lives in Bergen', slot);
    const draft = memory.draft('Ann lives in Oslo', slot);
    const now = memory.changes.apply({
      scope: 'owner',
      sessionId: memory.sessionId,
      kind: 'edit',
      ops: [{ kind: 'supersede', ids: [old.id], draft, why: 'moved' }],
    }).added[0]!;
    memory.forget.forget(now.id, { sources: true, sessionId: memory.sessionId });
    expect(memory.items.history(old.id).map((item) => item.text)).toEqual(['Ann lives in Bergen']);
    expect(memory.items.get(old.id)!.supersededBy).toBeNull();
    expect(bytesOf(memory.record, 'Bergen')).not.toEqual([]);
    expect(bytesOf(memory.record, 'Oslo')).toEqual([]);
  });

  it.each(['text', 'user', 'ok'])('of one common word (%s) takes nothing else with it', (word) => {
    const memory = open();
    const item = memory.add(word);
    const said = memory.say(`this is the text the user gave, ok`);
    const [use, result] = call(memory, 'memory_search', { query: 'something' }, 'ok');
    const done = memory.forget.forget(item.id, { sources: true, sessionId: memory.sessionId });
    expect(done.events).toBe(1);
    expect([said, use, result].map((event) => isGone(memory, event))).toEqual([false, false, false]);
    expect(done.remains.join()).toContain('too few');
  });
});

/** A conversation over two turns that says it in every place there is. */
function spoken(memory: ReturnType<typeof open>) {
  const { record, sessionId } = memory;
  const said = memory.say(`Remember, ${SAYING}.`);
  record.sessions.setTitle(sessionId, `Remember, my locker code is ze…`);
  const answers = log(memory, [
    {
      type: 'agent.thinking',
      payload: { blocks: [{ type: 'thinking', thinking: `the code: ${SECRET}`, signature: 's' }] },
    },
    { type: 'agent.message', payload: text(`Noted: ${SECRET}.`) },
    modelEnd,
    rest,
  ]);
  const item = memory.add(`Ann’s locker code is ${SECRET}`, {
    authority: 'owner',
    sources: [{ eventId: said.id, quote: SAYING }],
  });
  const name = memory.add('Ann keeps a diary', { sources: [{ eventId: said.id, quote: 'Remember' }] });
  memory.say('what is my locker code?');
  log(memory, [
    { type: 'memory.recalled', payload: { for: [], ids: [item.id], ...text(`- [${item.id}] ${item.text}`) } },
  ]);
  const [later] = log(memory, [{ type: 'agent.message', payload: text(`It is ${SECRET}`) }, modelEnd, rest]);
  const large = log(memory, [
    { type: 'user.message', payload: text(`${'x '.repeat(20_000)} My LOCKER code is   “${SECRET}”`) },
  ])[0]!;
  const [ask] = log(memory, [
    { type: 'agent.tool_use', payload: { name: 'send_message', input: { text: SAYING }, evaluated_permission: 'ask' } },
  ]);
  record.approvals.open({
    id: ask!.id,
    sessionId,
    name: 'send_message',
    argsHash: 'x',
    title: 'Send',
    detail: SAYING,
    why: 'asked',
  });
  const to = { channel: 'telegram', chat: '7' };
  record.outbox.enqueue({
    sessionId,
    eventId: later!.id,
    key: 'a',
    to,
    body: { kind: 'text', markdown: `It is ${SECRET}` },
  });
  record.outbox.enqueue({
    sessionId,
    eventId: null,
    key: 'b',
    to,
    body: { kind: 'text', markdown: `By the way: ${SAYING}!` },
  });
  const blob = record.blobs.put(new TextEncoder().encode(`notes\n${SAYING}\n`));
  record.outbox.enqueue({
    sessionId,
    eventId: null,
    key: 'c',
    to,
    body: { kind: 'file', blob, name: 'n.txt', mediaType: 'text/plain' },
  });
  record.outbox.enqueue({ sessionId, eventId: null, key: 'd', to, body: { kind: 'text', markdown: 'Good morning' } });
  const other = record.newSession();
  log(memory, [{ type: 'memory.imported', payload: { speaker: 'Bob', text: `Ann said: ${SAYING}`, at: 5 } }], other);
  memory.docs.catchUp();
  return { said, answers, item, name, large, ask: ask!, blob };
}

describe('with its sources', () => {
  it('is nowhere in the file, in no index, on no way out', () => {
    const memory = open();
    const { record } = memory;
    const { item, name, blob, ask } = spoken(memory);
    expect(bytesOf(record)).not.toEqual([]);
    const done = memory.forget.forget(item.id, { sources: true, sessionId: memory.sessionId });
    expect(bytesOf(record)).toEqual([]);
    expect(record.blobs.get(blob)).toBeNull();
    expect(record.approvals.get(ask.id)).toMatchObject({ detail: '', verdict: 'cancelled' });
    expect(record.sessions.need(memory.sessionId).title).toBeNull();
    expect(record.outbox.heads().map((row) => row.body)).toEqual([{ kind: 'text', markdown: 'Good morning' }]);
    // What was said in the same breath about something else keeps its link, without the words.
    expect(memory.items.sources(name.id)).toMatchObject([{ quote: '' }]);
    expect(done.remains).toEqual([expect.stringContaining('telegram')]);
    expect(
      memory.record.db.prepare("SELECT count(*) AS n FROM memory_fts WHERE memory_fts MATCH 'zebra OR quux'").get(),
    ).toEqual({ n: 0 });
  });

  it.each<[string, Parameters<typeof openTestMemory>[0]]>([
    ['an index that keeps the words', { forget: { index: { put() {}, remove() {} } } }],
    ['an outbox that is not looked at', { forget: { outbox: { redact: () => [], ofEvent: () => [] } } }],
    ['approvals that are not looked at', { forget: { approvals: { redact() {} } } }],
    ['titles that are not looked at', { forget: { sessions: { get: () => null, setTitle() {} } } }],
    ['items that are only retired', { broken: () => ({ erase: () => [] }) }],
    ['quotes that stay', { broken: () => ({ blankQuotes() {} }) }],
  ])('would not be, with %s', (_, broken) => {
    const memory = open(broken);
    const { item } = spoken(memory);
    memory.record.sessions.setTitle(memory.sessionId, `about ${SAYING}`);
    memory.add('Ann keeps a second diary', {
      sources: [{ eventId: memory.items.sources(item.id)[0]!.eventId, quote: SAYING }],
    });
    memory.forget.forget(item.id, { sources: true, sessionId: memory.sessionId });
    const docs = memory.record.db
      .prepare<[], { n: number }>('SELECT count(*) AS n FROM memory_docs WHERE doc % 2 = 1')
      .get()!;
    const items = memory.record.db.prepare<[], { n: number }>('SELECT count(*) AS n FROM memory_items').get()!;
    expect(bytesOf(memory.record).length > 0 || docs.n !== items.n).toBe(true);
  });

  it('in Chinese, too', () => {
    const memory = open();
    const said = memory.say('请记住，我的柜子密钥是蓝色长颈鹿。');
    log(memory, [{ type: 'agent.message', payload: text('好的：蓝色长颈鹿。') }]);
    memory.say('其实我的柜子密钥是蓝色长颈鹿啊');
    memory.docs.catchUp();
    const item = memory.add('我的柜子密钥是蓝色长颈鹿', {
      sources: [{ eventId: said.id, quote: '我的柜子密钥是蓝色长颈鹿' }],
    });
    expect(bytesOf(memory.record, '长颈鹿')).not.toEqual([]);
    memory.forget.forget(item.id, { sources: true, sessionId: memory.sessionId });
    expect(bytesOf(memory.record, '长颈鹿')).toEqual([]);
  });

  it('is not looked for beyond the conversation of a guest', () => {
    const memory = open();
    const guest = memory.record.newSession('guest');
    const theirs = memory.say(SAYING, guest);
    const mine = memory.say(SAYING);
    const item = memory.add(SAYING, { scope: guest, sources: [{ eventId: theirs.id, quote: SAYING }] });
    const own = memory.add(SAYING, { sources: [{ eventId: mine.id, quote: SAYING }] });
    memory.forget.forget(item.id, { sources: true, sessionId: guest });
    expect([isGone(memory, theirs), isGone(memory, mine)]).toEqual([true, false]);
    expect(memory.items.get(own.id)).not.toBeNull();
  });

  it('says that another conversation at work may still repeat it', () => {
    const memory = open();
    const item = memory.add(SAYING);
    const other = memory.record.newSession();
    memory.record.sessions.setStatus(memory.sessionId, 'running', null, null);
    expect(memory.forget.forget(item.id, { sources: true, sessionId: memory.sessionId }).remains.join()).not.toContain(
      'at work',
    );
    const again = memory.add(`${SAYING}, too`);
    memory.record.sessions.setStatus(other, 'running', null, null);
    expect(memory.forget.forget(again.id, { sources: true, sessionId: memory.sessionId }).remains.join()).toContain(
      'at work',
    );
  });

  it('says that backups may still hold it', () => {
    const memory = open();
    mkdirSync(join(memory.record.home, 'backups'));
    writeFileSync(join(memory.record.home, 'backups', 'a.db'), 'x');
    const item = memory.add(SAYING);
    expect(memory.forget.forget(item.id, { sources: true, sessionId: memory.sessionId }).remains.join()).toContain(
      'backups/',
    );
  });
});

describe('the brain', () => {
  it('goes on from a summary of what is left', () => {
    const memory = open();
    const { record, sessionId } = memory;
    const slices = createSlices({ events: record.events, bus: record.bus });
    const before = memory.say('We talked about boats.');
    log(memory, [{ type: 'agent.message', payload: text('Boats are fine.') }, modelEnd, rest]);
    const { item, answers } = spoken(memory);
    const compaction = (upTo: number, summary: string) =>
      log(memory, [{ type: 'agent.thread_context_compacted', payload: { summary, up_to: upTo } }])[0]!;
    const first = compaction(before.position! + 2, 'Boats were talked about.');
    const second = compaction(answers.at(-1)!.position!, `Boats; the code is ${SECRET}.`);
    memory.say('And now?');
    slices.load(sessionId);
    memory.forget.forget(item.id, { sources: true, sessionId });
    expect([first, second].map((event) => isGone(memory, event))).toEqual([false, true]);
    const { compaction: now, slice } = slices.load(sessionId);
    expect(now!.payload.up_to).toBe(second.payload.up_to);
    expect(now!.payload.summary).toContain('Boats were talked about.');
    expect(now!.payload.summary).not.toContain(SECRET);
    const { messages } = buildContext({ slice, compaction: now, budgetTokens: 10_000, timeZone: 'UTC' });
    expect(JSON.stringify(messages)).toContain('And now?');
    expect(JSON.stringify(messages)).not.toContain(SECRET);
    // (the call that waited for approval asked for words that are gone)
    expect(nextStep(slice).kind).toBe('refuse');
    expect(plainDigest(slice, now)).not.toContain(SECRET);
  });

  it('finds no call open whose result was forgotten, and asks for no answer to it', () => {
    const memory = open();
    const { record, sessionId } = memory;
    memory.say('look at my notes');
    const [, result] = call(memory, 'bash', { command: 'cat notes' }, `notes: ${SAYING}`);
    log(memory, [{ type: 'agent.message', payload: text('I looked.') }, modelEnd, rest]);
    const item = memory.add(SAYING);
    memory.forget.forget(item.id, { sources: true, sessionId });
    expect(isGone(memory, result)).toBe(true);
    const slice = record.events.slice(sessionId, 0);
    expect(openCalls(slice)).toEqual([]);
    // (the message of `add` is what waits for an answer)
    log(memory, [modelEnd, rest]);
    expect(nextStep(record.events.slice(sessionId, 0))).toEqual({ kind: 'idle', reason: { type: 'end_turn' } });
    const { messages } = buildContext({ slice, compaction: null, budgetTokens: 10_000, timeZone: 'UTC' });
    expect(JSON.stringify(messages)).toContain('(forgotten)');
  });

  it('answers where the question came from, also when the question itself was forgotten', () => {
    const memory = open();
    const { record, sessionId } = memory;
    log(memory, [rest]);
    const item = memory.add(SAYING);
    memory.forget.forget(item.id, { sources: true, sessionId });
    expect(replyTo(record.events.slice(sessionId, 0))).toEqual([{ channel: 'telegram', chat: '7' }]);
    // At rest nobody waits: the next answer goes to whoever asks then.
    const second = memory.add(`${SAYING} 2`);
    log(memory, [modelEnd, rest]);
    memory.forget.forget(second.id, { sources: true, sessionId });
    const [asked] = log(memory, [
      {
        ...rest,
        type: 'user.message',
        payload: text('hello'),
        origin: { sender: { channel: 'web', userId: 'o' }, address: { channel: 'web', chat: 'x' }, role: 'owner' },
      },
    ]);
    expect(asked).toBeDefined();
    expect(replyTo(record.events.slice(sessionId, 0))).toEqual([{ channel: 'web', chat: 'x' }]);
  });

  it('refuses a call that was forgotten before it was carried out', () => {
    const memory = open();
    const [use] = log(memory, [
      { type: 'agent.tool_use', payload: { name: 'bash', input: { command: SAYING }, evaluated_permission: 'allow' } },
    ]);
    const item = memory.add(SAYING);
    memory.forget.forget(item.id, { sources: true, sessionId: memory.sessionId });
    expect(nextStep(memory.record.events.slice(memory.sessionId, 0))).toMatchObject({
      kind: 'refuse',
      calls: [{ call: { id: use!.id } }],
    });
  });
});

describe('all or nothing', () => {
  const tables = [
    'memory_items',
    'memory_sources',
    'memory_tombstones',
    'memory_changes',
    'events',
    'outbox',
    'approvals',
    'sessions',
    'memory_docs',
  ];
  const dump = (record: TestRecord) =>
    JSON.stringify(tables.map((table) => record.db.prepare(`SELECT * FROM ${table}`).all()));

  it('a part that fails leaves everything as it was', () => {
    const failing = {
      forget(): number {
        throw new Error('no');
      },
    };
    const memory = open({ forget: { keepers: [failing] } });
    const { item } = spoken(memory);
    const before = dump(memory.record);
    expect(() => memory.forget.forget(item.id, { sources: true, sessionId: memory.sessionId })).toThrow('no');
    expect(dump(memory.record)).toBe(before);
  });

  it('a crash between commit and checkpoint is made up for by the next start', () => {
    const home = makeFolder();
    const url = (path: string) => JSON.stringify(new URL(`../../../${path}`, import.meta.url).href);
    const life = `
      const { openRecord } = await import(${url('core/record.ts')});
      const { createItems } = await import(${url('memory/items.ts')});
      const { createChanges } = await import(${url('memory/changes.ts')});
      const { createQuestions } = await import(${url('memory/questions.ts')});
      const { createForget } = await import(${url('memory/forget.ts')});
      const { createTombstones } = await import(${url('memory/tombstones.ts')});
      const { createMeta } = await import(${url('memory/meta.ts')});
      const now = Date.now;
      const record = openRecord(${JSON.stringify(home)}, { clock: { now }, timeZone: 'UTC', safeModeAfter: 5, split: (_, m) => [m], wakeDelivery() {} });
      const { db, events, newId } = record;
      const index = { put() {}, remove() {} };
      const items = createItems(db, { now });
      const changes = createChanges(db, { items, index, events, newId, now });
      const questions = createQuestions(db, { items, changes, events, newId, now });
      const forget = createForget({ ...record, items, changes, questions, index, tombstones: createTombstones(db, { meta: createMeta(db), now }) });
      const sessionId = record.sessions.create({ trust: 'owner', agentId: 'agent_default', agentVersion: 1, environmentId: 'env_default' }).id;
      const quote = ${JSON.stringify(SAYING)};
      const [said] = events.append(sessionId, [{ type: 'user.message', payload: { content: [{ type: 'text', text: quote }] } }]);
      const draft = { scope: 'owner', tier: 'reference', kind: 'fact', subject: null, slot: null, text: quote, authority: 'owner', confidence: 1, validFrom: now(), expiresAt: null, sources: [{ eventId: said.id, quote }] };
      const { added } = changes.apply({ scope: 'owner', sessionId, kind: 'save', ops: [{ kind: 'add', draft }] });
      db.tx(() => {
        db.afterCommit(() => process.kill(process.pid, 'SIGKILL'));
        forget.forget(added[0].id, { sources: true, sessionId });
      });`;
    writeFileSync(join(home, 'ballast'), '');
    const ended = spawnSync(process.execPath, ['--input-type=module', '-e', life], { encoding: 'utf8' });
    expect(`${ended.signal} ${ended.stderr}`).toBe('SIGKILL ');
    const at = (file: string) => join(home, file);
    const inFiles = () =>
      ['steward.db', 'steward.db-wal'].filter(
        (file) => existsSync(at(file)) && readFileSync(at(file)).includes(SECRET),
      );
    // Otherwise there would be nothing to make up for.
    expect(inFiles()).toEqual(['steward.db-wal']);
    const record = openTestRecord({ home });
    expect(inFiles()).toEqual([]);
    expect(record.db.prepare('SELECT count(*) AS n FROM memory_items').get()).toEqual({ n: 0 });
  });
});

describe('words said once', () => {
  it('go with what rests on nothing else, and with its quotes', () => {
    const memory = open();
    const said = memory.say(`${SAYING}, and I like tea`);
    const again = memory.say('I like tea');
    const only = memory.add('Ann has a locker', { sources: [{ eventId: said.id, quote: SAYING }] });
    const both = memory.add('Ann likes tea', {
      sources: [
        { eventId: said.id, quote: 'I like tea' },
        { eventId: again.id, quote: 'I like tea' },
      ],
    });
    const [recalled] = log(memory, [
      { type: 'memory.recalled', payload: { for: [], ids: [said.id], ...text('> a line') } },
    ]);
    const done = memory.forget.forgetEvent(said.id, { sessionId: memory.sessionId });
    expect(done).toMatchObject({ items: 1, events: 2 });
    expect(memory.items.get(only.id)).toBeNull();
    expect(
      memory.items
        .quotes(both.id)
        .map(({ quote }) => quote)
        .sort(),
    ).toEqual(['', 'I like tea']);
    expect([said, again, recalled!].map((event) => isGone(memory, event))).toEqual([true, false, true]);
    expect(bytesOf(memory.record)).toEqual([]);
    expect(memory.tombstones.isForgotten(`${SAYING}, and I like tea`)).toBe(true);
  });

  it.each([
    ['an event that is not there', () => 'sevt_nope', 'not_found'],
    ['one without words', (memory: TestMemory) => log(memory, [rest])[0]!.id, 'invalid'],
  ])('of %s: a clear sentence', (_, which, code) => {
    const memory = open();
    try {
      memory.forget.forgetEvent(which(memory), { sessionId: memory.sessionId });
    } catch (error) {
      return expect((error as StewardError).code).toBe(code);
    }
    throw new Error('nothing was thrown');
  });
});

describe('a session that is deleted', () => {
  it('takes its own memory, and what rests on nothing else', () => {
    const memory = open();
    const { record, items } = memory;
    const other = record.newSession();
    const said = memory.say(SAYING, other);
    const lone = memory.add(SAYING, { sources: [{ eventId: said.id, quote: SAYING }] });
    const here = memory.say('I like tea');
    const both = memory.add('Ann likes tea', {
      sources: [
        { eventId: said.id, quote: 'my' },
        { eventId: here.id, quote: 'I like tea' },
      ],
    });
    const summary = memory.add('A talk about lockers', {
      tier: 'session',
      kind: 'summary',
      about: other,
      sources: [{ eventId: here.id, quote: '' }],
    });
    memory.questions.open({
      scope: 'owner',
      kind: 'promotion',
      proposal: memory.draft('lockers', { sources: [{ eventId: said.id, quote: '' }] }),
      itemId: null,
    });
    const [recalled] = log(memory, [
      { type: 'memory.recalled', payload: { for: [], ids: [said.id], ...text(`> ${SAYING}`) } },
    ]);
    record.db.tx(() => {
      memory.forget.sessionDeleted(other);
      forgetSession(record, other);
    });
    expect([lone, summary].map(({ id }) => items.get(id))).toEqual([null, null]);
    expect(
      items
        .quotes(both.id)
        .map(({ quote }) => quote)
        .sort(),
    ).toEqual(['', 'I like tea']);
    expect(memory.questions.list()).toEqual([]);
    expect(isGone(memory, recalled!)).toBe(true);
    expect(bytesOf(record)).toEqual([]);
  });
});

describe('what was forgotten', () => {
  it('is known by a keyed hash, alone or as a sentence, and comes back by the owner’s own word alone', () => {
    const memory = open();
    const item = memory.add(SAYING);
    memory.forget.forget(item.id, { sources: true, sessionId: memory.sessionId });
    const { tombstones } = memory;
    for (const same of [SAYING, `${SAYING.toUpperCase()}!`, `Hello. ${SAYING}. Bye.`])
      expect(tombstones.isForgotten(same)).toBe(true);
    for (const other of ['my locker code', '', 'x'.repeat(100_000)]) expect(tombstones.isForgotten(other)).toBe(false);
    expect(() => memory.save(memory.draft(SAYING, { authority: 'agent' }))).toThrow('forgotten');
    expect(memory.save(memory.draft(SAYING)).kind).toBe('saved');
    expect(tombstones.isForgotten(SAYING)).toBe(false);
  });

  it('stays forgotten in another home that takes the hashes over', () => {
    const from = open();
    from.tombstones.add([SAYING]);
    const rows = from.record.db
      .prepare<[], { hash: string; at: number }>('SELECT hash, at FROM memory_tombstones')
      .all();
    expect(JSON.stringify(rows)).not.toContain('locker');
    for (const own of [[], ['something of its own']]) {
      const to = open();
      to.tombstones.add(own);
      expect(to.tombstones.tombstones(from.tombstones.keys(), rows)).toBe(1);
      expect(to.tombstones.tombstones(from.tombstones.keys(), rows)).toBe(0);
      expect([SAYING, ...own].map(to.tombstones.isForgotten)).toEqual([true, ...own.map(() => true)]);
      to.tombstones.add(['and another thing']);
      expect(to.tombstones.isForgotten('and another thing')).toBe(true);
    }
  });
});
