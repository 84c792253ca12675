// The verdict on a request: hosts, ports, methods, paths, caps, and what a tunnel must not hide.
import { describe, expect, it } from 'vitest';
import {
  type Ask,
  ambiguousPath,
  type EgressPolicy,
  hostMatches,
  judge,
  PRESETS,
  pathMatches,
  type Rule,
} from '../../../../sandboxes/broker/policy.ts';
import { repositories } from '../../../../sandboxes/broker/presets.ts';

const policyOf = (allow: readonly Rule[], more: Partial<EgressPolicy> = {}): EgressPolicy => ({
  allow,
  unrestricted: false,
  credentials: true,
  requests: null,
  bytes: null,
  ...more,
});
const unused = { requests: 0, bytes: 0 };
const ask = (host: string, more: Partial<Ask> = {}): Ask => ({ host, port: 443, method: 'GET', path: '/', ...more });
const tunnel = (host: string, port = 443): Ask => ({ host, port, method: null, path: null });

describe('hosts', () => {
  it.each([
    ['example.org', 'example.org', true],
    ['Example.ORG', 'example.org', true],
    ['example.org.', 'example.org', true],
    ['example.org', 'www.example.org', false],
    ['example.org', 'notexample.org', false],
    ['example.org', 'example.org.evil.test', false],
    ['*.example.org', 'www.example.org', true],
    ['*.example.org', 'a.b.example.org', true],
    ['*.example.org', 'example.org', false],
    ['*.example.org', '.example.org', false],
    ['*.example.org', 'evilexample.org', false],
    ['*', 'example.org', false],
    ['*.', 'example.org', false],
    ['', 'example.org', false],
    ['[::1]', '::1', true],
    ['93.184.216.34', '93.184.216.34', true],
  ])('%s for %s: %s', (pattern, host, matches) => {
    expect(hostMatches(pattern, host)).toBe(matches);
  });
});

describe('paths', () => {
  it.each([
    ['/owner/repo', '/owner/repo', true],
    ['/owner/repo', '/owner/repo.git/info/refs?service=git-upload-pack', true],
    ['/owner/repo', '/owner/repo/info/refs', true],
    ['/owner/repo', '/owner/repository', false],
    ['/owner/repo', '/owner/repo.gitx/info/refs', false],
    ['/owner/repo', '/owner/other?x=/owner/repo', false],
    ['/owner/repo', '/Owner/repo', false],
    ['/owner/repo', '//owner/repo', false],
    ['/v1/', '/v1/messages', true],
    ['/v1/', '/v10', false],
    ['/v1', '/v1/..%2fadmin', false],
    ['/v1', '/v1/%2e%2e/admin', false],
    ['/v1', '/v1/..;/admin', false],
    ['/v1', '/v1/x%2f..%2f..%2fadmin', false],
    ['/v1', '/v1/%252e%252e/admin', false],
    ['/v1', '/v1/a\\..\\admin', false],
    ['/v1', '/v1/a%5c..%5cadmin', false],
    ['/v1', '/v1/a%00', false],
    ['/', '/@scope%2fname', true],
    ['/', '/.well-known/x...y', true],
  ])('%s for %s: %s', (prefix, path, matches) => {
    expect(pathMatches(prefix, path)).toBe(matches);
  });

  it('a dotted name is not a way up', () => {
    expect(ambiguousPath('/.git/..hidden/a..b/...')).toBe(false);
  });
});

describe('verdicts', () => {
  it('nothing is allowed that no rule names, and the refusal says what to do', () => {
    const verdict = judge(policyOf([]), unused, ask('example.org'));
    expect(verdict).toEqual({
      allow: false,
      why: 'example.org is not allowed in this sandbox. Name the host in the `hosts` argument of the bash tool; the owner is asked.',
    });
  });

  it('a refused port is part of the name that can be asked for', () => {
    expect(judge(policyOf([{ host: 'a.test' }]), unused, ask('a.test', { port: 8443 })).why).toMatch(
      /^a\.test:8443 is not/,
    );
    expect(judge(policyOf([]), unused, ask('::1', { port: 22 })).why).toMatch(/^\[::1\]:22 is not/);
  });

  it.each([
    ['the usual ports', { host: 'a.test' }, [80, 443], [22, 8080]],
    ['the named ports only', { host: 'a.test', ports: [8080] }, [8080], [80, 443]],
  ] as [string, Rule, number[], number[]][])('%s', (_, rule, open, closed) => {
    const allowed = (port: number) => judge(policyOf([rule]), unused, ask('a.test', { port })).allow;
    expect(open.map(allowed)).not.toContain(false);
    expect(closed.map(allowed)).not.toContain(true);
  });

  it('methods and paths hold together', () => {
    const policy = policyOf([{ host: 'a.test', methods: ['GET', 'HEAD'], paths: ['/docs'] }]);
    expect(judge(policy, unused, ask('a.test', { path: '/docs/x' })).allow).toBe(true);
    expect(judge(policy, unused, ask('a.test', { method: 'get', path: '/docs' })).allow).toBe(true);
    expect(judge(policy, unused, ask('a.test', { method: 'POST', path: '/docs' })).allow).toBe(false);
    expect(judge(policy, unused, ask('a.test', { path: '/admin?token=1' })).why).toBe(
      'GET /admin on a.test is not allowed in this sandbox: it may be reached with GET, HEAD under /docs.',
    );
  });

  it('several rules for a host add up', () => {
    const policy = policyOf([
      { host: 'a.test', methods: ['GET'] },
      { host: 'a.test', methods: ['POST'], paths: ['/in'] },
    ]);
    expect(judge(policy, unused, ask('a.test', { method: 'POST', path: '/in' })).allow).toBe(true);
    expect(judge(policy, unused, ask('a.test', { method: 'POST', path: '/out' })).allow).toBe(false);
  });

  it('a tunnel has to be opened when a rule is about what is inside, and only then', () => {
    expect(judge(policyOf([{ host: 'a.test' }]), unused, tunnel('a.test'))).toMatchObject({
      allow: true,
      inspect: false,
    });
    expect(judge(policyOf([{ host: 'a.test', paths: ['/x'] }]), unused, tunnel('a.test'))).toMatchObject({
      allow: true,
      inspect: true,
    });
    const both = policyOf([{ host: 'a.test', paths: ['/x'] }, { host: '*.test' }]);
    expect(judge(both, unused, tunnel('a.test'))).toMatchObject({ allow: true, inspect: false });
    expect(judge(policyOf([{ host: 'a.test', methods: ['GET'] }]), unused, tunnel('b.test')).allow).toBe(false);
  });

  it('an empty list of methods or paths allows nothing', () => {
    expect(judge(policyOf([{ host: 'a.test', methods: [] }]), unused, ask('a.test')).allow).toBe(false);
    expect(judge(policyOf([{ host: 'a.test', paths: [] }]), unused, ask('a.test')).allow).toBe(false);
  });

  it('unrestricted is any host and port, but no key', () => {
    const policy = policyOf([], { unrestricted: true });
    expect(judge(policy, unused, tunnel('a.test', 22))).toMatchObject({ allow: true, inspect: false });
    expect(judge(policy, unused, ask('api.anthropic.com', { route: 'anthropic' })).allow).toBe(false);
  });

  it('the Messages API is its own permission; the registries follow from their host', () => {
    expect(judge(policyOf([], { routes: ['anthropic'] }), unused, ask('x', { route: 'anthropic' })).allow).toBe(true);
    expect(
      judge(policyOf([{ host: 'api.anthropic.com' }]), unused, ask('api.anthropic.com', { route: 'anthropic' })).allow,
    ).toBe(false);
    expect(judge(policyOf(PRESETS.registries), unused, ask('registry.npmjs.org', { route: 'npm' })).allow).toBe(true);
    expect(judge(policyOf(PRESETS.registries), unused, ask('pypi.org', { route: 'pip' })).allow).toBe(true);
    expect(judge(policyOf(PRESETS.git), unused, ask('registry.npmjs.org', { route: 'npm' })).allow).toBe(false);
  });

  it('caps end it, whatever is allowed', () => {
    const policy = policyOf([{ host: 'a.test' }], { requests: 2, bytes: 100, routes: ['npm'] });
    expect(judge(policy, { requests: 1, bytes: 99 }, ask('a.test')).allow).toBe(true);
    expect(judge(policy, { requests: 2, bytes: 0 }, ask('a.test')).why).toMatch(/all of its 2 requests/);
    expect(judge(policy, { requests: 0, bytes: 100 }, ask('a.test')).why).toMatch(/all of its 100 bytes/);
    expect(judge(policy, { requests: 2, bytes: 0 }, ask('x', { route: 'npm' })).allow).toBe(false);
  });
});

describe('presets', () => {
  it('offline is nothing at all', () => {
    expect(PRESETS.offline).toEqual([]);
  });

  it('are looked up by their own names only', () => {
    for (const name of ['constructor', 'toString', '__proto__']) expect(name in PRESETS).toBe(false);
  });

  it('name whole hosts that are not a home for everybody', () => {
    const everybodys = /^(?:storage\.googleapis\.com|.*\.amazonaws\.com|\*\.github\.io|gist\.github\.com)$/;
    for (const rules of Object.values(PRESETS))
      for (const { host } of rules) {
        expect(host).toMatch(/^(?:\*\.)?[a-z0-9.-]+\.[a-z]+$/);
        expect(host).not.toMatch(everybodys);
      }
  });

  it('a repository is that one and nothing else of its host', () => {
    const policy = policyOf(repositories(['github.com/owner/repo.git']));
    const allowed = (path: string) => judge(policy, unused, ask('github.com', { path })).allow;
    expect(allowed('/owner/repo.git/git-upload-pack')).toBe(true);
    expect(allowed('/owner/repo/info/refs?service=git-upload-pack')).toBe(true);
    expect(allowed('/owner/repo2/info/refs')).toBe(false);
    expect(allowed('/someone/repo.git/git-receive-pack')).toBe(false);
    expect(judge(policy, unused, tunnel('github.com'))).toMatchObject({ inspect: true });
  });
});

describe('git over HTTP', () => {
  const at = (path: string, method = 'POST') => ({ host: 'git.test', port: 443, method, path });
  const writes = [at('/o/r.git/git-receive-pack'), at('/o/r.git/info/refs?service=git-receive-pack', 'GET')];
  const reads = [at('/o/r.git/git-upload-pack'), at('/o/r.git/info/refs?service=git-upload-pack', 'GET')];

  it('reading a host is not writing to it', () => {
    const policy = policyOf([{ host: 'git.test' }]);
    for (const ask of reads) expect(judge(policy, unused, ask)).toMatchObject({ allow: true });
    for (const ask of writes)
      expect(judge(policy, unused, ask)).toMatchObject({ allow: false, why: expect.stringContaining('push:git.test') });
    for (const ask of writes) expect(judge({ ...policy, unrestricted: true }, unused, ask).allow).toBe(false);
  });

  it('however it is written', () => {
    const policy = policyOf([{ host: 'git.test' }]);
    for (const path of [
      '/r/git%2Dreceive-pack',
      '/r/%67it-receive-pack',
      '/r/info/refs?a=1&service=git-receive%2dpack',
      '/r/git-receive-pack/',
    ])
      expect(judge(policy, unused, at(path)).allow).toBe(false);
    expect(judge(policy, unused, at('/r/git-receive-packs')).allow).toBe(true);
  });

  it('a tunnel to where everybody can push is opened, unless pushing is allowed', () => {
    const inspect = (policy: EgressPolicy, host: string) => judge(policy, unused, tunnel(host));
    expect(inspect(policyOf(PRESETS.git), 'github.com')).toMatchObject({ inspect: true });
    expect(inspect(policyOf([], { unrestricted: true }), 'gitlab.com')).toMatchObject({ inspect: true });
    expect(inspect(policyOf(PRESETS.git, { push: ['github.com'] }), 'github.com')).toMatchObject({ inspect: false });
    expect(inspect(policyOf([], { unrestricted: true }), 'example.org')).toMatchObject({ inspect: false });
  });

  it('writing is for the hosts that are named for it, and no more than the rules allow', () => {
    const policy = policyOf([{ host: 'git.test', paths: ['/o/r'] }], { push: ['git.test'] });
    for (const ask of writes) expect(judge(policy, unused, ask)).toMatchObject({ allow: true });
    expect(judge(policy, unused, at('/o/other.git/git-receive-pack')).allow).toBe(false);
    expect(judge(policyOf([{ host: 'git.test' }], { push: ['else.test'] }), unused, writes[0]!).allow).toBe(false);
  });
});
