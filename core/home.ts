// The data folder: made on the first start, readable by its owner alone.
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StewardError } from './errors.ts';
import { namedFailure } from './sqlite.ts';

/** Throws `bad_config` when something else stands in its place, `read_only` and `disk_full` where it cannot be made. */
export function makeHome(home: string): void {
  const op = 'make the data folder';
  try {
    makeFolder(join(home, 'files'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOTDIR' || code === 'EEXIST')
      throw new StewardError(
        'bad_config',
        `STEWARD_HOME is ${home}, where no folder can be made: a file stands there.`,
        {
          op,
          cause,
        },
      );
    throw namedFailure(cause, op);
  }
}

/** One folder after the other: with `recursive`, Node says "no such file" where the disk is read-only. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  mkdirSync(folder, { mode: 0o700 });
}
