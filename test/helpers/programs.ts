// The programs of harnesses for tests: installed once for all of them, and shown to each Steward as its own.
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { createPrograms, type ProgramName } from '../../sandboxes/harnesses/programs.ts';
import { rootOf } from '../../sandboxes/root.ts';

const CACHE = join(tmpdir(), 'steward-test-programs');

/** Null when it is there; otherwise one line on why tests that need it are skipped. */
export async function program(name: ProgramName): Promise<string | null> {
  try {
    await createPrograms(CACHE, { env: process.env }).install(name);
    return null;
  } catch (error) {
    return `${name} could not be installed: ${(error as Error).message}`;
  }
}

/** As if `steward doctor --install` had been called for this data folder. */
export async function showPrograms(home: string): Promise<void> {
  const root = rootOf(home, process.getuid!());
  mkdirSync(root, { recursive: true, mode: 0o711 });
  const from = join(CACHE, 'harnesses');
  if (!existsSync(from)) return;
  // Links where the disk is the same: they are large.
  const linked = await execa('cp', ['-al', from, root], { reject: false });
  if (linked.exitCode !== 0) await execa('cp', ['-a', from, root]);
}
