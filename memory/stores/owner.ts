// The owner's store written to: what a changed file means for what is known. A page has one line for each item, a note is one item.
import type { Db } from '../../core/db.ts';
import { StewardError } from '../../core/errors.ts';
import type { Events } from '../../core/events.ts';
import type { ItemKind, MemoryItem, Tier } from '../../core/memory.ts';
import { OWNER_STORE, type StoredMemory, type StoreWriter, type StoreWritten } from '../../core/memory-stores.ts';
import type { Id, Millis } from '../../core/types.ts';
import { diffLines, readPage } from '../portability/lines.ts';
import { OWNER } from '../scope.ts';
import type { Changes, Draft, Op, Placement, Questions } from '../types.ts';
import { defaultKind, type Page, pageAt, subjectOf } from './pages.ts';
import { overlap } from './paths.ts';
import { noMemory, pathTaken } from './rules.ts';
import { createOwnerView, type OwnerViewDeps } from './view.ts';

const STATE_DAYS = 14;
const DAY: Millis = 86_400_000;

export interface OwnerStoreDeps extends OwnerViewDeps {
  changes: Pick<Changes, 'apply' | 'restate'>;
  questions: Pick<Questions, 'open'>;
  events: Pick<Events, 'append'>;
  place(draft: Draft): Placement;
  /** What the owner writes again is no longer to be forgotten. */
  sayAgain(text: string): void;
  now(): Millis;
}

const notFree = (why: string, hint: string) => new StewardError('invalid', why, { op: 'write a memory', hint });

export function createOwnerStore(db: Db, deps: OwnerStoreDeps) {
  const { items, changes } = deps;
  const { refresh, memoryOf, at, shown } = createOwnerView(db, deps);

  /** Carries out what a writer means: the owner's words count, the agent's are weighed line by line. */
  const write = (by: StoreWriter, what: { words: string[]; ops(eventId: Id): Op[] }): { asked: number } => {
    const main = by.kind === 'owner' ? deps.mainSession() : by.sessionId;
    const eventId = by.kind === 'owner' ? eventFor(main, what.words) : by.eventId;
    const ops: Op[] = [];
    let asked = 0;
    for (const op of what.ops(eventId)) {
      if (by.kind === 'owner') {
        if ('draft' in op) deps.sayAgain(op.draft.text);
        ops.push(op);
        continue;
      }
      if (op.kind === 'retire' || op.kind === 'archive') {
        if (items.need(op.id).tier === 'identity')
          throw notFree('Only the owner removes lines of identity.md.', 'Ask the owner.');
        ops.push(op);
        continue;
      }
      // A note of the agent is its own; everything else is placed as anything it says.
      const placed: Placement =
        op.draft.kind === 'file' && !by.tainted
          ? op.kind === 'add'
            ? { kind: 'add' }
            : { kind: 'supersede', ids: [...op.ids] }
          : deps.place(op.draft);
      if (placed.kind === 'refuse') throw notFree(placed.why, 'Nothing was written.');
      if (placed.kind === 'ask') {
        asked += 1;
        deps.questions.open({ scope: OWNER, kind: placed.question, proposal: op.draft, itemId: placed.about });
      } else if (placed.kind === 'known') changes.restate(placed.id, op.draft.sources);
      else if (op.kind === 'supersede') ops.push(op);
      else if (placed.kind === 'supersede')
        ops.push({ kind: 'supersede', ids: placed.ids, draft: op.draft, why: 'edited' });
      else ops.push(op);
    }
    if (ops.length > 0) changes.apply({ scope: OWNER, sessionId: main, kind: 'file', ops });
    return { asked };
  };
  /** Their words are an event, as everything the owner says; a removal needs none. */
  const eventFor = (session: Id, words: readonly string[]): Id => {
    const origin = {
      sender: { channel: 'web', userId: 'owner' },
      address: { channel: 'web', chat: session },
      role: 'owner' as const,
    };
    const text = words.join('\n');
    if (text === '') return '';
    const [event] = deps.events.append(session, [
      { type: 'memory.edited', payload: { content: [{ type: 'text', text }] }, origin },
    ]);
    return event!.id;
  };

  const draftOf = (
    by: StoreWriter,
    eventId: Id,
    spec: {
      tier: Tier;
      kind: ItemKind;
      subject: string | null;
      slot?: string | null;
      about?: string | null;
      expiresAt?: Millis | null;
    },
    text: string,
  ): Draft => ({
    scope: OWNER,
    tier: spec.tier,
    kind: spec.kind,
    subject: spec.subject,
    slot: spec.slot ?? null,
    text,
    authority: by.kind === 'owner' ? 'owner' : by.tainted ? 'outside' : 'agent',
    confidence: by.kind === 'owner' ? 1 : 0.7,
    validFrom: deps.now(),
    expiresAt: spec.expiresAt ?? null,
    about: spec.about ?? null,
    // The words of a call are spread over its arguments; which of them became the line is not said letter by letter.
    sources: [{ eventId, quote: by.kind === 'owner' ? text : '' }],
  });
  const successor = (by: StoreWriter, eventId: Id, old: MemoryItem, text: string, subject = old.subject): Op => ({
    kind: 'supersede',
    ids: [old.id],
    why: 'edited',
    draft: { ...draftOf(by, eventId, { ...old, subject }, text), ...(old.pinned && { pinned: true }) },
  });

  const writePage = (page: Page, ids: readonly Id[], content: string, by: StoreWriter) => {
    const old = ids.map((id) => items.need(id));
    const lines = readPage(content).lines.map(({ text }) => text.toWellFormed());
    const diff = diffLines(old, lines);
    const subject = old[0]?.subject ?? subjectOf(page);
    const expiresAt = page.tier === 'state' ? deps.now() + STATE_DAYS * DAY : null;
    const spec = {
      tier: page.tier,
      kind: defaultKind(page),
      subject: page.tier === 'reference' ? subject : null,
      expiresAt,
    };
    return write(by, {
      words: [...diff.edited.map(({ text }) => text), ...diff.added],
      ops: (eventId) => [
        ...diff.removed.map((id): Op => ({ kind: 'retire', id, why: 'removed from the file' })),
        ...diff.edited.map(({ id, text }) => successor(by, eventId, items.need(id), text)),
        ...diff.added.map((text): Op => ({ kind: 'add', draft: draftOf(by, eventId, spec, text) })),
      ],
    });
  };
  const writeNote = (path: string, id: Id | null, content: string, by: StoreWriter) => {
    if (content.trim() === '') throw notFree('A note here cannot be empty.', 'Delete it instead.');
    const spec = { tier: 'reference' as const, kind: 'file' as const, subject: null, about: path };
    return write(by, {
      words: [content],
      ops: (eventId) => {
        const draft = draftOf(by, eventId, spec, content.toWellFormed());
        return [id ? { kind: 'supersede', ids: [id], draft, why: 'edited' } : { kind: 'add', draft }];
      },
    });
  };
  /** Now that it is written: seen by everybody, with its author. */
  const written = (path: string, by: StoreWriter, { asked }: { asked: number }): StoreWritten => {
    refresh(by.actor);
    return { memory: at(path), asked };
  };

  return {
    refresh: () => void refresh(),
    heads: (): Set<Id> => new Set([...refresh().heads.values()].map((head) => head.version)),
    paths: (): string[] => [...refresh().files.values()].map((file) => file.path),
    at,
    shown,
    need(id: Id): StoredMemory {
      const { files, heads: known } = refresh();
      const file = files.get(id);
      if (!file) throw noMemory(OWNER_STORE, id);
      return memoryOf(file, known);
    },
    create(path: string, content: string, by: StoreWriter): StoreWritten {
      for (const file of refresh().files.values()) if (overlap(file.path, path)) throw pathTaken(path, file);
      const page = pageAt(path);
      if (page && readPage(content).lines.length === 0)
        throw notFree('A file of what is known has at least one line.', 'Write “- ” and what is to be known.');
      return written(path, by, page ? writePage(page, [], content, by) : writeNote(path, null, content, by));
    },
    update(old: StoredMemory, path: string, content: string, by: StoreWriter): StoreWritten {
      const { files } = refresh();
      const ids = files.get(old.id)!.items;
      const [page, from] = [pageAt(path), pageAt(old.path)];
      if (path !== old.path) {
        for (const file of files.values())
          if (file.id !== old.id && overlap(file.path, path)) throw pathTaken(path, file);
        if (
          (page === null) !== (from === null) ||
          (page && from && (page.tier !== from.tier || page.tier !== 'reference'))
        )
          throw notFree(`${old.path} cannot become ${path}.`, 'Write what is in it there, and delete it here.');
      }
      let asked = 0;
      if (!page) asked += writeNote(path, ids[0]!, content, by).asked;
      else {
        if (content !== old.content) asked += writePage(from!, ids, content, by).asked;
        if (path !== old.path) asked += rename(old.path, page, by).asked;
      }
      return written(path, by, { asked });
    },
    remove(old: StoredMemory, by: StoreWriter): void {
      const ids = refresh().files.get(old.id)!.items;
      const ops = ids.map((id): Op => ({ kind: 'retire', id, why: 'its file was deleted' }));
      write(by, { words: [], ops: () => ops });
      refresh(by.actor);
    },
  };

  /** A reference file under another subject. */
  function rename(path: string, page: Page, by: StoreWriter): { asked: number } {
    const { files } = refresh();
    const file = [...files.values()].find((entry) => entry.path === path);
    const old = (file?.items ?? []).map((id) => items.need(id));
    return write(by, {
      words: old.map(({ text }) => text),
      ops: (eventId) => old.map((item) => successor(by, eventId, item, item.text, subjectOf(page))),
    });
  }
}
