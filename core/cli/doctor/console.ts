// Is the console built?
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding, Patient } from './finding.ts';

export async function consoleCheck({ projectRoot }: Patient): Promise<Finding> {
  const built = existsSync(join(projectRoot, 'channels', 'console', 'dist', 'index.html'));
  if (built) return { name: 'console', level: 'ok', detail: 'Built.' };
  return {
    name: 'console',
    level: 'fail',
    detail: 'It has not been built.',
    fix: 'npm run build, or npm start, which builds it.',
  };
}
