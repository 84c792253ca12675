// The /etc of a sandbox: made up where the host's would tell about its people and networks, the host's own where programs need it.
import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { chmod, copyFile, lstat, mkdir, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const MADE_UP: Record<string, string> = {
  passwd:
    'root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000:agent:/home/agent:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n',
  group: 'root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n',
  hosts: '127.0.0.1 localhost sandbox\n::1 localhost\n',
  hostname: 'sandbox\n',
  'resolv.conf': '# There is no name service in here.\n',
  'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n',
};

const LINKS: Record<string, string> = {
  mtab: '/proc/self/mounts',
  'os-release': '/usr/lib/os-release',
  localtime: '/usr/share/zoneinfo/UTC',
};

/** Where links of /usr lead to, what programs cannot start or trust a certificate without. World-readable files only. */
const NEEDED = [
  'alternatives',
  'ld.so.cache',
  'ssl/certs',
  'ssl/openssl.cnf',
  'pki/tls',
  'pki/ca-trust/extracted',
  'ca-certificates/extracted',
  'crypto-policies',
  'services',
  'protocols',
  'mime.types',
  'fonts',
];

/**
 * Whether a folder holds nothing that others may not read: then it is shown as it is. The copy of a Debian's would be a
 * thousand links, which is most of the time a first start takes.
 */
async function isOpen(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => null);
  if (!found?.isDirectory() || (found.mode & 0o005) !== 0o005) return false;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isSymbolicLink()) continue;
    if (entry.isDirectory() ? await isOpen(path) : entry.isFile() && ((await lstat(path)).mode & 0o004) !== 0) continue;
    return false;
  }
  return true;
}

/** `from` as it is: links stay links, files others may not read are left out. */
async function copyTree(from: string, to: string): Promise<void> {
  const found = await lstat(from).catch(() => null);
  if (found?.isSymbolicLink()) await symlink(await readlink(from), to);
  else if (found?.isFile() && found.mode & 0o004) {
    await copyFile(from, to);
    await chmod(to, 0o644);
  } else if (found?.isDirectory() && found.mode & 0o001) {
    await mkdir(to);
    await chmod(to, 0o755);
    for (const name of await readdir(from)) await copyTree(join(from, name), join(to, name));
  }
}

/** Folders with links of installed programs in them, such as a Java runtime's configuration. */
const javas = async (etc: string): Promise<string[]> =>
  (await readdir(etc).catch(() => [])).filter((name) => name.startsWith('java-'));

/** A folder below `base`, and all between them, that every uid may enter whatever the umask is. */
async function walkable(base: string, path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  for (let at = path; at.length >= base.length; at = dirname(at)) await chmod(at, 0o755);
}

/** Changes when a package was installed or removed since: then it is looked at anew. Cheap: asked at every start of a sandbox. */
const timesOf = (etc: string): string =>
  ['alternatives', 'ld.so.cache', 'ssl/certs', 'pki/ca-trust/extracted']
    .map((name) => lstatSync(join(etc, name), { throwIfNoEntry: false })?.mtimeMs ?? 0)
    .join(' ');

async function make(etc: string, to: string, names: readonly string[], shown: readonly string[]): Promise<void> {
  const draft = `${to}.${process.pid}`;
  await rm(draft, { recursive: true, force: true });
  await walkable(draft, draft);
  for (const name of names) {
    const place = join(draft, name);
    if (shown.includes(name)) {
      await walkable(draft, place);
      continue;
    }
    await walkable(draft, dirname(place));
    await copyTree(join(etc, name), place);
  }
  for (const [name, text] of Object.entries(MADE_UP)) {
    await writeFile(join(draft, name), text);
    await chmod(join(draft, name), 0o644);
  }
  for (const [name, target] of Object.entries(LINKS)) await symlink(target, join(draft, name));
  await rename(draft, to).catch(async (error: unknown) => {
    // Made at the same time by another start: that one is as good.
    await rm(draft, { recursive: true, force: true });
    if (!(await lstat(to).catch(() => null))) throw error;
  });
}

export interface Etc {
  /** On the host; has a place for each folder that is shown. */
  folder: string;
  /** Folders of the host's /etc to be shown over it, read-only, below /etc. */
  shown: readonly { from: string; to: string }[];
}

/** `look()` tells what fits the host as it is now; made once, again only when the host's changed. */
export function createEtc(deps: { root: string; etc?: string }): { look(): Promise<Etc> } {
  const etc = deps.etc ?? '/etc';
  let times = '';
  let made: Promise<Etc> | null = null;
  return {
    look() {
      const now = timesOf(etc);
      if (made && now === times) return made;
      times = now;
      const making = (async () => {
        const names = [...NEEDED, ...(await javas(etc))];
        const shown: string[] = [];
        for (const name of names) if (await isOpen(join(etc, name))) shown.push(name);
        const key = createHash('sha256').update(JSON.stringify([now, MADE_UP, LINKS, names, shown]));
        const folder = join(deps.root, `etc-${key.digest('hex').slice(0, 16)}`);
        if (!lstatSync(folder, { throwIfNoEntry: false })) await make(etc, folder, names, shown);
        return { folder, shown: shown.map((name) => ({ from: join(etc, name), to: join('/etc', name) })) };
      })();
      made = making;
      making.catch(() => {
        if (made === making) made = null;
      });
      return making;
    },
  };
}
