// The pure parts: lines of Markdown that come back as they were, what changed in a list, local times, and readers that take any text.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StewardError } from '../../../../core/errors.ts';
import { diffLines, entryOf, pageOf, readPage } from '../../../../memory/portability/lines.ts';
import { localTime } from '../../../../memory/portability/local-time.ts';
import { planMarkdown, slugOf } from '../../../../memory/portability/markdown.ts';
import { marksOf, marksText } from '../../../../memory/portability/marks.ts';
import { planOpenclaw } from '../../../../memory/portability/openclaw.ts';
import { planTranscripts } from '../../../../memory/portability/transcript.ts';
import { planZylos } from '../../../../memory/portability/zylos.ts';
import { entriesUnder } from '../../../../memory/stores/paths.ts';

/** Texts that look like Markdown, comments of ours, and whatever else breaks a parser. */
const nasty = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      fc.constantFrom(
        '\n',
        '\n\n',
        '- ',
        '* ',
        '  ',
        '# ',
        '<!--',
        '-->',
        '<\\!--',
        ' <!-- mem_1 pinned -->',
        '```',
        '---',
        '[ ] ',
        '**Date:** ',
        ': ',
      ),
    ),
    { maxLength: 10 },
  )
  .map((parts) => parts.join(''));
/** What may be the text of an item: no line breaks of other kinds, nothing blank at its ends or at the ends of lines. */
const statement = nasty
  .map((text) =>
    text
      .replace(/[\r\u0000]/g, '')
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n')
      .replace(/\n{2,}/g, '\n\n')
      .trim(),
  )
  .filter((text) => text !== '');
const marks = fc.record(
  {
    id: fc.stringMatching(/^mem_[0-9A-Z]{4,26}$/),
    kind: fc.constantFrom('fact', 'preference', 'loop'),
    subject: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
    slot: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
    validFrom: fc.integer({ min: 0, max: 4e12 }),
    pinned: fc.constant(true as const),
  },
  { requiredKeys: ['id'] },
);

describe('lines', () => {
  it('come back as they were, with their marks', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(statement, marks), { maxLength: 6 }), (items) => {
        const page = pageOf(
          'A title',
          items.map(([text, mark]) => entryOf(text, mark as never)),
        );
        const read = readPage(page);
        expect(read.title).toBe('A title');
        expect(read.lines.map(({ text, marks: mark }) => [text, mark])).toEqual(items);
      }),
    );
  });

  it('come back also without marks', () => {
    fc.assert(
      fc.property(fc.array(statement, { maxLength: 6 }), (texts) => {
        // Without a mark nothing tells the comment at the end of a text from ours.
        fc.pre(texts.every((text) => !/<!-- mem_/.test(text)));
        expect(
          readPage(
            pageOf(
              'T',
              texts.map((text) => entryOf(text)),
            ),
          ).lines.map(({ text }) => text),
        ).toEqual(texts);
      }),
    );
  });

  it('marks are no end of a comment, whatever they say', () => {
    fc.assert(
      fc.property(marks, (mark) => {
        const text = marksText(mark as never);
        expect(text).not.toMatch(/--|[\n<>]/);
        expect(marksOf(text)).toEqual(mark);
      }),
    );
  });
});

describe('what changed in a list', () => {
  const before = ['Ann likes tea', 'Bo likes jazz', 'Cy has a boat'].map((text, n) => ({ id: `m${n}`, text }));
  it.each<[string, string[], object]>([
    ['nothing', ['Ann likes tea', 'Bo likes jazz', 'Cy has a boat'], { edited: [], removed: [], added: [] }],
    ['the order', ['Cy has a boat', 'Ann likes tea', 'Bo likes jazz'], { edited: [], removed: [], added: [] }],
    [
      'a line',
      ['Ann likes tea', 'Bo likes blues', 'Cy has a boat'],
      { edited: [{ id: 'm1', text: 'Bo likes blues' }], removed: [], added: [] },
    ],
    ['one gone', ['Ann likes tea', 'Cy has a boat'], { edited: [], removed: ['m1'], added: [] }],
    [
      'one more',
      ['Ann likes tea', 'New here', 'Bo likes jazz', 'Cy has a boat'],
      { edited: [], removed: [], added: ['New here'] },
    ],
    [
      'another in its place',
      ['Ann likes tea', 'Rent is due', 'Cy has a boat'],
      { edited: [], removed: ['m1'], added: ['Rent is due'] },
    ],
    [
      'the same twice',
      ['Ann likes tea', 'Ann likes tea', 'Bo likes jazz', 'Cy has a boat'],
      { edited: [], removed: [], added: ['Ann likes tea'] },
    ],
  ])('%s', (_, after, diff) => expect(diffLines(before, after)).toEqual(diff));

  it('carried out, gives the new list', () => {
    const texts = fc.array(fc.constantFrom('a b', 'a c', 'd', 'e f g', 'h'), { maxLength: 8 });
    fc.assert(
      fc.property(texts, texts, (old, after) => {
        const items = old.map((text, n) => ({ id: `m${n}`, text }));
        const { edited, removed, added } = diffLines(items, after);
        const now = new Map(edited.map(({ id, text }) => [id, text]));
        const kept = items.filter(({ id }) => !removed.includes(id)).map(({ id, text }) => now.get(id) ?? text);
        expect([...kept, ...added].sort()).toEqual(after.toSorted());
        expect(removed.some((id) => now.has(id))).toBe(false);
      }),
    );
  });
});

describe('a day and a time of a file', () => {
  it.each([
    ['2026-02-08', '10:30', 'UTC', '2026-02-08T10:30:00.000Z'],
    ['2026-02-08', '10:30', 'Asia/Shanghai', '2026-02-08T02:30:00.000Z'],
    ['2026-07-08', '10:30:15', 'Europe/Berlin', '2026-07-08T08:30:15.000Z'],
    ['2026-03-29', '03:30', 'Europe/Berlin', '2026-03-29T01:30:00.000Z'],
    ['2026-02-08', null, 'America/New_York', '2026-02-08T17:00:00.000Z'],
  ])('%s %s in %s', (day, time, zone, at) => expect(new Date(localTime(day, time, zone)!).toISOString()).toBe(at));
  it.each([
    ['2026-02-30', '10:30'],
    ['2026-2-8', null],
    ['2026-02-08', '24:30'],
  ])('%s %s is none', (day, time) => expect(localTime(day, time, 'UTC')).toBeNull());
});

describe('a listing by folder', () => {
  it('in pages is the listing in one piece', () => {
    const path = fc
      .array(fc.constantFrom('a', 'b', 'a-b', 'ä', '1'), { minLength: 1, maxLength: 3 })
      .map((parts) => `/${parts.join('/')}`);
    fc.assert(
      fc.property(
        fc.uniqueArray(path, { maxLength: 12 }),
        fc.constantFrom(0, 1) as fc.Arbitrary<0 | 1>,
        fc.integer({ min: 1, max: 4 }),
        (paths, depth, limit) => {
          const whole = entriesUnder(paths, { prefix: '/', depth, limit: 100 });
          const pages: typeof whole = [];
          for (let after: string | undefined; ; ) {
            const page = entriesUnder(paths, { prefix: '/', depth, limit, ...(after && { after }) });
            pages.push(...page);
            after = page.at(-1)?.path;
            if (page.length < limit) break;
          }
          expect(pages).toEqual(whole);
        },
      ),
    );
  });
});

describe('readers', () => {
  const options = { now: 1_700_000_000_000, timeZone: 'UTC', own: true as const };
  const names = {
    zylos: ['identity.md', 'state.md', 'users/x/profile.md', 'reference/decisions.md', 'sessions/2026-01-01.md'],
    openclaw: ['MEMORY.md', 'USER.md', 'memory/2026-01-01.md', 'memory/2026-01-01-x.md'],
    markdown: ['identity.md', 'reference/general.md', 'sessions/a.md', 'archive/2026.md'],
    transcript: ['a.jsonl'],
  };
  const plans = { zylos: planZylos, openclaw: planOpenclaw, markdown: planMarkdown, transcript: planTranscripts };
  it.each(Object.keys(plans) as (keyof typeof plans)[])(
    '%s: any text is read or refused, and each quote stands in its event',
    (format) => {
      fc.assert(
        fc.property(
          fc.array(nasty, { minLength: 1, maxLength: 8 }),
          fc.constantFrom(...names[format]),
          (parts, path) => {
            try {
              const { files } = plans[format]([{ path, data: parts.join('\n') }], options);
              for (const file of files)
                for (const noted of file.noted) {
                  expect(file.spoken[noted.from]!.text).toContain(noted.quote);
                  expect(noted.text.trim()).not.toBe('');
                }
            } catch (error) {
              expect(error).toBeInstanceOf(StewardError);
            }
          },
        ),
        { numRuns: 300 },
      );
    },
  );

  it('take a long file in reasonable time', () => {
    const rows = '- one thing after the other\n'.repeat(20_000);
    const blanks = ' '.repeat(200_000);
    const files = [
      rows,
      `# ${'x'.repeat(200_000)}\n${rows}`,
      `# a${blanks}b\n- c${blanks}d\n`,
      `(${'yet '.repeat(50_000)}`,
      `- ${'<!-- mem_1 '.repeat(20_000)}`,
      `- a\n${'  <!-- mem_1\n'.repeat(20_000)}`,
      '\n'.repeat(200_000),
      '**a '.repeat(50_000),
      '```\n'.repeat(20_001),
    ];
    const began = performance.now();
    for (const data of files) {
      for (const path of ['MEMORY.md', 'memory/2026-01-01.md']) planOpenclaw([{ path, data }], options);
      for (const path of ['state.md', 'reference/decisions.md', 'sessions/2026-01-01.md'])
        planZylos([{ path, data }], options);
      planMarkdown([{ path: 'state.md', data }], options);
    }
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it('slugs are file names', () => {
    for (const text of ['../../etc', 'a/b', 'Köln & Co.', '日本', '', '---', 'x'.repeat(500)])
      expect(slugOf(text)).toMatch(/^[\p{L}\p{N}-]{0,60}$/u);
  });
});
