// A turn that uses no hands, beside the bare model call in it: what Steward itself adds.
import { request } from 'node:http';
import { createModels } from '../../../core/models/index.ts';
import { type Bench, connect, KEY, MODEL } from '../bench.ts';
import { listen } from '../listen.ts';
import { median, type Row, row } from '../report.ts';

export async function measureTurn(bench: Bench): Promise<Row[]> {
  const n = bench.count(500);
  const model = await bench.model();
  const steward = await bench.start(bench.emptyHome(), model);
  const client = connect(steward);
  const [call] = createModels({ models: [MODEL], apiKey: KEY, baseURL: model.url }).list;

  // The SDK is loaded by the first request, here and there: not what these rows are about.
  await throughProvider(call!);
  await client.say(await client.newSession(), 'Hello.');
  await client.rest();

  const bare: number[] = [];
  const through: number[] = [];
  const turns: number[] = [];
  const hands: number[] = [];
  let sessionId = '';
  let ended: () => void = () => {};
  let types: string[] = [];
  let listener: { close(): void } | null = null;
  for (let i = 0; i < n; i++) {
    // A fresh conversation now and then: this row is about the turn, not about a long past.
    if (i % 20 === 0) {
      listener?.close();
      sessionId = await client.newSession();
      listener = await listen(steward, sessionId, (event) => {
        types.push(event.type);
        if (event.type === 'session.status_idle') ended();
      });
    }
    bare.push(await bareCall(model.url));
    through.push(await throughProvider(call!));
    types = [];
    const idle = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const from = performance.now();
    await client.say(sessionId, 'Say something short.');
    await idle;
    const took = performance.now() - from;
    turns.push(took);
    hands.push(types.some((type) => type.startsWith('sandbox.')) ? took : 0);
  }
  listener?.close();
  client.close();
  return [
    row('model call: bare HTTP, streamed', bare),
    row('model call: through the provider (SDK, watchdog)', through, {
      ratio: { of: 'bare call', base: median(bare) },
    }),
    row('turn without hands: message → idle on the stream', turns, {
      ratio: { of: 'provider call', base: median(through) },
    }),
    row('turn without hands: sandbox time', hands, { figure: { max: 0 } }),
  ];
}

/** The same request without SDK, read to its end. */
function bareCall(url: string): Promise<number> {
  const body = JSON.stringify({
    model: MODEL,
    max_tokens: 16_000,
    stream: true,
    messages: [{ role: 'user', content: 'Say something short.' }],
  });
  const headers = { 'x-api-key': KEY, 'anthropic-version': '2023-06-01', 'content-type': 'application/json' };
  const from = performance.now();
  return new Promise((resolve, reject) => {
    request(`${url}/v1/messages`, { method: 'POST', headers }, (response) => {
      response.resume().on('end', () => resolve(performance.now() - from));
    })
      .on('error', reject)
      .end(body);
  });
}

async function throughProvider(call: ReturnType<typeof createModels>['list'][number]): Promise<number> {
  const from = performance.now();
  const question = {
    model: MODEL,
    system: '',
    messages: [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'Say something short.' }] }],
    tools: [],
    maxTokens: 16_000,
  };
  for await (const event of call.provider.stream(question, new AbortController().signal))
    if (event.type === 'end' && event.outcome.kind === 'failed') throw new Error(event.outcome.message);
  return performance.now() - from;
}
