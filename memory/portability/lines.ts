// Items as lines of Markdown, and back: pure. One item is one list entry; further lines of it are indented by two spaces.
import { type LineMarks, marksOf, marksText } from './marks.ts';

export interface Line {
  text: string;
  /** Null: the line carries no comment of ours; somebody wrote it by hand. */
  marks: LineMarks | null;
  /** Where it begins, counted from 1. */
  line: number;
}

export interface Page {
  /** The first heading of the first level. */
  title: string | null;
  lines: Line[];
}

/** A longer row is no heading. Patterns that look for blanks at an end take time quadratic in their number. */
const HEADING = 2_000;

/** The words of a row and what is said in a comment of ours at its end. */
function parted(row: string): { words: string; said: string | null } {
  const start = row.endsWith(' -->') ? row.lastIndexOf('<!-- mem_') : -1;
  const said = start < 0 ? '' : row.slice(start + 5, -4);
  if (!/^mem_\w{1,64}(?: |$)/.test(said) || said.includes('-->')) return { words: row, said: null };
  return { words: row.slice(0, start).replace(/ $/, ''), said };
}
/** An opening comment inside a text gets a backslash more, so that it never ends an entry. */
const guarded = (text: string) => text.replace(/<(\\*)!--/g, '<\\$1!--');
const unguarded = (text: string) => text.replace(/<\\(\\*)!--/g, '<$1!--');

/** One entry. With `marks` it ends with the id and what else a line cannot say, as a comment. */
export function entryOf(text: string, marks?: LineMarks): string {
  const body = guarded(text)
    .split('\n')
    .map((line, index) => (index === 0 ? `- ${line}` : line === '' ? '' : `  ${line}`))
    .join('\n');
  return marks ? `${body} <!-- ${marksText(marks)} -->` : body;
}

export const pageOf = (title: string, entries: readonly string[]): string =>
  `# ${title.replace(/\s+/g, ' ')}\n${entries.length > 0 ? `\n${entries.join('\n')}\n` : ''}`;

/**
 * Reads what `pageOf` wrote and what a person made of it: list entries with any bullet, a plain line as an entry of its own.
 * Headings other than the title, rules and comments are dropped.
 */
export function readPage(markdown: string): Page {
  const rows = markdown
    .replace(/^\uFEFF/, '')
    .replace(/\r\n?/g, '\n')
    .split('\n');
  const page: Page = { title: null, lines: [] };
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at]!;
    const heading = row.length > HEADING ? null : /^#{1,6} +(.*?)\s*#*$/.exec(row);
    if (heading) {
      if (page.title === null && row.startsWith('# ')) page.title = heading[1]!;
      continue;
    }
    if (row.trim() === '' || /^\s*(?:-{3,}|\*{3,}|<!--.*-->)\s*$/.test(row)) continue;
    const begin = at;
    const entry = row.replace(/^\s{0,3}[-*+] /, '');
    const listed = entry !== row;
    let { words: last, said } = parted(entry);
    const texts = [last];
    while (listed && said === null && at + 1 < rows.length) {
      // A blank line belongs to the entry when something indented follows it.
      let next = at + 1;
      while (next < rows.length && rows[next] === '') next++;
      if (!rows[next]?.startsWith('  ')) break;
      ({ words: last, said } = parted(rows[next]!.slice(2)));
      texts.push(...rows.slice(at + 1, next), last);
      at = next;
    }
    const marks = said === null ? null : marksOf(said);
    const words = unguarded(texts.join('\n'));
    if (words.trim() !== '') page.lines.push({ text: words, marks, line: begin + 1 });
  }
  return page;
}

export interface LineDiff {
  /** The same item says something else now. */
  edited: { id: string; text: string }[];
  removed: string[];
  added: string[];
}

const wordsOf = (text: string) => new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);

/** Half of the shorter one's words, so that a corrected line is the same line, and another one is not. */
function alike(a: string, b: string): boolean {
  const [one, two] = [wordsOf(a), wordsOf(b)];
  const shared = [...one].filter((word) => two.has(word)).length;
  return shared > 0 && shared * 2 >= Math.min(one.size, two.size);
}

/** What a person did to a list: entries kept word for word (moved or not), changed in their place, gone, new. */
export function diffLines(before: readonly { id: string; text: string }[], after: readonly string[]): LineDiff {
  const byText = new Map<string, string[]>();
  for (const { id, text } of before) byText.set(text, [...(byText.get(text) ?? []), id]);
  const keptAt = after.map((text) => byText.get(text)?.shift() ?? null);
  const kept = new Set(keptAt.filter((id) => id !== null));
  /** Entries that are gone, by the kept entry they stood behind. */
  const gone = new Map<string | null, { id: string; text: string }[]>();
  let anchor: string | null = null;
  for (const entry of before) {
    if (kept.has(entry.id)) anchor = entry.id;
    else gone.set(anchor, [...(gone.get(anchor) ?? []), entry]);
  }
  const diff: LineDiff = { edited: [], removed: [], added: [] };
  const taken = new Set<string>();
  anchor = null;
  for (const [index, text] of after.entries()) {
    const id = keptAt[index] ?? null;
    if (id !== null) anchor = id;
    else {
      const old = gone.get(anchor)?.find((entry) => !taken.has(entry.id) && alike(entry.text, text));
      if (old) {
        taken.add(old.id);
        diff.edited.push({ id: old.id, text });
      } else diff.added.push(text);
    }
  }
  diff.removed = before.filter(({ id }) => !kept.has(id) && !taken.has(id)).map(({ id }) => id);
  return diff;
}
