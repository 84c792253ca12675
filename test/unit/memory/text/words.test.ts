// Words, stems, identifiers and slips: what is compared here is what the index holds.
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { identifiers } from '../../../../memory/text/identifiers.ts';
import { stem } from '../../../../memory/text/stem.ts';
import { bigrams, nameOf, words } from '../../../../memory/text/tokens.ts';
import { distance, nearest, wordOf } from '../../../../memory/text/typos.ts';

/** What FTS5 makes of each word. */
function stemsOf(list: readonly string[]): string[] {
  const db = new Database(':memory:');
  db.exec(`CREATE VIRTUAL TABLE t USING fts5 (b, content = '', tokenize = 'porter unicode61 remove_diacritics 2');
    CREATE VIRTUAL TABLE v USING fts5vocab (t, 'instance')`);
  const insert = db.prepare('INSERT INTO t (rowid, b) VALUES (?, ?)');
  db.transaction(() => {
    for (const [index, word] of list.entries()) insert.run(index + 1, word);
  })();
  const rows = db.prepare<[], { term: string; doc: number }>('SELECT term, doc FROM v').all();
  db.close();
  const terms = new Map(rows.map(({ doc, term }) => [doc, term]));
  return list.map((_, index) => terms.get(index + 1)!);
}

describe('the stemmer', () => {
  it('agrees with the one of FTS5 on English words', () => {
    const list =
      `caresses ponies ties cats feed agreed plastered bled motoring sing conflated troubled sized hopping tanned falling
      hissing fizzed failing filing happy sky relational conditional rational valency hesitancy digitizer conformably radically
      differently vilely analogously vietnamization predication operator feudalism decisiveness hopefulness callousness formality
      sensitivity sensibility triplicate formative formalize electricity electrical hopeful goodness revival allowance inference
      airliner gyroscopic adjustable defensible irritant replacement adjustment dependent adoption homologous communism activate
      angularity effective bowdlerize probate rate cease controll roll yes boss us as is being sses ied`.split(/\s+/);
    expect(list.map(stem)).toEqual(stemsOf(list));
  });

  it('agrees with it on any letters with any endings', () => {
    const ending = fc.constantFrom(
      ...'ational tional enci anci izer logi bli alli entli eli ousli ization ation ator alism iveness fulness ousness aliti iviti biliti icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion sion tion ou ism ate iti ous ive ize ed ing eed s es ies sses y ly e ll'.split(
        ' ',
      ),
    );
    const head = fc.stringMatching(/^[a-z]{1,7}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(head, ending, fc.option(ending)), { minLength: 50, maxLength: 200 }), (parts) => {
        const list = parts.map(([start, first, second]) => start + first + (second ?? ''));
        expect(list.map(stem)).toEqual(stemsOf(list));
      }),
      { numRuns: 30 },
    );
  });
});

describe('words', () => {
  it('are lower case, without accents, possessives or CJK', () => {
    expect(words("Anna's Café doesn't OPEN — naïve 3rd 北京 hour")).toEqual([
      'anna',
      'cafe',
      'doesnt',
      'open',
      'naive',
      '3rd',
      'hour',
    ]);
  });

  it('keep the vowel signs of scripts that write them as marks', () => {
    expect(words('हिन्दी')).toEqual(['हिन्दी']);
  });

  it('of Chinese, Japanese and Korean are pairs of characters', () => {
    expect(bigrams('我喜欢咖啡')).toEqual(['我喜', '喜欢', '欢咖', '咖啡']);
    expect(bigrams('カフェ と 서울')).toEqual(['カフ', 'フェ', 'と', '서울']);
  });

  it('make one name of its spellings', () => {
    expect(nameOf('  Anna   MÜLLER ')).toBe('anna muller');
    expect(nameOf('王小明')).toBe('王小明');
  });

  it('come out of any text, in bounded time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2_000 }), (text) => {
        words(text);
        bigrams(text);
        identifiers(text);
      }),
    );
    const began = performance.now();
    for (const part of ['a', 'a_', 'aB', '字', '́', '\ud800', "'", '?']) {
      const text = part.repeat(100_000);
      words(text);
      bigrams(text);
      identifiers(text);
    }
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

describe('identifiers', () => {
  it('are one word as a whole, and their parts', () => {
    const wholes = (text: string) => identifiers(text).map(({ whole }) => whole);
    expect(wholes('foo_bar')).not.toEqual(wholes('foobar baz'));
    expect(wholes('v1.2.3')).not.toEqual(wholes('v1.2.4'));
    expect(wholes('see core/db.ts')).toEqual(wholes('core/db.ts'));
    expect(identifiers('getUserName')[0]!.parts).toEqual(['get', 'user', 'name']);
  });
});

describe('slips', () => {
  it('are counted as a hand makes them', () => {
    expect(distance('lisbon', 'lisbno', 2)).toBe(1);
    expect(distance('restaurant', 'restarant', 2)).toBe(1);
    expect(distance('kitten', 'sitting', 2)).toBe(3);
  });

  it('lead to the nearest word that is used', () => {
    const vocabulary = [
      { term: 'lisbon', doc: 3 },
      { term: 'london', doc: 9 },
    ];
    expect(nearest('lisbn', vocabulary)).toEqual([{ term: 'lisbon', slips: 1 }]);
    expect(nearest('abc', vocabulary)).toEqual([]);
    expect(nearest('berlin', vocabulary)).toEqual([]);
  });

  it('end in a word that the index stems to the same', () => {
    for (const word of ['happy', 'running', 'generous', 'photograph', 'movies', 'lake'])
      expect(stem(wordOf(stem(word))!)).toBe(stem(word));
  });
});
