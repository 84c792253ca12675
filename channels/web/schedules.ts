// /api/schedules: what is due and why, and every way to change it; the console and the command line are its clients.
import { type Context, Hono } from 'hono';
import { StewardError } from '../../core/errors.ts';
import type { Author, Rule, RunState, Schedule, ScheduleDraft, SchedulesApi } from '../../core/schedules.ts';
import { findSchedule } from '../../core/schedules-find.ts';
import { endOf, nameFrom, placeOf } from '../../core/schedules-shapes.ts';
import { AHEAD } from '../../core/schedules-text.ts';
import { momentOf } from '../../core/usage.ts';
import { decodeCursor, encodeCursor, invalid, limitOf, listParam, readJson } from './params.ts';
import * as shapes from './schedules-wire.ts';
import { parseBody } from './wire.ts';

export interface ScheduleRoutesDeps {
  schedules: SchedulesApi;
  timeZone(): string;
  now(): number;
}

const STATES = ['active', 'paused', 'ended', 'archived'] as const;
const RUN_STATES = ['waiting', 'running', 'succeeded', 'failed', 'skipped', 'missed', 'cancelled'] as const;

/** Who signs in here is the owner: by the token a program of theirs, by the cookie they themselves in the console. */
const authorOf = (c: Context): Author => ({
  trust: 'owner',
  by: c.get('by') === 'cookie' ? 'web:console' : 'web:api',
  sessionId: null,
  here: null,
});

export function createScheduleRoutes({ schedules, timeZone, now }: ScheduleRoutesDeps): Hono {
  const app = new Hono();

  /** The next runs come with every single one: in local time, so that a wrong one is seen. */
  const show = (schedule: Schedule) => ({
    ...shapes.scheduleToWire(schedule, schedules.describe),
    upcoming:
      schedule.state === 'active' || schedule.state === 'paused'
        ? schedules.upcoming(schedule.id, AHEAD).map(shapes.upcomingToWire)
        : [],
  });
  const found = (c: Context) => findSchedule(schedules, c.req.param('id') ?? '');
  const cursorOf = (c: Context, prefix: string): string | undefined => {
    const cursor = decodeCursor(c);
    if (cursor !== undefined && !new RegExp(`^${prefix}_\\w{1,40}$`).test(cursor))
      throw invalid('page is not a cursor of this list.', 'list');
    return cursor;
  };
  const ruleOf = (params: Pick<shapes.ScheduleChange, 'when' | 'rule' | 'time_zone'>, op: string): Rule | undefined => {
    if (params.when !== undefined && params.rule !== undefined)
      throw invalid('Say when in words or give a rule, not both.', op);
    if (params.rule) {
      const zone = params.rule.time_zone ?? params.time_zone ?? timeZone();
      return shapes.toRule(params.rule, zone, now());
    }
    if (params.when === undefined) return undefined;
    return schedules.readWhen(params.when, { timeZone: params.time_zone ?? timeZone() });
  };
  const needRule = (params: Parameters<typeof ruleOf>[0], op: string): Rule => {
    const rule = ruleOf(params, op);
    if (!rule) throw invalid('It does not say when.', op, 'Give `when` in words ("every day at 8"), or a `rule`.');
    return rule;
  };

  function toDraft(change: shapes.ScheduleChange, zone: string): Partial<ScheduleDraft> {
    const { deliver_to, budget_usd, catch_up, window_ms, jitter_ms, idle_only, grants, ends_at } = change;
    const endsAt = typeof ends_at === 'string' ? endOf(ends_at, zone) : ends_at;
    if (endsAt === null && ends_at !== null)
      throw invalid('ends_at is no day (2026-12-31) and no time in RFC 3339.', 'change a schedule');
    const draft = {
      name: change.name,
      description: change.description,
      starts: change.starts,
      target: typeof deliver_to === 'string' ? placeOf(deliver_to) : deliver_to,
      model: change.model,
      harness: change.harness,
      budgetUsd: budget_usd,
      overlap: change.overlap,
      catchUp: catch_up,
      windowMs: window_ms,
      jitterMs: jitter_ms,
      priority: change.priority,
      quiet: change.quiet,
      idleOnly: idle_only,
      conditions: change.conditions,
      grants: grants && { ...grants, recipients: grants.recipients.map(placeOf) },
      endsAt,
      metadata: change.metadata,
    };
    return Object.fromEntries(Object.entries(draft).filter(([, value]) => value !== undefined));
  }

  app.get('/', (c) => {
    const limit = limitOf(c, 50, 200);
    const after = cursorOf(c, 'sched');
    const state = c.req.query('state');
    if (state !== undefined && !STATES.includes(state as Schedule['state']))
      throw invalid(`state must be one of ${STATES.join(', ')}.`, 'list schedules');
    const rows = schedules.list({
      limit: limit + 1,
      includeArchived: state === 'archived' || c.req.query('include_archived') === 'true',
      ...(after && { after }),
      ...(state !== undefined && { state: state as Schedule['state'] }),
    });
    const page = rows.slice(0, limit);
    return c.json({
      data: page.map((schedule) => shapes.scheduleToWire(schedule, schedules.describe)),
      next_page: rows.length > limit ? encodeCursor(page.at(-1)!.id) : null,
    });
  });
  app.post('/', async (c) => {
    const op = 'make a schedule';
    const params = parseBody(shapes.scheduleParams, await readJson(c), op);
    const rule = needRule(params, op);
    const words = 'text' in params.starts ? params.starts.text : params.starts.kind;
    const draft = toDraft(params, rule.timeZone);
    const starts = params.starts;
    return c.json(
      show(schedules.create({ ...draft, name: params.name ?? nameFrom(words), rule, starts }, authorOf(c))),
    );
  });
  app.post('/preview', async (c) => {
    const params = parseBody(shapes.previewParams, await readJson(c), 'preview a schedule');
    const rule = needRule(params, 'preview a schedule');
    const upcoming = schedules.preview(rule, params.limit).map(shapes.upcomingToWire);
    return c.json({ rule: shapes.ruleToWire(rule), when: schedules.describe(rule), upcoming });
  });
  app.get('/runs', (c) => runs(c, undefined));
  app.get('/runs/:run', (c) => {
    const run = schedules.run(c.req.param('run'));
    if (!run) throw missingRun(c.req.param('run'));
    return c.json(shapes.runToWire(run));
  });

  app.get('/:id', (c) => c.json(show(found(c))));
  app.patch('/:id', async (c) => {
    const { id, rule: was } = found(c);
    const change = parseBody(shapes.scheduleChange, await readJson(c), 'change a schedule');
    const rule = ruleOf(change, 'change a schedule') ?? (change.time_zone && { ...was, timeZone: change.time_zone });
    const draft = { ...toDraft(change, (rule || was).timeZone), ...(rule && { rule }) };
    if (Object.keys(draft).length === 0) throw invalid('There is nothing to change.', 'change a schedule');
    return c.json(show(schedules.update(id, draft, authorOf(c))));
  });
  app.delete('/:id', (c) => c.json(show(schedules.archive(found(c).id))));
  app.post('/:id/pause', (c) => c.json(show(schedules.pause(found(c).id, { kind: 'manual' }))));
  app.post('/:id/resume', (c) => c.json(show(schedules.resume(found(c).id))));
  app.post('/:id/run', (c) => c.json(shapes.runToWire(schedules.runNow(found(c).id, 'manual'))));
  app.get('/:id/next', (c) =>
    c.json({ data: schedules.upcoming(found(c).id, limitOf(c, AHEAD, 100)).map(shapes.upcomingToWire) }),
  );
  app.get('/:id/runs', (c) => runs(c, found(c).id));
  app.get('/:id/why', (c) => {
    const { id, rule } = found(c);
    const day = c.req.query('day') ?? new Date(now()).toLocaleDateString('sv-SE', { timeZone: rule.timeZone });
    return c.json({ schedule_id: id, day, why: schedules.why(id, day) });
  });

  function runs(c: Context, scheduleId: string | undefined) {
    const limit = limitOf(c, 50, 200);
    const before = cursorOf(c, 'srun');
    const states = listParam(c, 'states');
    const wrong = states.find((state) => !RUN_STATES.includes(state as RunState));
    if (wrong !== undefined) throw invalid(`states must be among ${RUN_STATES.join(', ')}.`, 'list runs');
    const sinceText = c.req.query('since');
    const since = sinceText === undefined ? undefined : momentOf(sinceText, timeZone());
    if (since === null) throw invalid('since is no day (2026-12-01) and no time in RFC 3339.', 'list runs');
    const rows = schedules.runs({
      limit: limit + 1,
      ...(scheduleId !== undefined && { scheduleId }),
      ...(before && { before }),
      ...(since !== undefined && { since }),
      ...(states.length > 0 && { states: states as RunState[] }),
    });
    const page = rows.slice(0, limit);
    return c.json({
      data: page.map(shapes.runToWire),
      next_page: rows.length > limit ? encodeCursor(page.at(-1)!.id) : null,
    });
  }
  return app;
}

const missingRun = (id: string) =>
  new StewardError('not_found', `There is no run ${id}.`, {
    op: 'read a run',
    hint: 'GET /api/schedules/runs lists them.',
  });
