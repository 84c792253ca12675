// What needs no repository: whose credential goes where, what git's complaints mean, and how a bundle begins.
import { describe, expect, it } from 'vitest';
import type { Secret } from '../../../../core/vault-secret.ts';
import { parseHeader } from '../../../../sandboxes/deliver/bundle.ts';
import { apiToken, credentialFor, githubRepository } from '../../../../sandboxes/deliver/credentials.ts';
import { environmentFor } from '../../../../sandboxes/deliver/host-git.ts';
import { failureOf } from '../../../../sandboxes/deliver/push.ts';

const API = 'https://api.github.com';
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
const secret = (hosts: string[], value: string, more: Partial<Secret> = {}): Secret => ({
  ...{ id: 'vcrd_1', vaultId: 'vlt_1', name: 'x', hosts, header: 'authorization', value },
  ...more,
});

describe('a credential', () => {
  const held = [secret(['git.example.com'], basic('me:pass-word')), secret(['*.corp.test:8443'], 'Bearer abcdefgh')];
  const github = { token: 'tok-12345', apiUrl: API };

  it.each([
    ['https://github.com/o/r', basic('x-access-token:tok-12345')],
    ['https://git.example.com/o/r', basic('me:pass-word')],
    ['https://a.corp.test:8443/r', 'Bearer abcdefgh'],
  ])('goes to %s', (url, value) => expect(credentialFor(url, held, github)?.value).toBe(value));

  it.each([
    'http://github.com/o/r',
    'https://github.com.evil.test/o/r',
    'https://notgit.example.com/r',
    'https://a.corp.test/r',
    'git@github.com:o/r',
    '/srv/r',
  ])('does not go to %s', (url) => expect(credentialFor(url, held, github)).toBeNull());

  it('that goes anywhere, or stands for a placeholder, is the sandbox’s alone', () => {
    const wide = [secret(['*'], 'Bearer x'), secret(['h.test'], 'x', { header: '', placeholder: 'p' })];
    expect(credentialFor('https://h.test/r', wide, { token: null, apiUrl: API })).toBeNull();
  });

  it('for the API is the setting, else what the vault has for the host', () => {
    expect(apiToken(held, github)).toBe('tok-12345');
    expect(apiToken([secret(['github.com'], basic('me:tok-9'))], { token: null, apiUrl: API })).toBe('tok-9');
    expect(apiToken(held, { token: null, apiUrl: API })).toBeNull();
  });

  it('is in the environment of a child that needs it, and nothing else of ours is', () => {
    const machine = { GIT_SSL_CAINFO: '/ca', ANTHROPIC_API_KEY: 'k', GIT_CONFIG_COUNT: '9', GIT_SSH: 'x' };
    const env = environmentFor(machine, { credential: credentialFor('https://github.com/o/r', [], github) });
    expect(env).toMatchObject({ GIT_SSL_CAINFO: '/ca', GIT_ALLOW_PROTOCOL: 'none' });
    expect(env).not.toHaveProperty('ANTHROPIC_API_KEY');
    expect(env).not.toHaveProperty('GIT_SSH');
    expect(Object.values(env)).toContain('http.https://github.com/.extraHeader');
    expect(JSON.stringify(environmentFor(machine, {}))).not.toContain('extraHeader');
  });
});

it.each([
  ['https://github.com/o/r.git', API, 'o/r'],
  ['git@github.com:o/r.git', API, 'o/r'],
  ['ssh://git@github.com:22/o/r', API, 'o/r'],
  ['https://ghe.test/o/r', 'https://ghe.test/api/v3', 'o/r'],
  ['https://gitlab.com/o/r', API, null],
  ['https://github.com/o', API, null],
])('%s on %s is %s', (url, api, name) => {
  const found = githubRepository(url, api);
  expect(found && `${found.owner}/${found.repo}`).toBe(name);
});

it.each([
  ['fatal: unable to access: Failed to connect to h port 443', 'unavailable'],
  ['fatal: unable to access: The requested URL returned error: 503', 'unavailable'],
  ['fatal: Authentication failed for https://h/', 'forbidden'],
  ['remote: error: GH006: Protected branch update failed', 'forbidden'],
  ['! [remote rejected] a -> a (pre-receive hook declined)', 'forbidden'],
  ['! [rejected] a -> a (stale info)', 'conflict'],
  ['fatal: repository https://h/r not found', 'not_found'],
])('%s: %s', (stderr, code) => {
  const error = failureOf({ url: 'https://h/r' }, { code: 128, limited: null, stderr });
  expect(error).toMatchObject({ code, retryable: code === 'unavailable' });
});

it('a bundle begins with its refs, and nothing else does', () => {
  const [a, b] = ['a'.repeat(40), 'b'.repeat(40)];
  const head = `# v2 git bundle\n-${a} base\n${b} refs/heads/x\n\n`;
  expect(parseHeader(Buffer.from(`${head}PACK`))).toEqual({
    ...{ prerequisites: [a], refs: [{ name: 'refs/heads/x', commit: b }], length: head.length },
  });
  for (const text of ['', 'PACK', '# v2 git bundle\n', `# v9 git bundle\n${b} x\n\n`, `# v2 git bundle\nzz x\n\n`])
    expect(parseHeader(Buffer.from(text))).toBeNull();
});
