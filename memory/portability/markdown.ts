// The Markdown tree: identity.md, state.md, reference/<subject>.md, sessions/<date>-<title>.md, archive/<year>.md. Pure both ways.
import type { ItemKind, MemoryItem, Tier } from '../../core/memory.ts';
import type { Millis } from '../../core/types.ts';
import { checkedFiles, refused } from './checks.ts';
import { entryOf, pageOf, readPage } from './lines.ts';
import type { LineMarks } from './marks.ts';
import type { Plan, PlanOptions, SourceFile } from './plan.ts';

const GENERAL = 'general';
const day = (at: Millis) => new Date(at).toISOString().slice(0, 10);

/** A file name a person can read, and every file system takes. */
export const slugOf = (text: string): string =>
  [
    ...text
      .normalize('NFC')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, '-'),
  ]
    .slice(0, 60)
    .join('')
    .replace(/^-+|-+$/g, '');

/** Where an item stands in the tree. `titleOf` names the session a summary is of. */
export function placeOf(
  item: MemoryItem,
  titleOf: (sessionId: string) => string | null,
): { path: string; title: string } {
  switch (item.tier) {
    case 'identity':
      return { path: 'identity.md', title: 'Identity' };
    case 'state':
      return { path: 'state.md', title: 'State' };
    case 'reference': {
      const slug = slugOf(item.subject ?? '') || GENERAL;
      return { path: `reference/${slug}.md`, title: item.subject ?? 'General' };
    }
    case 'session': {
      const title = (item.about && titleOf(item.about)) || 'Conversation';
      return { path: `sessions/${day(item.validFrom)}-${slugOf(title) || 'conversation'}.md`, title };
    }
    case 'archive':
      return {
        path: `archive/${day(item.validFrom).slice(0, 4)}.md`,
        title: `Archive ${day(item.validFrom).slice(0, 4)}`,
      };
  }
}

const DEFAULT_KINDS: Record<Tier, ItemKind> = {
  identity: 'fact',
  state: 'loop',
  reference: 'fact',
  session: 'summary',
  archive: 'fact',
};

function marksFor(item: MemoryItem, title: string): LineMarks {
  const subjectShown = item.tier === 'reference' && item.subject === title;
  return {
    id: item.id,
    ...(item.kind !== DEFAULT_KINDS[item.tier] && { kind: item.kind }),
    ...(item.subject !== null && !subjectShown && { subject: item.subject }),
    ...(item.slot !== null && { slot: item.slot }),
    ...(item.about !== null && { about: item.about }),
    validFrom: item.validFrom,
    ...(item.expiresAt !== null && { expiresAt: item.expiresAt }),
    ...(item.pinned && { pinned: true }),
  };
}

/** Pages of the tree, by path. Items in the order they come in. */
export function treeOf(
  items: Iterable<MemoryItem>,
  titleOf: (sessionId: string) => string | null,
): { path: string; data: string }[] {
  const pages = new Map<string, { title: string; items: MemoryItem[] }>();
  for (const item of items) {
    const { path, title } = placeOf(item, titleOf);
    const page = pages.get(path) ?? { title, items: [] };
    page.items.push(item);
    pages.set(path, page);
  }
  return [...pages]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, page]) => ({
      path,
      data: pageOf(
        page.title,
        page.items.map((item) => entryOf(item.text, marksFor(item, page.title))),
      ),
    }));
}

function tierOf(path: string): Tier | null {
  if (path === 'identity.md') return 'identity';
  if (path === 'state.md') return 'state';
  const [, folder] = /^(reference|sessions|archive)\/[^/]+\.md$/.exec(path) ?? [];
  return folder === 'reference'
    ? 'reference'
    : folder === 'sessions'
      ? 'session'
      : folder === 'archive'
        ? 'archive'
        : null;
}

export function planMarkdown(files: readonly { path: string; data: string }[], options: PlanOptions): Plan {
  const plan: Plan = { files: [], skipped: [] };
  for (const { path, data } of checkedFiles(files)) {
    const tier = tierOf(path);
    if (!tier) {
      plan.skipped.push({
        what: path,
        why: 'not a file of the tree (identity.md, state.md, reference/, sessions/, archive/)',
      });
      continue;
    }
    const page = readPage(data);
    const file: SourceFile = { path, title: page.title ?? path, spoken: [], noted: [] };
    const subject = tier === 'reference' && path !== `reference/${GENERAL}.md` ? page.title : null;
    for (const { text, marks } of page.lines) {
      // Each line is an event of its own: that is what somebody forgets, and edits.
      const words = text.toWellFormed();
      const said = marks?.validFrom ?? options.now;
      const from = file.spoken.push({ speaker: 'owner', text: words, at: said, own: options.own !== false }) - 1;
      file.noted.push({
        tier: marks?.tier ?? tier,
        kind: marks?.kind ?? DEFAULT_KINDS[tier],
        subject: marks?.subject ?? subject,
        slot: marks?.slot ?? null,
        text: words,
        validFrom: said,
        ...(marks?.expiresAt !== undefined && { expiresAt: marks.expiresAt }),
        ...(marks?.about !== undefined && { about: marks.about }),
        ...(marks?.pinned && { pinned: true }),
        ...(marks && { id: marks.id }),
        from,
        quote: words,
      });
    }
    plan.files.push(file);
  }
  if (plan.files.length === 0)
    throw refused(
      'There is no Markdown export in this folder.',
      'It holds identity.md, state.md or reference/<subject>.md, as `steward export --format markdown` writes them. Nothing was changed.',
    );
  return plan;
}
