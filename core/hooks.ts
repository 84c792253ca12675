// Inbound webhooks as rows: each starts one schedule, keeps its secret sealed, and answers the same delivery the same way.
import type { Db } from './db.ts';
import { StewardError } from './errors.ts';
import type { Id, Millis } from './types.ts';
import { type Box, newSecret } from './vault-box.ts';

/** How long a delivery is known again. Longer than any sender tries, and than a captured request is worth. */
const KEPT_MS: Millis = 30 * 86_400_000;
const HOOKS = 100;

export const HOOK_SCHEMES = ['steward', 'github'] as const;
export type HookScheme = (typeof HOOK_SCHEMES)[number];

/** For GitHub; an empty list lets everything through, except `authors`: there `*` means anybody. */
export interface HookFilters {
  events: string[];
  actions: string[];
  labels: string[];
  /** `owner/name`. */
  repositories: string[];
  /** Logins whose words and deeds may start the schedule: what stands in an issue is written by strangers. */
  authors: string[];
}

export interface Hook {
  id: Id;
  /** Its place in the URL: `/hooks/<name>`. */
  name: string;
  scheme: HookScheme;
  scheduleId: Id;
  filters: HookFilters;
  enabled: boolean;
  /** False when its secret does not open: nothing passes until it is rotated. */
  readable: boolean;
  accepted: number;
  ignored: number;
  lastAt: Millis | null;
  createdAt: Millis;
  updatedAt: Millis;
}

/** What became of a delivery; the same for the same delivery. */
export type Receipt = { kind: 'run'; runId: Id } | { kind: 'ignored'; why: string };

export interface HookDelivery {
  /** As its sender names it; a retry has the same. */
  id: string;
  /** Of its signature: a captured request sent again under another id is still the same. */
  proof: string;
}

/** Methods throw StewardError: `not_found` for a name that is not there, `conflict` for one that is taken. */
export interface Hooks {
  /** The secret is shown here and never again. */
  create(spec: { name: string; scheme: HookScheme; scheduleId: Id; filters: HookFilters }): {
    hook: Hook;
    secret: string;
  };
  list(): Hook[];
  need(name: string): Hook;
  update(name: string, change: { scheduleId?: Id; filters?: HookFilters; enabled?: boolean }): Hook;
  /** The old secret is worth nothing from here on. */
  rotate(name: string): { hook: Hook; secret: string };
  remove(name: string): void;
  /** Of a hook that is switched on. Answers from memory, a name that is not there as fast as one that is. */
  opened(name: string): { hook: Hook; secret: string } | null;
  /** Does the work and keeps its outcome in one transaction, once per delivery. */
  receive(hookId: Id, delivery: HookDelivery, work: () => Receipt): Receipt;
}

interface Row {
  id: string;
  name: string;
  scheme: HookScheme;
  schedule_id: string;
  filters: string;
  sealed: Buffer;
  enabled: number;
  accepted: number;
  ignored: number;
  last_at: number | null;
  created_at: number;
  updated_at: number;
}

export function createHooks(db: Db, deps: { box: Box; now(): Millis; newId(prefix: 'hook'): Id }): Hooks {
  const { box, now } = deps;
  const insert = db.prepare<[string, string, string, string, string, Buffer, Millis, Millis]>(
    `INSERT INTO hooks (id, name, scheme, schedule_id, filters, sealed, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const all = db.prepare<[], Row>('SELECT * FROM hooks ORDER BY name');
  const one = db.prepare<[string], Row>('SELECT * FROM hooks WHERE name = ?');
  const change = db.prepare<[string, string, number, Millis, string]>(
    'UPDATE hooks SET schedule_id = ?, filters = ?, enabled = ?, updated_at = ? WHERE id = ?',
  );
  const reseal = db.prepare<[Buffer, Millis, string]>('UPDATE hooks SET sealed = ?, updated_at = ? WHERE id = ?');
  const drop = db.prepare<[string]>('DELETE FROM hooks WHERE id = ?');
  const noteRun = db.prepare<[Millis, string]>('UPDATE hooks SET accepted = accepted + 1, last_at = ? WHERE id = ?');
  const noteIgnored = db.prepare<[Millis, string]>('UPDATE hooks SET ignored = ignored + 1, last_at = ? WHERE id = ?');
  const seen = db.prepare<[string, string, string], { run_id: string | null; ignored: string | null }>(
    'SELECT run_id, ignored FROM hook_deliveries WHERE hook_id = ? AND (delivery = ? OR proof = ?) LIMIT 1',
  );
  const keep = db.prepare<[string, string, string, string | null, string | null, Millis]>(
    'INSERT INTO hook_deliveries (hook_id, delivery, proof, run_id, ignored, at) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const prune = db.prepare<[Millis]>('DELETE FROM hook_deliveries WHERE at < ?');

  const bindingOf = (row: { id: Id; scheme: HookScheme }) => ['hook', row.id, row.scheme];
  const toHook = (row: Row): Hook => ({
    id: row.id,
    name: row.name,
    scheme: row.scheme,
    scheduleId: row.schedule_id,
    filters: JSON.parse(row.filters) as HookFilters,
    enabled: row.enabled === 1,
    readable: box.open(row.sealed, bindingOf(row)) !== null,
    accepted: row.accepted,
    ignored: row.ignored,
    lastAt: row.last_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  });

  const open = new Map<string, { hook: Hook; secret: string }>();
  const refresh = () => {
    open.clear();
    for (const row of all.all()) {
      const secret = box.open(row.sealed, bindingOf(row));
      if (secret !== null && row.enabled === 1) open.set(row.name, { hook: toHook(row), secret });
    }
  };
  /** `wiped`: a secret was replaced or removed, and no copy of it may stay in the WAL. */
  const changed = ({ wiped }: { wiped: boolean }) => {
    db.afterCommit(refresh);
    if (wiped) db.afterCommit(() => void db.checkpoint());
  };

  const hooks: Hooks = {
    create: ({ name, scheme, scheduleId, filters }) =>
      db.tx(() => {
        const op = 'add a webhook';
        if (one.get(name))
          throw new StewardError('conflict', `There is a webhook ${name} already.`, {
            op,
            hint: 'Choose another name, or rotate the secret of that one.',
          });
        if (all.all().length >= HOOKS)
          throw new StewardError('invalid', `There are ${HOOKS} webhooks, the most there may be.`, {
            op,
            hint: 'Remove one that is not needed.',
          });
        const id = deps.newId('hook');
        const secret = newSecret();
        const sealed = box.seal(secret, bindingOf({ id, scheme }));
        insert.run(id, name, scheme, scheduleId, JSON.stringify(filters), sealed, now(), now());
        changed({ wiped: false });
        return { hook: hooks.need(name), secret };
      }),
    list: () => all.all().map(toHook),
    need(name) {
      const row = one.get(name);
      if (row) return toHook(row);
      throw new StewardError('not_found', `There is no webhook ${name}.`, {
        op: 'find a webhook',
        hint: 'steward hook list shows them.',
      });
    },
    update: (name, { scheduleId, filters, enabled }) =>
      db.tx(() => {
        const old = hooks.need(name);
        const next = JSON.stringify(filters ?? old.filters);
        change.run(scheduleId ?? old.scheduleId, next, (enabled ?? old.enabled) ? 1 : 0, now(), old.id);
        changed({ wiped: false });
        return hooks.need(name);
      }),
    rotate: (name) =>
      db.tx(() => {
        const hook = hooks.need(name);
        const secret = newSecret();
        reseal.run(box.seal(secret, bindingOf(hook)), now(), hook.id);
        changed({ wiped: true });
        return { hook: hooks.need(name), secret };
      }),
    remove: (name) =>
      db.tx(() => {
        drop.run(hooks.need(name).id);
        changed({ wiped: true });
      }),
    opened: (name) => open.get(name) ?? null,
    receive: (hookId, delivery, work) =>
      db.tx(() => {
        const known = seen.get(hookId, delivery.id, delivery.proof);
        if (known)
          return known.run_id !== null
            ? { kind: 'run', runId: known.run_id }
            : { kind: 'ignored', why: known.ignored ?? '' };
        const receipt = work();
        const [runId, ignored] = receipt.kind === 'run' ? [receipt.runId, null] : [null, receipt.why];
        prune.run(now() - KEPT_MS);
        keep.run(hookId, delivery.id, delivery.proof, runId, ignored, now());
        (runId !== null ? noteRun : noteIgnored).run(now(), hookId);
        return receipt;
      }),
  };
  refresh();
  return hooks;
}
