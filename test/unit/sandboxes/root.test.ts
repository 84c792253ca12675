// The folder of all sandboxes of a root daemon: whatever is made first, every uid can walk there.
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openRoot, rootOf } from '../../../sandboxes/root.ts';

describe('where sandboxes lie', () => {
  let base: string;
  let umask: number;
  const modeOf = (path: string) => statSync(path).mode & 0o777;

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'steward-root-'));
    umask = process.umask(0o077);
  });
  afterEach(() => {
    process.umask(umask);
    rmSync(base, { recursive: true, force: true });
  });

  it('is open to pass, not to list, on a machine that never had one', () => {
    const shared = join(base, 'lib', 'steward');
    const root = openRoot('/root/.steward', 0, shared);
    mkdirSync(join(root, 'live'), { recursive: true });
    expect(modeOf(shared)).toBe(0o711);
  });

  it('is opened where an earlier start left it closed', () => {
    const shared = join(base, 'steward');
    mkdirSync(shared);
    expect(modeOf(shared)).toBe(0o700);
    openRoot('/root/.steward', 0, shared);
    expect(modeOf(shared)).toBe(0o711);
  });

  it('stays closed when only its name is asked for, so this test would see it', () => {
    const shared = join(base, 'steward');
    mkdirSync(rootOf('/root/.steward', 0, shared), { recursive: true });
    expect(modeOf(shared)).toBe(0o700);
  });

  it('is in the data folder of an ordinary user, and one that cannot be made is left to the probe', () => {
    expect(openRoot('/home/me/.steward', 1000)).toBe('/home/me/.steward/sandboxes');
    const blocked = join(base, 'file');
    writeFileSync(blocked, '');
    expect(() => openRoot('/root/.steward', 0, join(blocked, 'steward'))).not.toThrow();
  });
});
