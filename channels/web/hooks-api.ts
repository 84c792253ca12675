// /api/hooks and /api/webhooks: ways in and ways out for programs; a secret is in the answer that made it and nowhere else.
import { Hono } from 'hono';
import { z } from 'zod';
import { stewardSignature } from '../../core/hook-signature.ts';
import { HOOK_SCHEMES, type Hook, type Hooks } from '../../core/hooks.ts';
import type { SchedulesApi } from '../../core/schedules.ts';
import type { Id, JsonObject, Millis } from '../../core/types.ts';
import { SUBSCRIPTION, type Webhooks, type WebhookTarget } from '../../core/webhooks.ts';
import { GITHUB_EVENTS } from './hook-text.ts';
import { invalid, readJson } from './params.ts';
import * as wire from './wire.ts';

export interface HooksApiDeps {
  hooks: Hooks;
  webhooks: Webhooks;
  schedules: SchedulesApi;
  now(): Millis;
  newKey(): string;
  transaction<T>(work: () => T): T;
  /** Whose log hears of a test that could not be delivered. */
  mainSession(): Id;
}

const name = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'must be lower-case letters, digits, - and _, at most 63');
const list = (item: z.ZodType<string>) => z.array(item).max(50).default([]);
const filters = z.strictObject({
  events: list(z.enum(GITHUB_EVENTS)),
  actions: list(z.string().regex(/^[a-z_]{1,40}$/, 'must be an action such as labeled')),
  labels: list(wire.text(100)),
  repositories: list(z.string().regex(/^[\w.-]{1,100}\/[\w.-]{1,100}$/, 'must be owner/name')),
  authors: list(z.string().regex(/^(?:\*|[\w-]{1,60}(?:\[bot\])?)$/, 'must be a login, or * for anybody')),
});
const hookParams = z.strictObject({
  name,
  schedule: z.string().min(1).max(200),
  scheme: z.enum(HOOK_SCHEMES).default('steward'),
  filters: filters.optional(),
});
const hookChange = z.strictObject({
  schedule: z.string().min(1).max(200).optional(),
  filters: filters.optional(),
  enabled: z.boolean().optional(),
});

const events = z
  .array(z.string().regex(SUBSCRIPTION, 'must be *, schedule.* or schedule.failed, task.* or task.<state>'))
  .min(1)
  .max(20);
const url = z.string().min(1).max(2_000);
const targetParams = z.strictObject({
  name,
  url,
  events: events.default(['schedule.*', 'task.*']),
  allow_private: z.boolean().default(false),
});
const targetChange = z.strictObject({
  url: url.optional(),
  events: events.optional(),
  allow_private: z.boolean().optional(),
  enabled: z.boolean().optional(),
});

const NONE = { events: [], actions: [], labels: [], repositories: [], authors: [] };

const hookToWire = (hook: Hook): JsonObject => ({
  id: hook.id,
  type: 'hook',
  name: hook.name,
  path: `/hooks/${hook.name}`,
  scheme: hook.scheme,
  schedule_id: hook.scheduleId,
  ...(hook.scheme === 'github' && { filters: { ...hook.filters } }),
  enabled: hook.enabled,
  readable: hook.readable,
  accepted: hook.accepted,
  ignored: hook.ignored,
  last_at: wire.orNull(hook.lastAt),
  created_at: wire.rfc3339(hook.createdAt),
  updated_at: wire.rfc3339(hook.updatedAt),
});

const targetToWire = (target: WebhookTarget): JsonObject => ({
  id: target.id,
  type: 'webhook',
  name: target.name,
  url: target.url,
  events: target.events,
  allow_private: target.allowPrivate,
  enabled: target.enabled,
  readable: target.readable,
  note: target.note,
  delivered: target.delivered,
  failed: target.failed,
  last_at: wire.orNull(target.lastAt),
  created_at: wire.rfc3339(target.createdAt),
  updated_at: wire.rfc3339(target.updatedAt),
});

/** Strangers write what GitHub delivers: who may start a schedule by it has to be said. */
function needAuthors(scheme: string, authors: readonly string[]): void {
  if (scheme === 'github' && authors.length === 0)
    throw invalid(
      'filters.authors is empty: name the logins whose words and deeds may start the schedule.',
      'add a webhook',
      'Strangers can write issues and comments. ["*"] lets everybody start it.',
    );
}

export function createHooksApi(deps: HooksApiDeps): Hono {
  const { hooks, webhooks, schedules } = deps;
  const app = new Hono();

  /** By id, or by a name that only one has. */
  const scheduleOf = (wanted: string): Id => {
    if (schedules.get(wanted)) return wanted;
    const named = schedules.list({ limit: 1_000 }).filter((schedule) => schedule.name === wanted);
    if (named.length > 1)
      throw invalid(
        `${named.length} schedules are called ${wanted}: ${named.map(({ id }) => id).join(', ')}.`,
        'find a schedule',
      );
    return named[0]?.id ?? schedules.need(wanted).id;
  };

  app.get('/hooks', (c) => c.json({ data: hooks.list().map(hookToWire) }));
  app.post('/hooks', async (c) => {
    const params = wire.parseBody(hookParams, await readJson(c), 'add a webhook');
    if (params.scheme === 'steward' && params.filters)
      throw invalid('filters are for the scheme github.', 'add a webhook');
    needAuthors(params.scheme, params.filters?.authors ?? []);
    const { hook, secret } = hooks.create({
      name: params.name,
      scheme: params.scheme,
      scheduleId: scheduleOf(params.schedule),
      filters: params.filters ?? NONE,
    });
    return c.json({ ...hookToWire(hook), secret });
  });
  app.get('/hooks/:name', (c) => c.json(hookToWire(hooks.need(c.req.param('name')))));
  app.patch('/hooks/:name', async (c) => {
    const change = wire.parseBody(hookChange, await readJson(c), 'change a webhook');
    const { scheme } = hooks.need(c.req.param('name'));
    if (change.filters) needAuthors(scheme, change.filters.authors);
    const changed = hooks.update(c.req.param('name'), {
      ...(change.schedule !== undefined && { scheduleId: scheduleOf(change.schedule) }),
      ...(change.filters && { filters: change.filters }),
      ...(change.enabled !== undefined && { enabled: change.enabled }),
    });
    return c.json(hookToWire(changed));
  });
  app.post('/hooks/:name/rotate', (c) => {
    const { hook, secret } = hooks.rotate(c.req.param('name'));
    return c.json({ ...hookToWire(hook), secret });
  });
  app.delete('/hooks/:name', (c) => {
    hooks.remove(c.req.param('name'));
    return c.json({ name: c.req.param('name'), type: 'hook_deleted' });
  });
  app.post('/hooks/:name/test', (c) => {
    const hook = hooks.need(c.req.param('name'));
    const opened = hooks.opened(hook.name);
    if (!opened)
      throw invalid(
        hook.enabled ? `The secret of ${hook.name} does not open.` : `${hook.name} is switched off.`,
        'test a webhook',
        hook.enabled ? 'Give it a new one: steward hook rotate.' : 'Switch it on first.',
      );
    const id = `test:${deps.newKey()}`;
    const proof = stewardSignature(opened.secret, id, deps.now());
    const text = `From the webhook ${hook.name}.\nThis is a test that the owner asked for; nothing happened outside.`;
    const receipt = hooks.receive(hook.id, { id, proof }, () => ({
      kind: 'run',
      runId: schedules.runNow(hook.scheduleId, 'webhook', { dedupe: `${hook.id}:${id}`, text }).id,
    }));
    return c.json({ run_id: receipt.kind === 'run' ? receipt.runId : null }, 202);
  });

  app.get('/webhooks', (c) => c.json({ data: webhooks.list().map(targetToWire) }));
  app.post('/webhooks', async (c) => {
    const params = wire.parseBody(targetParams, await readJson(c), 'add a webhook');
    const { target, secret } = webhooks.create({
      name: params.name,
      url: params.url,
      events: params.events,
      allowPrivate: params.allow_private,
    });
    return c.json({ ...targetToWire(target), secret });
  });
  app.get('/webhooks/:name', (c) => c.json(targetToWire(webhooks.need(c.req.param('name')))));
  app.patch('/webhooks/:name', async (c) => {
    const change = wire.parseBody(targetChange, await readJson(c), 'change a webhook');
    const changed = webhooks.update(c.req.param('name'), {
      ...(change.url !== undefined && { url: change.url }),
      ...(change.events && { events: change.events }),
      ...(change.allow_private !== undefined && { allowPrivate: change.allow_private }),
      ...(change.enabled !== undefined && { enabled: change.enabled }),
    });
    return c.json(targetToWire(changed));
  });
  app.post('/webhooks/:name/rotate', (c) => {
    const { target, secret } = webhooks.rotate(c.req.param('name'));
    return c.json({ ...targetToWire(target), secret });
  });
  app.delete('/webhooks/:name', (c) => {
    webhooks.remove(c.req.param('name'));
    return c.json({ name: c.req.param('name'), type: 'webhook_deleted' });
  });
  app.post('/webhooks/:name/test', (c) => {
    const target = webhooks.need(c.req.param('name'));
    if (!target.enabled) throw invalid(`${target.name} is switched off.`, 'test a webhook', 'Switch it on first.');
    deps.transaction(() =>
      webhooks.announce(
        'hook.test',
        { webhook: target.name, text: 'This is a test that the owner asked for.' },
        { key: deps.newKey(), sessionId: deps.mainSession(), only: target.id },
      ),
    );
    return c.json({ queued: true }, 202);
  });
  return app;
}
