// A Markdown file as sections of blocks, with the words as they stand in it. Pure; for the notes of other agents.
export interface Block {
  /** Letter by letter as in the file, a part of the section's `text`. */
  raw: string;
  /** Without bullet, box and line breaks. */
  text: string;
  /** A list entry with a box: whether it is ticked. */
  done: boolean | null;
  listed: boolean;
}

export interface Section {
  level: number;
  heading: string | null;
  /** Headings above it, outermost first. */
  above: string[];
  /** The heading line and everything below it, up to the next heading. */
  text: string;
  blocks: Block[];
}

/** A longer row is no heading, and a longer text no placeholder. UTF-16 units. */
const HEADING = 300;

const plain = (raw: string) =>
  raw
    .replace(/^\s*(?:[-*+]|\d{1,3}[.)]) +/, '')
    .replace(/^\[[ xX]\] +/, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ')
    .replace(/\*\*(.+?)\*\*/g, '$1')
    .trim();

function blockOf(rows: readonly string[]): Block {
  const raw = rows.join('\n').trim();
  const box = /^\s*[-*+] +\[([ xX])\]/.exec(raw)?.[1];
  return {
    raw,
    text: plain(raw),
    done: box === undefined ? null : box !== ' ',
    listed: /^\s*(?:[-*+]|\d{1,3}[.)]) +/.test(raw),
  };
}

function blocksOf(rows: readonly string[]): Block[] {
  const blocks: string[][] = [];
  let open = false;
  let fenced = false;
  for (const row of rows) {
    if (/^\s*```/.test(row)) {
      fenced = !fenced;
      if (fenced && !open) blocks.push([]);
      blocks.at(-1)!.push(row);
      open = true;
    } else if (fenced) blocks.at(-1)!.push(row);
    else if (row.trim() === '' || /^\s*<!--.*-->\s*$/.test(row)) open = false;
    else if (/^(?:[-*+]|\d{1,3}[.)]) +/.test(row) || !open) {
      blocks.push([row]);
      open = true;
    } else blocks.at(-1)!.push(row);
  }
  return blocks.map(blockOf).filter((block) => block.text !== '');
}

export function sectionsOf(markdown: string): Section[] {
  const rows = markdown
    .replace(/^\uFEFF/, '')
    .replace(/\r\n?/g, '\n')
    .replace(/^---\n[\s\S]*?\n---\n/, '')
    .split('\n');
  const sections: { level: number; heading: string | null; above: string[]; head: string[]; rows: string[] }[] = [
    { level: 0, heading: null, above: [], head: [], rows: [] },
  ];
  const path: { level: number; heading: string }[] = [];
  let fenced = false;
  for (const row of rows) {
    if (/^\s*```/.test(row)) fenced = !fenced;
    const [, marks, heading] =
      (fenced || row.length > HEADING ? null : /^(#{1,6}) +(.*?)(?: +#+)?\s*$/.exec(row)) ?? [];
    if (marks) {
      while (path.length > 0 && path.at(-1)!.level >= marks.length) path.pop();
      const above = path.map((entry) => entry.heading);
      sections.push({ level: marks.length, heading: heading!, above, head: [row], rows: [] });
      path.push({ level: marks.length, heading: heading! });
    } else sections.at(-1)!.rows.push(row);
  }
  return sections
    .map(({ head, rows: body, ...section }) => ({
      ...section,
      text: [...head, ...body].join('\n').trim(),
      blocks: blocksOf(body),
    }))
    .filter((section) => section.text !== '');
}

/** Templates say in brackets that there is nothing yet. */
export const isPlaceholder = (text: string): boolean =>
  text.length <= HEADING && /^\(.*\)$|^none(?: yet)?\.?$|^last updated:/i.test(text.trim());
