// The /etc of a sandbox: made up where the host's would tell about its people and networks, copied where programs need it.
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
const COPIED = [
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

/** Changes when a package was installed or removed since: then another folder is made. Cheap: asked at every start of a sandbox. */
function keyOf(etc: string): string {
  const times = ['alternatives', 'ld.so.cache', 'ssl/certs', 'pki/ca-trust/extracted'].map(
    (name) => lstatSync(join(etc, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return createHash('sha256')
    .update(JSON.stringify([times, MADE_UP, LINKS, COPIED]))
    .digest('hex')
    .slice(0, 16);
}

async function make(etc: string, to: string): Promise<void> {
  const draft = `${to}.${process.pid}`;
  await rm(draft, { recursive: true, force: true });
  await walkable(draft, draft);
  for (const name of [...COPIED, ...(await javas(etc))]) {
    await walkable(draft, dirname(join(draft, name)));
    await copyTree(join(etc, name), join(draft, name));
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

/** `folder()` gives the path of the /etc that fits the host as it is now; made once, again only when the host's changed. */
export function createEtc(deps: { root: string; etc?: string }): { folder(): Promise<string> } {
  const etc = deps.etc ?? '/etc';
  let key = '';
  let made: Promise<string> | null = null;
  return {
    folder() {
      const now = keyOf(etc);
      if (made && now === key) return made;
      key = now;
      const path = join(deps.root, `etc-${now}`);
      const making = (async () => {
        if (!lstatSync(path, { throwIfNoEntry: false })) await make(etc, path);
        return path;
      })();
      made = making;
      making.catch(() => {
        if (made === making) made = null;
      });
      return making;
    },
  };
}
