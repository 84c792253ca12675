// Is $STEWARD_HOME there, ours, writable, and closed to everyone else?
import { accessSync, constants, lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Finding, type Patient, reporter } from './finding.ts';

const found = reporter('home');

export async function homeCheck({ config: { home } }: Patient): Promise<Finding> {
  const stat = statSync(home, { throwIfNoEntry: false });
  if (!stat) return found('ok', `${home} is not there yet; the first start makes it.`);
  if (!stat.isDirectory())
    return found('fail', `${home} is not a folder.`, 'Move it away or choose another STEWARD_HOME.');
  const me = process.getuid?.();
  if (me !== undefined && stat.uid !== me)
    return found(
      'fail',
      `${home} belongs to user ${stat.uid}; you are ${me}.`,
      'Run Steward and its commands as the owner of the folder.',
    );
  try {
    accessSync(home, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    return found('fail', `${home} cannot be written.`, `chmod u+rwx ${home}, or mount its disk writable.`);
  }
  const open = [home, ...readdirSync(home).map((entry) => join(home, entry))].filter((path) =>
    isOpen(path, path === home),
  );
  if (open.length > 0) return found('fail', `Others may read ${open.join(', ')}.`, `chmod go-rwx ${open.join(' ')}`);
  return found('ok', `${home} is private and writable.`);
}

/** Inside a folder only its owner can enter, folders of any mode are closed; files still travel with copies. */
function isOpen(path: string, isHome: boolean): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat || stat.isSymbolicLink() || (!isHome && !stat.isFile())) return false;
  return (stat.mode & 0o077) !== 0;
}
