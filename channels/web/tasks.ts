// /api/tasks: code tasks begun, looked at and steered; the console and the command line are its clients.
import { type Context, Hono } from 'hono';
import type { Author } from '../../core/schedules.ts';
import { placeOf } from '../../core/schedules-shapes.ts';
import type { TasksApi } from '../../core/tasks.ts';
import { findTask } from '../../core/tasks-find.ts';
import { taskParams, wishOf } from '../../core/tasks-shapes.ts';
import type { Address } from '../../core/types.ts';
import { decodeCursor, encodeCursor, invalid, limitOf, readJson } from './params.ts';
import * as shapes from './tasks-wire.ts';
import { parseBody } from './wire.ts';

export interface TaskRoutesDeps {
  tasks: TasksApi;
}

const TASK_ID = /^task_\w{1,40}$/;

/** Who signs in here is the owner: by the token a program of theirs, by the cookie they themselves in the console. */
const authorOf = (c: Context, here: Address | null = null): Author => ({
  trust: 'owner',
  by: c.get('by') === 'cookie' ? 'web:console' : 'web:api',
  sessionId: null,
  here,
});

export function createTaskRoutes({ tasks }: TaskRoutesDeps): Hono {
  const app = new Hono();
  const found = (c: Context) => findTask(tasks, c.req.param('id') ?? '');
  /** An empty body is as good as `{}`. */
  const bodyOf = async (c: Context): Promise<unknown> => (c.req.header('content-length') === '0' ? {} : readJson(c));

  app.get('/', (c) => {
    const limit = limitOf(c, 50, 200);
    const before = decodeCursor(c);
    if (before !== undefined && !TASK_ID.test(before)) throw invalid('page is not a cursor of this list.', 'list');
    const open = c.req.query('open');
    if (open !== undefined && open !== 'true' && open !== 'false')
      throw invalid('open must be true or false.', 'list tasks');
    const rows = tasks.list({ limit: limit + 1, open: open === 'true', ...(before !== undefined && { before }) });
    const page = rows.slice(0, limit);
    return c.json({
      data: page.map(shapes.taskToWire),
      next_page: rows.length > limit ? encodeCursor(page.at(-1)!.id) : null,
    });
  });
  app.post('/', async (c) => {
    const op = 'create a task';
    const params = parseBody(taskParams, await readJson(c), op);
    // The header is what other parts of this API know, the field what the body of a program holds.
    const key = params.idempotency_key ?? c.req.header('idempotency-key');
    if (key !== undefined && (key === '' || key.length > 200))
      throw invalid('An idempotency key has 1 to 200 characters.', op);
    const here = params.deliver_to == null ? null : placeOf(params.deliver_to);
    const options = key === undefined ? {} : { idempotencyKey: `api:${key}` };
    const { task, isNew } = tasks.create(wishOf(params), authorOf(c, here), options);
    return c.json({ task: shapes.taskToWire(task), is_new: isNew });
  });

  app.get('/:id', (c) => c.json(shapes.taskToWire(found(c))));
  app.get('/:id/diff', async (c) => c.json({ task_id: found(c).id, diff: await tasks.diff(found(c).id) }));
  app.get('/:id/checkpoints', (c) => c.json({ data: tasks.checkpoints(found(c).id).map(shapes.checkpointToWire) }));

  app.post('/:id/steer', async (c) => {
    const { text } = parseBody(shapes.steerParams, await readJson(c), 'steer a task');
    return c.json(shapes.taskToWire(tasks.steer(found(c).id, text, authorOf(c))));
  });
  app.post('/:id/pause', async (c) => {
    const { why } = parseBody(shapes.whyParams, await bodyOf(c), 'pause a task');
    return c.json(shapes.taskToWire(tasks.pause(found(c).id, why || 'paused by you')));
  });
  app.post('/:id/resume', (c) => c.json(shapes.taskToWire(tasks.resume(found(c).id))));
  app.post('/:id/stop', async (c) => {
    const { why } = parseBody(shapes.whyParams, await bodyOf(c), 'stop a task');
    return c.json(shapes.taskToWire(tasks.stop(found(c).id, why || 'stopped by you')));
  });
  app.post('/:id/rollback', async (c) => {
    const { checkpoint_id } = parseBody(shapes.rollbackParams, await readJson(c), 'roll a task back');
    return c.json(shapes.taskToWire(await tasks.rollback(found(c).id, checkpoint_id)));
  });
  return app;
}
