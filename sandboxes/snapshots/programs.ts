// The programs that touch a tree, always inside an isolated run: tree.pl, and what its failures mean.
import { readFileSync } from 'node:fs';
import { StewardError } from '../../core/errors.ts';

const text = readFileSync(new URL('./tree.pl', import.meta.url), 'utf8');

/** The folders of one save or restore, as they are on the host and inside the isolated runs alike. */
export interface Room {
  workspace: string;
  home: string;
  /** Empty at first; the only one a save may write in. */
  work: string;
}

export const program = (verb: 'check' | 'list' | 'read' | 'write', ...values: string[]): string[] => [
  ...['perl', '-e', text, '--', verb],
  ...values,
];

/** By the kernel's table for this processor; 0 where it is not known. */
export const SYSCALLS: Record<string, { statx: number; utimensat: number }> = {
  x64: { statx: 332, utimensat: 280 },
  arm64: { statx: 291, utimensat: 88 },
};

/** An error of the host's own file system, in words. */
export function hostFailure(op: string, error: unknown): unknown {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (error instanceof StewardError || code === undefined || syscall === undefined) return error;
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? diskFull(op)
    : new StewardError('unavailable', `Could not ${op}: ${code}.`, { op, retryable: true, cause: error });
}

const diskFull = (op: string): StewardError =>
  new StewardError('disk_full', 'The disk is full.', { op, hint: 'Free some space.', retryable: true });

export function failure(op: string, ended: { code: number; stderr: string }): StewardError {
  const said = ended.stderr.trim().split('\n').at(-1)?.slice(0, 300) || `exit code ${ended.code}`;
  return /No space left|Disk quota/i.test(said)
    ? diskFull(op)
    : new StewardError('unavailable', `Could not ${op}: ${said}.`, { op, retryable: true });
}
