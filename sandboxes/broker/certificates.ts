// The certificates sandboxes are shown, so that programs in there trust what the machine trusts, and the broker.
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { BUNDLE, OWN } from './environment.ts';
import type { Machine } from './machine.ts';

/** Debian and its kind, Fedora and its kind, openSUSE, Alpine and macOS. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
/** What is larger than a home's own few authorities would slow every start of Node inside. */
const FEW_BYTES = 32_768;

/** The two files of a sandbox, PEM: `own` for programs that add to a store, `bundle` for those that replace it. */
export function certificatesFor(
  own: string,
  extra: string | null,
  { env, read }: Machine,
): { own: string; bundle: string } {
  const system = BUNDLES.map(read).find((text) => text !== null) ?? rootCertificates.join('\n');
  const named = env.NODE_EXTRA_CA_CERTS ? (read(env.NODE_EXTRA_CA_CERTS) ?? '') : '';
  const more = [extra ?? '', named].filter((text) => text !== '');
  const lines = (...parts: string[]) => parts.map((text) => (text.endsWith('\n') ? text : `${text}\n`)).join('');
  return {
    own: lines(own, ...more.filter((text) => text.length <= FEW_BYTES)),
    bundle: lines(system, ...more, own),
  };
}

/** Replaces both files in a folder any uid may read; sandboxes that run see the new ones. */
export function writeCertificates(folder: string, files: { own: string; bundle: string }): void {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
  for (const [name, text] of [
    [OWN, files.own],
    [BUNDLE, files.bundle],
  ] as const) {
    const path = join(folder, name);
    writeFileSync(`${path}.new`, text);
    // Whatever the umask of this process: any uid of a sandbox reads them.
    chmodSync(`${path}.new`, 0o644);
    renameSync(`${path}.new`, path);
  }
}
