// Tool calls that wait for the owner: bound to the exact arguments, one use, denied when nobody answers in time.
import { createHash } from 'node:crypto';
import type { Db } from './db.ts';
import { StewardError } from './errors.ts';
import type { Id, JsonObject, Millis } from './types.ts';

export const APPROVAL_MS = 24 * 60 * 60_000;

export type ApprovalVerdict = 'allow' | 'deny' | 'expired' | 'cancelled';

export interface Approval {
  /** The id of the `agent.tool_use` event it belongs to. */
  id: Id;
  sessionId: Id;
  name: string;
  argsHash: string;
  title: string;
  /** The full arguments with control characters escaped. */
  detail: string;
  why: string;
  createdAt: Millis;
  expiresAt: Millis;
  verdict: ApprovalVerdict | null;
  reason: string | null;
}

export interface Approvals {
  open(draft: Pick<Approval, 'id' | 'sessionId' | 'name' | 'argsHash' | 'title' | 'detail' | 'why'>): Approval;
  get(id: Id): Approval | null;
  pending(): Approval[];
  /** First answer wins. Throws `not_found`, or `conflict` when it was answered or ran out. */
  resolve(id: Id, verdict: ApprovalVerdict, by: string, reason?: string): Approval;
  /** True exactly once, and only for an allowed approval whose arguments are still the ones that were shown. */
  use(id: Id, argsHash: string): boolean;
  /** Drops the arguments of a deleted session and closes what still waits. */
  forget(sessionId: Id): void;
  /** The same for single calls. */
  redact(ids: readonly Id[]): void;
  expired(): Approval[];
  nextExpiry(): Millis | null;
}

/** A digest of what is approved: the tool, the session and the exact arguments, in canonical order. */
export function argsHash(sessionId: Id, name: string, args: JsonObject): string {
  const canonical = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(canonical)
      : value && typeof value === 'object'
        ? Object.fromEntries(
            Object.entries(value)
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .map(([key, entry]) => [key, canonical(entry)]),
          )
        : value;
  return createHash('sha256')
    .update(JSON.stringify([sessionId, name, canonical(args)]))
    .digest('hex');
}

/** Shows control, bidirectional and zero-width characters as \u{…}, so that nothing hides in what a person approves. */
export function escapeHidden(text: string): string {
  return text.replace(
    /(?![\n\t])\p{Cc}|\p{Cf}|\p{Default_Ignorable_Code_Point}|[\u2028\u2029]/gu,
    (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`,
  );
}

interface Row {
  id: string;
  session_id: string;
  name: string;
  args_hash: string;
  title: string;
  detail: string;
  why: string;
  created_at: number;
  expires_at: number;
  verdict: ApprovalVerdict | null;
  reason: string | null;
}

const toApproval = (row: Row): Approval => ({
  id: row.id,
  sessionId: row.session_id,
  name: row.name,
  argsHash: row.args_hash,
  title: row.title,
  detail: row.detail,
  why: row.why,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  verdict: row.verdict,
  reason: row.reason,
});

export function createApprovals(db: Db, now: () => Millis): Approvals {
  const insert = db.prepare(
    `INSERT INTO approvals (id, session_id, name, args_hash, title, detail, why, created_at, expires_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const one = db.prepare<[string], Row>('SELECT * FROM approvals WHERE id = ?');
  const open = db.prepare<[Millis], Row>(
    'SELECT * FROM approvals WHERE resolved_at IS NULL AND expires_at > ? ORDER BY created_at',
  );
  const late = db.prepare<[Millis], Row>('SELECT * FROM approvals WHERE resolved_at IS NULL AND expires_at <= ?');
  const earliest = db.prepare<[], { at: number | null }>(
    'SELECT min(expires_at) AS at FROM approvals WHERE resolved_at IS NULL',
  );
  const resolve = db.prepare<[Millis, string, string, string | null, string]>(
    'UPDATE approvals SET resolved_at = ?, verdict = ?, resolved_by = ?, reason = ? WHERE id = ? AND resolved_at IS NULL',
  );
  const use = db.prepare<[Millis, string, string]>(
    "UPDATE approvals SET used_at = ? WHERE id = ? AND args_hash = ? AND verdict = 'allow' AND used_at IS NULL",
  );
  const forget = db.prepare<[Millis, string]>(
    `UPDATE approvals SET title = '', detail = '', why = '', reason = NULL, resolved_at = coalesce(resolved_at, ?),
       verdict = coalesce(verdict, 'cancelled') WHERE session_id = ?`,
  );
  const redact = db.prepare<[Millis, string]>(
    `UPDATE approvals SET title = '', detail = '', why = '', reason = NULL, resolved_at = coalesce(resolved_at, ?),
       verdict = coalesce(verdict, 'cancelled') WHERE id = ?`,
  );
  const approvals: Approvals = {
    open(draft) {
      const at = now();
      const shown = [draft.title, draft.detail, draft.why, at, at + APPROVAL_MS];
      insert.run(draft.id, draft.sessionId, draft.name, draft.argsHash, ...shown);
      return approvals.get(draft.id)!;
    },
    get(id) {
      const row = one.get(id);
      return row ? toApproval(row) : null;
    },
    pending: () => open.all(now()).map(toApproval),
    resolve(id, verdict, by, reason) {
      const approval = approvals.get(id);
      if (!approval)
        throw new StewardError('not_found', `Nothing waits for approval under ${id}.`, {
          op: 'answer an approval',
          hint: 'GET /api/approvals or `steward approve` lists what waits.',
        });
      const tooLate = approval.expiresAt <= now() && verdict !== 'expired' && verdict !== 'cancelled';
      if (approval.verdict || tooLate)
        throw new StewardError(
          'conflict',
          approval.verdict
            ? `This was already answered (${approval.verdict}).`
            : 'This approval ran out after 24 hours and counts as denied.',
          { op: 'answer an approval' },
        );
      resolve.run(now(), verdict, by, reason ?? null, id);
      return approvals.get(id)!;
    },
    use: (id, hash) => use.run(now(), id, hash).changes === 1,
    forget: (sessionId) => void forget.run(now(), sessionId),
    redact(ids) {
      for (const id of ids) redact.run(now(), id);
    },
    expired: () => late.all(now()).map(toApproval),
    nextExpiry: () => earliest.get()?.at ?? null,
  };
  return approvals;
}
