// Nothing hides in what is approved: every character that draws nothing or reorders its neighbours is named.
import { describe, expect, it } from 'vitest';
import { pieces, shown } from '../../../../channels/console/src/visible.ts';

describe('invisible characters', () => {
  it.each([
    ['zero-width space', '\u200B'],
    ['zero-width joiner', '\u200D'],
    ['right-to-left override', '\u202E'],
    ['first strong isolate', '\u2068'],
    ['byte order mark', '\uFEFF'],
    ['soft hyphen', '\u00AD'],
    ['escape', '\u001B'],
    ['carriage return', '\r'],
    ['C1 control', '\u0085'],
    ['tag letter', '\u{E0041}'],
    ['variation selector', '\u{E0101}'],
    ['lone surrogate', '\uD800'],
    ['Hangul filler', '\u3164'],
    ['no-break space', '\u00A0'],
    ['line separator', '\u2028'],
    ['combining grapheme joiner', '\u034F'],
    ['private use', '\uE000'],
  ])('%s is marked', (_name, char) => {
    expect(pieces(`a${char}b`).map((piece) => piece.kind)).toEqual(['text', 'mark', 'text']);
  });

  it('is named by its code', () => {
    expect(pieces('\u202E')).toEqual([{ kind: 'mark', code: 'U+202E', name: 'right-to-left override' }]);
    expect(shown('rm \u202Etxt.\u200Bexe')).toBe('rm ⟨U+202E⟩txt.⟨U+200B⟩exe');
  });

  it.each(['line one\n\tline two', 'Zażółć gęślą jaźń', '漢字 العربية עברית', '👩‍👩‍👧 👍🏽 ❤️ 👨🏽‍💻 🏳️‍🌈', 'e\u0301'])(
    '%j is left alone',
    (text) => {
      expect(pieces(text)).toEqual([{ kind: 'text', text }]);
    },
  );
});
