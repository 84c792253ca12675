// Where a long Markdown text is cut: between paragraphs, lines or words, with code fences closed and opened again. Pure.

interface Fence {
  /** Closes it, and opens it again together with the language. */
  mark: string;
  language: string;
  /** Columns the fence is indented by, which its code loses when it is opened again at the margin. */
  indent: number;
}

/** The code fence a line opens, if it does. As in CommonMark, but at any depth: in lists they stand far from the margin. */
function fenceOf(line: string): Fence | null {
  const match = /^([ \t]*)(`{3,}|~{3,})([^`]*)$/.exec(line);
  if (!match) return null;
  const [, space = '', mark = '', info = ''] = match;
  // A longer word is no language, and would be said again in every part.
  return { mark, language: /^\s*([\w+#.-]{1,30})(?=\s|$)/.exec(info)?.[1] ?? '', indent: space.length };
}

const closes = (fence: Fence, line: string): boolean => {
  const mark = line.trim();
  return mark.length >= fence.mark.length && mark === fence.mark[0]!.repeat(mark.length);
};

/** True for text with something to see in it; a message of anything else is empty to Telegram. */
export const shows = (text: string): boolean => /[^\s\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/u.test(text);

/** Cuts a line that is too long by itself, at a space where there is one, never inside a surrogate pair. */
function cutLine(line: string, size: number): string[] {
  const parts: string[] = [];
  let from = 0;
  while (line.length - from > size) {
    const space = line.lastIndexOf(' ', from + size);
    let to = space > from + size / 2 ? space + 1 : from + size;
    const code = line.charCodeAt(to - 1);
    if (code >= 0xd800 && code <= 0xdbff) to -= 1;
    parts.push(line.slice(from, to));
    from = to;
  }
  return [...parts, line.slice(from)];
}

/** Parts of about `size` UTF-16 units each (at least 16); those that show nothing are left out. */
export function cutMarkdown(markdown: string, size: number): string[] {
  const parts: string[] = [];
  let lines: string[] = [];
  let length = 0;
  let fence: Fence | null = null;
  /** Index of the line that opens the fence. */
  let opening = -1;
  /** The last end of a paragraph: lines before it, and their length. */
  let paragraph = { lines: 0, length: 0 };
  /** The fence was opened again by us, at the margin. */
  let again = false;

  const push = (line: string) => {
    lines.push(line);
    length += line.length + 1;
  };
  const flush = (count: number) => {
    const inside = fence !== null && count > opening ? fence : null;
    const part = lines.slice(0, count);
    const rest = lines.slice(count);
    if (inside) part.push(inside.mark);
    if (shows(part.join(''))) parts.push(part.join('\n'));
    lines = [];
    length = 0;
    paragraph = { lines: 0, length: 0 };
    opening -= count;
    if (inside) {
      opening = 0;
      again = true;
      push(inside.mark + inside.language);
    }
    for (const line of rest) push(line);
  };
  /** How many lines go into the part that is full, 0 when none can. */
  const breakAt = (): number => {
    if (fence) return opening === lines.length - 1 ? opening : lines.length;
    return paragraph.length > length / 2 ? paragraph.lines : lines.length;
  };

  for (const line of markdown.replace(/\r\n?/g, '\n').split('\n')) {
    for (const piece of cutLine(line, size)) {
      const closing = fence ? fence.mark.length + 1 : 0;
      if (length + piece.length + 1 + closing > size && breakAt() > 0) flush(breakAt());
      if (!fence) {
        fence = fenceOf(piece);
        opening = lines.length;
        again = false;
        push(piece);
        if (piece.trim() === '') paragraph = { lines: lines.length, length };
      } else if (closes(fence, piece)) {
        push(again ? fence.mark : piece);
        fence = null;
      } else push(again ? piece.replace(new RegExp(`^[ \\t]{0,${fence.indent}}`), '') : piece);
    }
  }
  if (shows(lines.join(''))) parts.push(lines.join('\n'));
  return parts;
}
