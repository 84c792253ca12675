// What git says of a change, read into plain values: files with modes and sizes, and every line that was added. Pure.

export interface ChangedFile {
  path: string;
  /** A added, M modified, D deleted, T another type. */
  status: string;
  /** As git has it: 100644, 100755, 120000 (link), 160000 (submodule), 000000 (not there). */
  oldMode: string;
  mode: string;
  /** Of the new content; zeros when it is gone. */
  object: string;
  binary: boolean;
  insertions: number;
  deletions: number;
  /** Of the new content; 0 when it is gone. */
  bytes: number;
  /** Of a link. */
  target?: string;
}

export interface AddedLine {
  path: string;
  text: string;
}

/** Output of `git diff-tree -r -z --raw --numstat --no-renames --no-abbrev`. */
export function parseChange(output: Buffer): ChangedFile[] {
  // Paths need not be UTF-8: what is not shows as U+FFFD, and is told apart by position alone.
  const fields = output.toString('utf8').toWellFormed().split('\0');
  const files: ChangedFile[] = [];
  let counted = 0;
  for (let at = 0; at < fields.length; at += 1) {
    const field = fields[at]!;
    const raw = /^:(\d{6}) (\d{6}) [0-9a-f]+ ([0-9a-f]+) ([A-Z])\d*$/.exec(field);
    if (raw) {
      const [, oldMode, mode, object, status] = raw as unknown as string[];
      at += 1;
      const seen = { binary: false, insertions: 0, deletions: 0, bytes: 0 };
      files.push({ path: fields[at]!, status: status!, oldMode: oldMode!, mode: mode!, object: object!, ...seen });
      continue;
    }
    const number = /^(-|\d+)\t(-|\d+)\t/.exec(field);
    const file = number && files[counted];
    if (!number || !file) continue;
    counted += 1;
    file.binary = number[1] === '-';
    file.insertions = Number.parseInt(number[1]!, 10) || 0;
    file.deletions = Number.parseInt(number[2]!, 10) || 0;
  }
  return files;
}

/** Lines a unified diff (`-U0`) adds, of one commit or many. Counts the lines of each hunk, so that no line can pass for a header. */
export function addedLines(diff: string): AddedLine[] {
  const added: AddedLine[] = [];
  let path = '';
  let [minus, plus] = [0, 0];
  for (const line of diff.split('\n')) {
    if (minus > 0 || plus > 0) {
      if (line.startsWith('-')) minus -= 1;
      else if (line.startsWith('+')) {
        plus -= 1;
        added.push({ path, text: line.slice(1) });
      }
      continue;
    }
    const hunk = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(line);
    if (hunk) [minus, plus] = [Number(hunk[1] ?? 1), Number(hunk[2] ?? 1)];
    else if (line.startsWith('+++ ')) path = pathOf(line.slice(4));
  }
  return added;
}

/** `b/path`, `"b/pa\tth"`, or `/dev/null`; git ends one that has spaces with a tab. */
function pathOf(text: string): string {
  const bare = text.startsWith('"') ? text.slice(1, text.lastIndexOf('"')).replace(/\\(["\\])/g, '$1') : text;
  return bare.replace(/\t$/, '').replace(/^b\//, '');
}
