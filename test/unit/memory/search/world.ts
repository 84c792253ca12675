// A memory to search in: the real record, index and items; talk is said by name, at a time.
import { onTestFinished } from 'vitest';
import type { MemoryFound, MemorySearch } from '../../../../core/memory.ts';
import type { Id, LogEvent } from '../../../../core/types.ts';
import { createDocs, type Docs } from '../../../../memory/index/docs.ts';
import { createMeta } from '../../../../memory/meta.ts';
import { OWNER } from '../../../../memory/scope.ts';
import type { Budget } from '../../../../memory/search/question.ts';
import { createSearch, type Search, type Vectors } from '../../../../memory/search/search.ts';
import { openTestMemory, type TestMemory } from '../../../helpers/memory.ts';
import { openTestRecord } from '../../../helpers/record.ts';

export interface SearchWorld {
  memory: TestMemory;
  docs: Docs;
  search: Search;
  warnings: unknown[];
  /** Imported talk: `Ana: text`, one line each, a minute apart from `at` on. */
  talk(lines: string, at?: string, sessionId?: Id): LogEvent[];
  find(query: string, more?: Partial<MemorySearch>, scope?: string, budget?: Partial<Budget>): Promise<MemoryFound>;
  /** Texts of the hits. */
  texts(query: string, more?: Partial<MemorySearch>, scope?: string): Promise<string[]>;
}

export function openSearchWorld(options: { vectors?: Vectors; offThreadDocs?: number } = {}): SearchWorld {
  const record = openTestRecord();
  const docs = createDocs(record.db, { meta: createMeta(record.db), blobs: record.blobs, timeZone: 'UTC' });
  record.events.onRedacted(docs.removeEvents);
  const memory = openTestMemory({ record, index: docs });
  const warnings: unknown[] = [];
  const search = createSearch({
    ...options,
    db: record.db,
    docs,
    clock: { now: record.clock.now, elapsed: () => performance.now() },
    timeZone: 'UTC',
    log: { warn: (...args: unknown[]) => void warnings.push(args) },
  });
  onTestFinished(() => search.stop());
  const world: SearchWorld = {
    memory,
    docs,
    search,
    warnings,
    talk(lines, at = '2026-11-01T10:00:00Z', sessionId = memory.sessionId) {
      const from = Date.parse(at);
      return record.events.append(
        sessionId,
        lines
          .split('\n')
          .map((line) => line.trim())
          .filter(Boolean)
          .map((line, index) => {
            const [, speaker, text] = /^([^:]+): (.*)$/.exec(line)!;
            return { type: 'memory.imported', payload: { speaker: speaker!, text: text!, at: from + index * 60_000 } };
          }),
      );
    },
    find: (query, more = {}, scope = OWNER, budget) => search.search({ query, ...more }, scope, budget),
    texts: async (query, more, scope) => (await world.find(query, more, scope)).hits.map((hit) => hit.text),
  };
  return world;
}

/** Talk about nothing in particular, so that words are as rare as they are in life. */
export const CHATTER = `
  Ben: Good morning, how did you sleep?
  Ana: Fine, thanks. The neighbours were quiet for once.
  Ben: The kettle is on, do you want toast?
  Ana: Yes please, with the plum jam.
  Ben: The bus was late again today.
  Ana: They are digging up the road by the station.
  Ben: I might walk then, the weather is mild.
  Ana: Take an umbrella anyway.
  Ben: Did the parcel arrive?
  Ana: Not yet, the courier said Thursday.`;
