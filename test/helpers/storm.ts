// Load from Telegram and the web while the process is killed at random times; then quiet, and everything there is to judge.
import { gather } from './evidence.ts';
import type { EffectClass, Evidence, Said } from './oracle.ts';
import { OWNER, type Rig, type RigOptions, startRig, until, type WireEvent } from './rig.ts';

/** The owner, two guests, and two groups the owner writes in. */
const PRIVATE = [OWNER, 43, 44];
const GROUPS = [-100, -101];
const WEB_CLIENTS = 4;
/** A web client begins a new session now and then, so that no conversation grows without end. */
const SESSION_LENGTH = 40;
const RETRY_MS = 100;
const LAST_TRIES = 500;
const CLASSES: readonly EffectClass[] = ['pure', 'keyed', 'verifiable', 'unsafe'];

export interface StormOptions {
  seed: number;
  kills: number;
  /** Of a life, after ready. */
  lifeMs: [least: number, most: number];
  /** Between two messages of one chat, and of one web client; random up to twice as long. */
  chatPauseMs: number;
  webPauseMs: number;
  /** Share of messages that ask for a call. Groups never do: words in them taint, and then every call is asked. */
  calls: number;
  drainMs: number;
}

export interface Storm {
  seed: number;
  evidence: Evidence;
  /** Milliseconds from start to ready, of each life. */
  starts: number[];
  /** Requests the web clients had to make again. */
  retries: number;
  /** From the end of the load to the last answer sent. */
  drainedMs: number;
}

/** Numbers in [0, 1) that the same seed gives again (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export async function storm(rig: Rig, options: StormOptions): Promise<Storm> {
  const said: Said[] = [];
  const starts: number[] = [];
  let marks = 0;
  let retries = 0;
  let over = false;
  // One stream of chance for each who acts, so that none depends on how fast another was.
  let actors = 0;
  const newChance = () => {
    actors += 1;
    return chance(options.seed + 7_919 * actors);
  };

  const words = (random: () => number, place: string, chat: number | null): { message: Said; text: string } => {
    const mark = `m${++marks}`;
    const asks = (chat ?? 0) >= 0 && random() < options.calls;
    const effect = asks ? CLASSES[Math.floor(random() * CLASSES.length)]! : null;
    return { message: { mark, place, chat, effect }, text: effect ? `use ${effect} ${mark}` : `hello ${mark}` };
  };

  /** Telegram keeps what was written until it is confirmed: from here on it is owed an answer. */
  const chatter = async (chat: number): Promise<void> => {
    const random = newChance();
    while (!over) {
      const { message, text } = words(random, `telegram ${chat}`, chat);
      said.push(message);
      if (chat < 0) rig.telegram.say(chat, `@${rig.telegram.username} ${text}`, { userId: OWNER });
      else rig.telegram.say(chat, text);
      await pause(random() * 2 * options.chatPauseMs);
    }
  };

  /** The same request with the same key, until it is answered: then the message is acknowledged. */
  const insist = async <T>(path: string, key: string, body: unknown): Promise<T> => {
    for (let late = 0; ; ) {
      try {
        return await rig.api<T>(path, 'POST', body, { 'idempotency-key': key });
      } catch (error) {
        // While lives come and go a slow machine may need many of them; after the last one there is nobody to wait for.
        if (over && ++late > LAST_TRIES) throw error;
        retries += 1;
        await pause(RETRY_MS);
      }
    }
  };
  const client = async (name: string, ownSession: string | null): Promise<void> => {
    const random = newChance();
    let session = ownSession;
    for (let sent = 0; !over; sent++) {
      if (ownSession === null && sent % SESSION_LENGTH === 0) {
        const body = { agent: 'agent_steward', environment_id: 'env_steward' };
        session = (await insist<{ id: string }>('/v1/sessions', `${name}-session-${sent}`, body)).id;
      }
      const { message, text } = words(random, name, null);
      const event = { type: 'user.message', content: [{ type: 'text', text }] };
      await insist(`/v1/sessions/${session}/events`, `${name}-${message.mark}`, { events: [event] });
      said.push(message);
      await pause(random() * 2 * options.webPauseMs);
    }
  };

  const killer = async (): Promise<void> => {
    const random = newChance();
    const [least, most] = options.lifeMs;
    try {
      for (let kill = 0; kill < options.kills; kill++) {
        await pause(least + random() * (most - least));
        await rig.steward.kill();
        await rig.restart();
        starts.push(rig.steward.startedInMs);
      }
    } finally {
      over = true;
    }
  };

  for (const chat of PRIVATE) await rig.pair(chat, chat === OWNER ? 'owner' : 'guest');
  const main = (await rig.status()).main_session_id;
  await Promise.all([
    killer(),
    ...[...PRIVATE, ...GROUPS].map(chatter),
    ...Array.from({ length: WEB_CLIENTS }, (_, n) => client(`web ${n}`, null)),
    client('web main', main),
  ]);

  const quietFrom = performance.now();
  // What came in is answered, and what was answered is sent: at one message a second for each chat.
  await until(
    'quiet',
    async () => {
      const { sessions, outbox } = await rig.status();
      const open = sessions.running + sessions.rescheduling + sessions.active + outbox.pending;
      return rig.telegram.pending() === 0 && open === 0;
    },
    options.drainMs,
  ).catch(() => {
    // The oracle says what is missing.
  });
  const drainedMs = Math.round(performance.now() - quietFrom);
  return { seed: options.seed, evidence: await gather(rig, said, options.kills), starts, retries, drainedMs };
}

/** Printed by each suite; the same seed gives the same kills and the same words, though never the same interleaving. */
export const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);

/**
 * A world whose answers take a moment, so that kills meet calls under way, and a context so small that conversations are
 * compacted in the middle of it all. Safe mode and quarantine are off: on a slow machine five lives in a row may be too short
 * to finish a run, and three may end on the same message; both would be right to take that for a crash loop, and are not
 * what is tested here.
 */
export const stormRig = (options: RigOptions = {}): Promise<Rig> =>
  startRig({
    effectAnswersAfterMs: 30,
    ...options,
    env: {
      STEWARD_SAFE_MODE_AFTER: '0',
      STEWARD_QUARANTINE_AFTER: '0',
      STEWARD_CONTEXT_TOKENS: '2000',
      ...options.env,
    },
  });

export function describeStorm({ evidence, seed, starts, retries, drainedMs }: Storm): string {
  const events = evidence.sessions.flatMap((entry) => entry.events);
  const count = (test: (event: WireEvent) => boolean) => events.filter(test).length;
  const sorted = starts.toSorted((a, b) => a - b);
  const start = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return [
    `seed ${seed}: ${evidence.kills} kills, ${evidence.said.length} messages in ${evidence.sessions.length} sessions`,
    `${retries} requests made again, ${count((event) => event.status === 'in_doubt')} calls in doubt`,
    `${count((event) => event.type === 'agent.thread_context_compacted')} compactions`,
    `ready after p50 ${start(0.5)} ms, p99 ${start(0.99)} ms`,
    `quiet ${drainedMs} ms after the load`,
  ].join('; ');
}
