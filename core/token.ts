// The token programs show to the HTTP API: made once, readable by its owner alone.
import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { readFileIfAny, writePrivateFile } from './files.ts';
import { namedFailure } from './sqlite.ts';

/** Reads `<home>/token`, making it when there is none. Throws `disk_full` and `read_only`. */
export function readToken(home: string): string {
  const file = join(home, 'token');
  try {
    // An empty file is no token: without this, nobody could ever sign in to it.
    if (!readFileIfAny(file)?.trim()) writePrivateFile(file, `${randomBytes(32).toString('base64url')}\n`);
    chmodSync(file, 0o600);
    return readFileIfAny(file)!.trim();
  } catch (error) {
    throw namedFailure(error, 'read the API token');
  }
}
