// Which file of the owner's store shows which items, and how: pure. Lines for what is known, whole texts for notes.
import type { ItemKind, MemoryItem, Tier } from '../../core/memory.ts';
import type { Id } from '../../core/types.ts';
import { entryOf, pageOf } from '../portability/lines.ts';
import { slugOf } from '../portability/markdown.ts';

export type PageTier = Extract<Tier, 'identity' | 'state' | 'reference'>;
export interface Page {
  tier: PageTier;
  /** Of reference files. */
  slug: string;
}

/** As much of an item as decides where it is shown. */
export interface Shown {
  id: Id;
  tier: Tier;
  kind: ItemKind;
  subject: string | null;
  about: string | null;
}

const GENERAL = 'general';

/** The page at a path, or null: what is written there is a note, one item for the whole file. */
export function pageAt(path: string): Page | null {
  if (path === '/identity.md') return { tier: 'identity', slug: '' };
  if (path === '/state.md') return { tier: 'state', slug: '' };
  const slug = /^\/reference\/([^/]+)\.md$/.exec(path)?.[1];
  return slug !== undefined && slugOf(slug) === slug ? { tier: 'reference', slug } : null;
}

export const subjectOf = ({ slug }: Page): string | null =>
  slug === GENERAL || slug === '' ? null : slug.replaceAll('-', ' ');

export const defaultKind = ({ tier }: Page): ItemKind => (tier === 'state' ? 'loop' : 'fact');

/** Null: no file shows it. */
export function pathOf(item: Shown): string | null {
  if (item.kind === 'file') return item.about;
  if (item.kind === 'summary') return null;
  switch (item.tier) {
    case 'identity':
      return '/identity.md';
    case 'state':
      return '/state.md';
    case 'reference':
      return `/reference/${slugOf(item.subject ?? '') || GENERAL}.md`;
    default:
      return null;
  }
}

const TITLES: Record<PageTier, string> = { identity: 'Identity', state: 'State', reference: 'General' };

/** What stands in the file. */
export function contentOf(items: readonly MemoryItem[]): string {
  const [first] = items;
  if (!first) return '';
  if (first.kind === 'file') return first.text;
  const title = (first.tier === 'reference' && first.subject) || TITLES[first.tier as PageTier] || 'Memory';
  return pageOf(
    title,
    items.map((item) => entryOf(item.text)),
  );
}
