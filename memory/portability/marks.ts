// The comment at the end of an exported line: the id of the item and what its words do not say. Pure.
import { type ItemKind, KINDS, TIERS, type Tier } from '../../core/memory.ts';
import type { Id, Millis } from '../../core/types.ts';

export interface LineMarks {
  id: Id;
  kind?: ItemKind;
  /** Where it is not the one of the folder. */
  tier?: Tier;
  subject?: string;
  slot?: string;
  about?: string;
  validFrom?: Millis;
  expiresAt?: Millis;
  pinned?: boolean;
}

/** What may stand in a comment and between blanks as it is; the rest as in a URL. */
const quoted = (value: string) => encodeURIComponent(value).replaceAll('-', '%2D').replaceAll('%20', '+');
function unquoted(value: string): string | undefined {
  try {
    return decodeURIComponent(value.replaceAll('+', '%20'));
  } catch {
    return undefined;
  }
}

/** A day where that says it all. */
const timeText = (at: Millis) => new Date(at).toISOString().replace(/T00:00:00\.000Z$/, '');
function timeOf(text: string | undefined): Millis | undefined {
  const at = text && /^\d{4}-\d\d-\d\d(T[\d:.]+Z)?$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}

export function marksText(marks: LineMarks): string {
  const words: string[] = [marks.id];
  if (marks.kind) words.push(marks.kind);
  if (marks.pinned) words.push('pinned');
  if (marks.tier) words.push(`tier=${marks.tier}`);
  if (marks.subject !== undefined) words.push(`subject=${quoted(marks.subject)}`);
  if (marks.slot !== undefined) words.push(`slot=${quoted(marks.slot)}`);
  if (marks.about !== undefined) words.push(`about=${quoted(marks.about)}`);
  if (marks.validFrom !== undefined) words.push(`from=${timeText(marks.validFrom)}`);
  if (marks.expiresAt !== undefined) words.push(`until=${timeText(marks.expiresAt)}`);
  return words.join(' ');
}

/** Words that mean nothing here are passed over: people edit these files. */
export function marksOf(text: string): LineMarks {
  const [id = '', ...words] = text.trim().split(/\s+/);
  const marks: LineMarks = { id };
  for (const word of words) {
    const [, name, value] = /^(\w+)=(.*)$/.exec(word) ?? [];
    if (word === 'pinned') marks.pinned = true;
    else if (!name) {
      const kind = KINDS.find((known) => known === word);
      if (kind) marks.kind = kind;
    } else {
      const said = unquoted(value!);
      const tier = TIERS.find((known) => known === said);
      const at = timeOf(value);
      if (name === 'tier' && tier) marks.tier = tier;
      if (name === 'subject' && said !== undefined) marks.subject = said;
      if (name === 'slot' && said !== undefined) marks.slot = said;
      if (name === 'about' && said !== undefined) marks.about = said;
      if (name === 'from' && at !== undefined) marks.validFrom = at;
      if (name === 'until' && at !== undefined) marks.expiresAt = at;
    }
  }
  return marks;
}
