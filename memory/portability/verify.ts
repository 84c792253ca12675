// Whether a JSONL export is whole and sound: in order, counted, referring to what is there. Looks at all of it before anything is written.
import { setImmediate as breathe } from 'node:timers/promises';
import { isTooDeep } from '../../core/json.ts';
import { OWNER_STORE } from '../../core/memory-stores.ts';
import type { Id } from '../../core/types.ts';
import { linesOf, refused } from './checks.ts';
import { anyLine, COUNTED, COUNTS_AS, type Counts, FORMAT, headerLine, type Line, VERSION } from './records.ts';

const problem = (issues: readonly { path: PropertyKey[]; message: string }[]) =>
  issues
    .slice(0, 3)
    .map((issue) => `${issue.path.join('.') || 'the line'}: ${issue.message}`)
    .join('; ');

function parseJson(text: string, where: string, cutOff: boolean): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw refused(cutOff ? `${where}: the file breaks off here.` : `${where} is not valid JSON.`);
  }
}

function headerOf(text: string, path: string): { counts: Partial<Counts> } {
  const where = `${path}, line 1`;
  const value = parseJson(text, where, false);
  const { format, version } = (value ?? {}) as Record<string, unknown>;
  if (format !== FORMAT) throw refused(`${where} is not the first line of an export of Steward’s memory.`);
  if (typeof version === 'number' && version > VERSION)
    throw refused(
      `${path} was written by a newer Steward (format ${version}; this one knows ${VERSION}).`,
      'Update Steward, then import it again. Nothing was changed.',
    );
  const header = headerLine.safeParse(value);
  if (!header.success) throw refused(`${where} does not fit: ${problem(header.error.issues)}.`);
  return header.data;
}

function lineOf(text: string, where: string, cutOff: boolean): Line {
  const value = parseJson(text, where, cutOff);
  if (isTooDeep(value)) throw refused(`${where} is nested too deep.`);
  const line = anyLine.safeParse(value);
  if (!line.success) throw refused(`${where} does not fit: ${problem(line.error.issues)}.`);
  return line.data;
}

/** An id from which its successors lead back to it; null when there is none. */
function circleIn(successors: ReadonlyMap<Id, Id>): Id | null {
  const cleared = new Set<Id>();
  for (const start of successors.keys()) {
    const trail = new Set<Id>();
    for (let id: Id | undefined = start; id !== undefined && !cleared.has(id); id = successors.get(id)) {
      if (trail.has(id)) return id;
      trail.add(id);
    }
    for (const id of trail) cleared.add(id);
  }
  return null;
}

/** Everything in order, counted, and referring to what is there; or `invalid`, with the line. */
export async function verify(path: string, data: string): Promise<void> {
  const lines = linesOf(data);
  const first = lines.next();
  if (first.done) throw refused(`${path} is empty.`);
  const { counts } = headerOf(first.value.text, path);
  const found: Counts = { sessions: 0, events: 0, items: 0, changes: 0, questions: 0, tombstones: 0, files: 0 };
  const ids = new Set<Id>();
  const versions = new Set<Id>();
  const needed: { id: Id; where: string }[] = [];
  const successors = new Map<Id, Id>();
  let n = 0;
  for (const { text, line, last } of lines) {
    const where = `${path}, line ${line}`;
    const read = lineOf(text, where, last && !data.endsWith('\n'));
    const as = COUNTS_AS[read.type];
    if (as) found[as] += 1;
    const need = (id: Id | null, what: string) => {
      if (id !== null && !ids.has(id))
        throw refused(`${where} refers to ${what} ${id}, which does not come before it.`);
    };
    switch (read.type) {
      case 'event':
        need(read.session_id, 'the session');
        break;
      case 'item':
        for (const source of read.sources) need(source.event_id, 'the event');
        if (read.superseded_by) successors.set(read.id, read.superseded_by);
        for (const id of [...read.parents, ...(read.superseded_by ? [read.superseded_by] : [])])
          needed.push({ id, where });
        break;
      case 'change':
        need(read.event_id, 'the event');
        break;
      case 'version':
      case 'file':
        if (read.store_id !== OWNER_STORE) need(read.store_id, 'the store');
        if (read.type === 'file' && !versions.has(read.version_id))
          throw refused(`${where} refers to a version that does not come before it.`);
        break;
    }
    if ('id' in read) {
      // A file is named by its memory, and so are its versions: other tables.
      const unique = read.type === 'version' ? versions : ids;
      if (unique.has(read.id)) throw refused(`${where}: ${read.id} is there twice.`);
      unique.add(read.id);
    }
    if (++n % 2_000 === 0) await breathe();
  }
  const circle = circleIn(successors);
  if (circle) throw refused(`${path}: the memory ${circle} would take its own place.`);
  for (const { id, where } of needed)
    if (!ids.has(id)) throw refused(`${where} refers to the memory ${id}, which is not in the file.`);
  for (const what of COUNTED) {
    const meant = counts[what] ?? 0;
    if (found[what] < meant) throw refused(`${path} is cut off: ${found[what]} of ${meant} ${what} are there.`);
    if (found[what] > meant) throw refused(`${path} holds ${found[what]} ${what}, but its first line says ${meant}.`);
  }
}
