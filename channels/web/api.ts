// /api: Steward's own resources: status, approvals, usage, pairing, settings, custody, login links.
import { Hono } from 'hono';
import { z } from 'zod';
import type { Approvals } from '../../core/approvals.ts';
import type { Boots } from '../../core/boots.ts';
import { StewardError } from '../../core/errors.ts';
import type { Events } from '../../core/events.ts';
import type { Intake } from '../../core/intake.ts';
import type { Outbox } from '../../core/outbox.ts';
import type { Identity, Pairing, People } from '../../core/people.ts';
import type { Runs } from '../../core/runs.ts';
import type { Id, JsonObject, LogEvent } from '../../core/types.ts';
import type { Usage } from '../../core/usage.ts';
import type { Auth } from './auth.ts';
import { readJson } from './params.ts';
import { parseBody, rfc3339 } from './wire.ts';

export interface SettingView {
  key: string;
  label: string;
  secret: boolean;
  set: boolean;
  source: string;
  value?: string;
  hint: string;
}

export interface ApiDeps {
  auth: Auth;
  approvals: Approvals;
  people: People;
  usage: Usage;
  events: Events;
  outbox: Outbox;
  runs: Runs;
  boots: Boots;
  intake: Intake;
  status(): JsonObject;
  /** Where a browser reaches this server. */
  baseUrl(): string;
  settings: {
    view(): SettingView[];
    /** Saves and applies at once. Throws `invalid` (nothing changed) and `conflict` (set by the environment). */
    change(changes: Record<string, string | null>): Promise<void>;
  };
  leaveSafeMode(): void;
}

const pairingView = (pairing: Pairing): JsonObject => ({
  code: pairing.code,
  channel: pairing.channel,
  user_id: pairing.userId,
  name: pairing.name,
  created_at: rfc3339(pairing.createdAt),
  expires_at: rfc3339(pairing.expiresAt),
});
const identityView = (identity: Identity): JsonObject => ({
  channel: identity.channel,
  user_id: identity.userId,
  name: identity.name,
  role: identity.role,
  paired_at: rfc3339(identity.pairedAt),
});

export function createApi(deps: ApiDeps): Hono<{ Variables: { by: 'token' | 'cookie' } }> {
  const app = new Hono<{ Variables: { by: 'token' | 'cookie' } }>();

  app.get('/status', (c) => c.json(deps.status()));

  app.get('/approvals', (c) =>
    c.json({
      data: deps.approvals.pending().map((approval) => ({
        id: approval.id,
        session_id: approval.sessionId,
        name: approval.name,
        title: approval.title,
        detail: approval.detail,
        why: approval.why,
        created_at: rfc3339(approval.createdAt),
        expires_at: rfc3339(approval.expiresAt),
      })),
    }),
  );

  app.get('/usage', (c) => {
    const days = Math.min(Math.max(Number(c.req.query('days') ?? 30) || 30, 1), 3_660);
    const data = deps.usage
      .byDay(days)
      .map(
        ({
          day,
          model,
          requests,
          input_tokens,
          output_tokens,
          cache_read_input_tokens,
          cache_creation_input_tokens,
          cost_usd,
        }) => ({
          day,
          model,
          requests,
          input_tokens,
          output_tokens,
          cache_read_input_tokens,
          cache_creation_input_tokens,
          cost_usd,
        }),
      );
    return c.json({
      data,
      total_usd: data.reduce((sum, row) => sum + (row.cost_usd ?? 0), 0),
      unpriced_models: [...new Set(data.filter((row) => row.cost_usd === null).map((row) => row.model))],
    });
  });

  app.get('/pairings', (c) => c.json({ data: deps.people.waiting().map(pairingView) }));
  app.post('/pairings/:code/approve', async (c) => {
    const { role } = parseBody(
      z.object({ role: z.enum(['owner', 'guest']).default('owner') }),
      await readJson(c),
      'approve a pairing',
    );
    return c.json(identityView(deps.people.approve(c.req.param('code'), role)));
  });
  app.post('/pairings/:code/deny', (c) => {
    deps.people.deny(c.req.param('code'));
    return c.json({ denied: true });
  });

  app.get('/identities', (c) => c.json({ data: deps.people.list().map(identityView) }));
  app.delete('/identities/:channel/:user', (c) => {
    const { channel, user } = c.req.param();
    if (!deps.people.revoke(channel, user))
      throw new StewardError('not_found', `Nobody is paired as ${channel}:${user}.`, { op: 'revoke a pairing' });
    return c.json({ revoked: true });
  });

  app.get('/settings', (c) => c.json({ data: deps.settings.view() }));
  app.put('/settings', async (c) => {
    const changes = parseBody(
      z.record(z.string(), z.string().max(4_000).nullable()),
      await readJson(c),
      'change settings',
    );
    await deps.settings.change(changes);
    return c.json({ data: deps.settings.view() });
  });

  app.post('/main/new', async (c) => {
    const { incognito } = parseBody(
      z.object({ incognito: z.boolean().default(false) }),
      Number(c.req.header('content-length') ?? 1) > 0 && c.req.header('content-type') ? await readJson(c) : {},
      'begin a new conversation',
    );
    return c.json({ session_id: deps.intake.newMain({ incognito }).id });
  });

  app.get('/events/:id/custody', (c) => {
    const event = deps.events.get(c.req.param('id'));
    if (!event)
      throw new StewardError('not_found', `There is no event ${c.req.param('id')}.`, { op: 'trace a message' });
    return c.json({ event_id: event.id, steps: custody(deps, event) });
  });

  app.post('/login-links', (c) => {
    if (c.get('by') !== 'token')
      throw new StewardError('forbidden', 'Login links are made with the API token only.', {
        op: 'make a login link',
        hint: 'Run `steward login` on the machine.',
      });
    const { code, expiresAt } = deps.auth.mintLoginCode();
    return c.json({ url: `${deps.baseUrl()}/login?code=${code}`, expires_at: rfc3339(expiresAt) });
  });

  app.post('/safe-mode/leave', (c) => {
    deps.leaveSafeMode();
    return c.json({ safe_mode: deps.boots.safeMode() });
  });
  return app;
}

/** The way of one message through the record: received → stored → run → answered → sent → confirmed. */
function custody(deps: Pick<ApiDeps, 'events' | 'outbox' | 'runs'>, event: LogEvent): JsonObject[] {
  const steps: JsonObject[] = [];
  const step = (name: string, at: number | null, detail: string) => {
    if (at !== null) steps.push({ step: name, at: rfc3339(at), detail });
  };
  const from = event.origin ? `${event.origin.sender.channel}:${event.origin.sender.userId}` : 'Steward';
  step('received', event.createdAt, from);
  step('stored', event.createdAt, `seq ${event.seq}`);
  const later = event.position === null ? [] : deps.events.slice(event.sessionId, event.position);
  const begun = later.find((next) => next.type === 'span.model_request_start');
  const run = begun?.runId ? deps.runs.get(begun.runId) : null;
  if (begun && run) step('run', begun.createdAt, `${run.id} (generation ${run.generation}, ${run.harness})`);
  const rest = later.findIndex((next) => next.type === 'session.status_idle');
  const answers = (rest < 0 ? later : later.slice(0, rest)).filter((next) => next.type === 'agent.message');
  for (const answer of event.type === 'agent.message' ? [event] : answers) {
    if (answer !== event) step('answered', answer.createdAt, answer.id);
    for (const row of deps.outbox.ofEvent(answer.id as Id)) {
      const place = `${row.address.channel}:${row.address.chat}`;
      step('sent', row.state === 'pending' ? null : (row.endedAt ?? row.createdAt), `${place}, try ${row.attempts}`);
      if (row.state === 'sent') step('confirmed', row.endedAt, `${place}, message ${row.externalId ?? '?'}`);
      if (row.state === 'dead') step('failed', row.endedAt, `${place}: ${row.error ?? ''}`);
    }
  }
  return steps;
}
