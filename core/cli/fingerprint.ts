// Which code and which settings a process was started with, so that a second start knows whether anything changed.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { readFileIfAny } from '../files.ts';

const rooms = ['core', 'channels', 'memory', 'scheduler', 'sandboxes'];
const single = ['package-lock.json', 'ecosystem.config.cjs'];
const sources = new Set(['.ts', '.mjs', '.cjs', '.sql', '.json']);
const settingFiles = ['environment.json', 'config.json', '.env'];
/** Built and served, not run: a new console needs no restart. */
const skipped = new Set(['node_modules', 'console']);

/** A hash of every file the process runs from and of the settings it reads. */
export function fingerprint(projectRoot: string, home: string): string {
  const hash = createHash('sha256');
  const add = (name: string, content: string | Buffer | null) => hash.update(`\0${name}\0`).update(content ?? '');
  const visit = (folder: string) => {
    const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!skipped.has(entry.name)) visit(path);
      } else if (sources.has(extname(entry.name))) add(relative(projectRoot, path), readFileSync(path));
    }
  };
  const present = new Set(readdirSync(projectRoot));
  for (const room of rooms) if (present.has(room)) visit(join(projectRoot, room));
  for (const name of single) add(name, readFileIfAny(join(projectRoot, name)));
  for (const name of settingFiles) add(name, readFileIfAny(join(home, name)));
  return hash.digest('hex');
}
