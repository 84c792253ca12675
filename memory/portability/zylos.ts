// Zylos' memory folder: identity.md, state.md, references.md, users/<id>/profile.md, reference/*.md, sessions/*.md, archive/.
// Layout and entry formats as in zylos-ai/zylos-core, skills/zylos-memory. Pure: text in, plan out.
import type { ItemKind, Tier } from '../../core/memory.ts';
import { checkedFiles, refused } from './checks.ts';
import { localTime } from './local-time.ts';
import { type Block, isPlaceholder, type Section, sectionsOf } from './markdown-blocks.ts';
import { pieces } from './pieces.ts';
import type { Noted, Plan, PlanOptions, SourceFile } from './plan.ts';

const STATE_DAYS = 14;
/** Entries of reference/*.md that are over. */
const OVER = /^(?:superseded|archived|completed|abandoned|dropped|cancelled)\b/i;

interface Guess {
  tier: Tier;
  kind: ItemKind;
  subject: string | null;
  slot?: string | null;
  text?: string;
}

/** `- Language preference: Chinese` → the name and the value. */
const field = (block: Block): [string, string] | null => {
  const [, name, value] = /^([\p{L}][\p{L}\p{N} /_-]{0,40}): (.+)$/u.exec(block.text) ?? [];
  return name && value ? [name, value] : null;
};

const PROFILE_KINDS: Record<string, ItemKind> = {
  identity: 'person',
  communication: 'preference',
  preferences: 'preference',
};

function guess(path: string, section: Section, block: Block, person: string): Guess | null {
  const heading = (section.heading ?? '').toLowerCase();
  const under = section.level > 1 ? section.heading : null;
  if (path === 'identity.md') return { tier: 'identity', kind: 'fact', subject: under };
  if (path === 'references.md') return { tier: 'reference', kind: 'fact', subject: under };
  if (path === 'state.md') {
    if (/focus/.test(heading)) return { tier: 'state', kind: 'focus', subject: null };
    if (/completion/.test(heading) || block.done === true) return null;
    return { tier: 'state', kind: 'loop', subject: null };
  }
  if (path.startsWith('users/')) {
    const kind = PROFILE_KINDS[heading] ?? 'fact';
    const pair = field(block);
    if (!pair) return { tier: 'reference', kind, subject: person };
    return { tier: 'reference', kind, subject: person, slot: pair[0], text: `${person}, ${pair[0]}: ${pair[1]}` };
  }
  return { tier: 'reference', kind: /preferences/.test(path) ? 'preference' : 'fact', subject: under };
}

const KINDS_OF: Record<string, ItemKind> = {
  'reference/decisions.md': 'decision',
  'reference/preferences.md': 'preference',
};

/** `### Title` with `- **Date:** …` lines below it is one thing to know, not one for each line. */
function entry(path: string, section: Section, from: number, options: PlanOptions): Noted | null {
  const fields = new Map(section.blocks.map((block) => field(block) ?? [block.text, '']));
  const named = (...names: string[]) => [...fields].find(([name]) => names.includes(name.toLowerCase()))?.[1] ?? '';
  if (!section.blocks.some((block) => /^\s*- \*\*[^*]+:\*\*/.test(block.raw))) return null;
  const day = /\d{4}-\d\d-\d\d/.exec(named('date', 'date observed', 'started'))?.[0];
  const says = [named('decision', 'description'), named('context')]
    .map((text) => text.replace(/\.$/, ''))
    .filter((text) => text !== '');
  const status = named('status');
  const whole = `${[section.heading, ...says, ...(status !== '' && status !== 'active' ? [`Status: ${status}`] : [])].join('. ')}.`;
  return {
    tier: OVER.test(status) ? 'archive' : 'reference',
    kind: KINDS_OF[path] ?? 'fact',
    subject: path.replace(/^reference\/|\.md$/g, ''),
    slot: null,
    text: whole,
    validFrom: (day && localTime(day, null, options.timeZone)) || options.now,
    from,
    quote: section.text.slice(0, 2_000),
  };
}

function kept(path: string, data: string, options: PlanOptions): SourceFile {
  const file: SourceFile = { path, title: path, spoken: [], noted: [] };
  const sections = sectionsOf(data);
  const title = sections.find((section) => section.level === 1)?.heading ?? '';
  const person = /^User Profile:\s*(.+)$/i.exec(title)?.[1] ?? /^users\/([^/]+)\//.exec(path)?.[1] ?? '';
  for (const section of sections) {
    if (section.blocks.length === 0) continue;
    for (const piece of pieces(section)) {
      const from =
        file.spoken.push({ speaker: 'zylos', text: piece.text, at: options.now, own: options.own === true }) - 1;
      const one = path.startsWith('reference/') && section.level > 2 ? entry(path, section, from, options) : null;
      if (one && piece.text.includes(one.quote)) {
        file.noted.push(one);
        continue;
      }
      // What stands right below the title explains the file; it says nothing about the world.
      if (path.startsWith('reference/') && section.level < 2) continue;
      for (const block of piece.blocks) {
        const found = isPlaceholder(block.text) ? null : guess(path, section, block, person);
        if (!found || isPlaceholder(field(block)?.[1] ?? '')) continue;
        file.noted.push({
          slot: null,
          text: block.text,
          ...found,
          validFrom: options.now,
          ...(found.tier === 'state' && { expiresInDays: STATE_DAYS }),
          from,
          quote: block.raw,
        });
      }
    }
  }
  return file;
}

/** `# Session Log: 2026-02-08`, then `## 10:30 - Title`. */
function log(path: string, data: string, options: PlanOptions): SourceFile {
  const file: SourceFile = { path, title: path.replace(/^(?:sessions|archive)\/|\.md$/g, ''), spoken: [], noted: [] };
  const named = /(\d{4}-\d\d-\d\d)/.exec(path.split('/').at(-1)!)?.[1];
  const day = /^# Session Log:\s*(\d{4}-\d\d-\d\d)\s*$/m.exec(data)?.[1] ?? named ?? null;
  let at = (day && localTime(day, null, options.timeZone)) || options.now;
  for (const section of sectionsOf(data)) {
    if (section.blocks.length === 0) continue;
    const time = /^(\d{1,2}:\d\d)\b/.exec(section.heading ?? '')?.[1];
    at = (day && time && localTime(day, time, options.timeZone)) || at;
    for (const piece of pieces(section))
      file.spoken.push({ speaker: 'zylos', text: piece.text, at, own: options.own === true });
  }
  return file;
}

export function planZylos(files: readonly { path: string; data: string }[], options: PlanOptions): Plan {
  const plan: Plan = { files: [], skipped: [] };
  const all = checkedFiles(files);
  // The folder itself, or the one above it.
  const root = all.some(({ path }) => path.startsWith('memory/')) ? 'memory/' : '';
  for (const { path: whole, data } of all) {
    const path = whole.startsWith(root) ? whole.slice(root.length) : whole;
    if (!/\.md$/i.test(path)) plan.skipped.push({ what: whole, why: 'not Markdown' });
    else if (!whole.startsWith(root)) plan.skipped.push({ what: whole, why: 'not in the memory folder' });
    else if (/^(?:sessions|archive)\//.test(path)) plan.files.push(log(path, data, options));
    else if (/^(?:identity|state|references)\.md$|^users\/[^/]+\/|^reference\//.test(path))
      plan.files.push(kept(path, data, options));
    else
      plan.skipped.push({ what: whole, why: 'not one of the memory files (identity.md, state.md, references.md, …)' });
  }
  if (plan.files.length === 0)
    throw refused(
      'There is no Zylos memory in this folder.',
      'It holds identity.md, state.md and references.md, as in ~/zylos/memory. Nothing was changed.',
    );
  plan.files = plan.files.filter((file) => file.spoken.length > 0);
  return plan;
}
