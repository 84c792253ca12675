// Who holds the data folder? Read from the kernel's list: trying the lock could keep a starting process out.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readFileIfAny } from '../../files.ts';
import { type Finding, type Patient, reporter } from './finding.ts';

const found = reporter('lock');

export async function lockCheck({ config: { home }, status }: Patient): Promise<Finding> {
  const file = join(home, 'steward.lock');
  const stat = statSync(file, { throwIfNoEntry: false });
  const locks = readFileIfAny('/proc/locks');
  if (locks === null)
    return found('ok', status ? 'Held by the running process.' : 'This system does not list its locks.');
  const holder = stat ? holderOf(locks, stat.ino) : null;
  if (holder === null && status)
    return found(
      'fail',
      `The running process does not hold the lock of ${home}: it uses another folder.`,
      'Set STEWARD_HOME as it was set when it was started, or npm start with this one.',
    );
  if (holder === null) return found('ok', 'Free.');
  const who = `process ${holder}${commandOf(holder)}`;
  if (status) return found('ok', `Held by the running ${who}.`);
  return found(
    'fail',
    `Held by ${who}, which does not answer on the port.`,
    `If it is starting, wait; if STEWARD_PORT changed since, set it back; else end it: kill ${holder}`,
  );
}

/** The pid with a write lock on the inode. Lines read "1: POSIX  ADVISORY  WRITE 1234 fe:00:5678 0 EOF". */
export function holderOf(locks: string, inode: number): number | null {
  for (const line of locks.split('\n')) {
    const match = /\bWRITE\s+(\d+)\s+[0-9a-f]+:[0-9a-f]+:(\d+)\s/.exec(line);
    if (match && Number(match[2]) === inode) return Number(match[1]);
  }
  return null;
}

function commandOf(pid: number): string {
  try {
    return ` (${readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean).slice(0, 4).join(' ')})`;
  } catch {
    return '';
  }
}
