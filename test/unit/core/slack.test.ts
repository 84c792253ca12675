// Leftovers in unused parts of a database file: found where SQLite left them, and gone when the file was written anew.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { leftovers } from '../../../core/slack.ts';
import { openTestRecord } from '../../helpers/record.ts';

/** Rows in an order that splits pages all over, half of them deleted; returns the words that ought to be gone. */
function churned() {
  const { db } = openTestRecord();
  db.prepare('CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT)').run();
  db.prepare('CREATE INDEX t_a ON t (a, b)').run();
  const insert = db.prepare('INSERT INTO t (a, b) VALUES (?, ?)');
  const remove = db.prepare('DELETE FROM t WHERE id = ?');
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  const gone: string[] = [];
  db.tx(() => {
    for (let i = 1; i <= 12_000; i++) insert.run(`${random(2 ** 30)}-word${i}x`, 'y'.repeat(random(200)));
  });
  db.tx(() => {
    for (let i = 1; i <= 12_000; i += 2) {
      remove.run(i);
      gone.push(`word${i}x`);
    }
  });
  db.checkpoint();
  return { db, gone };
}

describe('leftovers', () => {
  it('are found, told from what is still there, and purged', () => {
    const { db, gone } = churned();
    const inFile = () => new Set(readFileSync(db.file, 'latin1').match(/word\d+x/g));
    const before = inFile();
    const left = gone.filter((word) => before.has(word));
    // Without this the purge would not be needed, and the test would show nothing.
    expect(left.length).toBeGreaterThan(0);
    expect(leftovers(db.file, left)).toEqual(left);
    expect(leftovers(db.file, ['word2x', 'nowhere at all', ''])).toEqual([]);
    const rows = db.prepare('SELECT * FROM t ORDER BY id').all();
    db.purge(left.slice(0, 3));
    const after = inFile();
    expect(gone.filter((word) => after.has(word))).toEqual([]);
    expect(db.prepare('SELECT * FROM t ORDER BY id').all()).toEqual(rows);
    expect(db.prepare<[], { ok: string }>('SELECT integrity_check AS ok FROM pragma_integrity_check').get()!.ok).toBe(
      'ok',
    );
  });

  it('leaves the file as it is when there are none', () => {
    const { db } = churned();
    const before = readFileSync(db.file);
    db.purge(['word2x', 'nowhere at all']);
    expect(readFileSync(db.file).equals(before)).toBe(true);
  });
});
