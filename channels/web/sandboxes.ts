// /api/sandboxes, /api/egress and the checkpoints of a session: what hands do, what they reached, and ways back.
import { Hono } from 'hono';
import { z } from 'zod';
import { type HandsApi, handsView } from '../../core/hands.ts';
import { limitOf, readJson } from './params.ts';
import { parseBody } from './wire.ts';

export function createSandboxRoutes(hands: HandsApi): Hono {
  const app = new Hono();

  app.get('/sandboxes', async (c) => {
    const sessionId = c.req.query('session_id');
    const options = { limit: limitOf(c, 20, 100), ...(sessionId && { sessionId }) };
    return c.json({ hands: handsView(hands.report()), data: await hands.list(options) });
  });
  app.get('/sandboxes/:id', async (c) => c.json(await hands.get(c.req.param('id'))));
  app.post('/sandboxes/:id/kill', async (c) => {
    await hands.kill(c.req.param('id'));
    return c.json({ killed: true });
  });
  app.post('/sandboxes/:id/expose', async (c) => {
    const body = z.object({ port: z.number().int().min(1).max(65_535) });
    const { port } = parseBody(body, await readJson(c), 'show a port');
    return c.json(await hands.expose(c.req.param('id'), port));
  });

  app.get('/egress', (c) => {
    const [sessionId, sandboxId] = [c.req.query('session_id'), c.req.query('sandbox_id')];
    const options = { limit: limitOf(c, 100, 1_000), ...(sessionId && { sessionId }), ...(sandboxId && { sandboxId }) };
    return c.json({ data: hands.egress(options) });
  });

  app.get('/sessions/:id/checkpoints', (c) => c.json({ data: hands.checkpoints(c.req.param('id')) }));
  app.post('/sessions/:id/checkpoints/:checkpoint/restore', async (c) =>
    c.json(await hands.restore(c.req.param('id'), c.req.param('checkpoint'))),
  );
  app.patch('/sessions/:id/checkpoints/:checkpoint', async (c) => {
    const body = z.object({ label: z.string().trim().min(1).max(200).nullable() });
    const { label } = parseBody(body, await readJson(c), 'name a checkpoint');
    return c.json(hands.label(c.req.param('id'), c.req.param('checkpoint'), label));
  });
  return app;
}
