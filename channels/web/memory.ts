// /api/memory: everything that is known, why, and every way to change it; the console and the command line are its clients.
import { type Context, Hono } from 'hono';
import { stream } from 'hono/streaming';
import { z } from 'zod';
import {
  type ItemKind,
  KINDS,
  type MemoryApi,
  type MemoryForgotten,
  type MemorySearch,
  type SaveRequest,
  TIERS,
  type Tier,
} from '../../core/memory.ts';
import { momentOf } from '../../core/usage.ts';
import {
  changeToWire,
  foundToWire,
  itemToWire,
  questionToWire,
  runToWire,
  savedToWire,
  sourceToWire,
} from './memory-wire.ts';
import { decodeCursor, encodeCursor, invalid, limitOf, listParam, readJson } from './params.ts';
import { parseBody, text } from './wire.ts';

/** Bytes: a memory of years comes back in one piece. */
const IMPORT_LIMIT = 256 * 1024 * 1024;

export interface MemoryRoutesDeps {
  memory: MemoryApi;
  timeZone(): string;
}

export function createMemoryRoutes({ memory, timeZone }: MemoryRoutesDeps): Hono {
  const app = new Hono();

  const moment = z
    .string()
    .max(40)
    .transform((value, context) => {
      const at = momentOf(value, timeZone());
      if (at !== null) return at;
      context.addIssue({ code: 'custom', message: 'is no day (2026-03-31) and no time in RFC 3339' });
      return z.NEVER;
    });
  const kinds = KINDS.filter((kind) => kind !== 'summary' && kind !== 'file');
  const fields = {
    tier: z.enum(['identity', 'state', 'reference']).optional(),
    kind: z.enum(kinds as [(typeof kinds)[number], ...(typeof kinds)[number][]]).optional(),
    subject: text(200).nullish(),
    slot: text(200).nullish(),
    valid_from: moment.optional(),
    expires_at: moment.nullish(),
    pinned: z.boolean().optional(),
  };
  const save = z.object({ text: z.string().transform((value) => value.toWellFormed()), ...fields });
  const edit = save.partial().refine((change) => Object.keys(change).length > 0, { message: 'nothing to change' });

  const toRequest = <T extends Partial<z.infer<typeof save>>>({ valid_from, expires_at, ...rest }: T) => ({
    ...rest,
    ...(valid_from !== undefined && { validFrom: valid_from }),
    ...(expires_at !== undefined && { expiresAt: expires_at }),
  });

  const flag = (c: Context, name: string): boolean => ['true', '1', ''].includes(c.req.query(name) ?? 'false');
  const timeOf = (c: Context, name: string): number | undefined => {
    const value = c.req.query(name);
    if (value === undefined) return undefined;
    const at = momentOf(value, timeZone());
    if (at === null) throw invalid(`${name} is no day (2026-03-31) and no time in RFC 3339.`, 'read memory');
    return at;
  };
  const oneOf = <T extends string>(c: Context, name: string, known: readonly T[]): T | undefined => {
    const value = c.req.query(name);
    if (value === undefined || known.includes(value as T)) return value as T | undefined;
    throw invalid(`${name} must be one of ${known.join(', ')}.`, 'read memory');
  };
  const several = <T extends string>(c: Context, name: string, known: readonly T[]): T[] | undefined => {
    const values = listParam(c, name);
    const wrong = values.find((value) => !known.includes(value as T));
    if (wrong !== undefined) throw invalid(`${name} must be among ${known.join(', ')}.`, 'read memory');
    return values.length > 0 ? (values as T[]) : undefined;
  };
  const cursorOf = (c: Context, pattern: RegExp): string | undefined => {
    const cursor = decodeCursor(c);
    if (cursor !== undefined && !pattern.test(cursor)) throw invalid('page is not a cursor of this list.', 'list');
    return cursor;
  };
  /** A body may be left out where everything in it has a default. */
  const bodyOf = async (c: Context): Promise<unknown> =>
    c.req.raw.body === null || c.req.header('content-length') === '0' ? {} : readJson(c);
  const forgottenToWire = ({ items, events, remains, changeId }: MemoryForgotten) => ({
    items,
    events,
    remains,
    change_id: changeId,
  });

  // -------------------------------------------------------------- what is known
  app.get('/', (c) => {
    const limit = limitOf(c, 50, 200);
    const after = cursorOf(c, /^mem_\w{1,40}$/);
    const [tier, kind] = [oneOf<Tier>(c, 'tier', TIERS), oneOf<ItemKind>(c, 'kind', KINDS)];
    const order = oneOf(c, 'order', ['asc', 'desc'] as const);
    const [subject, scope, asOf] = [c.req.query('subject'), c.req.query('scope'), timeOf(c, 'as_of')];
    const rows = memory.list({
      limit: limit + 1,
      includeRetired: flag(c, 'include_retired'),
      ...(after && { after }),
      ...(order && { order }),
      ...(tier && { tier }),
      ...(kind && { kind }),
      ...(subject && { subject }),
      ...(scope && { scope }),
      ...(asOf !== undefined && { asOf }),
      ...(c.req.query('pinned') !== undefined && { pinned: flag(c, 'pinned') }),
    });
    const page = rows.slice(0, limit);
    return c.json({
      data: page.map(itemToWire),
      next_page: rows.length > limit ? encodeCursor(page.at(-1)!.id) : null,
    });
  });
  app.post('/', async (c) => {
    const params = parseBody(save, await readJson(c), 'save a memory');
    return c.json(savedToWire(memory.save(toRequest(params) as SaveRequest)));
  });

  app.get('/search', async (c) => {
    const search: MemorySearch = { query: c.req.query('q') ?? '', limit: limitOf(c, 10, 100) };
    const [after, before, asOf] = [timeOf(c, 'after'), timeOf(c, 'before'), timeOf(c, 'as_of')];
    const [actor, sessionId] = [c.req.query('actor'), c.req.query('session_id')];
    const kindsOf = several(c, 'kinds', ['event', 'item']);
    const tiers = several<Tier>(c, 'tiers', TIERS);
    if (after !== undefined) search.after = after;
    if (before !== undefined) search.before = before - 1;
    if (asOf !== undefined) search.asOf = asOf;
    if (actor) search.actor = actor;
    if (sessionId) search.sessionId = sessionId;
    if (kindsOf) search.kinds = kindsOf;
    if (tiers) search.tiers = tiers;
    if (flag(c, 'include_retired')) search.includeRetired = true;
    return c.json(foundToWire(await memory.search(search, c.req.query('scope') || undefined)));
  });

  app.get('/items/:id', (c) => {
    const { item, sources, history, derived } = memory.show(c.req.param('id'));
    return c.json({
      ...itemToWire(item),
      sources: sources.map(sourceToWire),
      history: history.map(itemToWire),
      derived: derived.map(itemToWire),
    });
  });
  app.patch('/items/:id', async (c) => {
    const change = parseBody(edit, await readJson(c), 'edit a memory');
    return c.json(savedToWire(memory.edit(c.req.param('id'), toRequest(change) as Partial<SaveRequest>)));
  });
  app.delete('/items/:id', (c) =>
    c.json(forgottenToWire(memory.forget(c.req.param('id'), { sources: flag(c, 'sources') }))),
  );
  app.delete('/events/:id', (c) => c.json(forgottenToWire(memory.forgetEvent(c.req.param('id')))));
  app.post('/items/:id/pin', async (c) => {
    const { pinned } = parseBody(z.object({ pinned: z.boolean().default(true) }), await bodyOf(c), 'pin a memory');
    return c.json(itemToWire(memory.pin(c.req.param('id'), pinned)));
  });
  app.post('/items/:id/retire', async (c) => {
    const shape = z.object({ reason: text(500).default('the owner said it is wrong') });
    const { reason } = parseBody(shape, await bodyOf(c), 'retire a memory');
    return c.json(itemToWire(memory.retire(c.req.param('id'), reason)));
  });
  app.get('/items/:id/history', (c) => c.json({ data: memory.show(c.req.param('id')).history.map(itemToWire) }));

  // -------------------------------------------------------------- what happened to it
  app.get('/changes', (c) => {
    const limit = limitOf(c, 20, 100);
    const before = cursorOf(c, /^mchg_\w{1,40}$/);
    const rows = memory.changes({ limit: limit + 1, ...(before && { before }) });
    const page = rows.slice(0, limit);
    return c.json({
      data: page.map(changeToWire),
      next_page: rows.length > limit ? encodeCursor(page.at(-1)!.id) : null,
    });
  });
  app.get('/changes/:id', (c) => {
    const { change, added, retired } = memory.change(c.req.param('id'));
    return c.json({
      ...changeToWire(change),
      added_items: added.map(itemToWire),
      retired_items: retired.map(itemToWire),
    });
  });
  app.post('/changes/:id/undo', (c) => c.json(changeToWire(memory.undo(c.req.param('id')))));

  app.get('/questions', (c) => c.json({ data: memory.questions().map(questionToWire) }));
  app.post('/questions/:id/answer', async (c) => {
    const { accept } = parseBody(z.object({ accept: z.boolean() }), await readJson(c), 'answer a question of memory');
    const saved = memory.answer(c.req.param('id'), accept);
    return c.json({ accepted: accept, saved: saved && savedToWire(saved) });
  });

  app.post('/consolidate', async (c) => {
    const shape = z.object({
      kind: z.enum(['idle', 'nightly', 'weekly']),
      dry_run: z.boolean().default(false),
      session_id: z.string().max(64).optional(),
    });
    const { kind, dry_run: dryRun, session_id: sessionId } = parseBody(shape, await readJson(c), 'consolidate memory');
    return c.json(runToWire(await memory.consolidate(kind, { dryRun, ...(sessionId && { sessionId }) })));
  });
  app.get('/stats', (c) => c.json(memory.stats()));

  // -------------------------------------------------------------- in and out
  app.get('/export', (c) => {
    const format = oneOf(c, 'format', ['jsonl', 'markdown']) ?? 'jsonl';
    c.header('content-type', format === 'jsonl' ? 'application/jsonl; charset=utf-8' : 'application/x-ndjson');
    if (format === 'jsonl') c.header('content-disposition', 'attachment; filename="memory.jsonl"');
    // The first piece is made before anything is sent: what fails then is an answer, not a broken stream.
    const pieces = memory.export(format)[Symbol.asyncIterator]();
    return (async () => {
      let next = await pieces.next();
      return stream(c, async (out) => {
        for (; !next.done && !out.aborted; next = await pieces.next())
          await out.write(format === 'jsonl' ? next.value.data : `${JSON.stringify(next.value)}\n`);
        if (!next.done) await pieces.return?.();
      });
    })();
  });
  app.post('/import', async (c) => {
    const shape = z.object({
      format: z.enum(['jsonl', 'markdown', 'transcript', 'zylos', 'openclaw']),
      files: z.array(z.object({ path: z.string(), data: z.string() })).min(1),
      dry_run: z.boolean().default(false),
      own: z.union([z.boolean(), z.string().min(1).max(200)]).optional(),
    });
    const { format, files, dry_run: dryRun, own } = parseBody(shape, await readJson(c, IMPORT_LIMIT), 'import memory');
    const done = await memory.import({ format, files, dryRun, ...(own !== undefined && { own }) });
    const { items, events, skipped, changeId } = done;
    return c.json({ items, events, skipped, change_id: changeId });
  });
  return app;
}
