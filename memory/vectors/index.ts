// Searching memory by meaning: the providers there are, and the parts put together. Off unless the owner chose one.
import { createHash } from 'node:crypto';
import type { Bus } from '../../core/bus.ts';
import type { Clock } from '../../core/clock.ts';
import type { Config } from '../../core/config.ts';
import type { Db } from '../../core/db.ts';
import type { EmbeddingsReport } from '../../core/health.ts';
import type { Log } from '../../core/log.ts';
import type { Id, Millis } from '../../core/types.ts';
import { OWNER } from '../scope.ts';
import type { Meta } from '../types.ts';
import { createEmbed, type Source } from './client.ts';
import { createEmbedding, type Embedding } from './embed.ts';
import { createHeld, type Held } from './held.ts';
import { ollama } from './ollama.ts';
import { openai } from './openai.ts';
import type { Provider } from './provider.ts';
import { createVectorSearch, type Near, type VectorSearch } from './search.ts';
import { createStore } from './store.ts';
import { createTexts } from './texts.ts';
import { voyage } from './voyage.ts';

const SETTINGS = ['embeddings', 'embeddingsModel', 'embeddingsUrl', 'embeddingsKey'] as const;
export type VectorSettings = Pick<Config, (typeof SETTINGS)[number]>;

/** One new provider: one file, one line here, its name in core/settings.ts. */
export const providers: Record<Exclude<VectorSettings['embeddings'], 'none'>, Provider> = { voyage, openai, ollama };

export interface Vectors {
  /**
   * The docs nearest in meaning, best first; .5 is what chance would reach, 1 is sure. Empty when embeddings are off, and for every scope
   * but the owner's: what guests and groups say never goes to a provider. Never rejects.
   */
  search(query: string, limit: number, scope?: string): Promise<Near>;
  /** In the transaction of whatever takes the words away. Their bytes are gone with its checkpoint. */
  remove(docs: readonly number[]): void;
  removeEvents(ids: readonly Id[]): void;
  forgetSession(sessionId: Id): void;
  /** Something was written. The bus tells of events; whoever writes items without one calls this. */
  wake(): void;
  start(): void;
  /** Other settings, from now on; the same ones change nothing. */
  reconfigure(settings: VectorSettings): Promise<void>;
  report(): EmbeddingsReport;
  stop(): Promise<void>;
}

/** What vectors depend on besides the dimension. Where the server is does not matter. */
export function modelIdOf({ provider, model }: Pick<Source, 'provider' | 'model'>): string {
  const roles = provider.roles(model);
  const words = roles === 'field' ? 'field' : `${roles.query}\u0000${roles.document}`;
  const tag = words === '\u0000' ? 'plain' : createHash('sha256').update(words).digest('hex').slice(0, 8);
  return `${provider.name}:${model}:${roles === 'field' ? 'field' : tag}`;
}

function sourceOf(settings: VectorSettings): Source | null {
  if (settings.embeddings === 'none') return null;
  const provider = providers[settings.embeddings];
  return {
    provider,
    url: settings.embeddingsUrl ?? provider.url,
    model: settings.embeddingsModel ?? provider.model,
    key: settings.embeddingsKey,
  };
}

export function createVectors(deps: {
  db: Db;
  meta: Meta;
  bus: Pick<Bus, 'subscribe'>;
  /** The index, so that what is new is seen at once. */
  docs: { catchUp(limit: number): boolean };
  clock: Pick<Clock, 'now' | 'sleep'>;
  log: Pick<Log, 'info' | 'warn'>;
  settings: VectorSettings;
  fetch?: typeof fetch;
  random?: () => number;
  /** For tests: other bounds. */
  patienceMs?: Millis;
  exactBytes?: number;
}): Vectors {
  const { db, clock, log } = deps;
  const store = createStore(db, deps.meta);
  const texts = createTexts(db);
  const embed = createEmbed({ fetch: deps.fetch ?? fetch });
  const random = deps.random ?? Math.random;
  const pause = () => new Promise<void>((resolve) => void setImmediate(resolve));

  /** All that belongs to one choice of provider and model. */
  const engineOf = (source: Source) => {
    const modelId = modelIdOf(source);
    const ending = new AbortController();
    const { signal } = ending;
    let held: Held | null = null;
    let lastSuccessAt: Millis | null = null;
    const succeeded = () => {
      lastSuccessAt = clock.now();
    };
    const hold = async (dimension: number) => {
      held = createHeld(store, dimension, { random, exactBytes: deps.exactBytes });
      await held.load(pause, signal);
    };
    const search: VectorSearch = createVectorSearch({
      source,
      store,
      held: () => held,
      complete: () => embedding.done(),
      embed,
      clock,
      signal,
      pause,
      succeeded,
      patienceMs: deps.patienceMs,
    });
    const embedding: Embedding = createEmbedding({
      source,
      modelId,
      store,
      texts,
      embed,
      catchUp: deps.docs.catchUp,
      clock,
      log,
      random,
      signal,
      pause,
      quiet: search.quiet,
      began: hold,
      made: (made) => {
        for (const { doc, vector } of made) if (vector) held?.put(doc, vector);
      },
      succeeded,
    });
    const run = async () => {
      const known = store.model();
      try {
        if (known?.id === modelId) await hold(known.dimension);
      } catch (error) {
        log.warn({ error }, 'the vectors could not be read');
      }
      await embedding.run();
    };
    let running: Promise<void> | null = null;
    return {
      source,
      start: () => {
        running ??= run();
      },
      async stop() {
        ending.abort();
        await running;
      },
      search: search.search,
      wake: embedding.wake,
      forgotten: (docs: readonly number[]) => {
        for (const doc of docs) held?.remove(doc);
      },
      report(): EmbeddingsReport {
        const trouble = embedding.trouble()?.why ?? search.trouble();
        const { docs, of } = store.behind();
        const same = store.model()?.id === modelId;
        const building = !same || !held?.ready || !embedding.done();
        const waiting = same ? (embedding.done() ? 0 : docs) : of;
        return {
          provider: source.provider.name,
          model: source.model,
          state: trouble !== null ? 'failing' : building ? 'building' : 'ok',
          detail:
            trouble !== null ? `${trouble} Search goes by words alone.` : building ? `${waiting} of ${of} to go` : '',
          dimension: same ? store.model()!.dimension : null,
          vectors: held?.matrix.size ?? 0,
          waiting,
          tokens: store.tokens(),
          lastSuccessAt,
        };
      },
    };
  };

  const make = (settings: VectorSettings) => {
    const source = sourceOf(settings);
    return source ? engineOf(source) : null;
  };
  let current = deps.settings;
  let engine = make(current);
  let started = false;
  let unsubscribe: (() => void) | null = null;
  const wake = () => engine?.wake();

  const remove = (docs: readonly number[]) =>
    db.tx(() => {
      store.remove(docs);
      db.afterCommit(() => engine?.forgotten(docs));
    });

  return {
    search: async (query, limit, scope = OWNER) => (engine && scope === OWNER ? engine.search(query, limit) : []),
    remove,
    removeEvents: (ids) => remove(store.docsOf(ids)),
    forgetSession: (id) => remove(store.docsOfSession(id)),
    wake,
    start() {
      started = true;
      unsubscribe ??= deps.bus.subscribe(null, (notice) => void (notice.kind === 'event' && wake()));
      engine?.start();
    },
    async reconfigure(settings) {
      const same = SETTINGS.every((name) => settings[name] === current[name]);
      if (same) return;
      current = settings;
      const before = engine;
      engine = make(settings);
      await before?.stop();
      if (started) engine?.start();
    },
    report: () =>
      engine?.report() ?? {
        provider: 'none',
        model: null,
        state: 'off',
        detail: '',
        dimension: null,
        vectors: 0,
        waiting: 0,
        tokens: store.tokens(),
        lastSuccessAt: null,
      },
    async stop() {
      started = false;
      unsubscribe?.();
      unsubscribe = null;
      await engine?.stop();
    },
  };
}
