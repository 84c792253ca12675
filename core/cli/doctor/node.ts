// Does the pinned Node run this?
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding, Patient } from './finding.ts';

export async function nodeCheck({ projectRoot }: Patient): Promise<Finding> {
  const name = `node-${process.platform}-${process.arch}`;
  const manifest = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
    optionalDependencies?: Record<string, string>;
  };
  const pinned = manifest.optionalDependencies?.[name];
  const running = process.versions.node;
  if (pinned === running) return { name: 'node', level: 'ok', detail: `Node ${running}, the pinned one.` };
  if (!pinned)
    return {
      name: 'node',
      level: 'warn',
      detail: `Node ${running}; none is pinned for ${process.platform}-${process.arch}.`,
    };
  return {
    name: 'node',
    level: 'warn',
    detail: `Node ${running} runs this; ${pinned} is the pinned one.`,
    fix: 'Use npx steward, or npm start, which install and use the pinned Node.',
  };
}
