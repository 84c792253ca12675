// What a turn is given from memory: the block that always stands in its prompt, and lines found for its messages.
import { contentOf } from '../core/brain/context.ts';
import type { Events } from '../core/events.ts';
import type { Log } from '../core/log.ts';
import type { BrainMemory, MemoryBlock, MemoryHit } from '../core/memory.ts';
import type { LogEvent, Millis, Session } from '../core/types.ts';
import { memoryBlock, recalledLines } from './context.ts';
import { scopeOf } from './scope.ts';
import type { Search } from './search/search.ts';
import { words } from './text/tokens.ts';
import type { Items } from './types.ts';

/** Read per tier for the block; more would not fit its budget. */
const MOST_ITEMS = 100;
const MOST_LINES = 8;
/** Looked at for those: what stands in the context already is left out. */
const MOST_HITS = 16;
/** A person waits: a small part of what a search may take. */
const BUDGET = { postings: 20_000, terms: 8, candidates: 30, ms: 40 };
/** A hit much weaker than the best is a coincidence. */
const SHARE_OF_BEST = 0.6;

const NOTHING: MemoryBlock = { text: '', itemIds: [] };

export function createRecall(deps: {
  items: Items;
  search: Search;
  events: Pick<Events, 'lastCompaction' | 'get'>;
  log: Pick<Log, 'warn'>;
  day(at: Millis): string;
}): Pick<BrainMemory, 'block' | 'recall'> {
  const { items, search, events } = deps;

  /** What the request will hold anyway: the part of this conversation since its last compaction. */
  const contextStart = (session: Session): number => Number(events.lastCompaction(session.id)?.payload.up_to ?? 0);
  const inContext = (session: Session, from: number) => (hit: MemoryHit) =>
    hit.kind === 'event' && hit.sessionId === session.id && (events.get(hit.id)?.position ?? Infinity) > from;

  /** Of the scopes at work; made anew when anything is known otherwise. */
  const blocks = new Map<string, MemoryBlock>();
  let edition = '';
  const block = (session: Session): MemoryBlock => {
    const scope = scopeOf(session);
    if (scope === null) return NOTHING;
    try {
      const current = items.edition();
      if (current !== edition) blocks.clear();
      edition = current;
      const tiers = ['identity', 'state', 'reference'] as const;
      const made = blocks.get(scope) ?? memoryBlock(tiers.flatMap((tier) => items.foremost(scope, tier, MOST_ITEMS)));
      blocks.set(scope, made);
      return made;
    } catch (error) {
      deps.log.warn({ error }, 'memory could not be read for a prompt');
      return NOTHING;
    }
  };

  return {
    block,

    async recall(session, messages, recalled) {
      const scope = scopeOf(session);
      const query = messages.map(said).join('\n').trim();
      if (scope === null || query === '') return null;
      try {
        // The messages themselves are no answer to them.
        const first = messages[0]!;
        const wanted = { query, limit: MOST_HITS, trustedOnly: true, before: first.createdAt - 1 };
        const seen = contextStart(session);
        const until = { event: first.id, session: session.id, seen };
        const found = await search.search(wanted, scope, { ...BUDGET, until });
        if (found.weak) return null;
        const known = inContext(session, seen);
        const shown = new Set([...block(session).itemIds, ...recalled]);
        const best = found.hits[0]?.score ?? 0;
        // Forgotten while it was searched for.
        const gone = (hit: MemoryHit) =>
          hit.kind === 'item' ? items.get(hit.id) === null : events.get(hit.id)?.payload.redacted === true;
        const fresh = found.hits.filter(
          (hit) =>
            !gone(hit) &&
            hit.score >= best * SHARE_OF_BEST &&
            !shown.has(hit.id) &&
            !isFiller(hit, best) &&
            !known(hit),
        );
        return recalledLines(fresh.slice(0, MOST_LINES), { terms: words(query), day: deps.day });
      } catch (error) {
        deps.log.warn({ error }, 'memory could not be searched for a message');
        return null;
      }
    },
  };
}

/** Found for standing beside a match alone: what Steward itself said there, and what is far from it. */
const isFiller = (hit: MemoryHit, best: number): boolean =>
  hit.kind === 'event' && !hit.why.lexical && (hit.trust === 'agent' || hit.score < best * 0.8);

const said = (event: LogEvent): string =>
  contentOf(event)
    .map((block) => (block.type === 'text' ? block.text : ''))
    .join('\n');
