// `steward memory`, `export`, `import` and `eval memory` as a person types them, against a real process.
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type StewardProcess, startSteward } from '../helpers/process.ts';
import { command, type Person } from '../unit/core/cli/stage.ts';

let steward: StewardProcess;
let folder: string;
beforeAll(async () => {
  steward = await startSteward();
  folder = mkdtempSync(join(tmpdir(), 'steward-commands-'));
});
afterAll(async () => {
  await steward?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const run = (args: string[], person?: Person) =>
  command({ STEWARD_HOME: steward.home, STEWARD_PORT: new URL(steward.url).port }, args, person);
const memory = (...args: string[]) => run(['memory', ...args]);
const json = async <T>(...args: string[]): Promise<T> => {
  const heard = await memory(...args, '--json');
  expect(heard, heard.err).toMatchObject({ code: 0, err: '' });
  return JSON.parse(heard.out) as T;
};
const idIn = (text: string, prefix = 'mem') => new RegExp(`${prefix}_[0-9A-Z]{26}`).exec(text)![0];
const saved = async (...args: string[]) => idIn((await memory('save', ...args)).out);

describe('memory', () => {
  it('says what to do when there is nothing', async () => {
    expect(await memory('list')).toEqual({ code: 0, out: 'Nothing is remembered that fits.\n', err: '' });
    expect((await memory('list', '--json')).out).toBe('[]\n');
    expect((await memory('search', 'anything')).out).toBe('Nothing found.\n');
    expect((await memory('questions')).out).toContain('Nothing waits');
    expect((await memory('changes')).out).toContain('not changed yet');
  });

  it('saves, lists, finds and explains', async () => {
    const heard = await memory('save', 'Ada plays the cello', '--subject', 'Ada', '--slot', 'instrument', '--pin');
    expect(heard).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^Kept as mem_\w+\. steward memory undo mchg_/),
    });
    const id = idIn(heard.out);
    expect((await memory('save', 'Ada plays the cello')).out).toBe(`Known already: ${id}.\n`);
    const [header, row] = (await memory('list', '--pinned')).out.split('\n').map((line) => line.split(/ {2,}/));
    expect(header).toEqual(['ID', 'TIER', 'SINCE', 'WORDS OF', 'ABOUT', 'TEXT']);
    expect(row).toEqual([id, 'reference *', expect.any(String), 'owner', 'ada / instrument', 'Ada plays the cello']);
    expect((await memory('search', 'who', 'plays', 'cello', '--items')).out).toMatch(
      new RegExp(`^\\[${id}\\] \\S+, reference, the owner’s words: “Ada plays the cello” \\(\\d+ %\\)\\n$`),
    );
    const shown = (await memory('show', id)).out;
    expect(shown).toContain('It comes from:');
    expect(shown).toMatch(/sevt_\w+ {2}\S+, owner, web\n {4}“Ada plays the cello”/);
    expect(await json<{ sources: object[] }>('show', id)).toMatchObject({
      id,
      sources: [{ quote: 'Ada plays the cello' }, { quote: 'Ada plays the cello' }],
    });
  });

  it('edits, corrects, pins and takes back; what held then can be asked', async () => {
    const place = ['--subject', 'owner', '--slot', 'city', '--from', '2026-01-01'];
    const first = await saved('Lives in Bonn', ...place);
    const next = idIn((await memory('edit', first, 'Lives in Oslo')).out);
    expect((await memory('as-of', '2026-02-01', 'owner')).out).toContain('Lives in Bonn');
    expect((await memory('as-of', '2025-02-01')).out).toBe('Nothing is known of that time.\n');
    expect((await memory('history', next)).out).toMatch(/Lives in Bonn[\s\S]*Lives in Oslo/);
    const right = await memory('correct', next, 'Lives in Bergen');
    expect(right.out).toContain(`it takes the place of ${next}`);
    expect((await json<{ text: string }[]>('list', '--subject', 'owner')).map(({ text }) => text)).toEqual([
      'Lives in Bergen',
    ]);
    await memory('undo', idIn(right.out, 'mchg'));
    expect((await json<{ text: string }[]>('list', '--subject', 'owner')).map(({ text }) => text)).toEqual([
      'Lives in Oslo',
    ]);
    const [{ id }] = (await json<{ id: string }[]>('list', '--subject', 'owner')) as [{ id: string }];
    expect((await memory('pin', id)).out).toBe(`${id} is pinned: it comes first.\n`);
    expect((await memory('unpin', id)).out).toContain('not pinned any more');
    expect((await memory('correct', id, '--reason', 'never said so')).out).toContain(`${id} holds no longer`);
    expect(await json('show', id)).toMatchObject({ retire_reason: 'never said so' });
    const changes = (await memory('changes', '-n', '3')).out;
    expect(changes.split('\n')).toHaveLength(5);
    expect((await memory('changes', idIn(changes, 'mchg'))).out).toContain(`- ${id}`);
  });

  it('forgets after asking, and never half', async () => {
    const id = await saved('The gate opens with 4242-77');
    const question = 'for good, with every message that says it? [y/N] ';
    const no = await run(['memory', 'forget', id, '--sources'], { present: true, replies: [[question, 'n\n']] });
    expect([no.code, no.err]).toEqual([1, expect.stringContaining('Nothing was forgotten.')]);
    expect((await memory('forget', id)).err).toContain('say --yes');
    expect((await memory('show', id)).code).toBe(0);
    const yes = await run(['memory', 'forget', id, '--sources'], { present: true, replies: [[question, 'y\n']] });
    expect([yes.code, yes.out]).toEqual([0, expect.stringMatching(/^Forgotten for good: 1 item and \d+ events?\./)]);
    expect((await memory('search', '4242')).out).not.toContain('4242-77');
    expect(await memory('forget', id, '--yes')).toMatchObject({
      code: 1,
      err: expect.stringContaining('steward memory list'),
    });
  });

  it('consolidates, counts, and asks the owner', async () => {
    expect((await memory('consolidate', 'nightly', '--dry-run')).out).toContain('Nothing was changed.');
    expect((await memory('consolidate', 'weekly')).code).toBe(0);
    expect((await memory('stats')).out).toMatch(/reference +\d+[\s\S]*texts can be searched/);
    const zylos = join(folder, 'zylos');
    mkdirSync(zylos);
    writeFileSync(join(zylos, 'references.md'), '# References\n\n- The plumber is Mrs Novak\n');
    await run(['import', zylos, '--format', 'zylos']);
    const asked = (await memory('questions')).out;
    expect(asked).toContain('Mrs Novak');
    const id = idIn(asked, 'mqst');
    expect((await memory('answer', id, 'yes')).out).toMatch(/^Kept as mem_/);
    expect((await memory('answer', id, 'no')).code).toBe(1);
  });

  it.each([
    [['memory'], 2],
    [['memory', 'edit', 'mem_x'], 2],
    [['memory', 'list', '--tier', 'cellar'], 2],
    [['memory', 'answer', 'mqst_x', 'maybe'], 2],
    [['memory', 'consolidate', 'hourly'], 2],
    [['memory', 'nonsense'], 2],
    [['memory', 'save', 'x', '--from', 'soon'], 1],
    [['memory', 'show', 'mem_nothing'], 1],
    [['memory', 'undo', 'mchg_nothing'], 1],
    [['memory', 'save', 'The key is ghp_abcdefghijklmnopqrstuvwxyz0123'], 1],
    [['import', 'x'], 2],
    [['import', '/nowhere/at/all', '--format', 'jsonl'], 1],
    [['eval', 'memory'], 2],
    [['eval', 'memory', '--locomo', 'a', '--longmemeval', 'b'], 2],
    [['eval', 'memory', '--locomo', '/nowhere'], 1],
  ])('%j ends with %i and one sentence', async (args, code) => {
    const heard = await run(args);
    expect([heard.code, heard.out]).toEqual([code, '']);
    expect(heard.err).toMatch(/\S/);
    expect(heard.err).not.toContain('    at ');
  });

  it('shows what stands in a text instead of obeying it', async () => {
    const id = await saved('Evil \u001b[2J text\u202e');
    for (const out of [
      (await memory('list')).out,
      (await memory('show', id)).out,
      (await memory('search', 'evil')).out,
    ]) {
      expect(out).toContain('\\u001b[2J');
      expect(out).not.toContain('\u001b');
    }
  });
});

describe('export and import', () => {
  it('go out for the owner alone, and come back as known', async () => {
    const out = join(folder, 'out');
    expect(await run(['export', out])).toEqual({ code: 0, out: `1 file in ${out}.\n`, err: '' });
    const file = join(out, 'memory.jsonl');
    expect([statSync(file).mode & 0o777, statSync(out).mode & 0o777]).toEqual([0o600, 0o700]);
    expect((await run(['import', file, '--format', 'jsonl'])).out).toMatch(/^Imported: 0 items, 0 texts/);
    const tree = join(folder, 'tree');
    const made = JSON.parse((await run(['export', tree, '--format', 'markdown', '--json'])).out) as { files: number };
    expect(readdirSync(tree, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())).toHaveLength(
      made.files,
    );
    expect((await run(['import', tree, '--format', 'markdown', '--dry-run'])).out).toMatch(/^It would bring: 0 items/);
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, -30));
    const cut = await run(['import', file, '--format', 'jsonl']);
    expect([cut.code, cut.err]).toEqual([1, expect.stringMatching(/breaks off|not valid|lines/)]);
  });

  it('take a folder of transcripts, and leave what is no text or leads elsewhere', async () => {
    const chats = join(folder, 'chats');
    mkdirSync(join(chats, '2026'), { recursive: true });
    const line = (speaker: string, text: string) =>
      `${JSON.stringify({ speaker, time: '2026-02-01T10:00:00Z', text })}\n`;
    writeFileSync(join(chats, '2026', 'a.jsonl'), line('Ada', 'I sold the tandem') + line('Bob', 'To whom?'));
    writeFileSync(join(chats, 'picture.png'), 'no text');
    writeFileSync(join(chats, '.hidden.jsonl'), 'broken');
    symlinkSync('/etc', join(chats, 'etc'));
    const heard = await run(['import', chats, '--format', 'transcript', '--own', 'Ada']);
    expect(heard, heard.err).toMatchObject({ code: 0, out: expect.stringMatching(/^Imported: 0 items, 2 texts/) });
    expect((await memory('search', 'tandem', '--by', 'owner')).out).toContain('the owner: “I sold the tandem”');
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    expect((await run(['import', empty, '--format', 'transcript'])).err).toContain('no text file');
  });
});

it('/memory in a conversation at the terminal', async () => {
  const id = await saved('The spare tyre is in the cellar');
  const prompt = '› ';
  const replies: [string, string][] = [
    [prompt, '/memory spare tyre\n'],
    [prompt, `/memory show ${id}\n`],
    [prompt, '/memory forget the tyre\n'],
    [`Say its id: /memory forget mem_…\n${prompt}`, `/memory forget ${id}\n`],
    [prompt, '/memory\n'],
    [prompt, '/quit\n'],
  ];
  const heard = await run(['chat'], { present: true, replies });
  expect(heard.code).toBe(0);
  expect(heard.out).toMatch(/^\[\w+\] .*“The spare tyre is in the cellar” \(\d+ %\)\n/);
  expect(heard.out).toContain('It comes from:');
  expect(heard.err).toContain('Which one? Say its id');
  expect(heard.out).toContain('Forgotten for good: 1 item');
});
