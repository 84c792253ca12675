// How long until a message is durable: by a function call, over HTTP, at rest, under running turns, and beside a long past.
import { createIntake } from '../../../core/intake.ts';
import type { Inbound } from '../../../core/types.ts';
import { type Bench, connect, pause, until } from '../bench.ts';
import { median, type Row, row } from '../report.ts';
import { bareCommit, newSession, openBenchRecord } from './commit.ts';

const TEXT = `Remember that the boiler was serviced on Tuesday. ${'It hummed. '.repeat(20)}`;
const FIGURE = { p99: 10 };
const PER_SECOND = 20;
const SESSIONS = 8;

export async function measureAccept(bench: Bench): Promise<Row[]> {
  const n = bench.count(2_000);
  const bare = bareCommit(bench.emptyHome());
  const base = () => median(Array.from({ length: 200 }, bare.once));
  const rows: Row[] = [];
  const add = (name: string, samples: number[], note?: string) =>
    rows.push(
      row(name, samples, {
        figure: FIGURE,
        ratio: { of: 'bare SQLite commit', base: base() },
        ...(note && { note }),
      }),
    );
  add('accept: intake.accept in process', inProcess(bench.emptyHome(), n));
  add('accept: POST → 200, one after the other', await overHttp(bench, bench.emptyHome(), n));
  add(
    `accept: POST → 200, ${PER_SECOND}/s under running turns`,
    await underLoad(bench, bench.emptyHome(), n),
    `${SESSIONS} sessions whose model streams for about a second; each message is steered into, or starts, a turn.`,
  );
  const seeded = bench.seeded();
  add(
    `accept: POST → 200, ${seeded.events.toLocaleString('en')} events in the file`,
    await overHttp(bench, seeded.home, n, seeded.bulk.slice(0, 50)),
  );
  await answerEverything(bench, seeded.home);
  bare.close();
  return rows;
}

function inProcess(home: string, n: number): number[] {
  const record = openBenchRecord(home);
  const sessionId = newSession(record);
  const intake = createIntake({ ...record, now: Date.now, crash() {}, wake() {}, interrupt() {} });
  const inbound = (index: number): Inbound => ({
    dedupe: `http:${sessionId}:bench-${index}:0`,
    sender: { channel: 'web', userId: 'owner' },
    address: { channel: 'web', chat: sessionId },
    group: false,
    sessionId,
    body: { type: 'message', content: [{ type: 'text', text: TEXT }] },
  });
  const samples = Array.from({ length: n }, (_, index) => {
    const message = inbound(index);
    const from = performance.now();
    intake.accept(message);
    return performance.now() - from;
  });
  record.db.close();
  return samples;
}

/** The model is asked and does not answer: what is measured is the way in, and nothing happens beside it. */
async function overHttp(bench: Bench, home: string, n: number, into?: string[]): Promise<number[]> {
  const model = await bench.model();
  model.faults.stick({ kind: 'hang_before_headers' });
  const steward = await bench.start(home, model);
  const client = connect(steward);
  const sessions = into ?? [await client.newSession()];
  const samples: number[] = [];
  for (let i = 0; i < n; i++) samples.push(await client.say(sessions[i % sessions.length]!, TEXT));
  client.close();
  await steward.kill();
  return samples;
}

/** What the hanging model left in the queues must not become work of the measurements that follow. */
async function answerEverything(bench: Bench, home: string): Promise<void> {
  const steward = await bench.start(home, await bench.model());
  const client = connect(steward);
  await client.rest();
  client.close();
  await steward.kill('SIGTERM');
}

async function underLoad(bench: Bench, home: string, n: number): Promise<number[]> {
  const chunks = Array.from({ length: 50 }, (_, index) => `word${index} `);
  const model = await bench.model(() => ({ content: [{ type: 'text', chunks }] }));
  model.faults.stick({ kind: 'slow', msPerChunk: 20 });
  const steward = await bench.start(home, model);
  const client = connect(steward);
  const sessions: string[] = [];
  for (let i = 0; i < SESSIONS; i++) sessions.push(await client.newSession());
  for (const id of sessions) await client.say(id, TEXT);
  await until('the first turns', () => model.requests.length >= SESSIONS);
  const pending: Promise<number>[] = [];
  const from = performance.now();
  for (let i = 0; i < n; i++) {
    // By the plan and not by the last answer: a slow answer must not thin out the load.
    await pause(Math.max(0, from + (i * 1_000) / PER_SECOND - performance.now()));
    pending.push(client.say(sessions[i % SESSIONS]!, TEXT));
  }
  const samples = await Promise.all(pending);
  client.close();
  return samples;
}
