// Seals and opens the rows of the vault: the key fits or nothing starts, and what was tampered with stays shut.
import type { Db } from './db.ts';
import { StewardError } from './errors.ts';
import type { Id } from './types.ts';
import type { KeySource, VaultKey } from './vault-key.ts';
import { type Auth, type Opened, type Parts, type Secret, secretOf, wordsOf } from './vault-secret.ts';

/** Of a credential, what its secret hangs on. */
export interface SealedRow {
  id: Id;
  vault_id: Id;
  display_name: string | null;
  auth: string;
  sealed: Buffer | null;
}

export interface Opener {
  /** Makes the key when there is none yet. */
  seal(row: Pick<SealedRow, 'id' | 'vault_id' | 'auth'>, parts: Parts): Buffer;
  /** Null when the row does not open, or holds nothing. */
  open(row: SealedRow): Opened | null;
  /** Everything that opens, in the open, oldest first. */
  all(): readonly Secret[];
  /** Every text that gives a secret away, the longest first. */
  words(): readonly string[];
  /** The rows are other ones now. */
  refresh(): void;
}

/** The row's place and everything that may be seen of it: a secret put under other hosts, or in another row, does not open. */
const bindingOf = (row: Pick<SealedRow, 'id' | 'vault_id' | 'auth'>) => [row.vault_id, row.id, row.auth];

/** Throws `bad_config`. One row that fits is enough: then the key is right, and the rest was tampered with. */
function checkKey(key: VaultKey | null, sealed: readonly Buffer[], place: string): void {
  if (sealed.length === 0 || sealed.some((bytes) => key?.fits(bytes))) return;
  const holds = `The vault holds ${sealed.length} secret${sealed.length === 1 ? '' : 's'}`;
  throw new StewardError(
    'bad_config',
    key
      ? `${holds}, and the key in ${place} is not the one that sealed them.`
      : `${holds}, but the key that sealed them is missing: there is no ${place}, and STEWARD_VAULT_KEY is not set.`,
    {
      op: 'open the vault',
      hint: 'Put the right key back. If it is lost, steward vault reset removes the secrets, so that they can be added again.',
    },
  );
}

/** Throws `bad_config` when there is no key for what is sealed, or another one. */
export function createOpener(db: Db, source: KeySource): Opener {
  const rows = db.prepare<[], SealedRow>(
    `SELECT id, vault_id, display_name, auth, sealed FROM credentials
     WHERE sealed IS NOT NULL ORDER BY created_at, id`,
  );
  let key = source.find();
  checkKey(
    key,
    rows.all().map((row) => row.sealed!),
    source.place,
  );

  let secrets: Secret[] = [];
  /** They only grow: a secret that was replaced may still turn up in an answer that is on its way. */
  const known = new Set<string>();
  let words: readonly string[] = [];

  const opener: Opener = {
    seal(row, parts) {
      key ??= source.make();
      return key.seal(JSON.stringify(parts), bindingOf(row));
    },
    open(row) {
      const text = row.sealed && key?.open(row.sealed, bindingOf(row));
      return text ? { auth: JSON.parse(row.auth) as Auth, parts: JSON.parse(text) as Parts } : null;
    },
    all: () => secrets,
    words: () => words,
    refresh() {
      secrets = [];
      for (const row of rows.all()) {
        const opened = opener.open(row);
        if (!opened) continue;
        const { id, vault_id: vaultId, display_name: name } = row;
        // Of the id and not of the secret: a sandbox that is at work keeps it over a rotation.
        const placeholder = key!.placeholder(id);
        secrets.push(secretOf(opened, { id, vaultId, name: name ?? id, placeholder }));
        for (const word of wordsOf(opened)) known.add(word);
      }
      words = [...known].sort((a, b) => b.length - a.length);
    },
  };
  opener.refresh();
  return opener;
}
