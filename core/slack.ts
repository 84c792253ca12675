// Looks for words in the parts of a database file that nothing uses: SQLite overwrites what it deletes, but a page that was
// split before may still hold a copy of cells that moved away. Format: https://www.sqlite.org/fileformat2.html
import { closeSync, openSync, readSync } from 'node:fs';

/** Pages read at once. */
const PAGES = 256;
const HEADER = 100;
/** Index and table pages, inner and leaf, with the length of their headers. Other pages have no unused part with old cells in it. */
const PAGE_KINDS: ReadonlyMap<number, number> = new Map([
  [2, 12],
  [5, 12],
  [10, 8],
  [13, 8],
]);

/** From, to (exclusive) of what no cell of the page uses; null for other kinds of page. */
function unusedIn(page: Buffer, first: boolean): [number, number] | null {
  const at = first ? HEADER : 0;
  const header = PAGE_KINDS.get(page[at]!);
  if (header === undefined) return null;
  const from = at + header + 2 * page.readUInt16BE(at + 3);
  const content = page.readUInt16BE(at + 5) || 65_536;
  return from <= content && content <= page.length ? [from, content] : null;
}

/**
 * The needles that stand in unused parts of the file and nowhere else in it: leftovers of what was deleted. The WAL has to be
 * empty. Synchronous; about a second for a gigabyte.
 */
export function leftovers(file: string, needles: readonly string[]): string[] {
  const wanted = [...new Set(needles)].filter((needle) => needle !== '').map((needle) => Buffer.from(needle));
  const stale = new Set<Buffer>();
  const alive = new Set<Buffer>();
  const handle = openSync(file, 'r');
  try {
    const head = Buffer.alloc(HEADER);
    if (readSync(handle, head, 0, HEADER, 0) < HEADER) return [];
    const size = head.readUInt16BE(16) === 1 ? 65_536 : head.readUInt16BE(16);
    const chunk = Buffer.alloc(size * PAGES);
    for (let at = 0; ; ) {
      const read = readSync(handle, chunk, 0, chunk.length, at);
      if (read < size) break;
      const pages = chunk.subarray(0, read - (read % size));
      for (const needle of wanted) {
        if (alive.has(needle)) continue;
        for (let found = pages.indexOf(needle); found >= 0; found = pages.indexOf(needle, found + 1)) {
          const start = found - (found % size);
          const unused = unusedIn(pages.subarray(start, start + size), at + start === 0);
          const offset = found - start;
          if (unused && offset >= unused[0] && offset < unused[1]) stale.add(needle);
          else {
            alive.add(needle);
            // Said elsewhere as well: it gives nothing away, and the rest of this chunk need not be searched for it.
            break;
          }
        }
      }
      at += pages.length;
    }
  } finally {
    closeSync(handle);
  }
  return wanted.filter((needle) => stale.has(needle) && !alive.has(needle)).map(String);
}
