// Whether a statement rests on what somebody said: decides what may be remembered as the owner's own words. Pure.

/** One place where something was said, in full. */
export interface Saying {
  id: string;
  text: string;
}

export interface Ground {
  id: string;
  /** The sentence it rests on, letter by letter. */
  quote: string;
}

/** Share of the statement's words that one sentence (with the one before it) has to hold. */
const ENOUGH = 0.6;
/** Of one message so much is looked at, UTF-16 units: a pasted book is not read for a sentence. */
const READ = 20_000;
const LONGEST_QUOTE = 500;
/** The newest messages that are looked at. */
const LATEST = 50;

const LITTLE = new Set(
  `a about after all also am an and any are as at be because been before but by can could did do does for from get got had has
  have he her him his how i if in into is it its just let like me mine more my of on one or our out over own please really
  remember say says she should so some than that the their them then there they this to too under up us was we were what when
  where which who will with would you your yes ok owner user owners users steward called named name's its it's i'm i've i'd i'll
  der die das ein eine einen einem und ist sind war hat habe ich mein meine meinen mich mir du dein bitte merke dass zu zum zur in
  im am an auf mit von für heißt heiße er sie sein ihr besitzer besitzerin nutzer nutzerin benutzer`.split(/\s+/),
);
const NOT = new Set(
  `not no never none nobody nothing without cannot can't don't doesn't didn't isn't aren't wasn't weren't won't wouldn't shouldn't
  couldn't hasn't haven't hadn't stop stopped quit longer nicht kein keine keinen keinem keiner nie niemals ohne mehr nein ne pas
  jamais non sin nunca`.split(/\s+/),
);
/** Not, without, don't, no longer. */
const CJK_NOT = /[不没沒无無别別未]|ない|ません|않|아니|못/;
const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]+/gu;
const WORD = /[\p{L}\p{N}\p{M}][\p{L}\p{N}\p{M}'.@_/:+-]*/gu;

interface Words {
  /** By the word as it is compared: whether it must be there (a number, a name, an identifier). */
  all: Map<string, boolean>;
  denies: boolean;
}

/** Endings are no difference: likes, liked, liking; Tees, Tee. Crude on purpose: it only ever compares like with like. */
const bare = (word: string): string =>
  /\d/.test(word) || word.length < 5 ? word : word.replace(/(?:'s|ing|ed|es|en|s|e)$/, '');

function wordsOf(text: string): Words {
  const all = new Map<string, boolean>();
  const plain = text
    .toWellFormed()
    .normalize('NFKC')
    .replace(/[’‘ʼ`]/g, "'");
  let denies = CJK_NOT.test(plain);
  let first = true;
  for (const [found] of plain.replace(CJK, ' ').matchAll(WORD)) {
    const whole = found.replace(/[.:/'@_+-]+$/, '');
    const word = whole.toLowerCase();
    if (NOT.has(word) || word.endsWith("n't")) denies = true;
    else if (!LITTLE.has(word)) {
      const key = bare(word.replace(/'s$/, ''));
      // Capital letters in the middle of a statement are names, also in languages that write all nouns so.
      const must = /\d/.test(word) || /[@_/:]/.test(word) || (!first && /^\p{Lu}/u.test(whole));
      all.set(key, (all.get(key) ?? false) || must);
    }
    first = false;
  }
  for (const [run] of plain.matchAll(CJK)) {
    const chars = [...run];
    if (chars.length === 1) all.set(run, false);
    for (let i = 0; i + 1 < chars.length; i++) all.set(chars[i]! + chars[i + 1]!, false);
  }
  return { all, denies };
}

/** Sentences as they stand in the text, in order. */
function sentences(text: string): string[] {
  return text
    .slice(0, READ)
    .toWellFormed()
    .split(/(?<=[.!?…][)"'”’]?)\s+|(?<=[。！？])|\n+/)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** How much of the statement the sentence holds, 0 when a number or name is missing or one denies what the other says. */
function share(statement: Words, said: Words): number {
  if (statement.denies !== said.denies) return 0;
  let held = 0;
  for (const [word, must] of statement.all) {
    if (said.all.has(word)) held += 1;
    else if (must) return 0;
  }
  return held / statement.all.size;
}

const holdsAny = (statement: Words, said: Words): boolean =>
  [...said.all.keys()].some((word) => statement.all.has(word));

/**
 * The sentence a statement rests on, among what was said (the newest last; it is preferred). Null when there is none: a
 * number, a name or a denial too many, or too few of its words. Questions state nothing.
 */
export function groundOf(statement: string, said: readonly Saying[]): Ground | null {
  const wanted = wordsOf(statement.slice(0, READ));
  if (wanted.all.size === 0) return null;
  let best: (Ground & { share: number }) | null = null;
  for (const { id, text } of said.slice(-LATEST).toReversed()) {
    let before = '';
    for (const sentence of sentences(text)) {
      const question = /[?？]$/.test(sentence);
      const own = wordsOf(sentence);
      // "My sister is called Lena. Her birthday is in May.": the one before may say whom it is about.
      const both = before && holdsAny(wanted, own) ? share(wanted, wordsOf(`${before} ${sentence}`)) : 0;
      const found = question ? 0 : Math.max(share(wanted, own), both);
      before = sentence;
      const quote = sentence.slice(0, LONGEST_QUOTE).toWellFormed();
      if (found >= ENOUGH && found > (best?.share ?? 0)) best = { id, quote, share: found };
    }
  }
  return best && { id: best.id, quote: best.quote };
}
