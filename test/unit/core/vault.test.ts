// The vault: sealed rows that open in their own place only, keys that fit or stop the start, and no byte left of what is gone.
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { StewardError } from '../../../core/errors.ts';
import { redactor } from '../../../core/log.ts';
import { createVault, DEFAULT_VAULT, dropSecrets, type Vault } from '../../../core/vault.ts';
import { type AuthParams, authChange, authParams, isHostPattern } from '../../../core/vault-auth.ts';
import { createVaultKey, keySource, parseKey } from '../../../core/vault-key.ts';
import { openTestRecord, type TestRecord } from '../../helpers/record.ts';

const SECRET = 'canary-5f1d20e7c9-secret';
const FIRST = { limit: 100, archived: false };

const auth = (params: unknown): AuthParams => authParams.parse(params);
const header = (more: object = {}) =>
  auth({ type: 'header', hosts: ['api.example.com'], header: 'X-Api-Key', value: SECRET, ...more });
const keep = (vault: Vault, params: AuthParams = header(), vaultId = DEFAULT_VAULT) =>
  vault.createCredential(vaultId, { displayName: 'key', metadata: {}, auth: params });

const openAgain = (record: TestRecord, configured: string | null = null) =>
  createVault(record.db, { key: keySource(record.home, configured), now: record.clock.now, newId: record.newId });

function failure(work: () => unknown): StewardError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(StewardError);
    return error as StewardError;
  }
  throw new Error('It did not fail.');
}

/** Which files of the data folder hold these bytes. */
const filesWith = (record: TestRecord, bytes: Buffer): string[] =>
  readdirSync(record.home).filter((name) => {
    const file = join(record.home, name);
    return statSync(file).isFile() && readFileSync(file).includes(bytes);
  });

const sealedOf = (record: TestRecord, id: string): Buffer | null =>
  record.db.prepare<[string], { sealed: Buffer | null }>('SELECT sealed FROM credentials WHERE id = ?').get(id)!.sealed;

describe('the key', () => {
  it('is made with the first secret, for its owner alone, and used again', () => {
    const record = openTestRecord();
    const file = join(record.home, 'vault.key');
    expect(existsSync(file)).toBe(false);
    keep(record.vault);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
    expect(readdirSync(record.home).filter((name) => name.includes('.tmp'))).toEqual([]);
    const [secret] = record.reopen().vault.secretsFor('all');
    expect(secret).toMatchObject({ hosts: ['api.example.com'], header: 'x-api-key', value: SECRET });
  });

  it('is closed to others again when somebody opened it to them', () => {
    const record = openTestRecord();
    keep(record.vault);
    chmodSync(join(record.home, 'vault.key'), 0o644);
    openAgain(record);
    expect(statSync(join(record.home, 'vault.key')).mode & 0o777).toBe(0o600);
  });

  it('may come from the environment, as hex or base64, and then there is no file', () => {
    const record = openTestRecord();
    const key = Buffer.from('0123456789abcdef0123456789abcdef');
    keep(openAgain(record, key.toString('hex')));
    expect(existsSync(join(record.home, 'vault.key'))).toBe(false);
    for (const text of [key.toString('hex').toUpperCase(), key.toString('base64'), key.toString('base64url')])
      expect(openAgain(record, text).secretsFor('all')).toHaveLength(1);
    for (const text of ['', 'x'.repeat(63), 'z'.repeat(64), '0'.repeat(66)]) expect(parseKey(text)).toBeNull();
  });

  it.each([
    ['another one', (file: string) => writeFileSync(file, 'ab'.repeat(32)), 'is not the one that sealed them'],
    ['none', (file: string) => rmSync(file), 'the key that sealed them is missing'],
    ['no key', (file: string) => writeFileSync(file, 'hello'), 'holds no key'],
    ['an empty file', (file: string) => writeFileSync(file, ''), 'holds no key'],
  ])('%s: says so, starts nothing and overwrites nothing', (_, change, says) => {
    const record = openTestRecord();
    const { id } = keep(record.vault);
    const file = join(record.home, 'vault.key');
    const right = readFileSync(file);
    const sealed = sealedOf(record, id);
    change(file);
    const wrong = existsSync(file) ? readFileSync(file) : null;
    const error = failure(() => openAgain(record));
    expect(error.code).toBe('bad_config');
    expect(error.message).toContain(says);
    expect(error.message).not.toContain('\n');
    expect(error.hint).toContain('steward vault reset');
    expect(existsSync(file) ? readFileSync(file) : null).toEqual(wrong);
    expect(sealedOf(record, id)).toEqual(sealed);
    // Nothing was lost by it: with the right one everything opens.
    writeFileSync(file, right);
    expect(openAgain(record).secretsFor('all')[0]?.value).toBe(SECRET);
  });

  it('of the environment is named when it is the wrong one', () => {
    const record = openTestRecord();
    keep(record.vault);
    expect(failure(() => openAgain(record, '00'.repeat(32))).message).toBe(
      'The vault holds 1 secret, and the key in STEWARD_VAULT_KEY is not the one that sealed them.',
    );
  });

  it('does not replace one that appeared meanwhile', () => {
    const record = openTestRecord();
    writeFileSync(join(record.home, 'vault.key'), 'cd'.repeat(32));
    expect(failure(() => keep(record.vault)).code).toBe('conflict');
    expect(readFileSync(join(record.home, 'vault.key'), 'utf8')).toBe('cd'.repeat(32));
    expect(record.vault.listCredentials(DEFAULT_VAULT, FIRST)).toEqual([]);
  });

  it('that is lost is no lock: the secrets can be dropped', () => {
    const record = openTestRecord();
    const { id } = keep(record.vault);
    rmSync(join(record.home, 'vault.key'));
    expect(dropSecrets(record.db, 5)).toBe(1);
    const vault = openAgain(record);
    expect(vault.secretsFor('all')).toEqual([]);
    expect(vault.needCredential(DEFAULT_VAULT, id).archivedAt).toBe(5);
    keep(vault);
    expect(vault.secretsFor('all')).toHaveLength(1);
  });
});

describe('sealing', () => {
  const key = createVaultKey(Buffer.alloc(32, 7));

  it('is never the same twice, and opens to the same', () => {
    const [a, b] = [key.seal(SECRET, ['v', 'c']), key.seal(SECRET, ['v', 'c'])];
    expect(a.equals(b)).toBe(false);
    expect([key.open(a, ['v', 'c']), key.open(b, ['v', 'c'])]).toEqual([SECRET, SECRET]);
    expect(a.includes(SECRET)).toBe(false);
    expect(a[0]).toBe(1);
  });

  it('opens in its own place, whole, and by its own key only', () => {
    const sealed = key.seal(SECRET, ['v', 'c']);
    for (const bind of [['v', 'd'], ['w', 'c'], ['v'], ['v', 'c', ''], ['vc']])
      expect([bind, key.open(sealed, bind)]).toEqual([bind, null]);
    for (let at = 0; at < sealed.length; at++) {
      const bad = Buffer.from(sealed);
      bad[at]! ^= 1;
      expect([at, key.open(bad, ['v', 'c'])]).toEqual([at, null]);
    }
    for (let length = 0; length < sealed.length; length++)
      expect(key.open(sealed.subarray(0, length), ['v', 'c'])).toBeNull();
    expect(createVaultKey(Buffer.alloc(32, 8)).open(sealed, ['v', 'c'])).toBeNull();
  });
});

describe('a row that was tampered with', () => {
  it.each([
    ['its secret changed', "UPDATE credentials SET sealed = CAST(sealed || x'00' AS BLOB) WHERE id = ?"],
    [
      'its hosts changed',
      `UPDATE credentials SET auth = replace(auth, 'api.example.com', 'evil.example.net') WHERE id = ?`,
    ],
    [
      'its secret moved from another row',
      'UPDATE credentials SET sealed = (SELECT sealed FROM credentials WHERE id <> $id) WHERE id = $id',
    ],
    [
      'it became a copy of another row',
      'UPDATE credentials SET (sealed, auth) = (SELECT sealed, auth FROM credentials WHERE id <> $id) WHERE id = $id',
    ],
    [
      'it moved to another vault',
      'UPDATE credentials SET vault_id = (SELECT id FROM vaults WHERE id <> vault_id) WHERE id = ?',
    ],
    [
      'its key id changed',
      "UPDATE credentials SET sealed = CAST(x'0100000000' || substr(sealed, 6) AS BLOB) WHERE id = ?",
    ],
  ])('%s: stays shut, the others work', (_, sql) => {
    const record = openTestRecord();
    const other = record.vault.create({ displayName: 'Other', metadata: {} }).id;
    const bad = keep(record.vault);
    const good = keep(record.vault, header({ header: 'X-Other', value: 'another-secret-value' }));
    record.db.prepare<[string | { id: string }]>(sql).run(sql.includes('$id') ? { id: bad.id } : bad.id);
    const vault = openAgain(record);
    expect(vault.secretsFor('all').map(({ id }) => id)).toEqual([good.id]);
    expect(vault.secrets()).not.toContain(SECRET);
    const all = [DEFAULT_VAULT, other].flatMap((id) => vault.listCredentials(id, FIRST));
    const row = all.find(({ readable }) => !readable)!;
    expect([all.length, row.id]).toEqual([2, bad.id]);
    const change = { auth: authChange.parse({ type: 'header', value: 'new-secret-value' }) };
    expect(failure(() => vault.updateCredential(row.vaultId, bad.id, change)).code).toBe('conflict');
    vault.removeCredential(row.vaultId, bad.id);
    keep(vault);
  });
});

describe('what is gone', () => {
  it.each([
    ['archived', (vault: Vault, id: string) => vault.archiveCredential(DEFAULT_VAULT, id)],
    ['removed', (vault: Vault, id: string) => vault.removeCredential(DEFAULT_VAULT, id)],
    [
      'rotated',
      (vault: Vault, id: string) =>
        vault.updateCredential(DEFAULT_VAULT, id, {
          auth: authChange.parse({ type: 'header', value: 'x'.repeat(SECRET.length) }),
        }),
    ],
  ])('%s: no byte of it stays in the data folder', (_, end) => {
    const record = openTestRecord();
    const { id } = keep(record.vault);
    for (let n = 0; n < 5; n++) keep(record.vault, header({ header: `X-${n}`, value: `other-${n}-`.repeat(20) }));
    const sealed = sealedOf(record, id)!;
    const pieces = [sealed, sealed.subarray(5, 17), sealed.subarray(-16)];
    // It was there before, in the log of writes or the file, or the search could not find it.
    for (const piece of pieces) expect(filesWith(record, piece)).not.toEqual([]);
    end(record.vault, id);
    for (const piece of pieces) expect(filesWith(record, piece)).toEqual([]);
    expect(filesWith(record, Buffer.from(SECRET))).toEqual([]);
  });

  it('a vault takes its credentials with it', () => {
    const record = openTestRecord();
    const { vault } = record;
    const made = vault.create({ displayName: 'Work', metadata: {} });
    const { id } = keep(vault, header(), made.id);
    const sealed = sealedOf(record, id)!;
    vault.archive(made.id);
    expect(filesWith(record, sealed)).toEqual([]);
    expect(vault.needCredential(made.id, id)).toMatchObject({ archivedAt: expect.any(Number), readable: true });
    expect(vault.secretsFor('all')).toEqual([]);
    expect(failure(() => keep(vault, header(), made.id)).code).toBe('conflict');
    expect(failure(() => vault.updateCredential(made.id, id, { displayName: 'x' })).code).toBe('conflict');
    expect(failure(() => vault.update(made.id, { displayName: 'x' })).code).toBe('conflict');
    vault.remove(made.id);
    expect(failure(() => vault.need(made.id)).code).toBe('not_found');
    expect(failure(() => vault.needCredential(made.id, id)).code).toBe('not_found');
  });
});

describe('the broker', () => {
  it('gets each type as it goes into a request', () => {
    const { vault } = openTestRecord();
    const ids = [
      auth({ type: 'static_bearer', mcp_server_url: 'https://mcp.example.com/sse', token: 'tok' }),
      auth({ type: 'mcp_oauth', mcp_server_url: 'https://o.example.com:8443/mcp', access_token: 'acc' }),
      auth({
        type: 'environment_variable',
        secret_name: 'GITHUB_TOKEN',
        secret_value: 'ghp',
        networking: { type: 'limited', allowed_hosts: ['API.github.com', '*.Example.org', '192.0.2.1'] },
      }),
      header({ header: 'Authorization', prefix: 'token ', hosts: ['git.example.com'] }),
      auth({ type: 'basic', hosts: ['git2.example.com'], username: 'x-access-token', password: 'pä:ss' }),
    ].map((params) => keep(vault, params).id);
    const of = { vaultId: DEFAULT_VAULT, name: 'key' };
    const secrets = vault.secretsFor('all');
    const { placeholder } = secrets[2]!;
    expect(placeholder).toMatch(/^stw_[0-9a-f]{40}$/);
    expect(secrets).toEqual(
      [
        { hosts: ['mcp.example.com:443'], header: 'authorization', value: 'Bearer tok' },
        { hosts: ['o.example.com:8443'], header: 'authorization', value: 'Bearer acc' },
        {
          hosts: ['api.github.com', '*.example.org', '192.0.2.1'],
          header: '',
          value: 'ghp',
          placeholder,
          variable: 'GITHUB_TOKEN',
        },
        { hosts: ['git.example.com'], header: 'authorization', value: `token ${SECRET}` },
        {
          hosts: ['git2.example.com'],
          header: 'authorization',
          value: `Basic ${Buffer.from('x-access-token:pä:ss').toString('base64')}`,
        },
      ].map((use, at) => ({ id: ids[at], ...of, ...use })),
    );
  });

  it('hears of a rotation, and the placeholder stays', () => {
    const { vault } = openTestRecord();
    const variable = { type: 'environment_variable', secret_name: 'TOKEN' };
    const networking = { type: 'limited', allowed_hosts: ['a.example.com'] };
    const { id } = keep(vault, auth({ ...variable, secret_value: 'first-value', networking }));
    const before = vault.secretsFor('all')[0]!;
    const heard: string[] = [];
    const stop = vault.onChange(() => heard.push(...vault.secretsFor('all').map(({ value }) => value)));
    const change = authChange.parse({ type: 'environment_variable', secret_value: 'second-value' });
    vault.updateCredential(DEFAULT_VAULT, id, { auth: change });
    expect(heard).toEqual(['second-value']);
    expect(vault.secretsFor('all')[0]).toEqual({ ...before, value: 'second-value' });
    vault.archiveCredential(DEFAULT_VAULT, id);
    expect(vault.secretsFor('all')).toEqual([]);
    stop();
    keep(vault);
    expect(heard).toEqual(['second-value']);
  });

  it('hears nothing of what was rolled back', () => {
    const { vault, db } = openTestRecord();
    let heard = 0;
    vault.onChange(() => {
      heard += 1;
    });
    expect(() =>
      db.tx(() => {
        keep(vault);
        throw new Error('no');
      }),
    ).toThrow('no');
    expect([heard, vault.secretsFor('all'), vault.secrets()]).toEqual([0, [], []]);
  });

  it('gets those of the vaults it asks for, in their order', () => {
    const { vault } = openTestRecord();
    const [a, b] = ['A', 'B'].map((displayName) => vault.create({ displayName, metadata: {} }).id) as [string, string];
    const value = (vaultId: string) => `secret-of-${vaultId}`;
    for (const id of [a, b]) keep(vault, header({ value: value(id) }), id);
    const valuesOf = (which: string[] | 'all') => vault.secretsFor(which).map((secret) => secret.value);
    expect(valuesOf([b, a])).toEqual([value(b), value(a)]);
    expect(valuesOf([a])).toEqual([value(a)]);
    expect(valuesOf([])).toEqual([]);
    expect(valuesOf('all')).toEqual([value(a), value(b)]);
    expect(failure(() => vault.needCredential(a, vault.secretsFor([b])[0]!.id)).code).toBe('not_found');
  });
});

describe('redaction', () => {
  it('knows every form of every secret, also of one that was just replaced', () => {
    const record = openTestRecord();
    const { vault } = record;
    const { id } = keep(
      vault,
      auth({ type: 'basic', hosts: ['a.example.com'], username: 'ada', password: 'p&ss w/ord+1' }),
    );
    const clean = redactor(vault.secrets);
    const forms = [
      'p&ss w/ord+1',
      encodeURIComponent('p&ss w/ord+1'),
      Buffer.from('ada:p&ss w/ord+1').toString('base64'),
    ];
    for (const form of forms) expect(clean(`<${form}>`)).toBe('<[redacted]>');
    const change = authChange.parse({ type: 'basic', password: 'another-password' });
    vault.updateCredential(DEFAULT_VAULT, id, { auth: change });
    for (const form of [...forms, 'another-password']) expect(clean(`<${form}>`)).toBe('<[redacted]>');
    expect(redactor(record.reopen().vault.secrets)('another-password')).toBe('[redacted]');
  });
});

describe('what may be kept', () => {
  it.each([
    ['a host with a path', { hosts: ['example.com/x'] }],
    ['a URL', { hosts: ['https://example.com'] }],
    ['a port', { hosts: ['example.com:443'] }],
    ['IPv6', { hosts: ['::1'] }],
    ['a bare star', { hosts: ['*'] }],
    ['a star inside', { hosts: ['a.*.example.com'] }],
    ['an address in disguise', { hosts: ['0x7f.1'] }],
    ['a name with a line break', { hosts: ['example.com\n'] }],
    ['no host', { hosts: [] }],
    ['17 hosts', { hosts: Array.from({ length: 17 }, (_, n) => `h${n}.example.com`) }],
    ['a header with a line break', { header: 'X-Key\r\nHost' }],
    ['a header that frames the message', { header: 'Transfer-Encoding' }],
    ['a prefix with a line break', { prefix: 'Bearer\n' }],
    ['an empty secret', { value: '' }],
    ['a secret with a line break', { value: 'a\nb' }],
    ['a secret with a space around it', { value: ' abc' }],
    ['a secret of another alphabet', { value: 'ключ' }],
    ['a secret that is too long', { value: 'x'.repeat(16_385) }],
    ['an unknown field', { valeu: 'x' }],
  ])('not %s, and the sentence does not repeat a secret', (_, wrong) => {
    const result = authParams.safeParse({ type: 'header', hosts: ['a.b'], header: 'X-Key', value: SECRET, ...wrong });
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error!.issues.map(({ message }) => message))).not.toContain(SECRET);
  });

  it.each([
    ['PATH', false],
    ['https_proxy', false],
    ['LD_PRELOAD', false],
    ['A-B', false],
    ['1A', false],
    ['GITHUB_TOKEN', true],
    ['_x1', true],
  ])('the variable %s: %j', (secret_name, fits) => {
    const params = {
      type: 'environment_variable',
      secret_name,
      secret_value: 'x',
      networking: { type: 'unrestricted' },
    };
    expect(authParams.safeParse(params).success).toBe(fits);
  });

  it('hosts as the broker matches them', () => {
    for (const good of [
      'localhost',
      'api.example.com',
      '192.0.2.1',
      '*.example.com',
      'xn--bcher-kva.example',
      'a_b.example',
    ])
      expect([good, isHostPattern(good)]).toEqual([good, true]);
    for (const bad of [
      '',
      '.',
      'a..b',
      'example.com.',
      '-a.example',
      '*.',
      '**.a',
      '*.1.2',
      '256.1.1.1',
      'a b',
      'bücher.example',
      'x'.repeat(64),
    ])
      expect([bad, isHostPattern(bad)]).toEqual([bad, false]);
  });

  it('one credential for one use, in each vault', () => {
    const { vault } = openTestRecord();
    const other = vault.create({ displayName: 'B', metadata: {} }).id;
    const first = keep(vault);
    const again = header({ hosts: ['b.example.com', 'API.example.com'], header: 'x-api-KEY' });
    expect(failure(() => keep(vault, again)).message).toContain(first.id);
    keep(vault, again, other);
    keep(vault, header({ header: 'X-Other' }));
    vault.archiveCredential(DEFAULT_VAULT, first.id);
    const second = keep(vault, again);
    const change = { auth: authChange.parse({ type: 'header', header: 'X-Other' }) };
    expect(failure(() => vault.updateCredential(DEFAULT_VAULT, second.id, change)).code).toBe('conflict');
    const basic = { type: 'basic', hosts: ['git.example.com'], username: 'a', password: 'b' };
    keep(vault, auth(basic));
    const bearer = header({ hosts: ['git.example.com'], header: 'authorization' });
    expect(failure(() => keep(vault, bearer)).code).toBe('conflict');
  });

  it('twenty in a vault, archived ones not counted', () => {
    const { vault } = openTestRecord();
    const made = Array.from({ length: 20 }, (_, n) => keep(vault, header({ header: `X-${n}` })).id);
    expect(failure(() => keep(vault, header({ header: 'X-21' }))).message).toContain('at most 20');
    vault.archiveCredential(DEFAULT_VAULT, made[3]!);
    keep(vault, header({ header: 'X-21' }));
  });

  it('the type, and what a credential is for, stay', () => {
    const { vault } = openTestRecord();
    const { id } = keep(vault);
    const change = { auth: authChange.parse({ type: 'basic', password: 'x' }) };
    expect(failure(() => vault.updateCredential(DEFAULT_VAULT, id, change)).message).toContain('must be header');
    const renamed = authChange.safeParse({ type: 'environment_variable', secret_name: 'B' });
    expect(renamed.error?.issues[0]).toMatchObject({
      path: ['secret_name'],
      message: expect.stringContaining('cannot be changed'),
    });
  });

  it('the default vault stays', () => {
    const { vault } = openTestRecord();
    expect(vault.need(DEFAULT_VAULT)).toMatchObject({ displayName: 'Default', archivedAt: null });
    expect(failure(() => vault.remove(DEFAULT_VAULT)).code).toBe('conflict');
    expect(failure(() => vault.archive(DEFAULT_VAULT)).code).toBe('conflict');
  });
});
