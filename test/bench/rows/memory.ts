// Resident memory of a process with web and Telegram: at rest after some work, and over many turns.
import { startTelegram } from '../../fakes/telegram.ts';
import { type Bench, type Client, connect, pause, until } from '../bench.ts';
import { listen } from '../listen.ts';
import { type Row, row } from '../report.ts';

/** Chats on Telegram, each with a conversation of its own, and the messages that go out at once to one of them. */
const CHATS = 10;
const BURST = 5;
const TURNS = 100;
const PER_SESSION = 50;
/** What counts as flat: growth from the first quarter of the turns to the last one. Ours; the design says "flat over days". */
const FLAT_MB = 10;

export async function measureMemory(bench: Bench): Promise<Row[]> {
  const idleSeconds = bench.quick ? 10 : 60;
  const model = await bench.model(() => ANSWER);
  const telegram = await startTelegram();
  bench.own(telegram.close);
  const home = bench.emptyHome();
  const steward = await bench.start(home, model, {
    TELEGRAM_BOT_TOKEN: telegram.token,
    TELEGRAM_API_ROOT: telegram.url,
  });
  const client = connect(steward);
  const fresh = await residentMb(steward.url, steward.token);

  const console = await listen(steward, await client.newSession(), () => {});
  for (let chat = 1; chat <= CHATS; chat++) await pair(telegram, client, chat);
  for (let chat = 1; chat <= CHATS; chat++)
    for (let i = 0; i < BURST; i++) {
      const before = model.requests.length;
      telegram.say(chat, `Message ${i} of chat ${chat}.`);
      await until('a turn over Telegram', () => model.requests.length > before);
      await client.rest();
    }
  await webTurns(client, TURNS - CHATS * BURST);
  const idle: number[] = [];
  for (let second = 0; second < idleSeconds; second++) {
    await pause(1_000);
    idle.push(await residentMb(steward.url, steward.token));
  }

  const turns = bench.count(2_000);
  const over: number[] = [];
  for (let done = 0; done < turns; done += PER_SESSION) {
    await webTurns(client, PER_SESSION);
    over.push(await residentMb(steward.url, steward.token));
  }
  const quarter = Math.max(1, Math.floor(over.length / 4));
  const growth = Math.min(...over.slice(-quarter)) - Math.min(...over.slice(quarter - 1, 2 * quarter));
  console.close();
  client.close();
  return [
    row('memory: just ready', [fresh], { unit: 'MB' }),
    row(`memory: idle for ${idleSeconds} s after ${TURNS} turns`, idle.slice(-10), {
      unit: 'MB',
      figure: { max: 120 },
      note: `Web and Telegram, ${CHATS * BURST} turns over Telegram, one console listening; the last ten seconds.`,
    }),
    row(`memory: during ${turns} further turns`, over, { unit: 'MB' }),
    row(`memory: growth over the second half of ${turns} turns`, [growth], {
      unit: 'MB',
      figure: { max: FLAT_MB },
      note: `The lowest of the last quarter against the lowest of the second, ${PER_SESSION} turns to a session.`,
    }),
  ];
}

const ANSWER = 'The boiler was serviced on Tuesday, and the invoice came to 184 euros. '.repeat(15);

async function residentMb(url: string, token: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`, { headers: { 'x-api-key': token } })).text();
  const bytes = /^steward_resident_memory_bytes (\d+)$/m.exec(text)?.[1];
  if (!bytes) throw new Error('the metrics do not tell the resident memory');
  return Number(bytes) / 1024 / 1024;
}

async function pair(telegram: Awaited<ReturnType<typeof startTelegram>>, client: Client, chat: number): Promise<void> {
  telegram.say(chat, 'hello');
  const waiting = await until('the pairing', async () => {
    const { data } = await client.get<{ data: { code: string; user_id: string }[] }>('/api/pairings');
    return data.find((entry) => entry.user_id === String(chat));
  });
  await client.post(`/api/pairings/${waiting.code}/approve`, { role: 'guest' });
}

async function webTurns(client: Client, count: number): Promise<void> {
  const sessionId = await client.newSession();
  for (let i = 0; i < count; i++) {
    await client.say(sessionId, `Message ${i}: what did the boiler cost?`);
    await client.rest();
  }
}
