// The words of a doc as they are sent to be embedded.
import type { Db } from '../../core/db.ts';
import { saidIn } from '../index/said.ts';

interface EventRow {
  doc: number;
  type: string;
  payload: string;
  origin: string | null;
  tainted: number;
  data: Uint8Array | null;
}

/** Who says nothing more than that it was one of the two. */
const PLAIN = new Set(['owner', 'steward', 'tool', 'unknown', 'guest']);

/** Docs without words (forgotten in the meantime) are not in the answer. */
export function createTexts(db: Db): (docs: readonly number[]) => Map<number, string> {
  const events = db.prepare<[string], EventRow>(
    `SELECT e.row * 2 AS doc, e.type, e.payload, e.origin, e.tainted, b.data
     FROM events e LEFT JOIN blobs b ON b.hash = e.blob
     WHERE e.row IN (SELECT value / 2 FROM json_each(?)) AND e.redacted_at IS NULL`,
  );
  const items = db.prepare<[string], { doc: number; text: string }>(
    'SELECT row * 2 + 1 AS doc, text FROM memory_items WHERE row IN (SELECT value / 2 FROM json_each(?))',
  );
  return (docs) => {
    const texts = new Map<number, string>();
    for (const { data, ...row } of events.all(JSON.stringify(docs.filter((doc) => doc % 2 === 0)))) {
      const said = saidIn({ ...row, payload: data ? new TextDecoder().decode(data) : row.payload });
      if (said) texts.set(row.doc, PLAIN.has(said.who.toLowerCase()) ? said.text : `${said.who}: ${said.text}`);
    }
    for (const { doc, text } of items.all(JSON.stringify(docs.filter((doc) => doc % 2 === 1)))) texts.set(doc, text);
    return texts;
  };
}
