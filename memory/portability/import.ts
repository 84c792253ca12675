// Carries out a plan in one transaction: words become events of an archived session for each file, notes become items from them.
import { createHmac, randomBytes } from 'node:crypto';
import { DEFAULT_AGENT, DEFAULT_ENVIRONMENT } from '../../core/agents.ts';
import type { Db } from '../../core/db.ts';
import type { Events } from '../../core/events.ts';
import type { MemoryImport, MemoryImported } from '../../core/memory.ts';
import type { Sessions } from '../../core/sessions.ts';
import type { Id, Millis } from '../../core/types.ts';
import { normalText } from '../normalise.ts';
import { OWNER } from '../scope.ts';
import type { Changes, Draft, Items, Meta, Op, Placement, Questions } from '../types.ts';
import { KEYS } from './export.ts';
import type { Noted, Plan, SourceFile, Spoken } from './plan.ts';
import { tally } from './tally.ts';

const DAY: Millis = 86_400_000;
/** Metadata values are no longer than this. */
const NAME = 512;

export interface ImportDeps {
  db: Db;
  sessions: Pick<Sessions, 'create' | 'get' | 'archive' | 'bind' | 'bindingOf'>;
  events: Pick<Events, 'append' | 'get' | 'byDedupe'>;
  items: Pick<Items, 'get'>;
  changes: Pick<Changes, 'apply' | 'restate'>;
  questions: Pick<Questions, 'open'>;
  meta: Meta;
  place(draft: Draft): Placement;
  /** The text, or a sentence of it. */
  isForgotten(text: string): boolean;
  /** Where changes of the owner's memory are told. */
  mainSession(): Id;
  now(): Millis;
}

/** Thrown to leave the transaction of a dry run; never seen outside. */
const UNDONE = Symbol('a dry run');

export function createImport(deps: ImportDeps) {
  const { db, sessions, events } = deps;

  /** Keyed, so that what was forgotten cannot be guessed from what is left of its event. */
  const keyOf = (format: string, path: string, spoken: Spoken, nth: number, own: boolean): string => {
    let key = deps.meta.get(KEYS.imports);
    if (!key) {
      key = randomBytes(32).toString('base64url');
      deps.meta.set(KEYS.imports, key);
    }
    const told = JSON.stringify([
      format,
      path,
      spoken.speaker,
      spoken.text,
      format === 'transcript' ? spoken.at : 0,
      nth,
      ...(own ? ['own'] : []),
    ]);
    return `import:${createHmac('sha256', key).update(told).digest('base64url')}`;
  };

  /** The session of a source file, the same one when the file comes again with more in it. */
  const sessionFor = (format: string, file: SourceFile): Id => {
    const name = `${format}:${file.path}`.slice(0, NAME);
    const known = sessions.bindingOf(`import:${name}`);
    if (known && sessions.get(known)) return known;
    const session = sessions.create({
      kind: 'chat',
      title: file.title.slice(0, 200),
      trust: 'owner',
      agentId: DEFAULT_AGENT,
      agentVersion: 1,
      environmentId: DEFAULT_ENVIRONMENT,
      metadata: { imported: name },
    });
    sessions.bind(`import:${name}`, session.id);
    sessions.archive(session.id);
    return session.id;
  };

  const draftOf = (noted: Noted, own: boolean, eventId: Id): Draft => ({
    scope: OWNER,
    tier: noted.tier === 'archive' ? 'reference' : noted.tier,
    kind: noted.kind,
    subject: noted.subject,
    slot: noted.tier === 'archive' ? null : noted.slot,
    text: noted.text,
    authority: own ? 'owner' : 'outside',
    confidence: own ? 0.9 : 0.6,
    validFrom: noted.validFrom,
    expiresAt: noted.expiresAt ?? (noted.expiresInDays === undefined ? null : deps.now() + noted.expiresInDays * DAY),
    about: noted.about ?? null,
    sources: [{ eventId, quote: noted.quote }],
    ...(noted.pinned && { pinned: true }),
  });

  function write(plan: Plan, format: MemoryImport['format']): MemoryImported {
    const skip = tally();
    const ops: Op[] = [];
    const cold: number[] = [];
    const taken = new Set<string>();
    let said = 0;

    /** Once in one import, by its words and by its slot. */
    const first = (draft: Draft): boolean => {
      const names = [`text ${draft.subject ?? ''} ${normalText(draft.text)}`];
      if (draft.subject !== null && draft.slot !== null)
        names.push(`slot ${normalText(draft.subject)} ${normalText(draft.slot)}`);
      if (draft.about) names.push(`about ${draft.kind} ${draft.about}`);
      if (names.some((name) => taken.has(name))) return false;
      for (const name of names) taken.add(name);
      return true;
    };
    /** Why nothing new came of it; null when something did. */
    const note = (noted: Noted, draft: Draft): string | null => {
      if (deps.isForgotten(noted.text)) return 'was forgotten here';
      if (!first(draft)) return 'is in the import twice';
      const placed = deps.place(draft);
      switch (placed.kind) {
        case 'add':
          if (noted.tier === 'archive') cold.push(ops.length);
          ops.push({
            kind: 'add',
            draft: { ...draft, ...(placed.validTo !== undefined && { validTo: placed.validTo }) },
          });
          return null;
        case 'supersede':
          ops.push({ kind: 'supersede', ids: placed.ids, draft, why: 'imported' });
          return null;
        case 'known':
          deps.changes.restate(placed.id, draft.sources);
          return 'is known already';
        case 'ask':
          deps.questions.open({ scope: OWNER, kind: placed.question, proposal: draft, itemId: placed.about });
          return 'waits for you as a question';
        case 'refuse':
          return `was refused: ${placed.why}`;
      }
    };

    for (const file of plan.files) {
      let session: Id | null = null;
      const nth = new Map<string, number>();
      const notes = Map.groupBy(file.noted, ({ from }) => from);
      for (const [index, spoken] of file.spoken.entries()) {
        const noted = notes.get(index) ?? [];
        // A line that was exported from here: said again only when somebody changed it.
        const [line] = noted;
        const old = line?.id ? deps.items.get(line.id) : null;
        if (line && old) {
          if (old.text === line.text) skip.add('memory', 'is here already');
          else if (old.retiredAt !== null || old.validTo !== null)
            skip.add('memory', 'was changed here since it was exported');
        }
        if (line && old && (old.text === line.text || old.retiredAt !== null || old.validTo !== null)) continue;
        const again = `${spoken.speaker}\n${spoken.text}`;
        nth.set(again, (nth.get(again) ?? 0) + 1);
        // Words that came as somebody's may come again as the owner's, who did not say so at first; never the other way round.
        const keys = [true, false].map((own) => keyOf(format, file.path, spoken, nth.get(again)!, own));
        const [asOwn, asOther] = keys.map((key) => events.byDedupe(key));
        const dedupe = spoken.own ? keys[0]! : keys[1]!;
        if (asOwn || (asOther && !spoken.own)) skip.add('text', 'is here already');
        else if (asOther?.payload.redacted === true) skip.add('text', 'was forgotten here');
        else if (deps.isForgotten(spoken.text)) skip.add('text', 'was forgotten here');
        else {
          session ??= sessionFor(format, file);
          const payload = { speaker: spoken.speaker, text: spoken.text, at: spoken.at, path: file.path };
          const [event] = events.append(session, [
            {
              type: 'memory.imported',
              payload: { ...payload, ...(spoken.own && { own: true }) },
              dedupe,
              tainted: !spoken.own,
              // Not announced one by one: the event below says that they are there.
              createdAt: deps.now(),
            },
          ]);
          said += 1;
          for (const entry of noted) {
            const draft = draftOf(entry, spoken.own, event!.id);
            const why = old ? null : note(entry, draft);
            if (why) skip.add('memory', why);
            if (old && first(draft))
              ops.push({ kind: 'supersede', ids: [old.id], draft: { ...draft, tier: old.tier }, why: 'edited' });
          }
        }
      }
    }
    const applied =
      ops.length > 0 ? deps.changes.apply({ scope: OWNER, sessionId: deps.mainSession(), kind: 'import', ops }) : null;
    if (applied && cold.length > 0) {
      const adds = ops.flatMap((op, index) => (op.kind === 'add' || op.kind === 'supersede' ? [index] : []));
      const archive = cold.map(
        (index): Op => ({ kind: 'archive', id: applied.added[adds.indexOf(index)]!.id, why: 'imported' }),
      );
      deps.changes.apply({ scope: OWNER, sessionId: deps.mainSession(), kind: 'import', ops: archive });
    }
    const items = applied?.added.length ?? 0;
    if (said > 0)
      events.append(deps.mainSession(), [{ type: 'memory.received', payload: { format, items, events: said } }]);
    return {
      items,
      events: said,
      skipped: [...plan.skipped, ...skip.all()],
      changeId: applied?.change.id ?? null,
    };
  }

  /** All of it or nothing. A dry run does everything and takes it back. */
  return (plan: Plan, format: MemoryImport['format'], dryRun: boolean): MemoryImported => {
    let done: MemoryImported | undefined;
    try {
      db.tx(() => {
        done = write(plan, format);
        if (dryRun) throw UNDONE;
      });
    } catch (error) {
      if (error !== UNDONE) throw error;
    }
    return dryRun ? { ...done!, changeId: null } : done!;
  };
}
