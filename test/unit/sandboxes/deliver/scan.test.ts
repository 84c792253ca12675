// What a change is searched for: each sign is found, what looks alike is not, and no line passes for something else.
import { describe, expect, it } from 'vitest';
import { addedLines, type ChangedFile, parseChange } from '../../../../sandboxes/deliver/change.ts';
import { isSecret, leaves, scan } from '../../../../sandboxes/deliver/scan.ts';

const file = (path: string, more: Partial<ChangedFile> = {}): ChangedFile => ({
  ...{ path, status: 'M', oldMode: '100644', mode: '100644', object: 'a'.repeat(40), binary: false },
  ...{ insertions: 1, deletions: 0, bytes: 10 },
  ...more,
});
const kinds = (files: ChangedFile[], lines: [string, string][] = [], messages = '') =>
  scan({ files, added: lines.map(([path, text]) => ({ path, text })), messages, cut: false }).map(({ kind }) => kind);

const token = `ghp_${'a1B2'.repeat(9)}`;

describe('a change', () => {
  it('of ordinary files says nothing', () => {
    expect(kinds([file('src/a.ts'), file('README.md')], [['src/a.ts', 'const password = readPassword();']])).toEqual(
      [],
    );
  });

  it.each([
    ['.env', 'forbidden_path'],
    ['a/.env.production', 'forbidden_path'],
    ['deploy/server.key', 'forbidden_path'],
    ['.github/workflows/ci.yml', 'ci'],
    ['.gitlab-ci.yml', 'ci'],
    ['x/Jenkinsfile', 'ci'],
    ['.husky/pre-commit', 'hook'],
    ['.gitattributes', 'hook'],
    ['sub/.npmrc', 'hook'],
    ['package-lock.json', 'lockfile'],
    ['crates/x/Cargo.lock', 'lockfile'],
  ])('%s is %s', (path, kind) => expect(kinds([file(path)])).toEqual([kind]));

  it.each(['.env.example', 'src/environment.ts', 'docs/ci.md', 'lock.json', 'keyboard.ts', 'monkey'])(
    '%s is nothing',
    (path) => expect(kinds([file(path)])).toEqual([]),
  );

  it('names links out of the tree, binary and large files, submodules, and a change that is large as a whole', () => {
    expect(kinds([file('a/link', { mode: '120000', target: '../../etc/passwd' })])).toEqual(['link']);
    expect(kinds([file('a/link', { mode: '120000', target: '../b' })])).toEqual([]);
    expect(kinds([file('logo.png', { binary: true })])).toEqual(['binary']);
    expect(kinds([file('big.txt', { bytes: 6 * 1024 * 1024 })])).toEqual(['size']);
    expect(kinds([file('lib', { mode: '160000' })])).toEqual(['submodule']);
    expect(kinds([file('a', { insertions: 6_000 })])).toEqual(['size']);
    expect(scan({ files: [], added: [], messages: '', cut: true }).map(({ kind }) => kind)).toEqual(['size']);
  });

  it('finds secrets in a file, in a commit that was undone, and in a message', () => {
    const found = scan({
      files: [file('a.ts')],
      added: [
        { path: 'a.ts', text: `const t = '${token}'` },
        { path: 'gone.ts', text: `const t = '${token}'` },
      ],
      messages: `use ${token}`,
      cut: false,
    });
    expect(found.map(({ text }) => text)).toEqual([
      'a.ts gets what looks like a secret.',
      'An earlier commit has what looks like a secret, in gone.ts.',
      'A commit message has what looks like a secret in it.',
    ]);
    expect(JSON.stringify(found)).not.toContain(token);
  });

  it('shows the first of a kind and counts the rest', () => {
    const files = Array.from({ length: 9 }, (_, index) => file(`k${index}.pem`));
    expect(scan({ files, added: [], messages: '', cut: false }).at(-1)!.text).toContain('4 more');
  });
});

describe('a line', () => {
  it.each([
    token,
    '-----BEGIN RSA PRIVATE KEY-----',
    `DATABASE_URL=postgres://me:hunter22@db/x`,
    `password: "corr3ct-horse"`,
    `api_key = 'abcd1234efgh'`,
    `x = "Zm9vYmFyQmF6UXV4MTIzNDU2Nzg5MGFiY0RFRg"`,
  ])('%s is a secret', (line) => expect(isSecret(line, 'a.ts')).toBe(true));

  it.each([
    'const password: string = await ask();',
    `password: "your-password-1"`,
    `token = "\${TOKEN_2}"`,
    'a94a8fe5ccb19ba61c4c0873d391e987982fbbd3',
    '"integrity": "sha512-Zm9vYmFyQmF6UXV4MTIzNDU2Nzg5MGFiY0RFRg=="',
  ])('%s is not', (line) => expect(isSecret(line, 'a.ts')).toBe(false));

  it('of any length is read in no time', () => {
    const from = performance.now();
    for (const text of ['a'.repeat(1_000_000), `token${' '.repeat(500_000)}=`, 'secret="'.repeat(50_000)])
      isSecret(text, 'x');
    expect(performance.now() - from).toBeLessThan(1_000);
  });
});

describe('links', () => {
  it.each([
    ['a', '/etc/passwd', true],
    ['a', '../x', true],
    ['d/a', '../x', false],
    ['d/a', 'x/../../../y', true],
    ['a', '.git/config', true],
    ['a', 'C:\\x', true],
    ['a', './b', false],
  ])('%s → %s', (path, target, out) => expect(leaves(path, target)).toBe(out));
});

describe('reading what git says', () => {
  it('pairs modes with counts by position', () => {
    const [x, y] = ['1'.repeat(40), '2'.repeat(40)];
    const output = Buffer.from(
      `:100644 100644 ${x} ${y} M\0a b\0:000000 120000 ${x} ${y} A\0l\0:100644 000000 ${x} ${x} D\0gone\0` +
        `3\t1\ta b\0` +
        `1\t0\tl\0` +
        `-\t-\tgone\0`,
    );
    expect(parseChange(output)).toMatchObject([
      { path: 'a b', status: 'M', insertions: 3, deletions: 1, binary: false },
      { path: 'l', status: 'A', mode: '120000', insertions: 1 },
      { path: 'gone', status: 'D', mode: '000000', binary: true },
    ]);
  });

  it('lets no added line pass for a header', () => {
    const diff = [
      '--- a/x',
      '+++ b/real.ts',
      '@@ -1,1 +1,3 @@',
      '--- a/old',
      '+++ b/fake.ts',
      '+@@ -1 +1 @@',
      `+${token}`,
    ].join('\n');
    expect(addedLines(diff)).toEqual([
      { path: 'real.ts', text: '++ b/fake.ts' },
      { path: 'real.ts', text: '@@ -1 +1 @@' },
      { path: 'real.ts', text: token },
    ]);
  });
});
