// Outbound webhooks as rows: who is told what happened, where, signed with which secret; telling is a row of the outbox.
import type { Db } from './db.ts';
import { StewardError } from './errors.ts';
import type { Outbox } from './outbox.ts';
import { createGuard } from './tools/guard.ts';
import type { Id, JsonObject, Millis } from './types.ts';
import { type Box, newSecret } from './vault-box.ts';

export const WEBHOOK_CHANNEL = 'webhook';
const TARGETS = 50;

/** What can be announced. A target subscribes to kinds, to a whole family (`schedule.*`) or to everything (`*`). */
export type AnnouncementKind =
  | `schedule.${'succeeded' | 'failed' | 'missed' | 'skipped'}`
  | `task.${string}`
  | 'hook.test';

/** What a subscription may look like. */
export const SUBSCRIPTION =
  /^(?:\*|schedule\.(?:\*|succeeded|failed|missed|skipped)|task\.(?:\*|[a-z_]{1,40})|hook\.test)$/;

export interface WebhookTarget {
  id: Id;
  name: string;
  url: string;
  events: string[];
  /** The owner said that this address may be a private one. */
  allowPrivate: boolean;
  enabled: boolean;
  /** Why it was switched off, or what went wrong last. */
  note: string | null;
  /** False when its secret does not open: nothing is sent until it is rotated. */
  readable: boolean;
  delivered: number;
  failed: number;
  lastAt: Millis | null;
  createdAt: Millis;
  updatedAt: Millis;
}

/** Methods throw StewardError: `not_found`, `conflict` for a name that is taken, `invalid` for an address that is not sent to. */
export interface Webhooks {
  /** The secret is shown here and never again. */
  create(spec: { name: string; url: string; events: string[]; allowPrivate: boolean }): {
    target: WebhookTarget;
    secret: string;
  };
  list(): WebhookTarget[];
  need(name: string): WebhookTarget;
  update(
    name: string,
    change: { url?: string; events?: string[]; allowPrivate?: boolean; enabled?: boolean },
  ): WebhookTarget;
  rotate(name: string): { target: WebhookTarget; secret: string };
  /** What waits for it is not sent any more. */
  remove(name: string): void;
  /**
   * One row of the outbox for each target that subscribed; call inside the transaction of what happened. `key`: once per
   * target. `sessionId`: whose log hears of a delivery that failed. `only`: this target, subscribed or not.
   */
  announce(
    kind: AnnouncementKind,
    data: JsonObject,
    about: { key: string; sessionId: Id; eventId?: Id | null; only?: Id },
  ): void;
  /** For the channel alone: where and with what. Null when it was removed. */
  opened(id: Id): { target: WebhookTarget; secret: string | null } | null;
  /** How a try ended; `gone` switches the target off. */
  tried(id: Id, ending: { delivered: boolean; note: string | null; gone: boolean }): void;
}

interface Row {
  id: string;
  name: string;
  url: string;
  events: string;
  sealed: Buffer;
  allow_private: number;
  enabled: number;
  note: string | null;
  delivered: number;
  failed: number;
  last_at: number | null;
  created_at: number;
  updated_at: number;
}

/** Pure. */
export const subscribes = (events: readonly string[], kind: string): boolean =>
  events.some(
    (event) => event === '*' || event === kind || (event.endsWith('.*') && kind.startsWith(event.slice(0, -1))),
  );

/** Pure. The address as it is kept. Throws `invalid` for what is never sent to. */
export function checkedUrl(text: string, allowPrivate: boolean): string {
  const refuse = (why: string, hint: string) => new StewardError('invalid', why, { op: 'add a webhook', hint });
  if (!URL.canParse(text)) throw refuse(`${text} is not a URL.`, 'Give it as https://host/path.');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw refuse('Only https and http addresses can be called.', 'Give it as https://host/path.');
  if (url.username || url.password)
    throw refuse('A user name or password in the URL is not sent.', 'The receiver checks the signature instead.');
  if (!allowPrivate) {
    if (url.protocol === 'http:')
      throw refuse(
        'Results would travel in the open.',
        'Use https, or say that this is a server of your own network (--allow-private).',
      );
    try {
      createGuard([]).check(url);
    } catch (error) {
      throw refuse(
        (error as Error).message,
        'If this is a server of your own network, say so (--allow-private, allow_private).',
      );
    }
  }
  url.hash = '';
  return url.href;
}

export function createWebhooks(
  db: Db,
  deps: { box: Box; outbox: Outbox; now(): Millis; newId(prefix: 'whk'): Id },
): Webhooks {
  const { box, now } = deps;
  const insert = db.prepare<[string, string, string, string, Buffer, number, Millis, Millis]>(
    `INSERT INTO webhook_targets (id, name, url, events, sealed, allow_private, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const all = db.prepare<[], Row>('SELECT * FROM webhook_targets ORDER BY name');
  const byName = db.prepare<[string], Row>('SELECT * FROM webhook_targets WHERE name = ?');
  const byId = db.prepare<[string], Row>('SELECT * FROM webhook_targets WHERE id = ?');
  const change = db.prepare<[string, string, number, number, string | null, Millis, string]>(
    'UPDATE webhook_targets SET url = ?, events = ?, allow_private = ?, enabled = ?, note = ?, updated_at = ? WHERE id = ?',
  );
  const reseal = db.prepare<[Buffer, Millis, string]>(
    'UPDATE webhook_targets SET sealed = ?, updated_at = ? WHERE id = ?',
  );
  const drop = db.prepare<[string]>('DELETE FROM webhook_targets WHERE id = ?');
  const note = db.prepare<[number, number, string | null, number, Millis, string]>(
    `UPDATE webhook_targets SET delivered = delivered + ?, failed = failed + ?, note = ?, enabled = enabled * ?, last_at = ?
     WHERE id = ?`,
  );

  const bindingOf = (id: Id) => ['webhook', id];
  const toTarget = (row: Row): WebhookTarget => ({
    id: row.id,
    name: row.name,
    url: row.url,
    events: JSON.parse(row.events) as string[],
    allowPrivate: row.allow_private === 1,
    enabled: row.enabled === 1,
    note: row.note,
    readable: box.open(row.sealed, bindingOf(row.id)) !== null,
    delivered: row.delivered,
    failed: row.failed,
    lastAt: row.last_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  });

  const webhooks: Webhooks = {
    create: ({ name, url, events, allowPrivate }) =>
      db.tx(() => {
        const op = 'add a webhook';
        if (byName.get(name))
          throw new StewardError('conflict', `There is a webhook ${name} already.`, {
            op,
            hint: 'Choose another name.',
          });
        if (all.all().length >= TARGETS)
          throw new StewardError('invalid', `There are ${TARGETS} webhooks, the most there may be.`, {
            op,
            hint: 'Remove one that is not needed.',
          });
        const id = deps.newId('whk');
        const secret = newSecret();
        const sealed = box.seal(secret, bindingOf(id));
        const checked = checkedUrl(url, allowPrivate);
        insert.run(id, name, checked, JSON.stringify(events), sealed, allowPrivate ? 1 : 0, now(), now());
        return { target: webhooks.need(name), secret };
      }),
    list: () => all.all().map(toTarget),
    need(name) {
      const row = byName.get(name);
      if (row) return toTarget(row);
      throw new StewardError('not_found', `There is no webhook ${name}.`, {
        op: 'find a webhook',
        hint: 'steward webhook list shows them.',
      });
    },
    update: (name, wanted) =>
      db.tx(() => {
        const old = webhooks.need(name);
        const next = { ...old, ...wanted };
        change.run(
          checkedUrl(next.url, next.allowPrivate),
          JSON.stringify(next.events),
          next.allowPrivate ? 1 : 0,
          next.enabled ? 1 : 0,
          // Switched on again, or sent elsewhere: what was wrong is over.
          wanted.enabled === true || wanted.url !== undefined ? null : old.note,
          now(),
          old.id,
        );
        return webhooks.need(name);
      }),
    rotate: (name) =>
      db.tx(() => {
        const { id } = webhooks.need(name);
        const secret = newSecret();
        reseal.run(box.seal(secret, bindingOf(id)), now(), id);
        db.afterCommit(() => void db.checkpoint());
        return { target: webhooks.need(name), secret };
      }),
    remove: (name) =>
      db.tx(() => {
        drop.run(webhooks.need(name).id);
        db.afterCommit(() => void db.checkpoint());
      }),
    announce(kind, data, { key, sessionId, eventId = null, only }) {
      for (const row of all.all()) {
        const target = toTarget(row);
        const meant = only === undefined ? subscribes(target.events, kind) : only === target.id;
        if (!target.enabled || !meant) continue;
        deps.outbox.enqueue({
          sessionId,
          eventId,
          key: `webhook:${target.id}:${kind}:${key}`,
          to: { channel: WEBHOOK_CHANNEL, chat: target.id },
          body: { kind: 'webhook', type: kind, at: now(), data },
        });
      }
    },
    opened(id) {
      const row = byId.get(id);
      return row ? { target: toTarget(row), secret: box.open(row.sealed, bindingOf(id)) } : null;
    },
    tried: (id, { delivered, note: why, gone }) =>
      void db.tx(() => note.run(delivered ? 1 : 0, delivered ? 0 : 1, why, gone ? 0 : 1, now(), id)),
  };
  // Opened once, so that the redactor knows them from the first line of the log on.
  webhooks.list();
  return webhooks;
}
