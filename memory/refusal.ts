// What may not become memory whatever it says: nothing, too much, no text, a secret. Pure.

/** UTF-16 units. */
export const TEXT_LIMIT = 8_000;
/** As the memory stores of the Managed Agents API: 100 kB. */
export const FILE_LIMIT = 100_000;

/** Shapes that only keys and tokens have. */
const KEYS: readonly RegExp[] = [
  /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----/,
  /\bsk-[A-Za-z0-9_-]{16,}/,
  /\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{20,}/,
  /\bgithub_pat_[A-Za-z0-9_]{20,}/,
  /\bglpat-[A-Za-z0-9_-]{16,}/,
  /\bxox[abeoprs]-[A-Za-z0-9-]{10,}/,
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/,
  /\bAIza[0-9A-Za-z_-]{35}/,
  /\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,}/,
  /\bnpm_[A-Za-z0-9]{30,}/,
  /\bhf_[A-Za-z0-9]{30,}/,
  /\bSG\.[\w-]{16,}\.[\w-]{16,}/,
  /\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/,
  /\b\d{8,10}:[A-Za-z0-9_-]{30,}/,
  /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@]{1,80}:[^\s/@]{3,200}@/i,
];

const NAMED =
  /(?:pass(?:word|phrase|code)|passwort|kennwort|mot de passe|contraseña|api[ _-]?key|access[ _-]?key|secret[ _-]?key|client[ _-]?secret|auth[ _-]?token|access[ _-]?token|bearer|密码|口令|パスワード|비밀번호)[^\S\n]{0,3}(?:for[^\n:=]{1,60}|to[^\n:=]{1,60}|of[^\n:=]{1,60}|für[^\n:=]{1,60})?(is|ist|est|es|was|:|=|：|为|是|は)[^\S\n]{0,3}["'“`]?([^\s"'”`]{4,200})/giu;

/** A word of a sentence, not a value: letters alone. */
const isWord = (value: string): boolean => /^\p{L}[\p{L}\p{M}'’-]*[.,;!?]?$/u.test(value);

/** Long, without a word in it, of mixed cases and digits: made by chance. Names of commits and of our own rows are not. */
function isRandom(token: string): boolean {
  if (/^[a-z]{2,10}_[0-9A-HJKMNP-TV-Z]{26}$/.test(token) || /^[0-9a-f-]+$/i.test(token)) return false;
  const count = (pattern: RegExp) => token.match(pattern)?.length ?? 0;
  return count(/[0-9]/g) >= 4 && count(/[A-Z]/g) >= 4 && count(/[a-z]/g) >= 4;
}

export function looksSecret(text: string): boolean {
  if (KEYS.some((pattern) => pattern.test(text))) return true;
  for (const found of text.matchAll(NAMED)) {
    const [all, verb, value] = found;
    // `password: correcthorse`, and nothing after it, is a value even if it could be a word.
    const alone =
      /[:=：]/.test(verb!) && value!.length >= 6 && /^["'”`]?\s*(?:\n|$)/.test(text.slice(found.index + all.length));
    if (!isWord(value!) || alone) return true;
  }
  return (text.match(/[A-Za-z0-9_+-]{32,}/g) ?? []).some(isRandom);
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
