// /v1/sessions and their events, with the catalogue beside them: the official SDK is a client of Steward.
import { type Context, Hono } from 'hono';
import type { Agents } from '../../core/agents.ts';
import type { Bus } from '../../core/bus.ts';
import { StewardError } from '../../core/errors.ts';
import { type Events, orderKey } from '../../core/events.ts';
import type { Intake } from '../../core/intake.ts';
import type { MemoryStores } from '../../core/memory-stores.ts';
import type { SchedulesApi } from '../../core/schedules.ts';
import type { Sessions } from '../../core/sessions.ts';
import type { Accepted, Id, Inbound, InboundBody, LogEvent, Session, SessionStatus } from '../../core/types.ts';
import type { Usage } from '../../core/usage.ts';
import type { Vaults } from '../../core/vault.ts';
import { createCatalog } from './catalog.ts';
import { createDeploymentRoutes } from './deployments.ts';
import { createMemoryStoreRoutes } from './memory-stores.ts';
import {
  decodeCursor,
  encodeCursor,
  invalid,
  limitOf,
  listParam,
  numberCursor,
  positionOf,
  readJson,
  timeParam,
} from './params.ts';
import { streamEvents } from './stream.ts';
import { createVaultRoutes } from './vaults.ts';
import * as wire from './wire.ts';

export interface ManagedDeps {
  agents: Agents;
  sessions: Sessions;
  events: Events;
  intake: Intake;
  usage: Usage;
  vault: Vaults;
  memoryStores: MemoryStores;
  schedules: SchedulesApi;
  timeZone(): string;
  bus: Bus;
  closing: AbortSignal;
  /** False once the credential of a request was signed out or ran out. */
  signedIn(c: Context): boolean;
  transaction<T>(work: () => T): T;
  newKey(): string;
  /** Redacts a session's log and hides it; `conflict` while it runs. */
  forgetSession(id: Id): void;
}

export function createManaged(deps: ManagedDeps): Hono {
  const { agents, sessions, events, intake } = deps;
  const app = new Hono();

  const show = (session: Session) =>
    wire.sessionToWire(session, {
      agent: agents.need(session.agentId, session.agentVersion),
      usage: deps.usage.ofSession(session.id),
      main: sessions.bindingOf('main') === session.id,
      tainted: events.isTainted(session.id),
    });

  app.route('/', createCatalog(agents));
  app.route('/', createVaultRoutes(deps.vault));
  app.route('/', createMemoryStoreRoutes(deps.memoryStores));
  app.route('/', createDeploymentRoutes(deps));

  // -------------------------------------------------------------- sessions
  app.get('/sessions', (c) => {
    const limit = limitOf(c, 20, 100);
    const order = c.req.query('order') === 'asc' ? 'asc' : 'desc';
    const from = decodeCursor(c);
    const agentId = c.req.query('agent_id');
    const rows = sessions.list({
      limit: limit + 1,
      order,
      includeArchived: c.req.query('include_archived') === 'true',
      statuses: listParam(c, 'statuses') as SessionStatus[],
      ...(from !== undefined && { from }),
      ...(agentId !== undefined && { agentId }),
    });
    const page = rows.slice(0, limit);
    return c.json({
      data: page.map(show),
      next_page: rows.length > limit ? encodeCursor(page[page.length - 1]!.id) : null,
      prev_page: null,
    });
  });
  app.post('/sessions', async (c) => {
    const params = wire.parseBody(wire.sessionParams, await readJson(c), 'create a session');
    const agent = agents.need(params.agent.id, params.agent.version);
    const environment = agents.needEnvironment(params.environment_id);
    const archived =
      agent.archivedAt !== null
        ? `Agent ${agent.id}`
        : environment.archivedAt !== null
          ? `Environment ${environment.id}`
          : null;
    if (archived) throw invalid(`${archived} is archived.`, 'create a session');
    const key = c.req.header('idempotency-key') ?? deps.newKey();
    const session = deps.transaction(() => {
      // A session made under this key before is the one that was meant.
      const binding = `created:${key}`;
      const known = sessions.bindingOf(binding);
      if (known) return sessions.need(known);
      const made = sessions.create({
        trust: 'owner',
        agentId: agent.id,
        agentVersion: agent.version,
        environmentId: environment.id,
        title: params.title ?? null,
        metadata: params.metadata ?? {},
      });
      sessions.bind(binding, made.id);
      for (const [index, event] of (params.initial_events ?? []).entries())
        intake.accept(toInbound(made.id, `${key}:initial:${index}`, event));
      return sessions.need(made.id);
    });
    return c.json(show(session));
  });
  app.get('/sessions/:id', (c) => c.json(show(sessions.need(c.req.param('id')))));
  app.post('/sessions/:id', async (c) => {
    const id = c.req.param('id');
    const change = wire.parseBody(wire.sessionChange, await readJson(c), 'update a session');
    deps.transaction(() => {
      const session = sessions.need(id);
      if (change.title !== undefined) sessions.setTitle(id, change.title);
      if (change.metadata) sessions.setMetadata(id, wire.mergeMetadata(session.metadata, change.metadata));
      events.append(id, [
        { type: 'session.updated', payload: { title: sessions.need(id).title, metadata: sessions.need(id).metadata } },
      ]);
    });
    return c.json(show(sessions.need(id)));
  });
  app.post('/sessions/:id/archive', (c) => {
    const session = sessions.need(c.req.param('id'));
    if (session.status === 'running')
      throw new StewardError('conflict', 'A running session cannot be archived.', {
        op: 'archive',
        hint: 'Send user.interrupt first.',
      });
    deps.transaction(() => sessions.archive(session.id));
    return c.json(show(sessions.need(session.id)));
  });
  app.delete('/sessions/:id', (c) => {
    const { id } = sessions.need(c.req.param('id'));
    deps.forgetSession(id);
    return c.json({ id, type: 'session_deleted' });
  });

  // -------------------------------------------------------------- events
  app.get('/sessions/:id/events', (c) => {
    const { id } = sessions.need(c.req.param('id'));
    const limit = limitOf(c, 100, 1_000);
    const order = c.req.query('order') === 'desc' ? 'desc' : 'asc';
    const after = positionOf(c.req.query('after_seq'), 'list events');
    const cursor = numberCursor(c) ?? (order === 'asc' ? after : undefined);
    const gt = timeParam(c, 'gt');
    const gte = timeParam(c, 'gte');
    const lt = timeParam(c, 'lt');
    const lte = timeParam(c, 'lte');
    const createdAfter = gt ?? (gte === undefined ? undefined : gte - 1);
    const createdBefore = lt ?? (lte === undefined ? undefined : lte + 1);
    const rows = events.list({
      sessionId: id,
      limit: limit + 1,
      order,
      types: listParam(c, 'types'),
      ...(cursor !== undefined && (order === 'asc' ? { after: cursor } : { before: cursor })),
      ...(createdAfter !== undefined && { createdAfter }),
      ...(createdBefore !== undefined && { createdBefore }),
    });
    const page = rows.slice(0, limit);
    return c.json({
      data: page.map(wire.eventToWire),
      next_page: rows.length > limit ? encodeCursor(orderKey(page[page.length - 1]!)) : null,
    });
  });

  app.post('/sessions/:id/events', async (c) => {
    const { id } = sessions.need(c.req.param('id'));
    const { events: params } = wire.parseBody(wire.sendParams, await readJson(c), 'send events');
    const key = c.req.header('idempotency-key') ?? deps.newKey();
    const stored = deps.transaction(() =>
      params.map((event, index): LogEvent => {
        checkTarget(id, event);
        const accepted: Accepted = intake.accept(toInbound(id, `${key}:${index}`, event));
        if (accepted.kind !== 'stored')
          throw new StewardError('forbidden', accepted.kind === 'refused' ? accepted.why : 'Not known here.', {
            op: 'send events',
          });
        return events.get(accepted.eventId)!;
      }),
    );
    return c.json({ data: stored.map(wire.eventToWire) });
  });

  /** A custom result must answer an open call of this session; a confirmation must belong to it. */
  const checkTarget = (id: Id, event: wire.EventParams) => {
    const useId =
      event.type === 'user.tool_confirmation'
        ? event.tool_use_id
        : event.type === 'user.custom_tool_result'
          ? event.custom_tool_use_id
          : null;
    if (useId === null) return;
    const use = events.get(useId);
    const type = event.type === 'user.custom_tool_result' ? 'agent.custom_tool_use' : 'agent.tool_use';
    if (use?.sessionId !== id || use.type !== type)
      throw new StewardError('not_found', `There is no ${type} ${useId} in this session.`, { op: 'send events' });
  };

  app.get('/sessions/:id/events/stream', (c) => {
    const { id } = sessions.need(c.req.param('id'));
    const after = positionOf(c.req.header('last-event-id') ?? c.req.query('after_seq'), 'stream events');
    return streamEvents(c, deps, {
      sessionId: id,
      after: after ?? null,
      deltas: new Set(listParam(c, 'event_deltas')),
    });
  });

  return app;
}

function toBody(event: wire.EventParams): InboundBody {
  switch (event.type) {
    case 'user.message':
      return { type: 'message', content: event.content };
    case 'user.interrupt':
      return { type: 'interrupt' };
    case 'user.tool_confirmation': {
      const answer = { type: 'confirmation', toolUseId: event.tool_use_id, result: event.result } as const;
      return event.deny_message ? { ...answer, denyMessage: event.deny_message } : answer;
    }
    case 'user.custom_tool_result': {
      const isError = event.is_error ?? false;
      return { type: 'custom_tool_result', toolUseId: event.custom_tool_use_id, content: event.content ?? [], isError };
    }
  }
}

/** The web channel has no chat to send to: its address is the session itself. */
const toInbound = (sessionId: Id, key: string, event: wire.EventParams): Inbound => ({
  dedupe: `http:${sessionId}:${key}`,
  sender: { channel: 'web', userId: 'owner' },
  address: { channel: 'web', chat: sessionId },
  group: false,
  sessionId,
  body: toBody(event),
});
