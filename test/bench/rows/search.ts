// Memory search: how long an answer takes over 6 thousand, 100 thousand and a million events, and what keeping the index costs.
import { join } from 'node:path';
import { DEFAULT_AGENT, DEFAULT_ENVIRONMENT } from '../../../core/agents.ts';
import { systemClock } from '../../../core/clock.ts';
import { createIds } from '../../../core/ids.ts';
import { openRecord, type RecordOf } from '../../../core/record.ts';
import { openSqlite } from '../../../core/sqlite.ts';
import { createDocs, type Docs } from '../../../memory/index/docs.ts';
import { createMeta } from '../../../memory/meta.ts';
import { OWNER } from '../../../memory/scope.ts';
import { createSearch } from '../../../memory/search/search.ts';
import type { Bench } from '../bench.ts';
import { type Row, row } from '../report.ts';

const SIZES = [
  { events: 6_000, p95: 10 },
  { events: 100_000, p95: 40 },
  { events: 1_000_000, p95: 60 },
];
const SESSION_LENGTH = 400;
const WORDS = 40_000;
const FLAT = 10;
const QUERIES = 300;

export async function measureSearch(bench: Bench): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { events, p95 } of SIZES) {
    const count = bench.count(events);
    const talk = createTalk(count);
    const home = bench.emptyHome();
    write(home, count, talk);
    const record = open(home);
    const docs = createDocs(record.db, { meta: createMeta(record.db), blobs: record.blobs, timeZone: 'UTC' });
    const from = performance.now();
    docs.catchUp();
    await docs.optimize();
    const each = (performance.now() - from) / count;
    const search = createSearch({ db: record.db, docs, clock: systemClock, timeZone: 'UTC', log: { warn() {} } });
    const name = `search: ${count.toLocaleString('en')} events`;
    const samples: number[] = [];
    let empty = 0;
    // The first question starts the worker and fills the page cache: once a day, not once a question.
    await search.search({ query: talk.question() }, OWNER);
    for (let i = 0; i < bench.count(QUERIES); i++) {
      const query = talk.question();
      const began = performance.now();
      const { hits } = await search.search({ query }, OWNER);
      samples.push(performance.now() - began);
      if (hits.length === 0) empty += 1;
    }
    if (empty > 0) throw new Error(`${empty} questions about what was said found nothing`);
    const recalls: number[] = [];
    for (let i = 0; i < bench.count(QUERIES); i++) {
      const query = { query: talk.question(), limit: 8, trustedOnly: true };
      const began = performance.now();
      await search.search(query, OWNER, { postings: 10_000, candidates: 40, ms: 50 });
      recalls.push(performance.now() - began);
    }
    rows.push(
      row(name, samples, {
        figure: { p95 },
        note: `Indexed and merged at ${(each * 1_000).toFixed(0)} µs an event.`,
      }),
      row(`${name}, for a turn`, recalls),
      row(`${name}, one more is indexed`, one(record, docs, talk, bench.count(200))),
      row(`${name}, one is forgotten`, forgotten(record, docs), {
        note: 'Until its bytes are gone: the index is merged, the WAL emptied.',
      }),
    );
    await search.stop();
    record.db.close();
  }
  return rows;
}

const open = (home: string): RecordOf =>
  openRecord(home, {
    clock: systemClock,
    timeZone: 'UTC',
    safeModeAfter: 0,
    split: (_, text) => [text],
    wakeDelivery: () => {},
  });

/** What indexing adds to a message. */
function one(record: RecordOf, docs: Docs, talk: Talk, times: number): number[] {
  const agent = { agentId: DEFAULT_AGENT, agentVersion: 1, environmentId: DEFAULT_ENVIRONMENT };
  const session = record.sessions.create({ trust: 'owner', ...agent });
  return Array.from({ length: times }, () => {
    record.events.append(session.id, [{ type: 'agent.message', payload: said(talk.sentence()) }]);
    const began = performance.now();
    docs.catchUp();
    return performance.now() - began;
  });
}

function forgotten(record: RecordOf, docs: Docs): number[] {
  record.events.onRedacted(docs.removeEvents);
  const some = record.db
    .prepare<[], { id: string; session_id: string }>('SELECT id, session_id FROM events LIMIT 3')
    .all();
  return some.map(({ id, session_id }) => {
    const began = performance.now();
    record.events.redact(session_id, [id], 'measured');
    return performance.now() - began;
  });
}

const said = (text: string) => ({ content: [{ type: 'text', text }] });

interface Talk {
  sentence(): string;
  question(): string;
}

/** Talk out of made-up words, as often as words are used (Zipf and Mandelbrot), about something else in each session. By a seed: always the same. */
function createTalk(events: number): Talk {
  let state = 20_260_101 + events;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const syllables = 'ba ce di fo gu la me ni po ru sa te vi zo ka shen tra plo gri stu mar len dor wick ton'.split(' ');
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const words = Array.from({ length: WORDS }, (_, rank) =>
    Array.from({ length: 2 + Math.floor(Math.log10(rank + 1) / 1.5) }, () => pick(syllables)).join(''),
  );
  // The commonest one that is no function word stands in every tenth sentence.
  const zipf = () => words[Math.floor((FLAT + 1) * ((WORDS + FLAT) / (FLAT + 1)) ** random()) - FLAT - 1]!;
  const glue = 'the of and to in that it was for on with as at by this had from but'.split(' ');
  const kept: string[] = [];
  let made = 0;
  const sentence = () => {
    const length = 6 + Math.floor(random() * 24);
    const text = Array.from({ length }, () => (random() < 0.4 ? pick(glue) : zipf())).join(' ');
    // A sample of all of it, from which questions are made.
    if (made++ % Math.ceil(events / 5_000) === 0) kept.push(text);
    return random() < 0.2 ? `${text}?` : `${text}.`;
  };
  const question = () => {
    const content = pick(kept)
      .split(' ')
      .filter((word) => !glue.includes(word));
    const wanted = Array.from({ length: 3 + Math.floor(random() * 3) }, () => pick(content));
    return `what did you say about the ${wanted.join(' and ')} when I asked?`;
  };
  return { sentence, question };
}

/** The log of a person who talks with the agent for years, by raw SQL; durability is off while it is written. */
function write(home: string, events: number, talk: Talk): void {
  open(home).db.close();
  const db = openSqlite(join(home, 'steward.db'));
  db.pragma('journal_mode = OFF');
  db.pragma('synchronous = OFF');
  const began = Date.now() - 3 * 365 * 86_400_000;
  const step = Math.floor((3 * 365 * 86_400_000) / events);
  let at = began;
  const newId = createIds(() => at);
  const session = db.prepare(
    `INSERT INTO sessions (id, kind, title, status, trust, agent_id, agent_version, environment_id, metadata, last_seq, created_at, updated_at)
     VALUES (?, 'chat', NULL, 'idle', 'owner', ?, 1, ?, '{}', ?, ?, ?)`,
  );
  const event = db.prepare(
    `INSERT INTO events (id, session_id, seq, position, type, payload, created_at, processed_at, origin)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const owner = JSON.stringify({ sender: { channel: 'web', userId: 'owner' }, role: 'owner' });
  for (let done = 0; done < events; ) {
    const id = newId('sesn');
    const length = Math.min(SESSION_LENGTH, events - done);
    db.transaction(() => {
      session.run(id, DEFAULT_AGENT, DEFAULT_ENVIRONMENT, length, at, at);
      for (let seq = 1; seq <= length; seq++) {
        const asks = seq % 2 === 1;
        const type = asks ? 'user.message' : 'agent.message';
        at += step;
        event.run(
          newId('sevt'),
          id,
          seq,
          seq,
          type,
          JSON.stringify(said(talk.sentence())),
          at,
          at,
          asks ? owner : null,
        );
      }
    })();
    done += length;
  }
  db.pragma('journal_mode = WAL');
  db.close();
}
