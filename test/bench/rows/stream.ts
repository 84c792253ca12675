// From the model's delta to a reader of the event stream, with one reader and with many.
import { type Bench, connect, until } from '../bench.ts';
import { listen } from '../listen.ts';
import { type Row, row } from '../report.ts';
import { startTicker } from '../ticker.ts';

const EVERY_MS = 10;

export async function measureStream(bench: Bench): Promise<Row[]> {
  const ticks = bench.count(1_000);
  const model = await startTicker(ticks, EVERY_MS);
  bench.own(model.close);
  const steward = await bench.start(bench.emptyHome(), model);
  const client = connect(steward);
  const rows: Row[] = [];
  for (const readers of [1, 20]) {
    const sessionId = await client.newSession();
    const samples: number[] = [];
    let ended = 0;
    const listeners = await Promise.all(
      Array.from({ length: readers }, () =>
        listen(steward, sessionId, (event) => {
          if (event.type === 'session.status_idle') ended += 1;
          if (event.type !== 'event_delta') return;
          const at = performance.now();
          const { text } = (event.delta as { content: { text: string } }).content;
          for (const written of text.trim().split(' ')) samples.push(at - Number(written));
        }),
      ),
    );
    await client.say(sessionId, 'go');
    await until('the end of the stream', () => ended === readers, ticks * (EVERY_MS + 20) + 10_000);
    for (const listener of listeners) listener.close();
    if (samples.length !== ticks * readers)
      throw new Error(`${ticks * readers - samples.length} deltas did not arrive`);
    rows.push(row(`stream: model delta → reader, ${readers} reader${readers > 1 ? 's' : ''}`, samples));
  }
  client.close();
  return rows;
}
