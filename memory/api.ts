// What the console, the command line and chat commands may do with memory, with the owner's authority.
import type { Db } from '../core/db.ts';
import { StewardError } from '../core/errors.ts';
import type { Events } from '../core/events.ts';
import type { MemoryApi, MemoryItem, MemorySearch, Saved, SaveRequest, Writer } from '../core/memory.ts';
import type { Id, JsonObject, Millis, Origin, Session } from '../core/types.ts';
import type { ChangeStore } from './changes.ts';
import { quoteOf } from './context.ts';
import { draftOf } from './drafts.ts';
import type { Forget } from './forget.ts';
import type { Docs } from './index/docs.ts';
import type { ItemStore } from './items.ts';
import { normalText } from './normalise.ts';
import type { QuestionStore } from './questions.ts';
import type { Save } from './save.ts';
import { OWNER } from './scope.ts';
import type { Search } from './search/search.ts';
import { words } from './text/tokens.ts';
import type { Applied, Draft, Quote } from './types.ts';

/** UTF-16 units of a hit's text; the whole is in the item or the log. */
const QUOTE = 1_000;

export interface MemoryApiDeps extends Pick<MemoryApi, 'consolidate' | 'export' | 'import'> {
  db: Db;
  events: Pick<Events, 'append' | 'get'>;
  /** Where edits are told. */
  home(): Session;
  items: ItemStore;
  changes: ChangeStore;
  questions: QuestionStore;
  forget: Forget;
  save: Save;
  search: Search['search'];
  docs: Pick<Docs, 'size'>;
  now(): Millis;
  /** More numbers for `stats`: vectors, jobs. */
  moreStats?(): JsonObject;
}

/** Scope `*` is all of them: the owner's, and those of guests and groups. */
const EVERY_SCOPE = '*';
const scopeFor = (scope: string | undefined): { scope?: string } =>
  scope === EVERY_SCOPE ? {} : { scope: scope ?? OWNER };

export function createMemoryApi(deps: MemoryApiDeps): MemoryApi {
  const { db, events, items, changes, questions, forget, home } = deps;

  /** What the owner wrote is said like everything else: an event, searchable, and a source. */
  const told = (session: Session, text: string): Id => {
    const origin: Origin = {
      sender: { channel: 'web', userId: 'owner' },
      address: { channel: 'web', chat: session.id },
      role: 'owner',
    };
    const content = text === '' ? [] : [{ type: 'text', text }];
    const [event] = events.append(session.id, [{ type: 'memory.edited', payload: { content }, origin }]);
    return event!.id;
  };

  const sourceOf = (writer: Writer | undefined, session: Session, text: string): Quote => {
    if (writer?.eventId == null) return { eventId: told(session, text), quote: text };
    const says = JSON.stringify(events.get(writer.eventId)?.payload ?? {}).includes(JSON.stringify(text).slice(1, -1));
    return { eventId: writer.eventId, quote: says ? text : '' };
  };

  const ofApplied = ({ change, added }: Applied): Saved => ({
    kind: 'saved',
    item: added[0]!,
    superseded: change.retired,
    changeId: change.id,
  });

  /** Everything of the item that the change does not name. Only a new text holds from now on; the rest was so all along. */
  const edited = (item: MemoryItem, change: Partial<SaveRequest>, source: Quote, reworded: boolean): Draft => {
    const draft = draftOf(
      {
        text: change.text ?? item.text,
        subject: change.subject === undefined ? item.subject : change.subject,
        slot: change.slot === undefined ? item.slot : change.slot,
        validFrom: change.validFrom ?? (reworded ? deps.now() : item.validFrom),
        expiresAt: change.expiresAt === undefined ? item.expiresAt : change.expiresAt,
        pinned: change.pinned ?? item.pinned,
      },
      {
        scope: item.scope,
        authority: 'owner',
        sources: reworded ? [source] : [...items.quotes(item.id), source],
        now: deps.now(),
      },
    );
    const tier = change.tier ?? (item.tier === 'archive' ? 'reference' : item.tier);
    return { ...draft, tier, kind: change.kind ?? item.kind, about: item.about };
  };

  return {
    list: ({ tier, scope, ...query }) => items.list({ ...query, ...scopeFor(scope), ...(tier && { tiers: [tier] }) }),
    show(id) {
      const item = items.need(id);
      return { item, sources: items.sources(id), history: items.history(id), derived: items.derived(id) };
    },
    async search(query: MemorySearch, scope = OWNER) {
      const found = await deps.search(query, scope);
      const terms = words(query.query);
      return { ...found, hits: found.hits.map((hit) => ({ ...hit, text: quoteOf(hit.text, terms, QUOTE) })) };
    },
    save: (request, writer) =>
      db.tx(() => {
        const session = writer?.session ?? home();
        const source = sourceOf(writer, session, request.text.trim());
        const facts = { scope: writer?.scope ?? OWNER, authority: writer?.authority ?? 'owner', now: deps.now() };
        return deps.save(draftOf(request, { ...facts, sources: [source] }), { sessionId: session.id, kind: 'save' });
      }),
    edit: (id, change, writer) =>
      db.tx(() => {
        const item = items.need(id);
        const session = writer?.session ?? home();
        const reworded = change.text !== undefined && normalText(change.text) !== normalText(item.text);
        const source = sourceOf(writer, session, (change.text ?? '').trim());
        const draft = edited(item, change, source, reworded);
        const op = { kind: 'supersede', ids: [id], draft, why: 'edited' } as const;
        return ofApplied(changes.apply({ scope: item.scope, sessionId: session.id, kind: 'edit', ops: [op] }));
      }),
    pin: (id, on) => changes.pin(id, on),
    retire: (id, reason, writer) =>
      db.tx(() => {
        const { scope } = items.need(id);
        const sessionId = (writer?.session ?? home()).id;
        changes.apply({ scope, sessionId, kind: 'edit', ops: [{ kind: 'retire', id, why: reason }] });
        return items.need(id);
      }),
    forget: (id, { sources }, writer) => forget.forget(id, { sources, sessionId: (writer?.session ?? home()).id }),
    forgetEvent: (eventId, writer) => forget.forgetEvent(eventId, { sessionId: (writer?.session ?? home()).id }),
    changes: (query) => changes.list(query),
    change(id) {
      const change = changes.get(id);
      if (!change)
        throw new StewardError('not_found', `There is no change ${id} of memory.`, {
          op: 'read memory',
          hint: 'List them with `steward memory changes`.',
        });
      const known = (ids: readonly Id[]) => ids.flatMap((one) => items.get(one) ?? []);
      return { change, added: known(change.added), retired: known(change.retired) };
    },
    undo: (id) => changes.undo(id).change,
    questions: () => questions.list(),
    answer(id, accept) {
      const applied = questions.answer(id, accept);
      return applied === null || applied.added.length === 0 ? null : ofApplied(applied);
    },
    consolidate: deps.consolidate,
    stats() {
      const tiers = ['identity', 'state', 'reference', 'session', 'archive'] as const;
      return {
        items: Object.fromEntries(tiers.map((tier) => [tier, items.count({ scope: OWNER, tiers: [tier] })])),
        indexed: deps.docs.size().docs,
        questions: questions.list().length,
        last_change_at: changes.list({ limit: 1 })[0]?.at ?? null,
        ...deps.moreStats?.(),
      };
    },
    export: deps.export,
    import: deps.import,
  };
}
