// A start that hangs is given up: whichever half of bwrap waits for the other, nobody else does.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { launch } from '../../../../sandboxes/drivers/bwrap/launch.ts';
import { treeOf } from '../../../../sandboxes/drivers/bwrap/procfs.ts';
import { createStarter } from '../../../../sandboxes/drivers/bwrap/starter.ts';

const perl = '/usr/bin/perl';
const folder = mkdtempSync(join(tmpdir(), 'launch-'));
const filter = join(folder, 'filter');
writeFileSync(filter, '');
const starter = createStarter({ perl, socketPath: join(folder, 's.sock') });
afterEach(() => starter.stop());
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** A shell script in the place of bwrap. */
const start = (script: string, withinMs: number) =>
  launch(starter, {
    ...{ bwrap: '/bin/sh', argv: ['-c', script], prefix: [], prefixEnv: {}, filter, uid: null, pipes: false },
    withinMs,
  });
const tell = `echo "{ \\"child-pid\\": $! }" >&3; exec 3>&-`;

describe.skipIf(process.platform !== 'linux' || !existsSync(perl))('a start', () => {
  it('is there once its first program waits', async () => {
    const launched = await start(`sleep 60 & ${tell}; echo >&6; wait`, 10_000);
    await launched.waiting;
    expect(treeOf(starter.pid()!)).toContain(launched.inside.pid);
    launched.stream.destroy();
  });

  it('whose first program never says that it waits is given up', async () => {
    const launched = await start(`sleep 60 & ${tell}; wait`, 500);
    await expect(launched.waiting).rejects.toThrow(/did not start in time: its first program did not answer/);
    launched.stream.destroy();
  });

  it('that makes no process is given up', async () => {
    await expect(start('sleep 60', 500)).rejects.toThrow(/did not start in time: no process was made/);
  });

  it('that ends meanwhile says why', async () => {
    await expect(start('echo bwrap: no permission at all >&2; exit 1', 10_000)).rejects.toThrow(/no permission at all/);
  });
});
