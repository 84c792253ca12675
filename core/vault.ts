// The vault: credentials sealed in the record, changed and listed without their secrets, opened for the broker alone.
import type { Db } from './db.ts';
import { StewardError } from './errors.ts';
import type { Id, Millis } from './types.ts';
import type { AuthChange, AuthParams } from './vault-auth.ts';
import type { KeySource } from './vault-key.ts';
import { createOpener, type SealedRow } from './vault-open.ts';
import { type Auth, changed, claims, openedFrom, type Secret } from './vault-secret.ts';

export const DEFAULT_VAULT: Id = 'vlt_steward';
/** Credentials in use, in one vault: the limit of the Managed Agents API. */
const CREDENTIALS = 20;

export type Metadata = Record<string, string>;

export interface VaultInfo {
  id: Id;
  displayName: string;
  metadata: Metadata;
  createdAt: Millis;
  updatedAt: Millis;
  archivedAt: Millis | null;
}

/** Everything but the secret. */
export interface Credential {
  id: Id;
  vaultId: Id;
  displayName: string | null;
  auth: Auth;
  metadata: Metadata;
  createdAt: Millis;
  updatedAt: Millis;
  archivedAt: Millis | null;
  /** False when the row was changed from outside, so that it does not open: it is not used, and has to be set anew. */
  readable: boolean;
}

/** Oldest first; `after` is the last row of the page before. */
export interface Page {
  limit: number;
  archived: boolean;
  after?: { createdAt: Millis; id: Id };
}

/** What the API and the command line see. Nothing here returns a secret. Every method throws StewardError. */
export interface Vaults {
  create(spec: { displayName: string; metadata: Metadata }): VaultInfo;
  need(id: Id): VaultInfo;
  update(id: Id, change: { displayName?: string; metadata?: Metadata }): VaultInfo;
  list(page: Page): VaultInfo[];
  /** With all its credentials: their secrets are gone, the rest stays to be looked at. */
  archive(id: Id): VaultInfo;
  remove(id: Id): void;
  createCredential(vaultId: Id, spec: { displayName: string | null; metadata: Metadata; auth: AuthParams }): Credential;
  needCredential(vaultId: Id, id: Id): Credential;
  updateCredential(
    vaultId: Id,
    id: Id,
    change: { displayName?: string | null; metadata?: Metadata; auth?: AuthChange },
  ): Credential;
  listCredentials(vaultId: Id, page: Page): Credential[];
  archiveCredential(vaultId: Id, id: Id): Credential;
  removeCredential(vaultId: Id, id: Id): void;
}

export interface Vault extends Vaults {
  /** In the open, for the broker: those of these vaults, in their order, or of all. Where two fit a request, the first is meant. */
  secretsFor(vaults: readonly Id[] | 'all'): Secret[];
  /** Every text that gives a secret away, the longest first; also of secrets replaced or removed in this life. */
  secrets(): readonly string[];
  /** Called after each change of what `secretsFor` returns; must not throw. Returns the way to stop. */
  onChange(listener: () => void): () => void;
}

interface VaultRow {
  id: string;
  display_name: string;
  metadata: string;
  created_at: number;
  updated_at: number;
  archived_at: number | null;
}
interface CredentialRow extends SealedRow, Omit<VaultRow, 'id' | 'display_name'> {}

const missing = (what: string, id: Id, where: string) =>
  new StewardError('not_found', `There is no ${what} ${id}.`, {
    op: `read a ${what}`,
    hint: `GET ${where} lists them.`,
  });

const archived = (what: string, id: Id) =>
  new StewardError('conflict', `The ${what} ${id} is archived and cannot be changed.`, {
    op: `change a ${what}`,
    hint: `Make a new ${what} instead.`,
  });

function keepDefault(id: Id): void {
  if (id === DEFAULT_VAULT)
    throw new StewardError('conflict', `The vault ${id} is the one commands use; it stays.`, {
      op: 'remove a vault',
      hint: 'Remove its credentials instead.',
    });
}

/** Removes every secret without opening one: the way out when the key is lost. Returns how many there were. */
export function dropSecrets(db: Db, now: Millis): number {
  return db.tx(() => {
    db.afterCommit(() => db.checkpoint());
    return db
      .prepare<[Millis, Millis]>(
        `UPDATE credentials SET sealed = NULL, archived_at = coalesce(archived_at, ?), updated_at = ?
         WHERE sealed IS NOT NULL`,
      )
      .run(now, now).changes;
  });
}

export function createVault(db: Db, deps: { key: KeySource; now(): Millis; newId(prefix: 'vlt' | 'vcrd'): Id }): Vault {
  const putVault = db.prepare<[string, string, string, Millis, Millis]>(
    `INSERT INTO vaults (id, display_name, metadata, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET display_name = excluded.display_name, metadata = excluded.metadata,
       updated_at = excluded.updated_at`,
  );
  const oneVault = db.prepare<[string], VaultRow>('SELECT * FROM vaults WHERE id = ?');
  const pageOfVaults = db.prepare<[number, Millis, string, number], VaultRow>(
    `SELECT * FROM vaults WHERE (? OR archived_at IS NULL) AND (created_at, id) > (?, ?)
     ORDER BY created_at, id LIMIT ?`,
  );
  const archiveVault = db.prepare<[Millis, Millis, string]>(
    'UPDATE vaults SET archived_at = ?, updated_at = ? WHERE id = ? AND archived_at IS NULL',
  );
  const removeVault = db.prepare<[string]>('DELETE FROM vaults WHERE id = ?');

  const insert = db.prepare<[string, string, string | null, string, Buffer, string, Millis, Millis]>(
    `INSERT INTO credentials (id, vault_id, display_name, auth, sealed, metadata, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const update = db.prepare<[string | null, string, Buffer | null, string, Millis, string]>(
    'UPDATE credentials SET display_name = ?, auth = ?, sealed = ?, metadata = ?, updated_at = ? WHERE id = ?',
  );
  const one = db.prepare<[string, string], CredentialRow>('SELECT * FROM credentials WHERE vault_id = ? AND id = ?');
  const inUse = db.prepare<[string], CredentialRow>(
    'SELECT * FROM credentials WHERE vault_id = ? AND archived_at IS NULL ORDER BY created_at, id',
  );
  const pageOf = db.prepare<[string, number, Millis, string, number], CredentialRow>(
    `SELECT * FROM credentials WHERE vault_id = ? AND (? OR archived_at IS NULL) AND (created_at, id) > (?, ?)
     ORDER BY created_at, id LIMIT ?`,
  );
  const archive = db.prepare<[Millis, Millis, string]>(
    'UPDATE credentials SET sealed = NULL, archived_at = ?, updated_at = ? WHERE id = ? AND archived_at IS NULL',
  );
  const remove = db.prepare<[string]>('DELETE FROM credentials WHERE id = ?');
  const removeOf = db.prepare<[string]>('DELETE FROM credentials WHERE vault_id = ?');

  const opener = createOpener(db, deps.key);
  const listeners = new Set<() => void>();

  /** `wiped`: secret bytes were replaced or removed, and no copy of them may stay in the WAL. */
  const noteChange = ({ wiped }: { wiped: boolean }) => {
    db.afterCommit(() => {
      opener.refresh();
      for (const listener of [...listeners]) listener();
    });
    if (wiped) db.afterCommit(() => db.checkpoint());
  };

  const toVault = (row: VaultRow): VaultInfo => ({
    id: row.id,
    displayName: row.display_name,
    metadata: JSON.parse(row.metadata) as Metadata,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    archivedAt: row.archived_at,
  });
  const toCredential = (row: CredentialRow): Credential => ({
    ...toVault({ ...row, display_name: '' }),
    vaultId: row.vault_id,
    displayName: row.display_name,
    auth: JSON.parse(row.auth) as Auth,
    readable: row.sealed === null || opener.open(row) !== null,
  });
  const needRow = (vaultId: Id, id: Id): CredentialRow => {
    vault.need(vaultId);
    const row = one.get(vaultId, id);
    if (!row) throw missing('credential', id, `/v1/vaults/${vaultId}/credentials`);
    return row;
  };
  const needOpenVault = (id: Id): void => {
    if (vault.need(id).archivedAt !== null) throw archived('vault', id);
  };
  const bounds = ({ archived, after, limit }: Page) =>
    [archived ? 1 : 0, after?.createdAt ?? -1, after?.id ?? '', limit] as const;

  const checkClaims = (vaultId: Id, auth: Auth, but?: Id): void => {
    const wanted = new Set(claims(auth));
    for (const row of inUse.all(vaultId)) {
      const taken =
        row.id === but ? undefined : claims(JSON.parse(row.auth) as Auth).find((claim) => wanted.has(claim));
      if (taken)
        throw new StewardError('conflict', `There is a credential for ${taken} already: ${row.id}.`, {
          op: 'keep a credential',
          hint: 'Change that one, or archive it first.',
        });
    }
  };

  const vault: Vault = {
    create(spec) {
      const id = deps.newId('vlt');
      db.tx(() => putVault.run(id, spec.displayName, JSON.stringify(spec.metadata), deps.now(), deps.now()));
      return vault.need(id);
    },
    need(id) {
      const row = oneVault.get(id);
      if (!row) throw missing('vault', id, '/v1/vaults');
      return toVault(row);
    },
    update: (id, change) =>
      db.tx(() => {
        needOpenVault(id);
        const old = vault.need(id);
        const metadata = JSON.stringify(change.metadata ?? old.metadata);
        putVault.run(id, change.displayName ?? old.displayName, metadata, old.createdAt, deps.now());
        return vault.need(id);
      }),
    list: (page) => pageOfVaults.all(...bounds(page)).map(toVault),
    archive(id) {
      keepDefault(id);
      return db.tx(() => {
        vault.need(id);
        for (const row of inUse.all(id)) archive.run(deps.now(), deps.now(), row.id);
        archiveVault.run(deps.now(), deps.now(), id);
        noteChange({ wiped: true });
        return vault.need(id);
      });
    },
    remove(id) {
      keepDefault(id);
      db.tx(() => {
        vault.need(id);
        removeOf.run(id);
        removeVault.run(id);
        noteChange({ wiped: true });
      });
    },

    createCredential: (vaultId, spec) =>
      db.tx(() => {
        needOpenVault(vaultId);
        if (inUse.all(vaultId).length >= CREDENTIALS)
          throw new StewardError('invalid', `A vault holds at most ${CREDENTIALS} credentials.`, {
            op: 'keep a credential',
            hint: 'Archive one that is not needed, or make another vault.',
          });
        const opened = openedFrom(spec.auth, deps.now());
        checkClaims(vaultId, opened.auth);
        const at = { id: deps.newId('vcrd'), vault_id: vaultId, auth: JSON.stringify(opened.auth) };
        const metadata = JSON.stringify(spec.metadata);
        const bytes = opener.seal(at, opened.parts);
        insert.run(at.id, vaultId, spec.displayName, at.auth, bytes, metadata, deps.now(), deps.now());
        noteChange({ wiped: false });
        return vault.needCredential(vaultId, at.id);
      }),
    needCredential: (vaultId, id) => toCredential(needRow(vaultId, id)),
    updateCredential: (vaultId, id, change) =>
      db.tx(() => {
        const row = needRow(vaultId, id);
        if (row.archived_at !== null) throw archived('credential', id);
        let { auth, sealed: bytes } = row;
        if (change.auth) {
          const old = opener.open(row);
          if (!old)
            throw new StewardError('conflict', `The secret of ${id} does not open: its row was changed from outside.`, {
              op: 'change a credential',
              hint: 'Remove this credential and add it again.',
            });
          const next = changed(old, change.auth, deps.now());
          checkClaims(vaultId, next.auth, id);
          auth = JSON.stringify(next.auth);
          bytes = opener.seal({ ...row, auth }, next.parts);
        }
        const name = change.displayName === undefined ? row.display_name : change.displayName;
        const metadata = change.metadata ? JSON.stringify(change.metadata) : row.metadata;
        update.run(name, auth, bytes, metadata, deps.now(), id);
        noteChange({ wiped: bytes !== row.sealed });
        return vault.needCredential(vaultId, id);
      }),
    listCredentials(vaultId, page) {
      vault.need(vaultId);
      return pageOf.all(vaultId, ...bounds(page)).map(toCredential);
    },
    archiveCredential: (vaultId, id) =>
      db.tx(() => {
        needRow(vaultId, id);
        archive.run(deps.now(), deps.now(), id);
        noteChange({ wiped: true });
        return vault.needCredential(vaultId, id);
      }),
    removeCredential: (vaultId, id) =>
      db.tx(() => {
        needRow(vaultId, id);
        remove.run(id);
        noteChange({ wiped: true });
      }),

    secretsFor(vaults) {
      const all = opener.all();
      return vaults === 'all' ? [...all] : vaults.flatMap((id) => all.filter((secret) => secret.vaultId === id));
    },
    secrets: opener.words,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };

  if (!oneVault.get(DEFAULT_VAULT)) db.tx(() => putVault.run(DEFAULT_VAULT, 'Default', '{}', deps.now(), deps.now()));
  return vault;
}
