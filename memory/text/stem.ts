// Porter's stemmer (1980) with the small differences of SQLite's FTS5, so that words compared here meet words stored there.

const isVowel = (letter: string, afterConsonant: boolean): boolean =>
  letter === 'a' ||
  letter === 'e' ||
  letter === 'i' ||
  letter === 'o' ||
  letter === 'u' ||
  (afterConsonant && letter === 'y');

/** The end of the first vowel–consonant group from `from` on, 0 when there is none. */
function group(stem: string, from: number, afterConsonant: boolean): number {
  let consonant = afterConsonant;
  let i = from;
  for (; i < stem.length; i++) {
    consonant = !isVowel(stem[i]!, consonant);
    if (!consonant) break;
  }
  for (i++; i < stem.length; i++) {
    consonant = !isVowel(stem[i]!, consonant);
    if (consonant) return i + 1;
  }
  return 0;
}

const measured = (stem: string): boolean => group(stem, 0, false) > 0;
const twice = (stem: string): boolean => {
  const end = group(stem, 0, false);
  return end > 0 && group(stem, end, true) > 0;
};
const once = (stem: string): boolean => {
  const end = group(stem, 0, false);
  return end > 0 && group(stem, end, true) === 0;
};

function hasVowel(stem: string): boolean {
  for (let i = 0; i < stem.length; i++) if (isVowel(stem[i]!, i > 0)) return true;
  return false;
}

/** Ends consonant–vowel–consonant, the last not w, x or y. */
function short(stem: string): boolean {
  const last = stem.at(-1);
  if (last === undefined || last === 'w' || last === 'x' || last === 'y') return false;
  let mask = 0;
  let consonant = false;
  for (const letter of stem) {
    consonant = !isVowel(letter, consonant);
    mask = (mask << 1) + (consonant ? 1 : 0);
  }
  return (mask & 7) === 5;
}

type Suffix = readonly [ending: string, replacement: string];

const SECOND: readonly Suffix[] = [
  ['ational', 'ate'],
  ['tional', 'tion'],
  ['enci', 'ence'],
  ['anci', 'ance'],
  ['izer', 'ize'],
  ['logi', 'log'],
  ['bli', 'ble'],
  ['alli', 'al'],
  ['entli', 'ent'],
  ['eli', 'e'],
  ['ousli', 'ous'],
  ['ization', 'ize'],
  ['ation', 'ate'],
  ['ator', 'ate'],
  ['alism', 'al'],
  ['iveness', 'ive'],
  ['fulness', 'ful'],
  ['ousness', 'ous'],
  ['aliti', 'al'],
  ['iviti', 'ive'],
  ['biliti', 'ble'],
];
const THIRD: readonly Suffix[] = [
  ['icate', 'ic'],
  ['ative', ''],
  ['alize', 'al'],
  ['iciti', 'ic'],
  ['ical', 'ic'],
  ['ful', ''],
  ['ness', ''],
];
const FOURTH = 'al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize'.split(' ');

/** The first ending that fits decides, whether or not it is then replaced. */
function replace(word: string, suffixes: readonly Suffix[]): string {
  for (const [ending, replacement] of suffixes) {
    if (word.length <= ending.length || !word.endsWith(ending)) continue;
    const stem = word.slice(0, -ending.length);
    return measured(stem) ? stem + replacement : word;
  }
  return word;
}

function plural(word: string): string {
  if (!word.endsWith('s')) return word;
  const size = word.length;
  if (word[size - 2] === 'e') {
    const two = (size > 4 && word[size - 4] === 's' && word[size - 3] === 's') || (size > 3 && word[size - 3] === 'i');
    return word.slice(0, two ? -2 : -1);
  }
  return word[size - 2] === 's' ? word : word.slice(0, -1);
}

function past(word: string): string {
  if (word.length > 3 && word.endsWith('eed')) return measured(word.slice(0, -3)) ? word.slice(0, -1) : word;
  const cut = word.length > 3 && word.endsWith('ing') ? 3 : word.length > 2 && word.endsWith('ed') ? 2 : 0;
  if (cut === 0) return word;
  const stem = word.slice(0, -cut);
  if (!hasVowel(stem)) return word;
  if (stem.length > 2 && /(?:at|bl|iz)$/.test(stem)) return `${stem}e`;
  const last = stem.at(-1)!;
  if (!isVowel(last, false) && last === stem.at(-2) && last !== 'l' && last !== 's' && last !== 'z')
    return stem.slice(0, -1);
  return once(stem) && short(stem) ? `${stem}e` : stem;
}

function fourth(word: string): string {
  for (const ending of FOURTH) {
    if (word.length <= ending.length || !word.endsWith(ending)) continue;
    const stem = word.slice(0, -ending.length);
    if (ending === 'ion' && !/[st]$/.test(stem)) return word;
    return twice(stem) ? stem : word;
  }
  return word;
}

function ending(word: string): string {
  let out = word;
  if (out.endsWith('e')) {
    const stem = out.slice(0, -1);
    if (twice(stem) || (once(stem) && !short(stem))) out = stem;
  }
  return out.length > 1 && out.endsWith('ll') && twice(out.slice(0, -1)) ? out.slice(0, -1) : out;
}

/** `word` is lower case, as `words` gives it. Words of under three or over 63 bytes stay as they are. */
export function stem(word: string): string {
  const size = /^[\x00-\x7f]*$/.test(word) ? word.length : Buffer.byteLength(word);
  if (size < 3 || size >= 64) return word;
  let out = past(plural(word));
  if (out.endsWith('y') && hasVowel(out.slice(0, -1))) out = `${out.slice(0, -1)}i`;
  return ending(fourth(replace(replace(out, SECOND), THIRD)));
}
