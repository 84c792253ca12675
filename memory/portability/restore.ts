// A JSONL export comes back: checked as a whole first, then written in one transaction, row by row as it was.
import { DEFAULT_AGENT, DEFAULT_ENVIRONMENT } from '../../core/agents.ts';
import type { Db } from '../../core/db.ts';
import type { Events } from '../../core/events.ts';
import type { MemoryImported, MemoryItem } from '../../core/memory.ts';
import type { Sessions } from '../../core/sessions.ts';
import type { Id, JsonObject, Origin } from '../../core/types.ts';
import type { Draft, Meta, Questions, Restore } from '../types.ts';
import { checkedFiles, linesOf, refused } from './checks.ts';
import { KEYS } from './export.ts';
import type { ItemLine, Line, StoreLines } from './records.ts';
import { tally } from './tally.ts';
import { verify } from './verify.ts';

export interface RestoreDeps {
  db: Db;
  sessions: Pick<Sessions, 'create' | 'get' | 'archive' | 'bind' | 'bindingOf'>;
  events: Pick<Events, 'append' | 'get' | 'byDedupe'>;
  meta: Meta;
  questions: Pick<Questions, 'open'>;
  restore: Restore;
  /** Rows of memory stores as they were; false when the id is known. */
  restoreStore(line: StoreLines): boolean;
  /** By what was forgotten here before this import. */
  isForgotten(text: string): boolean;
  /** Where it is told. */
  mainSession(): Id;
  /** Within the import: what this log says was made memory where it comes from. */
  consolidated?(sessionId: Id): void;
}

const toItem = (line: ItemLine): MemoryItem => ({
  id: line.id,
  scope: line.scope,
  tier: line.tier,
  kind: line.kind,
  subject: line.subject,
  slot: line.slot,
  text: line.text,
  authority: line.authority,
  confidence: line.confidence,
  pinned: line.pinned_at !== null,
  validFrom: line.valid_from,
  validTo: line.valid_to,
  recordedAt: line.recorded_at,
  retiredAt: line.retired_at,
  retireReason: line.retire_reason,
  supersededBy: line.superseded_by,
  expiresAt: line.expires_at,
  about: line.about,
  changeId: line.change_id,
});

const toDraft = (line: ItemLine, sources: Draft['sources']): Draft => ({
  scope: line.scope,
  tier: line.tier,
  kind: line.kind,
  subject: line.subject,
  slot: line.slot,
  text: line.text,
  authority: line.authority,
  confidence: line.confidence,
  validFrom: line.valid_from,
  expiresAt: line.expires_at,
  about: line.about,
  sources,
  pinned: line.pinned_at !== null,
});

/** Thrown to leave the transaction of a dry run; never seen outside. */
const UNDONE = Symbol('a dry run');

export function createRestore(deps: RestoreDeps) {
  const { db, sessions, events, restore } = deps;
  const sessionIs = db.prepare<[string], object>('SELECT 1 FROM sessions WHERE id = ?');

  const wordsOf = (payload: Record<string, unknown>): string => {
    const content = payload.content;
    const blocks = Array.isArray(content) ? (content as { text?: unknown }[]).map((block) => block?.text) : [];
    return [payload.text, ...blocks].filter((text) => typeof text === 'string').join('\n');
  };

  function write(data: string): Omit<MemoryImported, 'changeId'> {
    const skip = tally();
    const mine = new Set<Id>();
    const links: ItemLine[] = [];
    /** Forgotten where they come from; what rests on them has been kept all the same. */
    const wordless = new Set<Id>();
    const keys: string[] = [];
    const tombstones: { hash: string; at: number }[] = [];
    const added = { items: 0, events: 0 };
    const lines = linesOf(data);
    lines.next();
    for (const { text } of lines) {
      const line = JSON.parse(text) as Line;
      switch (line.type) {
        case 'session': {
          // Also one that was deleted here: what was in it does not come back.
          if (sessionIs.get(line.id)) break;
          const session = sessions.create({
            id: line.id,
            createdAt: line.created_at,
            kind: line.kind,
            trust: line.trust,
            title: line.title,
            metadata: line.metadata,
            agentId: DEFAULT_AGENT,
            agentVersion: 1,
            environmentId: DEFAULT_ENVIRONMENT,
          });
          // It is a record of what was said; nobody answers in it any more.
          sessions.archive(session.id);
          const imported = line.metadata.imported;
          if (imported && !sessions.bindingOf(`import:${imported}`)) sessions.bind(`import:${imported}`, session.id);
          mine.add(line.id);
          break;
        }
        case 'event': {
          if (line.payload.redacted === true) wordless.add(line.id);
          if (events.get(line.id)) skip.add('event', 'is here already');
          else if (!mine.has(line.session_id)) skip.add('event', 'belongs to a conversation that is here and went on');
          else if (deps.isForgotten(wordsOf(line.payload))) skip.add('event', 'was forgotten here');
          else {
            events.append(line.session_id, [
              {
                id: line.id,
                type: line.event,
                payload: line.payload as JsonObject,
                createdAt: line.at,
                tainted: line.tainted,
                // A file gives no turn leave to act.
                ...(line.origin && { origin: { ...(line.origin as Origin), mandate: undefined } }),
                ...(line.dedupe && !events.byDedupe(line.dedupe) && { dedupe: line.dedupe }),
              },
            ]);
            added.events += 1;
          }
          break;
        }
        case 'item': {
          const sources = line.sources.filter(({ event_id }) => {
            const event = events.get(event_id);
            return event !== null && (event.payload.redacted !== true || wordless.has(event_id));
          });
          if (deps.isForgotten(line.text)) skip.add('memory', 'was forgotten here');
          else if (line.sources.length > 0 && sources.length === 0) skip.add('memory', 'has no source any more');
          else {
            const how = restore.item(toItem(line), line.pinned_at);
            if (how === 'added') {
              added.items += 1;
              links.push({ ...line, sources });
            } else if (how === 'known') skip.add('memory', 'is here already');
            else {
              const quotes = sources.map(({ event_id, quote }) => ({ eventId: event_id, quote }));
              if (line.tier !== 'session')
                deps.questions.open({
                  scope: line.scope,
                  kind: 'contradiction',
                  proposal: toDraft(line, quotes),
                  itemId: null,
                });
              skip.add('memory', 'says something else than what is known here: it waits for you as a question');
            }
          }
          break;
        }
        case 'change':
          if (events.get(line.event_id)) restore.change({ ...line, undone_by: line.undone_by });
          break;
        case 'question':
          restore.question(line);
          break;
        case 'key':
          if (line.name === 'tombstones') keys.push(line.value);
          else if (!deps.meta.get(KEYS[line.name])) deps.meta.set(KEYS[line.name], line.value);
          break;
        case 'tombstone':
          tombstones.push({ hash: line.hash, at: line.at });
          break;
        case 'store':
        case 'version':
        case 'file':
          if (!deps.restoreStore(line)) skip.add('file', 'is here already');
          break;
      }
    }
    for (const line of links)
      restore.linkItem(line.id, {
        supersededBy: line.superseded_by,
        sources: line.sources.map(({ event_id, quote }) => ({ eventId: event_id, quote })),
        parents: line.parents,
      });
    for (const id of mine) deps.consolidated?.(id);
    if (keys.length > 0) restore.tombstones(keys, tombstones);
    if (added.items + added.events > 0)
      events.append(deps.mainSession(), [{ type: 'memory.received', payload: { format: 'jsonl', ...added } }]);
    return { ...added, skipped: skip.all() };
  }

  /** Throws `invalid` and `too_large` with nothing changed. What is here stays as it is; the rest is put beside it. */
  return async (files: readonly { path: string; data: string }[], dryRun: boolean): Promise<MemoryImported> => {
    const [file, ...more] = checkedFiles(files);
    if (more.length > 0)
      throw refused('A JSONL export is one file.', 'Import them one after the other. Nothing was changed.');
    await verify(file!.path, file!.data);
    let done: Omit<MemoryImported, 'changeId'> | undefined;
    try {
      db.tx(() => {
        done = write(file!.data);
        if (dryRun) throw UNDONE;
      });
    } catch (error) {
      if (error !== UNDONE) throw error;
    }
    return { ...done!, changeId: null };
  };
}
