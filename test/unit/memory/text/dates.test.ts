// Dates in texts, read against the day they were said on.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCalendar, datesIn, dayWords, readDates, spanWords } from '../../../../memory/text/dates.ts';
import { parseQuery } from '../../../../memory/text/query.ts';

const day = (iso: string): number => Date.parse(`${iso}T00:00:00Z`) / 86_400_000;
const iso = (value: number): string => new Date(value * 86_400_000).toISOString().slice(0, 10);
/** A Monday. */
const TODAY = day('2023-05-08');
const read = (text: string) =>
  datesIn(text, TODAY).map(({ from, to }) => (from === to ? iso(from) : `${iso(from)}..${iso(to)}`));

describe('a date', () => {
  it.each([
    ['we met yesterday', '2023-05-07'],
    ['the day before yesterday', '2023-05-06'],
    ['see you tomorrow', '2023-05-09'],
    ['last Friday', '2023-05-05'],
    ['next Friday', '2023-05-12'],
    ['on Monday', '2023-05-01'],
    ['in March', '2023-03-01..2023-03-31'],
    ['last December', '2022-12-01..2022-12-31'],
    ['2025-03-07', '2025-03-07'],
    ['07.03.2025', '2025-03-07'],
    ['7 May 2023', '2023-05-07'],
    ['May 7th, 2023', '2023-05-07'],
    ['the 3rd of January', '2023-01-03'],
    ['on December 24', '2022-12-24'],
    ['May 2022', '2022-05-01..2022-05-31'],
    ['two weeks ago', '2023-04-21..2023-04-27'],
    ['three days ago', '2023-05-05'],
    ['last weekend', '2023-05-06..2023-05-07'],
    ['last year', '2022-01-01..2022-12-31'],
    ['this month', '2023-05-01..2023-05-31'],
    ['in two months', '2023-07-01..2023-07-31'],
    ['in 2019', '2019-01-01..2019-12-31'],
    ['summer of 2021', '2021-06-01..2021-08-31'],
    ['gestern', '2023-05-07'],
    ['2023年5月7日', '2023-05-07'],
  ])('%s', (text, expected) => {
    expect(read(text)).toEqual([expected]);
  });

  it.each(['I may go', 'march on', '2023-13-45', 'version 3.2023', 'nothing at all', 'a fall'])(
    'is not in: %s',
    (text) => {
      expect(read(text)).toEqual([]);
    },
  );

  it('is taken out of what else is looked for', () => {
    expect(readDates('dinner on May 3, 2023 with Ana', TODAY).rest).not.toMatch(/May|2023/);
    const query = parseQuery('Who had dinner on May 3, 2023?', TODAY);
    expect(query.terms.map((term) => term.kind)).toEqual(['word', 'date']);
  });

  it('has words for the index at the size it has', () => {
    expect(dayWords(day('2023-05-07'))).toEqual(['d20230507', 'm202305', 'y2023']);
    expect(spanWords({ from: TODAY, to: TODAY })).toEqual(['d20230508']);
    expect(spanWords({ from: day('2023-05-01'), to: day('2023-05-31') })).toEqual(['m202305']);
    expect(spanWords({ from: day('2023-01-01'), to: day('2023-12-31') })).toEqual(['y2023']);
  });

  it('belongs to the calendar of the zone', () => {
    const at = Date.UTC(2023, 4, 7, 22, 30);
    expect(iso(createCalendar('UTC')(at))).toBe('2023-05-07');
    expect(iso(createCalendar('Europe/Berlin')(at))).toBe('2023-05-08');
    expect(iso(createCalendar('Asia/Kolkata')(Date.UTC(2023, 4, 7, 18, 29)))).toBe('2023-05-07');
    expect(iso(createCalendar('Asia/Kolkata')(Date.UTC(2023, 4, 7, 18, 31)))).toBe('2023-05-08');
    expect(iso(createCalendar('America/New_York')(Date.UTC(2023, 4, 8, 3)))).toBe('2023-05-07');
  });

  it('never throws, and takes bounded time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: -100_000, max: 100_000 }), (text, today) => {
        for (const span of datesIn(text, today)) expect(span.from).toBeLessThanOrEqual(span.to);
      }),
    );
    const began = performance.now();
    for (const part of ['last ', '2023-', 'in 1 ', 'a few ', '1 ', 'may ', 'two weeks ', ' \t', '9'])
      datesIn(part.repeat(200_000), TODAY);
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

describe('a query', () => {
  const words = (text: string) => parseQuery(text, TODAY).terms.map((term) => term.forms[0]!.word);

  it('loses what says nothing, in more than one language', () => {
    expect(words('What did you tell me about the boiler?')).toEqual(['boiler']);
    expect(words('Wann kam der Handwerker wegen der Heizung?')).toEqual(['kam', 'handwerker', 'wegen', 'heizung']);
    expect(words('who are you')).toEqual(['who', 'are', 'you']);
  });

  it('tells what kind of answer it wants', () => {
    expect(parseQuery('When did I move?', TODAY)).toMatchObject({ asksWhen: true, asksSelf: true, asksAgent: false });
    expect(parseQuery('Where did you find it?', TODAY)).toMatchObject({ asksName: true, asksAgent: true });
    expect(parseQuery('she said "blue green door"', TODAY).phrases).toEqual([['blue', 'green', 'door']]);
  });

  it('also looks for other forms of a word, and for what belongs to a heading', () => {
    const forms = (word: string) => parseQuery(word, TODAY).terms[0]!.forms.map((form) => form.word);
    expect(forms('buy')).toContain('bought');
    expect(forms('pet')).toContain('dog');
    expect(forms('boiler')).toEqual(['boiler']);
  });

  it('is understood whatever it holds', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseQuery(text, TODAY)));
  });
});
