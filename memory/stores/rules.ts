// What holds for every memory, of whichever store: its hash and size, limits, preconditions, and paths that are taken.
import { createHash } from 'node:crypto';
import { StewardError } from '../../core/errors.ts';
import { STORE_LIMITS, type StoredMemory, storeConflict, type VersionOperation } from '../../core/memory-stores.ts';
import type { Id } from '../../core/types.ts';

/** In memory_meta: what ids of pages of the owner's store are made with. */
export const STORES_KEY = 'stores_key';

export interface VersionRow {
  row: number;
  id: string;
  store_id: string;
  memory_id: string;
  operation: VersionOperation;
  path: string | null;
  content: string | null;
  items: string | null;
  sha256: string | null;
  size: number | null;
  created_by: string;
  created_at: number;
  redacted_at: number | null;
  redacted_by: string | null;
}

export const hashOf = (content: string): string => createHash('sha256').update(content).digest('hex');
export const bytesOf = (content: string): number => Buffer.byteLength(content);

export const noMemory = (storeId: Id, id: Id) =>
  new StewardError('not_found', `There is no memory ${id} in ${storeId}.`, {
    op: 'read a memory',
    hint: `GET /v1/memory_stores/${storeId}/memories lists them.`,
  });
export const checkPrecondition = (memory: StoredMemory, expected: string | undefined): void => {
  if (expected !== undefined && expected !== memory.sha256)
    throw storeConflict(
      `The memory ${memory.id} holds something else by now.`,
      { type: 'memory_precondition_failed_error' },
      { op: 'change a memory', hint: 'Read it again, and repeat the change.' },
    );
};
export const pathTaken = (path: string, by: { id: Id; path: string }) =>
  storeConflict(
    by.path === path ? `There is a memory at ${path} already: ${by.id}.` : `${path} and ${by.path} overlap.`,
    { type: 'memory_path_conflict_error', conflicting_memory_id: by.id, conflicting_path: by.path },
    { op: 'write a memory', hint: 'Update that one, or take another path.' },
  );

export function checkContent(content: string): void {
  const size = bytesOf(content);
  if (size > STORE_LIMITS.content)
    throw new StewardError('too_large', `A memory holds at most ${STORE_LIMITS.content} bytes; this has ${size}.`, {
      op: 'write a memory',
      hint: 'Write several smaller ones.',
    });
}
