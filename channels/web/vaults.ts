// /v1/vaults and their credentials, in the Managed Agents shape: what is secret goes in and never comes out.
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { StewardError } from '../../core/errors.ts';
import type { Id, JsonObject, Millis } from '../../core/types.ts';
import type { Credential, Page, VaultInfo, Vaults } from '../../core/vault.ts';
import { authChange, authParams } from '../../core/vault-auth.ts';
import { decodeCursor, encodeCursor, invalid, limitOf, readJson } from './params.ts';
import * as wire from './wire.ts';

const nameParam = wire.text(255).pipe(z.string().min(1, 'must not be empty'));

const vaultParams = z.object({ display_name: nameParam, metadata: wire.metadata.optional() });
const vaultChange = z.object({ display_name: nameParam.nullish(), metadata: wire.metadataChange.nullish() });
const credentialParams = z.object({
  auth: authParams,
  display_name: wire.text(255).nullish(),
  metadata: wire.metadata.optional(),
});
const credentialChange = z.object({
  auth: authChange.optional(),
  display_name: nameParam.nullish(),
  metadata: wire.metadataChange.nullish(),
});

const times = (row: { createdAt: Millis; updatedAt: Millis; archivedAt: Millis | null }): JsonObject => ({
  created_at: wire.rfc3339(row.createdAt),
  updated_at: wire.rfc3339(row.updatedAt),
  archived_at: wire.orNull(row.archivedAt),
});

const vaultToWire = (vault: VaultInfo): JsonObject => ({
  id: vault.id,
  type: 'vault',
  display_name: vault.displayName,
  metadata: vault.metadata,
  ...times(vault),
});

const credentialToWire = (credential: Credential): JsonObject => ({
  id: credential.id,
  type: 'vault_credential',
  vault_id: credential.vaultId,
  display_name: credential.displayName,
  auth: credential.auth as unknown as JsonObject,
  metadata: credential.metadata,
  ...times(credential),
  ...(!credential.readable && { readable: false }),
});

function pageOf(c: Context): Page {
  const page = { limit: limitOf(c, 20, 100), archived: c.req.query('include_archived') === 'true' };
  const cursor = decodeCursor(c);
  if (cursor === undefined) return page;
  const [, at, id] = /^(\d{1,16}) (\w{1,64})$/.exec(cursor) ?? [];
  if (!at || !id) throw invalid('page is not a cursor of this list.', 'list');
  return { ...page, after: { createdAt: Number(at), id } };
}

/** One row more than the page holds is asked for: it says whether there is a next one. */
function answer<T extends { id: Id; createdAt: Millis }>(
  c: Context,
  list: (page: Page) => T[],
  toWire: (row: T) => JsonObject,
) {
  const page = pageOf(c);
  const rows = list({ ...page, limit: page.limit + 1 });
  const shown = rows.slice(0, page.limit);
  const last = shown.at(-1);
  return c.json({
    data: shown.map(toWire),
    next_page: rows.length > page.limit && last ? encodeCursor(`${last.createdAt} ${last.id}`) : null,
  });
}

const merged = (old: Record<string, string>, change: Record<string, string | null> | null | undefined) =>
  change ? { metadata: wire.parseBody(wire.metadata, wire.mergeMetadata(old, change), 'change metadata') } : {};

export function createVaultRoutes(vaults: Vaults): Hono {
  const app = new Hono();

  app.get('/vaults', (c) => answer(c, vaults.list, vaultToWire));
  app.post('/vaults', async (c) => {
    const params = wire.parseBody(vaultParams, await readJson(c), 'create a vault');
    return c.json(vaultToWire(vaults.create({ displayName: params.display_name, metadata: params.metadata ?? {} })));
  });
  app.get('/vaults/:id', (c) => c.json(vaultToWire(vaults.need(c.req.param('id')))));
  app.post('/vaults/:id', async (c) => {
    const id = c.req.param('id');
    const change = wire.parseBody(vaultChange, await readJson(c), 'update a vault');
    const metadata = merged(vaults.need(id).metadata, change.metadata);
    const displayName = change.display_name ? { displayName: change.display_name } : {};
    return c.json(vaultToWire(vaults.update(id, { ...displayName, ...metadata })));
  });
  app.post('/vaults/:id/archive', (c) => c.json(vaultToWire(vaults.archive(c.req.param('id')))));
  app.delete('/vaults/:id', (c) => {
    vaults.remove(c.req.param('id'));
    return c.json({ id: c.req.param('id'), type: 'vault_deleted' });
  });

  app.get('/vaults/:id/credentials', (c) =>
    answer(c, (page) => vaults.listCredentials(c.req.param('id'), page), credentialToWire),
  );
  app.post('/vaults/:id/credentials', async (c) => {
    const params = wire.parseBody(credentialParams, await readJson(c), 'create a credential');
    const made = vaults.createCredential(c.req.param('id'), {
      auth: params.auth,
      displayName: params.display_name || null,
      metadata: params.metadata ?? {},
    });
    return c.json(credentialToWire(made));
  });
  app.get('/vaults/:id/credentials/:credential', (c) =>
    c.json(credentialToWire(vaults.needCredential(c.req.param('id'), c.req.param('credential')))),
  );
  app.post('/vaults/:id/credentials/:credential', async (c) => {
    const { id, credential } = c.req.param();
    const change = wire.parseBody(credentialChange, await readJson(c), 'update a credential');
    const metadata = merged(vaults.needCredential(id, credential).metadata, change.metadata);
    const displayName = change.display_name === undefined ? {} : { displayName: change.display_name };
    const auth = change.auth ? { auth: change.auth } : {};
    return c.json(credentialToWire(vaults.updateCredential(id, credential, { ...auth, ...displayName, ...metadata })));
  });
  app.post('/vaults/:id/credentials/:credential/archive', (c) => {
    const { id, credential } = c.req.param();
    return c.json(credentialToWire(vaults.archiveCredential(id, credential)));
  });
  app.post('/vaults/:id/credentials/:credential/mcp_oauth_validate', (c) => {
    const { id, credential } = c.req.param();
    vaults.needCredential(id, credential);
    throw new StewardError('invalid', 'Steward does not try MCP credentials out.', {
      op: 'validate a credential',
      hint: 'Use it: the answer of the server is in the record of the requests that went out.',
    });
  });
  app.delete('/vaults/:id/credentials/:credential', (c) => {
    const { id, credential } = c.req.param();
    vaults.removeCredential(id, credential);
    return c.json({ id: credential, type: 'vault_credential_deleted' });
  });
  return app;
}
