// From a message to the first model request it causes, in a file with a long past and in sessions of three sizes.
import { lastUserText, type MessagesApi } from '../../fakes/messages-api.ts';
import { type Bench, type Client, connect, until } from '../bench.ts';
import { type Row, row } from '../report.ts';

const FIGURE = { p50: 5, p99: 25 };
/** Messages into one session, one after the other; the first finds nothing of it in the process's memory. */
const EACH = 10;

export async function measureRequest(bench: Bench): Promise<Row[]> {
  const seeded = bench.seeded();
  const model = await bench.model();
  const steward = await bench.start(seeded.home, model);
  const client = connect(steward);
  const past = `${seeded.events.toLocaleString('en')} events in the file`;
  const count = bench.quick ? 5 : 20;

  const first = await messageToRequest(client, model, await client.newSession(), 'first of all');
  const fresh: string[] = [];
  for (let i = 0; i < count; i++) fresh.push(await client.newSession());
  const kinds = [
    { name: 'a fresh session', ids: fresh },
    { name: 'a session of 1,000 events', ids: seeded.thousand.slice(0, count) },
    { name: 'a session near its context budget', ids: seeded.full.slice(0, count) },
  ];
  const rows: Row[] = [];
  const cold: number[] = [];
  for (const { name, ids } of kinds) {
    const samples: number[] = [];
    for (const id of ids)
      for (let round = 0; round < EACH; round++) {
        const ms = await messageToRequest(client, model, id, `message ${round}`);
        samples.push(ms);
        if (round === 0 && ids !== fresh) cold.push(ms);
      }
    rows.push(
      row(`message in → model request, ${name}`, samples, {
        figure: FIGURE,
        note: `${past} and a tenth as many memory items; ${ids.length} sessions × ${EACH} messages.`,
      }),
    );
  }
  rows.push(
    row('… the first message to a large session in this life', cold, {
      note: 'Part of the two rows above: the session is read from the file and parsed.',
    }),
    row('… the very first message of this life', [first]),
  );
  client.close();
  return rows;
}

/** Milliseconds from the first byte of the message to the head of the model request; returns when the turn is over. */
async function messageToRequest(client: Client, model: MessagesApi, sessionId: string, text: string): Promise<number> {
  // A consolidation of memory asks beside the turns, without tools.
  const turns = () => model.requests.filter(({ body }) => (body as { tools?: unknown[] } | null)?.tools?.length);
  const before = turns().length;
  const from = performance.now();
  await client.say(sessionId, text);
  const asked = await until('the model request', () => turns()[before]);
  await until('the end of the turn', async () => {
    const session = await client.get<{ status: string }>(`/v1/sessions/${sessionId}`);
    return session.status === 'idle';
  });
  if (turns().length !== before + 1) throw new Error('a message led to a second model request: compacted, or refused');
  if (!lastUserText(asked.body as Parameters<typeof lastUserText>[0]).includes(text))
    throw new Error('the model request is not the one this message led to');
  return asked.receivedAt - from;
}
