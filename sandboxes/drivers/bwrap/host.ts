// What this host has for sandboxes: bwrap, perl, the shape of /usr, and the folders made from it. Looked at once.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, readFileSync, readlinkSync, renameSync, writeFileSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { StewardError } from '../../../core/errors.ts';
import { runnerScript } from '../../runner/client.ts';
import { createEtc } from './etc.ts';
import { type NodeFolder, nodeFolder } from './node.ts';
import { type HostFacts, type Rlimits, runnerText, type UsrLink } from './profile.ts';
import { seccompBytes, seccompProgram } from './seccomp.ts';

export interface Host {
  bwrap: string;
  /** "0.8.0" */
  version: string;
  node: NodeFolder | null;
  facts(): Promise<HostFacts>;
  /** Files with the filter. */
  filters: Record<'strict' | 'dev', string>;
  /** The file with the runner as it starts under these limits; made when first asked for. */
  runner(rlimits: Rlimits): string;
}

const OP = 'start a sandbox';
const INSTALL = 'Install it: sudo apt-get install -y bubblewrap (Fedora: sudo dnf install bubblewrap).';

/** Names at the top that lead into /usr, in the shape this host has. */
function usrLinks(): UsrLink[] {
  return ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'].flatMap((path): UsrLink[] => {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (!found) return [];
    return [{ path, target: found.isSymbolicLink() ? readlinkSync(path) : null }];
  });
}

const onPath = (name: string, path: string): string | null =>
  ['/usr/bin', ...path.split(':')].map((folder) => join(folder, name)).find((file) => existsSync(file)) ?? null;

/**
 * `root` must exist. Errors: unavailable (bubblewrap or Perl missing, processor unknown), each with what to do.
 * The system's bwrap is preferred to any other: profiles that allow it namespaces name /usr/bin/bwrap.
 */
export async function lookAtHost(input: {
  root: string;
  bwrapPath?: string;
  pooled: boolean;
  env: NodeJS.ProcessEnv;
  execPath: string;
}): Promise<Host> {
  if (process.platform !== 'linux')
    throw new StewardError('unavailable', 'The bwrap driver needs Linux.', {
      op: OP,
      hint: 'Set STEWARD_SANDBOX=docker.',
    });
  const { arch } = process;
  if (arch !== 'x64' && arch !== 'arm64')
    throw new StewardError('unavailable', `The bwrap driver has no system call filter for ${arch}.`, {
      op: OP,
      hint: 'Set STEWARD_SANDBOX=docker.',
    });
  const path = input.env.PATH ?? '';
  const bwrap = input.bwrapPath ?? onPath('bwrap', path);
  if (!bwrap || !existsSync(bwrap))
    throw new StewardError('unavailable', 'bubblewrap is not installed.', { op: OP, hint: INSTALL });
  if (!existsSync('/usr/bin/perl'))
    throw new StewardError('unavailable', 'Perl is not installed; the program inside every sandbox needs it.', {
      op: OP,
      hint: 'Install it: sudo apt-get install -y perl-base (Fedora: sudo dnf install perl-interpreter).',
    });
  const ask = async (option: string): Promise<string> => {
    const { stdout, stderr } = await promisify(execFile)(bwrap, [option], { env: {}, cwd: '/' });
    return stdout + stderr;
  };
  const [help, version] = await Promise.all([ask('--help'), ask('--version')]).catch((cause: unknown) => {
    throw new StewardError('unavailable', `${bwrap} does not run.`, { op: OP, hint: INSTALL, cause });
  });

  const made = join(input.root, 'host');
  await mkdir(made, { recursive: true });
  await chmod(made, 0o711);
  const filters = { strict: join(made, 'strict.bpf'), dev: join(made, 'dev.bpf') };
  for (const profile of ['strict', 'dev'] as const)
    await writeFile(filters[profile], seccompBytes(seccompProgram(arch, profile)));
  const etc = createEtc({ root: made });
  const node = await nodeFolder({ ...input, root: made, version: process.version, path });
  const runners = new Map<string, string>();
  const program = readFileSync(runnerScript(), 'utf8');
  const fixed = {
    arch,
    perl: '/usr/bin/perl',
    links: usrLinks(),
    node,
    disableUserns: help.includes('--disable-userns'),
  } satisfies Omit<HostFacts, 'etc'>;
  return {
    bwrap,
    version: /[\d.]+\d/.exec(version)?.[0] ?? 'unknown',
    node,
    facts: async () => ({ ...fixed, etc: await etc.look() }),
    filters,
    runner(rlimits) {
      const known = runners.get(JSON.stringify(rlimits));
      if (known !== undefined) return known;
      const text = runnerText(arch, rlimits, program);
      const file = join(made, `runner-${createHash('sha256').update(text).digest('hex').slice(0, 16)}.pl`);
      if (!existsSync(file)) {
        writeFileSync(`${file}.${process.pid}`, text);
        chmodSync(`${file}.${process.pid}`, 0o644);
        renameSync(`${file}.${process.pid}`, file);
      }
      runners.set(JSON.stringify(rlimits), file);
      return file;
    },
  };
}
