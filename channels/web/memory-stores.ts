// /v1/memory_stores, their memories and versions, in the Managed Agents shape.
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { StewardError } from '../../core/errors.ts';
import {
  conflictOf,
  type MemoryStores,
  type StoreActor,
  type StoredMemory,
  type StoredVersion,
  type StoreInfo,
  type StoreWriter,
  type StoreWritten,
} from '../../core/memory-stores.ts';
import type { JsonObject } from '../../core/types.ts';
import { decodeCursor, encodeCursor, invalid, limitOf, readJson, timeParam } from './params.ts';
import * as wire from './wire.ts';

/** With the content, a page holds fewer. */
const FULL_PAGE = 20;
const PAGE = 100;

const nameParam = wire.text(255).pipe(
  z
    .string()
    .min(1, 'must not be empty')
    .regex(/^\P{Cc}*$/u, 'must not hold control characters'),
);
const metadata = wire.metadata.refine((value) => Object.keys(value).every((key) => key.length > 0), {
  message: 'a key must not be empty',
});
const storeParams = z.object({
  name: nameParam,
  description: wire.text(1_024).optional(),
  metadata: metadata.optional(),
});
const storeChange = z.object({
  name: nameParam.nullish(),
  description: wire.text(1_024).nullish(),
  metadata: wire.metadataChange.nullish(),
});
/** Longer ones are refused by their bytes. */
const content = wire.text(1_000_000);
const path = z.string().max(10_000);
const memoryParams = z.object({ path, content: content.nullable() });
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower case hexadecimal characters');
const memoryChange = z.object({
  path: path.nullish(),
  content: content.nullish(),
  precondition: z.object({ type: z.literal('content_sha256'), content_sha256: sha256.optional() }).nullish(),
});

type View = 'basic' | 'full';

const storeToWire = (store: StoreInfo): JsonObject => ({
  id: store.id,
  type: 'memory_store',
  name: store.name,
  description: store.description,
  metadata: store.metadata,
  created_at: wire.rfc3339(store.createdAt),
  updated_at: wire.rfc3339(store.updatedAt),
  archived_at: wire.orNull(store.archivedAt),
});

const memoryToWire = (memory: StoredMemory, view: View): JsonObject => ({
  id: memory.id,
  type: 'memory',
  memory_store_id: memory.storeId,
  memory_version_id: memory.versionId,
  path: memory.path,
  content: view === 'full' ? memory.content : null,
  content_sha256: memory.sha256,
  content_size_bytes: memory.size,
  created_at: wire.rfc3339(memory.createdAt),
  updated_at: wire.rfc3339(memory.updatedAt),
});

const versionToWire = (version: StoredVersion, view: View): JsonObject => ({
  id: version.id,
  type: 'memory_version',
  memory_store_id: version.storeId,
  memory_id: version.memoryId,
  operation: version.operation,
  path: version.path,
  content: view === 'full' ? version.content : null,
  content_sha256: version.sha256,
  content_size_bytes: version.size,
  created_by: version.createdBy as unknown as JsonObject,
  created_at: wire.rfc3339(version.createdAt),
  redacted_at: wire.orNull(version.redactedAt),
  redacted_by: version.redactedBy as unknown as JsonObject | null,
});

function viewOf(c: Context, fallback: View): View {
  const view = c.req.query('view') ?? fallback;
  if (view !== 'basic' && view !== 'full') throw invalid('view must be basic or full.', 'read a memory');
  return view;
}
const pageLimit = (c: Context, view: View): number => limitOf(c, 20, view === 'full' ? FULL_PAGE : PAGE);

function depthOf(c: Context): 0 | 1 {
  const depth = c.req.query('depth') ?? '0';
  if (depth !== '0' && depth !== '1') throw invalid('depth must be 0 or 1.', 'list memories');
  return depth === '0' ? 0 : 1;
}
function prefixOf(c: Context): string {
  const prefix = c.req.query('path_prefix') || '/';
  if (!prefix.startsWith('/') || !prefix.endsWith('/'))
    throw invalid('path_prefix must begin and end with /.', 'list memories', 'Like /notes/.');
  return prefix;
}
/** Inclusive bounds, as the lists of stores and versions take them. */
function createdIn(c: Context): { createdFrom?: number; createdTo?: number } {
  const [from, to] = [timeParam(c, 'gte'), timeParam(c, 'lte')];
  return { ...(from !== undefined && { createdFrom: from }), ...(to !== undefined && { createdTo: to }) };
}
function operationOf(c: Context) {
  const operation = c.req.query('operation');
  if (operation === undefined) return {};
  if (operation !== 'created' && operation !== 'modified' && operation !== 'deleted')
    throw invalid('operation must be created, modified or deleted.', 'list memory versions');
  return { operation } as const;
}

/** By the token it is a program, by the cookie the owner in the console. There is one of each. */
const actorOf = (c: Context): StoreActor =>
  c.get('by') === 'cookie'
    ? { type: 'user_actor', user_id: 'user_owner' }
    : { type: 'api_actor', api_key_id: 'apikey_steward' };
const writerOf = (c: Context): StoreWriter => ({ kind: 'owner', actor: actorOf(c) });

export function createMemoryStoreRoutes(stores: MemoryStores): Hono {
  const app = new Hono();

  // What a program needs to know of a conflict is in the error itself, as the SDK types it.
  app.onError((error, c) => {
    const conflict = conflictOf(error);
    if (!conflict) throw error;
    const { message, hint } = error as StewardError;
    const body = { type: 'error', error: { ...conflict, message, ...(hint && { hint }) } };
    return c.json({ ...body, request_id: (c.get('requestId' as never) as string | undefined) ?? null }, 409);
  });

  const wroteTo = (c: Context, { memory }: StoreWritten, was: string) => {
    if (!memory)
      throw new StewardError('conflict', `Nothing is left at ${was}.`, {
        op: 'write a memory',
        hint: 'A file without lines is deleted with its last one.',
      });
    return c.json(memoryToWire(memory, viewOf(c, 'basic')));
  };

  app.get('/memory_stores', (c) => {
    const limit = limitOf(c, 20, PAGE);
    const cursor = decodeCursor(c);
    const [, at, id] = /^(\d{1,16}) (\w{1,64})$/.exec(cursor ?? '') ?? [];
    if (cursor !== undefined && !id) throw invalid('page is not a cursor of this list.', 'list');
    const rows = stores.list({
      archived: c.req.query('include_archived') === 'true',
      ...createdIn(c),
      ...(id && { after: { createdAt: Number(at), id } }),
      limit: limit + 1,
    });
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return c.json({
      data: page.map(storeToWire),
      next_page: rows.length > limit && last ? encodeCursor(`${last.createdAt} ${last.id}`) : null,
    });
  });
  app.post('/memory_stores', async (c) => {
    const params = wire.parseBody(storeParams, await readJson(c), 'create a memory store');
    const spec = { name: params.name, description: params.description ?? '', metadata: params.metadata ?? {} };
    return c.json(storeToWire(stores.create(spec)));
  });
  app.get('/memory_stores/:id', (c) => c.json(storeToWire(stores.need(c.req.param('id')))));
  app.post('/memory_stores/:id', async (c) => {
    const id = c.req.param('id');
    const change = wire.parseBody(storeChange, await readJson(c), 'update a memory store');
    const merged = change.metadata ? wire.mergeMetadata(stores.need(id).metadata, change.metadata) : null;
    return c.json(
      storeToWire(
        stores.update(id, {
          ...(change.name && { name: change.name }),
          ...(typeof change.description === 'string' && { description: change.description }),
          ...(merged && { metadata: wire.parseBody(metadata, merged, 'update a memory store') }),
        }),
      ),
    );
  });
  app.post('/memory_stores/:id/archive', (c) => c.json(storeToWire(stores.archive(c.req.param('id')))));
  app.delete('/memory_stores/:id', (c) => {
    stores.remove(c.req.param('id'));
    return c.json({ id: c.req.param('id'), type: 'memory_store_deleted' });
  });

  // -------------------------------------------------------------- memories
  app.get('/memory_stores/:id/memories', (c) => {
    const view = viewOf(c, 'basic');
    const limit = pageLimit(c, view);
    const after = decodeCursor(c);
    if (after !== undefined && !after.startsWith('/')) throw invalid('page is not a cursor of this list.', 'list');
    const query = { prefix: prefixOf(c), depth: depthOf(c), limit: limit + 1, ...(after && { after }) };
    const rows = stores.listMemories(c.req.param('id'), query);
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return c.json({
      data: page.map((entry) =>
        entry.kind === 'memory' ? memoryToWire(entry.memory, view) : { type: 'memory_prefix', path: entry.path },
      ),
      next_page:
        rows.length > limit && last ? encodeCursor(last.kind === 'memory' ? last.memory.path : last.path) : null,
    });
  });
  app.post('/memory_stores/:id/memories', async (c) => {
    const params = wire.parseBody(memoryParams, await readJson(c), 'create a memory');
    const spec = { path: params.path, content: params.content ?? '' };
    return wroteTo(c, stores.createMemory(c.req.param('id'), spec, writerOf(c)), spec.path);
  });
  app.get('/memory_stores/:id/memories/:memory', (c) => {
    const { id, memory } = c.req.param();
    return c.json(memoryToWire(stores.needMemory(id, memory), viewOf(c, 'full')));
  });
  app.post('/memory_stores/:id/memories/:memory', async (c) => {
    const { id, memory } = c.req.param();
    const params = wire.parseBody(memoryChange, await readJson(c), 'update a memory');
    const expected = params.precondition?.content_sha256;
    const change = {
      ...(typeof params.path === 'string' && { path: params.path }),
      ...(typeof params.content === 'string' && { content: params.content }),
      ...(expected !== undefined && { expectedSha256: expected }),
    };
    const was = stores.needMemory(id, memory).path;
    return wroteTo(c, stores.updateMemory(id, memory, change, writerOf(c)), params.path ?? was);
  });
  app.delete('/memory_stores/:id/memories/:memory', (c) => {
    const { id, memory } = c.req.param();
    const expected = c.req.query('expected_content_sha256');
    if (expected !== undefined && !sha256.safeParse(expected).success)
      throw invalid('expected_content_sha256 must be 64 lower case hexadecimal characters.', 'delete a memory');
    stores.removeMemory(id, memory, writerOf(c), expected);
    return c.json({ id: memory, type: 'memory_deleted' });
  });

  // -------------------------------------------------------------- versions
  app.get('/memory_stores/:id/memory_versions', (c) => {
    const view = viewOf(c, 'basic');
    const limit = pageLimit(c, view);
    const after = decodeCursor(c);
    if (after !== undefined && !/^memver_\w{1,64}$/.test(after))
      throw invalid('page is not a cursor of this list.', 'list');
    const [memoryId, sessionId] = [c.req.query('memory_id'), c.req.query('session_id')];
    const [apiKeyId, serviceAccountId] = [c.req.query('api_key_id'), c.req.query('service_account_id')];
    const rows = stores.listVersions(c.req.param('id'), {
      ...createdIn(c),
      ...operationOf(c),
      ...(memoryId && { memoryId }),
      ...(sessionId && { sessionId }),
      ...(apiKeyId && { apiKeyId }),
      ...(serviceAccountId && { serviceAccountId }),
      ...(after && { after }),
      limit: limit + 1,
    });
    const page = rows.slice(0, limit);
    return c.json({
      data: page.map((version) => versionToWire(version, view)),
      next_page: rows.length > limit ? encodeCursor(page.at(-1)!.id) : null,
    });
  });
  app.get('/memory_stores/:id/memory_versions/:version', (c) => {
    const { id, version } = c.req.param();
    return c.json(versionToWire(stores.needVersion(id, version), viewOf(c, 'full')));
  });
  app.post('/memory_stores/:id/memory_versions/:version/redact', (c) => {
    const { id, version } = c.req.param();
    return c.json(versionToWire(stores.redactVersion(id, version, actorOf(c)), 'full'));
  });
  return app;
}
