// Forgetting for good: the item, whatever says the same, whatever was made of it, every copy of its words, in one transaction.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Approvals } from '../core/approvals.ts';
import type { Blobs } from '../core/blobs.ts';
import type { Db } from '../core/db.ts';
import { StewardError } from '../core/errors.ts';
import type { Events } from '../core/events.ts';
import type { MemoryForgotten } from '../core/memory.ts';
import type { Outbox } from '../core/outbox.ts';
import type { Sessions } from '../core/sessions.ts';
import type { Id, JsonObject } from '../core/types.ts';
import type { ChangeStore } from './changes.ts';
import type { ItemStore } from './items.ts';
import { normalText } from './normalise.ts';
import type { QuestionStore } from './questions.ts';
import { createRedaction } from './redaction.ts';
import { OWNER } from './scope.ts';
import type { Tombstones } from './tombstones.ts';
import { createTraces, type Trace } from './traces.ts';
import type { ItemIndex } from './types.ts';
import { isDistinct, stringsIn, type Words, wordsOf } from './words.ts';

/** Words looked for in the bytes of the file. */
const MOST_NEEDLES = 100;

export interface Forget {
  /** `sessionId`: the session whose log tells of it. Throws `not_found`. */
  forget(id: Id, options: { sources: boolean; sessionId: Id }): MemoryForgotten;
  /** Words said once, and what rests on nothing else. Throws `not_found`, `invalid`. */
  forgetEvent(eventId: Id, options: { sessionId: Id }): MemoryForgotten;
  /** Within the transaction that deletes a session: its own memory, and what rests on nothing else. */
  sessionDeleted(sessionId: Id): void;
  /** Within the transaction of a redaction: quotes of those words go with them. */
  eventsRedacted(ids: readonly Id[]): void;
}

/** Words kept by other parts of the room or the house: erases what says it, within our transaction. Returns how many. */
export interface Keeper {
  forget(words: Words): number;
}

export interface ForgetDeps {
  db: Db;
  events: Events;
  blobs: Blobs;
  outbox: Pick<Outbox, 'redact' | 'ofEvent'>;
  approvals: Pick<Approvals, 'redact'>;
  sessions: Pick<Sessions, 'get' | 'setTitle'>;
  items: ItemStore;
  changes: ChangeStore;
  questions: QuestionStore;
  tombstones: Pick<Tombstones, 'add'>;
  index: ItemIndex;
  /** Docs of the index. */
  vectors?: { remove(docs: readonly number[]): void };
  keepers?: readonly Keeper[];
}

/** What is to go. */
interface Target {
  items: Set<Id>;
  /** Every one of these, whatever it says. */
  events: Set<Id>;
  words: Words;
  /** Where to look for the words: nowhere, in one session, everywhere. */
  look: 'nowhere' | 'everywhere' | { sessionId: Id };
  scope: string;
}

const SAID = new Set([
  ...['user.message', 'user.custom_tool_result', 'user.tool_confirmation', 'memory.imported', 'memory.edited'],
  ...[
    'agent.message',
    'agent.thinking',
    'agent.tool_use',
    'agent.custom_tool_use',
    'agent.tool_result',
    'memory.recalled',
  ],
]);

export function createForget(deps: ForgetDeps): Forget {
  const { db, events, items } = deps;
  const traces = createTraces(db, deps.blobs);
  const { redact, isRedacted } = createRedaction(db, events);
  const inSession = db.prepare<[string], { id: string }>('SELECT id FROM events WHERE session_id = ?');
  const summaries = db.prepare<[string], { id: string }>(
    "SELECT id FROM memory_items WHERE about = ? AND kind = 'summary'",
  );
  const inScope = db.prepare<[string], { id: string }>('SELECT id FROM memory_items WHERE scope = ?');
  /** With everything that was made of them, however far down. */
  const withDerived = (ids: Iterable<Id>): Set<Id> => {
    const all = new Set<Id>();
    const queue = [...ids];
    for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
      if (all.has(id)) continue;
      all.add(id);
      queue.push(...items.derived(id).map((child) => child.id));
    }
    return all;
  };

  /** An item, and whatever of its scope says the same in whatever state. */
  const sameAs = (id: Id): Id[] => {
    const item = items.need(id);
    const normal = normalText(item.text);
    const chain = items.history(id).filter((other) => normalText(other.text) === normal);
    return [
      ...new Set([id, ...chain.map((other) => other.id), ...items.sameText(item.scope, item.text).map((o) => o.id)]),
    ];
  };

  /** All of it, or nothing: the caller holds the transaction. */
  const erase = (target: Target, sessionId: Id): { items: number; events: number; changeId: Id } => {
    const { words, look } = target;
    const near = look === 'nowhere' ? undefined : look === 'everywhere' ? null : look.sessionId;
    const gone = new Map<Id, Trace>();
    const take = (found: readonly Trace[]) => {
      for (const trace of found) gone.set(trace.id, trace);
    };
    for (const id of target.events) {
      const event = events.get(id);
      if (event) gone.set(id, event);
    }
    // Items that contain the words go as the item does; without the sources only in its own scope.
    for (const id of traces.items(words, near === null ? null : target.scope)) target.items.add(id);
    target.items = withDerived(target.items);
    take(traces.echoes(words, new Set([...target.items, ...target.events]), true));
    if (near !== undefined) {
      take(traces.events(words, near));
      take(traces.answers([...gone.values()], words));
      for (const { sessionId: about } of new Map([...gone.values()].map((trace) => [trace.sessionId, trace])).values())
        for (const { id } of summaries.all(about)) target.items.add(id);
      target.items = withDerived(target.items);
    }

    const lines = [...gone.values()].flatMap(({ id, type }) =>
      type === 'user.message' ? [[...stringsIn(events.get(id)!.payload)].join('\n').trim()] : [],
    );
    const bySession = Map.groupBy(gone.values(), (trace) => trace.sessionId);
    let redacted = 0;
    for (const [session, list] of bySession)
      redacted += redact(
        session,
        list.map(({ id }) => id),
      );
    items.blankQuotes([...gone.keys()]);

    if (near !== undefined)
      for (const id of traces.titles(words, lines)) if (deps.sessions.get(id)) deps.sessions.setTitle(id, null);
    const rows = [...gone.keys()].flatMap((id) => deps.outbox.ofEvent(id).map((row) => row.id));
    const files = deps.outbox.redact([...rows, ...(near === undefined ? [] : traces.outbox(words, near))]);
    for (const blob of files) deps.blobs.remove(blob);
    deps.approvals.redact([...gone.keys(), ...(near === undefined ? [] : traces.approvals(words, near))]);

    deps.questions.erase(words.in);
    for (const keeper of deps.keepers ?? []) keeper.forget(words);
    for (const id of traces.reasons(words)) items.setStanding(id, { reason: '' });
    const erased = items.erase([...target.items]);
    for (const row of erased) deps.index.remove(row);
    deps.vectors?.remove(erased.map((row) => row * 2 + 1));
    const change = deps.changes.erased({ scope: target.scope, sessionId, erased: erased.length });
    return { items: erased.length, events: redacted, changeId: change.id };
  };

  const backups = (): string[] => {
    const folder = join(dirname(db.file), 'backups');
    if (!existsSync(folder) || readdirSync(folder).length === 0) return [];
    return ['Backups made before now may still hold it: they are in the folder backups/ and can be deleted.'];
  };
  /** A caller's own transaction goes on after ours: the checkpoint then comes with its commit. */
  const inWal = (committed: boolean): string[] => {
    const wal = `${db.file}-wal`;
    return committed && existsSync(wal) && statSync(wal).size > 0 && !db.checkpoint()
      ? [
          'Somebody is just reading the database: the words are gone from it, and from its write-ahead log at the next start at the latest.',
        ]
      : [];
  };
  /** One transaction; `committed` when it was the outermost. */
  const once = <T>(work: (spoken: (words: Words) => void) => T): { done: T; committed: boolean } => {
    let committed = false;
    const done = db.tx(() => {
      const raw = new Set<string>();
      const value = work((words) => {
        for (const word of words.raw) raw.add(word);
      });
      db.afterCommit(() => {
        db.purge([...raw].slice(0, MOST_NEEDLES));
        committed = true;
      });
      return value;
    });
    return { done, committed };
  };
  /** Its model has read the words already. */
  const atWork = db.prepare<[string], { n: number }>(
    "SELECT count(*) AS n FROM sessions WHERE status = 'running' AND status <> 'idle' AND id <> ?",
  );
  const inFlight = (sessionId: Id): string[] =>
    atWork.get(sessionId)!.n > 0
      ? ['Another conversation is at work right now: its next answer may still repeat it.']
      : [];
  const otherCopies = (addresses: Iterable<string>): string[] => {
    const channels = [...new Set(addresses)].filter((channel) => channel !== 'web').sort();
    return channels.length > 0
      ? [`The messages themselves still stand in the chat on ${channels.join(' and ')}: delete them there.`]
      : [];
  };

  return {
    forget(id, { sources, sessionId }) {
      const remains: string[] = [];
      const { done, committed } = once((spoken) => {
        const item = items.need(id);
        const same = sameAs(id);
        const quotes = same.flatMap((one) => items.quotes(one));
        const said = [...new Set(quotes.map(({ eventId }) => eventId))].filter((one) => !isRedacted(one));
        const texts = [item.text, ...(sources ? quotes.map(({ quote }) => quote) : [])];
        const words = wordsOf(texts);
        spoken(words);
        if (sources) {
          remains.push(...otherCopies(said.flatMap((one) => events.get(one)?.origin?.address.channel ?? [])));
          if (!isDistinct(item.text))
            remains.push(
              'Its words are too few to be looked for everywhere: other messages may mention it, and stay as they are.',
            );
        } else if (said.length > 0)
          remains.push(
            said.length === 1
              ? 'The message it came from is still in the conversation; forget it with its sources to remove that, too.'
              : `The ${said.length} messages it came from are still in the conversations; forget it with its sources to remove them, too.`,
          );
        deps.tombstones.add(texts);
        const look = !sources ? 'nowhere' : item.scope === OWNER ? 'everywhere' : { sessionId: item.scope };
        const target: Target = {
          items: new Set(same),
          events: new Set(sources ? said : []),
          words,
          look,
          scope: item.scope,
        };
        return erase(target, sessionId);
      });
      return { ...done, remains: [...remains, ...inFlight(sessionId), ...backups(), ...inWal(committed)] };
    },

    forgetEvent(eventId, { sessionId }) {
      const remains: string[] = [];
      const { done, committed } = once((spoken) => {
        const event = events.get(eventId);
        if (!event)
          throw new StewardError('not_found', `There is no event ${eventId}.`, { op: 'forget what was said' });
        if (!SAID.has(event.type) || isRedacted(eventId))
          throw new StewardError('invalid', `The event ${eventId} has no words to forget.`, {
            op: 'forget what was said',
          });
        const content = (event.payload.content ?? []) as JsonObject[];
        const said = [
          ...(typeof event.payload.text === 'string' ? [event.payload.text] : []),
          ...content.flatMap((block) => (block.type === 'text' ? [String(block.text)] : [])),
        ];
        const lone = items.onlyFrom([eventId]);
        const words = wordsOf([...said, ...lone.map((id) => items.need(id).text)]);
        spoken(words);
        deps.tombstones.add(said);
        remains.push(...otherCopies(event.origin ? [event.origin.address.channel] : []));
        const session = deps.sessions.get(event.sessionId);
        const own = session?.trust === 'owner';
        return erase(
          {
            items: new Set(lone),
            events: new Set([eventId]),
            words,
            look: own ? 'everywhere' : { sessionId: event.sessionId },
            scope: own ? OWNER : event.sessionId,
          },
          sessionId,
        );
      });
      return { ...done, remains: [...remains, ...inFlight(sessionId), ...backups(), ...inWal(committed)] };
    },

    sessionDeleted(sessionId) {
      db.tx(() => {
        const own = inSession.all(sessionId).map(({ id }) => id);
        const about = [...inScope.all(sessionId), ...summaries.all(sessionId)].map(({ id }) => id);
        const target = withDerived([...about, ...items.onlyFrom(own)]);
        const words = wordsOf([]);
        // Lines of other conversations that quoted it.
        const echoes = traces
          .echoes(words, new Set([...target, ...own]), false)
          .filter((trace) => trace.sessionId !== sessionId);
        for (const [session, list] of Map.groupBy(echoes, (trace) => trace.sessionId))
          redact(
            session,
            list.map(({ id }) => id),
          );
        items.blankQuotes(own);
        deps.questions.eraseFrom(new Set(own), sessionId);
        const erased = items.erase([...target]);
        for (const row of erased) deps.index.remove(row);
        deps.vectors?.remove(erased.map((row) => row * 2 + 1));
        if (erased.length > 0) deps.changes.erased({ scope: OWNER, sessionId, erased: erased.length });
      });
    },

    eventsRedacted: (ids) => items.blankQuotes(ids),
  };
}
