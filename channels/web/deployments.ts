// /v1/deployments and /v1/deployment_runs: schedules that begin a session of their own, in the Managed Agents shape.
import { type Context, Hono } from 'hono';
import type { Agents } from '../../core/agents.ts';
import { StewardError } from '../../core/errors.ts';
import type { Author, Rule, Schedule, ScheduleDraft, ScheduleRun, SchedulesApi } from '../../core/schedules.ts';
import { everySchedule } from '../../core/schedules-find.ts';
import type { Id } from '../../core/types.ts';
import * as shapes from './deployments-wire.ts';
import { decodeCursor, encodeCursor, invalid, limitOf, readJson, timeParam } from './params.ts';
import * as wire from './wire.ts';

export interface DeploymentRoutesDeps {
  schedules: SchedulesApi;
  agents: Agents;
  sessions: { get(id: Id): { agentVersion: number } | null };
  timeZone(): string;
}

const PAGE = 100;
/** Rows looked through at once; most schedules and runs are no deployments. */
const CHUNK = 200;

const missing = (what: string, id: string) =>
  new StewardError('not_found', `There is no ${what} ${id}.`, { op: `read a ${what}` });

const authorOf = (c: Context): Author => ({
  trust: 'owner',
  by: c.get('by') === 'cookie' ? 'web:console' : 'web:api',
  sessionId: null,
  here: null,
});

/** `created_at[…]` of a list. gt and lt leave the moment itself out. */
function createdIn(c: Context): (at: number) => boolean {
  const [gt, gte, lt, lte] = (['gt', 'gte', 'lt', 'lte'] as const).map((name) => timeParam(c, name));
  return (at) =>
    (gt === undefined || at > gt) &&
    (gte === undefined || at >= gte) &&
    (lt === undefined || at < lt) &&
    (lte === undefined || at <= lte);
}
function cursorOf(c: Context): string | undefined {
  const cursor = decodeCursor(c);
  if (cursor !== undefined && !/^[a-z]+_\w{1,40}$/.test(cursor))
    throw invalid('page is not a cursor of this list.', 'list');
  return cursor;
}
function choice<T extends string>(c: Context, name: string, known: readonly T[]): T | undefined {
  const value = c.req.query(name);
  if (value === undefined || known.includes(value as T)) return value as T | undefined;
  throw invalid(`${name} must be one of ${known.join(', ')}.`, 'list');
}

function page<T extends { id: string }>(c: Context, rows: Iterable<T>, show: (row: T) => object) {
  const limit = limitOf(c, 20, PAGE);
  const kept: T[] = [];
  for (const row of rows) if (kept.push(row) > limit) break;
  const shown = kept.slice(0, limit);
  return c.json({
    data: shown.map(show),
    next_page: kept.length > limit ? encodeCursor(shown.at(-1)!.id) : null,
  });
}

export function createDeploymentRoutes({ schedules, agents, sessions, timeZone }: DeploymentRoutesDeps): Hono {
  const app = new Hono();

  const deploymentOf = (id: string): shapes.Deployment | null => {
    const schedule = schedules.get(id);
    return schedule && shapes.isDeployment(schedule) ? schedule : null;
  };
  const need = (c: Context): shapes.Deployment => {
    const id = c.req.param('id') ?? '';
    const deployment = deploymentOf(id);
    if (!deployment) throw missing('deployment', id);
    return deployment;
  };
  const show = (schedule: Schedule) =>
    shapes.deploymentToWire(
      schedule as shapes.Deployment,
      schedule.archivedAt === null ? schedules.upcoming(schedule.id, 5) : [],
    );

  const ruleOf = (schedule: shapes.ScheduleParams): Rule =>
    schedule
      ? { kind: 'cron', expression: schedule.expression, timeZone: schedule.timezone }
      : { kind: 'manual', timeZone: timeZone() };
  const pin = ({ id, version }: { id: string; version?: number | undefined }) => {
    const agent = agents.need(id, version);
    return { agentId: agent.id, agentVersion: agent.version };
  };

  app.get('/deployments', (c) => {
    const after = cursorOf(c);
    const status = choice(c, 'status', ['active', 'paused'] as const);
    const archived = c.req.query('include_archived') === 'true';
    if (status && archived) throw invalid('status and include_archived cannot be combined.', 'list deployments');
    const [created, agentId] = [createdIn(c), c.req.query('agent_id')];
    function* rows(): Generator<shapes.Deployment> {
      for (const schedule of everySchedule(schedules, { includeArchived: archived }, after))
        if (
          shapes.isDeployment(schedule) &&
          (archived || schedule.archivedAt === null) &&
          (!status || shapes.statusOf(schedule) === status) &&
          (!agentId || schedule.starts.agentId === agentId) &&
          created(schedule.createdAt)
        )
          yield schedule;
    }
    return page(c, rows(), show);
  });
  app.post('/deployments', async (c) => {
    const params = wire.parseBody(shapes.deploymentParams, await readJson(c), 'create a deployment');
    const { id: environmentId } = agents.needEnvironment(params.environment_id);
    return c.json(
      show(
        schedules.create(
          {
            name: params.name,
            rule: ruleOf(params.schedule ?? null),
            starts: { kind: 'deployment', ...pin(params.agent), environmentId, initialEvents: params.initial_events },
            description: params.description || null,
            metadata: params.metadata ?? {},
            budgetUsd: shapes.usdOf(params.budget ?? null),
          },
          authorOf(c),
        ),
      ),
    );
  });
  app.get('/deployments/:id', (c) => c.json(show(need(c))));
  app.post('/deployments/:id', async (c) => {
    const deployment = need(c);
    const op = 'update a deployment';
    const change = wire.parseBody(shapes.deploymentChange, await readJson(c), op);
    const starts = {
      ...deployment.starts,
      ...(change.agent && pin(change.agent)),
      ...(change.environment_id && { environmentId: agents.needEnvironment(change.environment_id).id }),
      ...(change.initial_events && { initialEvents: change.initial_events }),
    };
    const merged = change.metadata
      ? wire.parseBody(wire.metadata, wire.mergeMetadata(deployment.metadata, change.metadata), op)
      : undefined;
    const draft: Partial<ScheduleDraft> = {
      starts,
      ...(change.name !== undefined && { name: change.name }),
      ...(change.description !== undefined && { description: change.description || null }),
      ...(change.schedule !== undefined && { rule: ruleOf(change.schedule) }),
      ...(change.budget !== undefined && { budgetUsd: shapes.usdOf(change.budget) }),
      ...(merged && { metadata: merged }),
    };
    return c.json(show(schedules.update(deployment.id, draft, authorOf(c))));
  });
  app.post('/deployments/:id/archive', (c) => c.json(show(schedules.archive(need(c).id))));
  app.post('/deployments/:id/pause', (c) => c.json(show(schedules.pause(need(c).id, { kind: 'manual' }))));
  app.post('/deployments/:id/unpause', (c) => c.json(show(schedules.resume(need(c).id))));
  app.post('/deployments/:id/run', (c) => {
    const deployment = need(c);
    return c.json(showRun(schedules.runNow(deployment.id, 'manual'), deployment));
  });

  // -------------------------------------------------------------- runs
  const showRun = (run: ScheduleRun, deployment: shapes.Deployment) =>
    shapes.runToWire(run, {
      id: deployment.starts.agentId,
      version:
        (run.sessionId === null ? null : sessions.get(run.sessionId)?.agentVersion) ?? deployment.starts.agentVersion,
    });

  app.get('/deployment_runs', (c) => {
    const [created, cursor] = [createdIn(c), cursorOf(c)];
    const hasError = choice(c, 'has_error', ['true', 'false'] as const);
    const trigger = choice(c, 'trigger_type', ['schedule', 'manual'] as const);
    const scheduleId = c.req.query('deployment_id');
    const known = new Map<Id, shapes.Deployment | null>();
    const of = (id: Id) => {
      if (!known.has(id)) known.set(id, deploymentOf(id));
      return known.get(id) ?? null;
    };
    function* rows(): Generator<ScheduleRun> {
      let before = cursor;
      while (true) {
        const chunk = schedules.runs({
          limit: CHUNK,
          ...(before !== undefined && { before }),
          ...(scheduleId !== undefined && { scheduleId }),
        });
        for (const run of chunk) {
          if (!of(run.scheduleId) || !shapes.isExecution(run) || !created(run.createdAt)) continue;
          if (hasError && (hasError === 'true') !== (run.sessionId === null)) continue;
          if (trigger && shapes.triggerOf(run) !== trigger) continue;
          yield run;
        }
        if (chunk.length < CHUNK) return;
        before = chunk.at(-1)!.id;
      }
    }
    return page(c, rows(), (run) => showRun(run, of(run.scheduleId)!));
  });
  app.get('/deployment_runs/:run', (c) => {
    const run = schedules.run(c.req.param('run'));
    const deployment = run && deploymentOf(run.scheduleId);
    if (!run || !deployment) throw missing('deployment run', c.req.param('run'));
    return c.json(showRun(run, deployment));
  });
  return app;
}
