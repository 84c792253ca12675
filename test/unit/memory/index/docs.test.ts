// The index over a real record: what gets in, whose it is, what a crash leaves, and what a redaction takes away for good.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../../core/types.ts';
import { createDocs, type Docs } from '../../../../memory/index/docs.ts';
import { createMeta } from '../../../../memory/meta.ts';
import { draftSession, openTestRecord, type TestRecord } from '../../../helpers/record.ts';

const owner = {
  sender: { channel: 'web', userId: 'owner' },
  address: { channel: 'web', chat: 'x' },
  role: 'owner' as const,
};
const words = (text: string): JsonObject => ({ content: [{ type: 'text', text }] });

function open(record: TestRecord): Docs {
  const docs = createDocs(record.db, { meta: createMeta(record.db), blobs: record.blobs, timeZone: 'UTC' });
  record.events.onRedacted(docs.removeEvents);
  return docs;
}

interface Row {
  doc: number;
  scope: string;
  session_id: string;
  turn: number | null;
  episode: number;
  actor: string;
  trust: string;
  flags: number;
}
const rows = (record: TestRecord): Row[] => record.db.prepare<[], Row>('SELECT * FROM memory_docs ORDER BY doc').all();
const holding = (record: TestRecord, word: string): number =>
  record.db
    .prepare<[string], { n: number }>('SELECT count(*) AS n FROM memory_fts WHERE memory_fts MATCH ?')
    .get(`"${word}"`)!.n;

describe('catching up', () => {
  it('takes what was said, and nothing else', () => {
    const record = openTestRecord();
    const docs = open(record);
    const id = record.newSession();
    const [use] = record.events.append(id, [{ type: 'agent.tool_use', payload: { name: 'web_fetch', input: {} } }]);
    const [search] = record.events.append(id, [
      { type: 'agent.tool_use', payload: { name: 'memory_search', input: { query: 'marmalade' } } },
    ]);
    record.events.append(id, [
      { type: 'user.message', payload: words('apricots for me'), origin: owner },
      { type: 'agent.thinking', payload: { text: 'thoughtful' } },
      { type: 'agent.tool_result', payload: { tool_use_id: use!.id, ...words('fetched page') }, tainted: true },
      { type: 'agent.tool_result', payload: { tool_use_id: search!.id, ...words('recalled marmalade') } },
      { type: 'memory.recalled', payload: { text: 'recalled marmalade' } },
      { type: 'session.status_idle', payload: {} },
      { type: 'agent.message', payload: words('noted') },
      { type: 'user.message', payload: { content: [{ type: 'image', source: {} }] }, origin: owner },
    ]);
    expect(docs.catchUp()).toBe(false);
    expect(rows(record).map(({ actor, turn, trust }) => [actor, turn, trust])).toEqual([
      ['owner', 1, 'owner'],
      ['tool', null, 'outside'],
      ['steward', 2, 'outside'],
    ]);
    expect(holding(record, 'marmalade')).toBe(0);
    expect(docs.size().docs).toBe(3);
  });

  it('knows the owner, the agent, and everybody else apart', () => {
    const record = openTestRecord();
    const docs = open(record);
    const chat = record.newSession();
    record.events.append(chat, [
      { type: 'user.message', payload: words('one'), origin: owner },
      { type: 'agent.message', payload: words('two') },
      { type: 'user.message', payload: words('three'), origin: owner, tainted: true },
      { type: 'agent.message', payload: words('four') },
      { type: 'agent.thread_context_compacted', payload: { summary: '…', up_to: 4 } },
      { type: 'agent.message', payload: words('five') },
      { type: 'memory.imported', payload: { speaker: 'Ana', text: 'six', at: 1_000 } },
      { type: 'memory.imported', payload: { speaker: 'Ana', text: 'seven', at: 2_000, own: true } },
    ]);
    const guest = record.newSession('guest');
    record.events.append(guest, [
      {
        type: 'user.message',
        payload: words('eight'),
        origin: { ...owner, sender: { channel: 'telegram', userId: '7', name: 'Guido' }, role: 'guest' },
      },
    ]);
    docs.catchUp();
    expect(rows(record).map(({ scope, actor, trust }) => [scope, actor, trust])).toEqual([
      ['owner', 'owner', 'owner'],
      ['owner', 'steward', 'agent'],
      ['owner', 'owner', 'outside'],
      ['owner', 'steward', 'outside'],
      ['owner', 'steward', 'agent'],
      ['owner', 'ana', 'outside'],
      ['owner', 'ana', 'owner'],
      [guest, 'guido', 'outside'],
    ]);
  });

  it('leaves incognito and deleted sessions out', () => {
    const record = openTestRecord();
    const docs = open(record);
    const secret = record.sessions.create({ ...draftSession(), metadata: { incognito: 'true' } });
    record.events.append(secret.id, [{ type: 'user.message', payload: words('nobody knows'), origin: owner }]);
    const gone = record.newSession();
    record.events.append(gone, [{ type: 'user.message', payload: words('nobody knows'), origin: owner }]);
    record.sessions.markDeleted(gone);
    docs.catchUp();
    expect(rows(record)).toEqual([]);
  });

  it('begins a new stretch of talk after a long pause', () => {
    const record = openTestRecord();
    const docs = open(record);
    const id = record.newSession();
    const say = (text: string) => record.events.append(id, [{ type: 'agent.message', payload: words(text) }]);
    say('one');
    say('two');
    record.clock.advance(6 * 3_600_000);
    say('three');
    docs.catchUp();
    say('four');
    docs.catchUp();
    const found = rows(record);
    expect(found.map(({ turn }) => turn)).toEqual([1, 2, 3, 4]);
    expect(found.map(({ episode }) => found.findIndex(({ doc }) => doc === episode))).toEqual([0, 0, 2, 2]);
  });

  it('goes on where a crash left it, and takes nothing twice', () => {
    const record = openTestRecord();
    const docs = open(record);
    const id = record.newSession();
    const say = (text: string) => record.events.append(id, [{ type: 'agent.message', payload: words(text) }]);
    for (let i = 0; i < 30; i++) say(`word${i} cinnamon`);
    expect(docs.catchUp(7)).toBe(true);
    expect(() =>
      record.db.tx(() => {
        docs.catchUp(7);
        throw new Error('the power failed');
      }),
    ).toThrow('the power failed');
    const next = record.reopen();
    const again = open(next);
    expect(again.size().docs).toBe(7);
    while (again.catchUp(7));
    expect(again.size()).toEqual({ docs: 30, tokens: 60 });
    expect(holding(next, 'cinnamon')).toBe(30);
    expect(again.catchUp()).toBe(false);
    expect(rows(next)).toHaveLength(30);
  });

  it('reads long texts out of blobs, and indexes their beginning', () => {
    const record = openTestRecord();
    const docs = open(record);
    const text = `beginning ${'x '.repeat(20_000)} middle ${'y '.repeat(40_000)} ending`;
    record.events.append(record.newSession(), [{ type: 'agent.message', payload: words(text) }]);
    docs.catchUp();
    expect([holding(record, 'beginning'), holding(record, 'middle'), holding(record, 'ending')]).toEqual([1, 1, 0]);
  });

  it('builds everything anew when it is told to, or when the rows of an older version are there', () => {
    const record = openTestRecord();
    const docs = open(record);
    const id = record.newSession();
    record.events.append(id, [{ type: 'agent.message', payload: words('saffron') }]);
    docs.catchUp();
    const before = rows(record);
    docs.rebuild();
    expect(rows(record)).toEqual(before);
    createMeta(record.db).set('index.version', '0');
    docs.catchUp();
    expect(rows(record)).toEqual(before);
    expect(docs.size().docs).toBe(1);
  });
});

describe('a redaction', () => {
  const SECRET = 'quokkaflanx';
  const inFiles = (record: TestRecord): string[] =>
    ['steward.db', 'steward.db-wal'].filter((name) => {
      try {
        // The beginning of a term can be shared with the one before it, and is then not written again.
        return readFileSync(join(record.home, name)).includes(SECRET.slice(2));
      } catch {
        return false;
      }
    });
  const setUp = () => {
    const record = openTestRecord();
    const docs = open(record);
    const id = record.newSession();
    const said = record.events.append(
      id,
      Array.from({ length: 60 }, (_, i) => ({
        type: 'agent.message',
        payload: words(i === 31 ? `the word is ${SECRET}` : `talk number ${i} about zanzibar`),
      })),
    );
    docs.catchUp();
    return { record, docs, id, secret: said[31]!.id };
  };

  it('takes the words out of the index, and their bytes out of the files', () => {
    const { record, docs, id, secret } = setUp();
    record.db.checkpoint();
    expect(inFiles(record)).toEqual(['steward.db']);
    record.events.redact(id, [secret], 'test');
    expect(holding(record, SECRET)).toBe(0);
    expect(docs.size().docs).toBe(59);
    expect(inFiles(record)).toEqual([]);
    expect(holding(record, 'zanzibar')).toBe(59);
  });

  const entomb = (record: TestRecord, id: string) =>
    record.db
      .prepare('UPDATE events SET payload = \'{"redacted":true}\', origin = NULL, redacted_at = 1 WHERE id = ?')
      .run(id);

  it('would leave bytes if rows were only deleted', () => {
    const { record, secret } = setUp();
    const { row } = record.db.prepare<[string], { row: number }>('SELECT row FROM events WHERE id = ?').get(secret)!;
    entomb(record, secret);
    record.db.prepare('DELETE FROM memory_fts WHERE rowid = ?').run(row * 2);
    record.db.checkpoint();
    expect(holding(record, SECRET)).toBe(0);
    expect(inFiles(record)).toEqual(['steward.db']);
  });

  it('is finished by the next life when this one dies right after the commit', () => {
    const { record, id, secret } = setUp();
    // Everything of the transaction, nothing of what follows it.
    const dead = { ...record.db, afterCommit() {} };
    const docs = createDocs(dead, { meta: createMeta(record.db), blobs: record.blobs, timeZone: 'UTC' });
    record.db.tx(() => {
      docs.removeEvents([secret]);
      record.db
        .prepare('UPDATE events SET payload = \'{"redacted":true}\', origin = NULL, redacted_at = 1 WHERE id = ?')
        .run(secret);
    });
    record.db.checkpoint();
    expect(inFiles(record)).toEqual(['steward.db']);
    const next = record.reopen();
    open(next).catchUp();
    expect(inFiles(next)).toEqual([]);
    expect(next.sessions.get(id)).not.toBeNull();
  });

  it('of a whole session empties it', () => {
    const { record, docs, id } = setUp();
    docs.forgetSession(id);
    expect(rows(record)).toEqual([]);
    expect(docs.size()).toEqual({ docs: 0, tokens: 0 });
  });

  it('that is undone leaves the index as it was', () => {
    const { record, docs, secret } = setUp();
    expect(() =>
      record.db.tx(() => {
        docs.removeEvents([secret]);
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(holding(record, SECRET)).toBe(1);
    expect(docs.size().docs).toBe(60);
  });
});

describe('what is left for later', () => {
  const said = (text: string) => ({ type: 'user.message', payload: words(text), origin: owner });

  it('is nothing to a turn that has it before its eyes, and something to every other', () => {
    const record = openTestRecord();
    const docs = open(record);
    const [here, there] = [record.newSession(), record.newSession()];
    record.events.append(here, [said('long ago')]);
    docs.catchUp();
    const [newer] = record.events.append(here, [said('just now')]);
    const [asking] = record.events.append(here, [said('and this is the question')]);
    const seen = newer!.position! - 1;
    expect(docs.lacks(asking!.id, here, seen)).toBe(false);
    // Out of sight, as after a compaction: then it has to be found.
    expect(docs.lacks(asking!.id, here, newer!.position!)).toBe(true);
    expect(docs.lacks(asking!.id, there, 0)).toBe(true);
    docs.catchUp();
    expect(docs.lacks(asking!.id, there, 0)).toBe(false);
  });

  it('is not what nobody said', () => {
    const record = openTestRecord();
    const docs = open(record);
    const id = record.newSession();
    docs.catchUp();
    record.events.append(id, [{ type: 'session.status_running' }, { type: 'agent.thinking', payload: { text: 'hm' } }]);
    const [asking] = record.events.append(record.newSession(), [said('well?')]);
    expect(docs.lacks(asking!.id, asking!.sessionId, asking!.position! - 1)).toBe(false);
  });

  it('is merged a little at a time, until there is nothing to merge, and is found all the while', () => {
    const record = openTestRecord();
    const docs = open(record);
    const id = record.newSession();
    for (let n = 0; n < 60; n++) {
      const text = `needle ${Array.from({ length: 60 }, (_, word) => `w${n}x${word}`).join(' ')}`;
      record.events.append(id, [said(text)]);
      docs.catchUp();
    }
    const pieces = () =>
      record.db.prepare<[], { n: number }>('SELECT count(DISTINCT segid) AS n FROM memory_fts_idx').get()!.n;
    const before = pieces();
    let steps = 0;
    while (docs.tidy()) {
      steps += 1;
      expect(steps).toBeLessThan(1_000);
      expect(holding(record, 'needle')).toBe(60);
    }
    expect(before).toBeGreaterThan(8);
    expect(pieces()).toBeLessThan(before / 2);
    expect(holding(record, 'needle')).toBe(60);
  });
});
