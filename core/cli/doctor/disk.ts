// Is there space left where the record is kept?
import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Finding, Patient } from './finding.ts';

const little = 1024 ** 3;
const tooLittle = 100 * 1024 ** 2;

export async function diskCheck({ config: { home } }: Patient): Promise<Finding> {
  let folder = home;
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GB free at ${folder}.`;
  if (free >= little) return { name: 'disk', level: 'ok', detail };
  return {
    name: 'disk',
    level: free < tooLittle ? 'fail' : 'warn',
    detail,
    fix: 'Free some space, or move STEWARD_HOME to another disk.',
  };
}
