// Makes characters visible that could hide or disguise what is being approved: controls, zero-width and bidi marks.

export type Piece = { kind: 'text'; text: string } | { kind: 'mark'; code: string; name: string };

const NAMES: Record<number, string> = {
  160: 'no-break space',
  173: 'soft hyphen',
  847: 'combining grapheme joiner',
  1564: 'Arabic letter mark',
  4447: 'Hangul filler',
  4448: 'Hangul filler',
  6158: 'Mongolian vowel separator',
  8203: 'zero-width space',
  8204: 'zero-width non-joiner',
  8205: 'zero-width joiner',
  8206: 'left-to-right mark',
  8207: 'right-to-left mark',
  8232: 'line separator',
  8233: 'paragraph separator',
  8234: 'left-to-right embedding',
  8235: 'right-to-left embedding',
  8236: 'pop directional formatting',
  8237: 'left-to-right override',
  8238: 'right-to-left override',
  8288: 'word joiner',
  8294: 'left-to-right isolate',
  8295: 'right-to-left isolate',
  8296: 'first strong isolate',
  8297: 'pop directional isolate',
  10240: 'Braille blank',
  12644: 'Hangul filler',
  65279: 'zero-width no-break space',
  65440: 'Hangul filler',
};

/**
 * Everything that draws nothing or reorders its neighbours, but tab and newline. A joiner inside an emoji hides nothing.
 */
const HIDDEN = new RegExp(
  [
    /(?<!\p{Extended_Pictographic}\uFE0F?|\p{Emoji_Modifier})\u200D|\u200D(?!\p{Extended_Pictographic})/u,
    // Controls, format characters (bidi, tags, zero-width), lone surrogates, private use, line and paragraph separators.
    /(?!\u200D)[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u,
    // Letters and spaces that look empty.
    /[\u00A0\u115F\u1160\u2800\u3164\uFFA0]|\u034F/u,
    // Variation selectors can carry hidden bytes; FE0F, which makes an emoji colourful, is too common to mark.
    /[\uFE00-\uFE0E\u{E0100}-\u{E01EF}]/u,
  ]
    .map((part) => part.source)
    .join('|'),
  'gu',
);

/** The same for one line of plain text: a name or a title that strangers and models can choose. */
export function shown(text: string): string {
  return pieces(text)
    .map((piece) => (piece.kind === 'text' ? piece.text : `⟨${piece.code}⟩`))
    .join('');
}

export function pieces(text: string): Piece[] {
  const out: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(HIDDEN)) {
    const char = match[0];
    if (char === '\n' || char === '\t') continue;
    if (match.index > at) out.push({ kind: 'text', text: text.slice(at, match.index) });
    const point = char.codePointAt(0)!;
    const code = `U+${point.toString(16).toUpperCase().padStart(4, '0')}`;
    out.push({
      kind: 'mark',
      code,
      name: NAMES[point] ?? (point < 0xa0 ? 'control character' : 'invisible character'),
    });
    at = match.index + char.length;
  }
  if (at < text.length) out.push({ kind: 'text', text: text.slice(at) });
  return out;
}
