// Consolidation over a real record and a real index, with a model that answers by a script and a life that can end anywhere.
import type { Consult, MemoryItem } from '../../../../core/memory.ts';
import type { Id, LogEvent } from '../../../../core/types.ts';
import {
  type Consolidation,
  type ConsolidationDeps,
  type ConsolidationPoint,
  createConsolidation,
} from '../../../../memory/consolidation/index.ts';
import { createDocs } from '../../../../memory/index/docs.ts';
import { createMeta } from '../../../../memory/meta.ts';
import { createSave } from '../../../../memory/save.ts';
import { openTestMemory, type TestMemory } from '../../../helpers/memory.ts';
import { openTestRecord, type TestRecord } from '../../../helpers/record.ts';

export type Answer = string | { failed: string } | 'none';
type Asked = Parameters<Consult>[0];

export interface Rig extends TestMemory {
  consolidation: Consolidation;
  /** What the model was asked, in order. */
  asked: Asked[];
  /** Errors and warnings that were logged. */
  logged: string[];
  /** The last word of a session. */
  reply(text: string, sessionId?: Id): LogEvent;
  /** Every row of the room, for "nothing was written". */
  dump(): unknown;
  live(): MemoryItem[];
  /** The next life over the same file. */
  again(options?: RigOptions): Rig;
}

export interface RigOptions {
  /** By what it is asked; the default has nothing to say. */
  model?: (asked: Asked, count: number) => Answer | Promise<Answer>;
  /** Dies there: everything after it is as if it were never called. */
  dieAt?: ConsolidationPoint;
  nth?: number;
  deps?: Partial<ConsolidationDeps>;
  record?: TestRecord;
}

export class Death extends Error {}

const TABLES = [
  'memory_items',
  'memory_sources',
  'memory_parents',
  'memory_pins',
  'memory_changes',
  'memory_questions',
  'memory_jobs',
  'memory_marks',
  'memory_meta',
  'events',
];

export function openRig(options: RigOptions = {}): Rig {
  const record = options.record ?? openTestRecord();
  const meta = createMeta(record.db);
  const docs = createDocs(record.db, { meta, blobs: record.blobs, timeZone: 'UTC' });
  const memory = openTestMemory({ record, index: docs });
  const asked: Asked[] = [];
  const logged: string[] = [];
  const note = (facts: object, message: string) => {
    const { error } = facts as { error?: Error };
    logged.push(error ? `${message}: ${error.message}` : message);
  };
  let passages = 0;
  const consolidation = createConsolidation({
    ...record,
    ...memory,
    meta,
    save: createSave({ ...memory, ...record, forgotten: memory.tombstones, now: record.clock.now }),
    isForgotten: memory.tombstones.isForgotten,
    log: { debug() {}, info() {}, warn: note, error: note },
    timeZone: 'UTC',
    homeSession: (scope) => (scope === 'owner' ? memory.sessionId : (record.sessions.get(scope)?.id ?? null)),
    optimize: () => docs.optimize(),
    consult: async (request) => {
      asked.push(request);
      const answer = (await options.model?.(request, asked.length)) ?? '{"op":"NOOP"}';
      if (answer === 'none') return { kind: 'none' };
      if (typeof answer === 'object') return { kind: 'failed', why: answer.failed };
      return { kind: 'answered', text: answer };
    },
    crash(point) {
      if (point !== options.dieAt) return;
      passages += 1;
      if (passages === (options.nth ?? 1)) throw new Death(point);
    },
    ...options.deps,
  });
  return {
    ...memory,
    consolidation,
    asked,
    logged,
    reply(text, sessionId = memory.sessionId) {
      const [event] = record.events.append(sessionId, [
        { type: 'agent.message', payload: { content: [{ type: 'text', text }] } },
      ]);
      return event!;
    },
    dump: () => TABLES.map((table) => record.db.prepare(`SELECT * FROM ${table}`).all()),
    live: () => memory.items.list({ limit: 10_000 }),
    again(more = {}) {
      const next = record.reopen();
      return openRig({ ...options, dieAt: undefined, ...more, record: next } as RigOptions);
    },
  };
}

/** JSON lines. */
export const lines = (...objects: object[]): string => objects.map((object) => JSON.stringify(object)).join('\n');

/** The alias of the message that says so, as the model sees it. */
export function aliasOf(asked: Asked, words: string): string {
  const line = asked.prompt.split('\n').find((one) => /^e\d+ /.test(one) && one.includes(words));
  return line?.split(' ')[0] ?? 'e0';
}

/** The alias of what is known. */
export function knownAs(asked: Asked, words: string): string {
  const line = asked.prompt.split('\n').find((one) => /^m\d+ /.test(one) && one.includes(words));
  return line?.split(' ')[0] ?? 'm0';
}

/** What is known and open, without ids and times that differ between two lives. */
export function essence(rig: Rig): unknown {
  const items = rig.items
    .list({ limit: 10_000, includeRetired: true })
    .map(({ tier, kind, subject, slot, text, authority, pinned, about, validTo, retiredAt, retireReason }) => ({
      ...{ tier, kind, subject, slot, text, authority, pinned, about: about !== null },
      ...{ ended: validTo !== null, retired: retiredAt !== null, retireReason },
    }));
  const questions = rig.questions.list().map(({ kind, text }) => ({ kind, text }));
  const changes = rig.changes
    .list({ limit: 100 })
    .map(({ kind, added, retired }) => [kind, added.length, retired.length]);
  const written = rig.record.events
    .list({ sessionId: rig.sessionId, types: ['memory.written', 'memory.asked'], limit: 1_000 })
    .map(({ type }) => type);
  return { items, questions, changes, written };
}
