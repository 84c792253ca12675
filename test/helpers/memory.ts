// The parts of memory that write, over a real record: what was said, drafts resting on it, and a plain view of what holds.

import type { MemoryItem, Saved } from '../../core/memory.ts';
import type { Id, LogEvent } from '../../core/types.ts';
import { type ChangeStore, createChanges } from '../../memory/changes.ts';
import { createForget, type Forget, type ForgetDeps } from '../../memory/forget.ts';
import { createItems, type ItemStore } from '../../memory/items.ts';
import { createMeta } from '../../memory/meta.ts';
import { createQuestions, type QuestionStore } from '../../memory/questions.ts';
import { createSave } from '../../memory/save.ts';
import { createTombstones, type Tombstones } from '../../memory/tombstones.ts';
import type { Draft, ItemIndex } from '../../memory/types.ts';
import { openTestRecord, type TestRecord } from './record.ts';

export interface TestMemory {
  record: TestRecord;
  items: ItemStore;
  changes: ChangeStore;
  questions: QuestionStore;
  tombstones: Tombstones;
  forget: Forget;
  save(draft: Draft): Saved;
  /** Rows as the index was told them. */
  indexed: Map<number, MemoryItem>;
  sessionId: Id;
  /** A message of the owner. */
  say(text: string, sessionId?: Id): LogEvent;
  /** Said by the owner and rests on it. */
  draft(text: string, more?: Partial<Draft>): Draft;
  /** Adds one and returns it. */
  add(text: string, more?: Partial<Draft>): MemoryItem;
  /** Texts that hold now, or then. */
  holds(asOf?: number): string[];
}

export function openTestMemory(
  options: {
    record?: TestRecord;
    index?: ItemIndex;
    forget?: Partial<ForgetDeps>;
    /** Known-bad variants. */
    broken?(items: ItemStore): Partial<ItemStore>;
  } = {},
): TestMemory {
  const record = options.record ?? openTestRecord();
  const now = record.clock.now;
  const indexed = new Map<number, MemoryItem>();
  const index: ItemIndex = options.index ?? {
    put: (row, item) => void indexed.set(row, item),
    remove: (row) => void indexed.delete(row),
  };
  const whole = createItems(record.db, { now });
  const items = { ...whole, ...options.broken?.(whole) };
  const changes = createChanges(record.db, { items, index, events: record.events, newId: record.newId, now });
  const questions = createQuestions(record.db, { ...record, items, changes, now });
  const tombstones = createTombstones(record.db, { meta: createMeta(record.db), now });
  const forget = createForget({ ...record, items, changes, questions, tombstones, index, ...options.forget });
  record.events.onRedacted(forget.eventsRedacted);
  const save = createSave({ ...record, items, changes, questions, forgotten: tombstones, now });
  const sessionId = record.newSession();
  const memory: TestMemory = {
    record,
    items,
    changes,
    questions,
    tombstones,
    forget,
    save: (draft) => save(draft, { sessionId, kind: 'save' }),
    indexed,
    sessionId,
    say(text, to = sessionId) {
      const [event] = record.events.append(to, [
        {
          type: 'user.message',
          payload: { content: [{ type: 'text', text }] },
          origin: {
            sender: { channel: 'telegram', userId: '7', name: 'Ann' },
            address: { channel: 'telegram', chat: '7' },
            role: 'owner',
          },
        },
      ]);
      return event!;
    },
    draft: (text, more = {}) => ({
      scope: 'owner',
      tier: 'reference',
      kind: 'fact',
      subject: null,
      slot: null,
      text,
      authority: 'owner',
      confidence: 1,
      validFrom: now(),
      expiresAt: null,
      sources: more.sources ?? (more.parents ? [] : [{ eventId: memory.say(text).id, quote: text }]),
      ...more,
    }),
    add(text, more) {
      const draft = memory.draft(text, more);
      const { added } = changes.apply({ scope: draft.scope, sessionId, kind: 'save', ops: [{ kind: 'add', draft }] });
      return added[0]!;
    },
    holds: (asOf) =>
      items.list({ scope: 'owner', limit: 10_000, ...(asOf === undefined ? {} : { asOf }) }).map((item) => item.text),
  };
  return memory;
}
