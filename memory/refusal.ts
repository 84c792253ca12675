// What may not become memory whatever it says: nothing, too much, no text, a secret. Pure.
import { hasKey, hasRandom } from '../core/secret-shapes.ts';

/** UTF-16 units. */
export const TEXT_LIMIT = 8_000;
/** As the memory stores of the Managed Agents API: 100 kB. */
export const FILE_LIMIT = 100_000;

const NAMED =
  /(?:pass(?:word|phrase|code)|passwort|kennwort|mot de passe|contraseña|api[ _-]?key|access[ _-]?key|secret[ _-]?key|client[ _-]?secret|auth[ _-]?token|access[ _-]?token|bearer|密码|口令|パスワード|비밀번호)[^\S\n]{0,3}(?:for[^\n:=]{1,60}|to[^\n:=]{1,60}|of[^\n:=]{1,60}|für[^\n:=]{1,60})?(is|ist|est|es|was|:|=|：|为|是|は)[^\S\n]{0,3}["'“`]?([^\s"'”`]{4,200})/giu;

/** A word of a sentence, not a value: letters alone. */
const isWord = (value: string): boolean => /^\p{L}[\p{L}\p{M}'’-]*[.,;!?]?$/u.test(value);

export function looksSecret(text: string): boolean {
  if (hasKey(text)) return true;
  for (const found of text.matchAll(NAMED)) {
    const [all, verb, value] = found;
    // `password: correcthorse`, and nothing after it, is a value even if it could be a word.
    const alone =
      /[:=：]/.test(verb!) && value!.length >= 6 && /^["'”`]?\s*(?:\n|$)/.test(text.slice(found.index + all.length));
    if (!isWord(value!) || alone) return true;
  }
  return hasRandom(text);
}

/** Why this text may not be kept, one sentence with what to do; null when it may. */
export function refusal(text: string, kind = 'fact'): string | null {
  const limit = kind === 'file' ? FILE_LIMIT : TEXT_LIMIT;
  if (text.length > limit)
    return `A memory holds at most ${limit.toLocaleString('en')} characters; this has ${text.length.toLocaleString('en')}. Save it as a file, or say the part that matters in a shorter sentence.`;
  if (text.trim() === '') return 'There is nothing to remember: the text is empty.';
  if (!/[\p{L}\p{N}\p{S}\p{P}]/u.test(text))
    return 'There is nothing to remember: the text has only control characters.';
  if (looksSecret(text))
    return 'This looks like a secret (a key, token or password), and memory is read into prompts. Put it into the vault: steward vault add.';
  return null;
}
