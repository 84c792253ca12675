// Memory as it goes over the wire: snake case, times in RFC 3339. Pure.
import type {
  MemoryChange,
  MemoryFound,
  MemoryHit,
  MemoryItem,
  MemoryQuestion,
  MemoryRun,
  MemorySource,
  Saved,
} from '../../core/memory.ts';
import type { JsonObject } from '../../core/types.ts';
import { orNull, rfc3339 } from './wire.ts';

export const itemToWire = (item: MemoryItem): JsonObject => ({
  id: item.id,
  type: 'memory_item',
  scope: item.scope,
  tier: item.tier,
  kind: item.kind,
  subject: item.subject,
  slot: item.slot,
  text: item.text,
  authority: item.authority,
  confidence: item.confidence,
  pinned: item.pinned,
  valid_from: rfc3339(item.validFrom),
  valid_to: orNull(item.validTo),
  recorded_at: rfc3339(item.recordedAt),
  retired_at: orNull(item.retiredAt),
  retire_reason: item.retireReason,
  superseded_by: item.supersededBy,
  expires_at: orNull(item.expiresAt),
  about: item.about,
  change_id: item.changeId,
});

export const sourceToWire = (source: MemorySource): JsonObject => ({
  event_id: source.eventId,
  session_id: source.sessionId,
  quote: source.quote,
  at: rfc3339(source.at),
  channel: source.channel,
  who: source.who,
});

const hitToWire = (hit: MemoryHit): JsonObject => ({
  kind: hit.kind,
  id: hit.id,
  text: hit.text,
  score: hit.score,
  at: rfc3339(hit.at),
  who: hit.who,
  trust: hit.trust,
  session_id: hit.sessionId,
  channel: hit.channel,
  tier: hit.tier,
  why: hit.why,
});

export const foundToWire = (found: MemoryFound): JsonObject => ({
  data: found.hits.map(hitToWire),
  weak: found.weak,
  degraded: found.degraded,
  took_ms: found.tookMs,
});

export const changeToWire = (change: MemoryChange): JsonObject => ({
  id: change.id,
  type: 'memory_change',
  kind: change.kind,
  at: rfc3339(change.at),
  event_id: change.eventId,
  undone_by: change.undoneBy,
  added: change.added,
  retired: change.retired,
  erased: change.erased,
});

export const questionToWire = (question: MemoryQuestion): JsonObject => ({
  id: question.id,
  type: 'memory_question',
  kind: question.kind,
  text: question.text,
  item: question.item && itemToWire(question.item),
  proposal: question.proposal,
  created_at: rfc3339(question.createdAt),
});

export function savedToWire(saved: Saved): JsonObject {
  switch (saved.kind) {
    case 'saved':
      return {
        result: 'saved',
        item: itemToWire(saved.item),
        superseded: saved.superseded,
        change_id: saved.changeId,
      };
    case 'known':
      return { result: 'known', item: itemToWire(saved.item) };
    case 'asked':
      return { result: 'asked', question: questionToWire(saved.question) };
  }
}

export const runToWire = (run: MemoryRun): JsonObject => ({
  kind: run.kind,
  change_id: run.changeId,
  added: run.added,
  retired: run.retired,
  questions: run.questions,
  refused: run.refused,
  summary: run.summary,
});
