// Background: docs without a vector get one, a batch at a time, each batch durable before the next. A failure makes pauses, never an end.
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import type { Millis } from '../../core/types.ts';
import { type Embed, type Embedded, fitting, type Source } from './client.ts';
import { hashOf, type Made, type Store } from './store.ts';

/** A model may have to be loaded first. */
const PATIENCE: Millis = 120_000;
const FIRST_PAUSE: Millis = 1_000;
const LONGEST_PAUSE: Millis = 300_000;
/** Nothing changes by itself when a key is wrong. */
const DENIED_PAUSE: Millis = 60_000;
/** A provider that asks for more is asked again all the same. */
const LONGEST_RETRY_AFTER: Millis = 3_600_000;
/** Events indexed at a time, when nobody did it before. */
const CATCH_UP = 40;
/** Answering goes first, and indexing; what is said together is sent together. */
const WAKE_AFTER: Millis = 200;
/** Words nobody refuses: they tell a refused text from a provider that takes none. */
const PROBE = 'hello';

export interface Embedding {
  /** Works until the signal; never rejects. */
  run(): Promise<void>;
  /** There may be something new: it looks a little later. */
  wake(): void;
  /** Why it pauses, null when it works or has nothing to do. */
  trouble(): { why: string; since: Millis } | null;
  /** Nothing was left to do when it last looked. */
  done(): boolean;
}

type Failed = Extract<Embedded, { kind: 'failed' }>;
class Pausing extends Error {
  readonly failed: Failed;
  constructor(failed: Failed) {
    super(failed.why);
    this.failed = failed;
  }
}

/** From the tries so far to the next one. `chance`: 0 to 1. */
export function pauseAfter(tries: number, failed: Pick<Failed, 'failure' | 'retryAfterMs'>, chance: number): Millis {
  const growing = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(tries - 1, 20)) * (0.75 + 0.5 * chance);
  const least = failed.failure === 'denied' ? DENIED_PAUSE : 0;
  return Math.max(growing, least, Math.min(failed.retryAfterMs ?? 0, LONGEST_RETRY_AFTER));
}

export function createEmbedding(deps: {
  source: Source;
  /** Provider, name and prefixes of the model: what its vectors depend on besides its dimension. */
  modelId: string;
  store: Store;
  texts(docs: readonly number[]): Map<number, string>;
  embed: Embed;
  /** As `Docs.catchUp`. */
  catchUp(limit: number): boolean;
  clock: Pick<Clock, 'now' | 'sleep'>;
  log: Pick<Log, 'info' | 'warn'>;
  random(): number;
  signal: AbortSignal;
  pause(): Promise<void>;
  /** Resolves when no question is under way. */
  quiet(): Promise<void>;
  /** There is a model: before the first vectors, and whenever its dimension turned out to be another. */
  began(dimension: number): Promise<void>;
  made(made: readonly Made[]): void;
  succeeded(): void;
}): Embedding {
  const { store, source, signal, clock, log } = deps;
  let woken = false;
  let soon: NodeJS.Timeout | null = null;
  let wakeUp: (() => void) | null = null;
  let trouble: { why: string; since: Millis } | null = null;
  let oddDimension = 0;
  let done = false;
  const ended = () => {
    if (soon) clearTimeout(soon);
    wakeUp?.();
  };
  signal.addEventListener('abort', ended, { once: true });

  const ask = async (texts: readonly string[]): Promise<Extract<Embedded, { kind: 'vectors' }>> => {
    await deps.quiet();
    const answer = await deps.embed(source, { texts, use: 'document', signal, timeoutMs: PATIENCE });
    if (answer.kind === 'failed') throw new Pausing(answer);
    deps.succeeded();
    return answer;
  };

  /** One answer may be a slip; two of the same dimension are another model behind the same name. */
  const begin = async (dimension: number): Promise<void> => {
    store.begin(deps.modelId, dimension);
    oddDimension = 0;
    log.info({ model: deps.modelId, dimension }, 'vectors are made by a new model');
    await deps.began(dimension);
  };
  const checkDimension = async (found: number): Promise<void> => {
    const known = store.model()!.dimension;
    if (found === known) {
      oddDimension = 0;
      return;
    }
    if (found === oddDimension) await begin(found);
    else oddDimension = found;
    const why = `The model makes vectors of ${found} numbers, not ${known}.`;
    throw new Pausing({ kind: 'failed', failure: 'unavailable', why, retryAfterMs: null });
  };

  /** Halves until the texts that are not taken are alone. */
  const vectorsOf = async (texts: readonly string[]): Promise<{ vectors: (Float32Array | null)[]; tokens: number }> => {
    try {
      const answer = await ask(texts);
      await checkDimension(answer.dimension);
      return { vectors: answer.vectors, tokens: answer.tokens };
    } catch (error) {
      if (!(error instanceof Pausing) || error.failed.failure !== 'refused') throw error;
      if (texts.length === 1) {
        const probe = await deps.embed(source, { texts: [PROBE], use: 'document', signal, timeoutMs: PATIENCE });
        // Not even that: it is not the text.
        if (probe.kind === 'failed') throw new Pausing({ ...probe, failure: 'denied' });
        log.warn({ why: error.failed.why }, 'a text is not taken by the provider of embeddings; it is left out');
        return { vectors: [null], tokens: 0 };
      }
      const half = Math.ceil(texts.length / 2);
      const first = await vectorsOf(texts.slice(0, half));
      const second = await vectorsOf(texts.slice(half));
      return { vectors: [...first.vectors, ...second.vectors], tokens: first.tokens + second.tokens };
    }
  };

  /** One batch. Returns whether there may be more. */
  const step = async (): Promise<boolean> => {
    if (store.model()?.id !== deps.modelId) await begin((await ask([PROBE])).dimension);
    while (deps.catchUp(CATCH_UP) && !signal.aborted) await deps.pause();
    const waiting = store.waiting(source.provider.batch);
    const words = deps.texts(waiting.docs);
    const made = new Map<number, Made>();
    const wanted = new Map<string, { text: string; docs: number[] }>();
    for (const doc of waiting.docs) {
      const text = fitting(words.get(doc) ?? '');
      if (text.trim() === '') continue;
      const hash = hashOf(text);
      const known = store.known(hash);
      if (known) made.set(doc, { doc, hash, vector: known });
      else wanted.set(hash, { text, docs: [...(wanted.get(hash)?.docs ?? []), doc] });
    }
    const asked = [...wanted];
    let tokens = 0;
    if (asked.length > 0) {
      const answer = await vectorsOf(asked.map(([, { text }]) => text));
      tokens = answer.tokens;
      for (const [place, [hash, { docs }]] of asked.entries())
        for (const doc of docs) made.set(doc, { doc, hash, vector: answer.vectors[place] ?? null });
    }
    // Most of what is written wants no vector: the cursors need not move for each of it.
    if (signal.aborted || (made.size === 0 && !waiting.more)) return false;
    deps.made(store.settle([...made.values()], waiting.upTo, tokens));
    return waiting.more;
  };

  const rest = (): Promise<void> =>
    new Promise((resolve) => {
      if (woken || signal.aborted) return resolve();
      wakeUp = resolve;
    });

  return {
    async run() {
      for (let tries = 0; !signal.aborted; ) {
        try {
          woken = false;
          const more = await step();
          tries = 0;
          trouble = null;
          done = !more;
          if (more) await deps.pause();
          else await rest();
        } catch (error) {
          if (signal.aborted) return;
          tries += 1;
          done = false;
          const failed: Failed =
            error instanceof Pausing
              ? error.failed
              : { kind: 'failed', failure: 'unavailable', why: (error as Error).message, retryAfterMs: null };
          // Once for each kind of trouble: the same line every five minutes tells nothing.
          if (trouble?.why !== failed.why) log.warn({ why: failed.why }, 'vectors cannot be made for now');
          trouble = { why: failed.why, since: trouble?.since ?? clock.now() };
          await clock.sleep(pauseAfter(tries, failed, deps.random()), signal);
        }
      }
    },
    wake() {
      if (signal.aborted) return;
      soon ??= setTimeout(() => {
        soon = null;
        woken = true;
        wakeUp?.();
      }, WAKE_AFTER).unref();
    },
    trouble: () => trouble,
    done: () => done,
  };
}
