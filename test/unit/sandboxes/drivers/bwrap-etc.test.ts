// The /etc of a sandbox: nothing of the host's people and networks, and nothing that others may not read.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createEtc } from '../../../../sandboxes/drivers/bwrap/etc.ts';
import { makeFolder } from '../../../helpers/record.ts';

function host() {
  const base = makeFolder();
  const [etc, root] = [join(base, 'etc'), join(base, 'root')];
  const put = (name: string, text: string, mode = 0o644) => {
    mkdirSync(join(etc, name, '..'), { recursive: true, mode: 0o755 });
    writeFileSync(join(etc, name), text);
    chmodSync(join(etc, name), mode);
  };
  put('passwd', 'ana:x:1000:1000:Ana:/home/ana:/bin/sh\n');
  put('shadow', 'ana:secret', 0o600);
  put('services', 'http 80/tcp\n');
  put('ssl/openssl.cnf', '[ ca ]\n');
  put('ssl/certs/all.pem', 'certificates');
  put('alternatives/README', 'what is here');
  symlinkSync('/usr/bin/less', join(etc, 'alternatives/pager'));
  mkdirSync(root);
  return { etc, root, put, look: () => createEtc({ root, etc }).look() };
}

describe('the /etc of a sandbox', () => {
  it('is made up, with the host’s open folders shown over it', async () => {
    const { etc, look } = host();
    const { folder, shown } = await look();
    expect(shown.map(({ to }) => to).sort()).toEqual(['/etc/alternatives', '/etc/ssl/certs']);
    expect(shown.every(({ from, to }) => from === join(etc, to.slice('/etc'.length)))).toBe(true);
    for (const { to } of shown) expect(readdirSync(join(folder, to.slice('/etc/'.length)))).toEqual([]);
    expect(readFileSync(join(folder, 'passwd'), 'utf8')).not.toContain('ana');
    expect(readFileSync(join(folder, 'services'), 'utf8')).toBe('http 80/tcp\n');
    expect(readFileSync(join(folder, 'ssl/openssl.cnf'), 'utf8')).toBe('[ ca ]\n');
    expect(existsSync(join(folder, 'shadow'))).toBe(false);
  });

  it('of a folder with a private file in it has a copy without that file', async () => {
    const { put, look } = host();
    put('alternatives/private', 'not for others', 0o640);
    put('ssl/certs/deep/own.key', 'a key', 0o600);
    const { folder, shown } = await look();
    expect(shown).toEqual([]);
    expect(readdirSync(join(folder, 'alternatives')).sort()).toEqual(['README', 'pager']);
    expect(readlinkSync(join(folder, 'alternatives/pager'))).toBe('/usr/bin/less');
    expect(readdirSync(join(folder, 'ssl/certs/deep'))).toEqual([]);
  });

  it('is made once, and again when a folder is no longer open', async () => {
    const { etc, root, put } = host();
    const made = createEtc({ root, etc });
    const first = await made.look();
    expect(await made.look()).toBe(first);
    expect(await createEtc({ root, etc }).look()).toEqual(first);
    put('alternatives/private', 'not for others', 0o600);
    utimesSync(join(etc, 'alternatives'), 5, 5);
    const then = await made.look();
    expect(then.folder).not.toBe(first.folder);
    expect(then.shown.map(({ to }) => to)).toEqual(['/etc/ssl/certs']);
  });
});
