// What keys and tokens look like, whoever looks for them: shapes that only they have, and text made by chance. Pure.

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

/** Long, without a word in it, of mixed cases and digits: made by chance. Names of commits and of our own rows are not. */
function isRandom(token: string): boolean {
  if (/^[a-z]{2,10}_[0-9A-HJKMNP-TV-Z]{26}$/.test(token) || /^[0-9a-f-]+$/i.test(token)) return false;
  const count = (pattern: RegExp) => token.match(pattern)?.length ?? 0;
  return count(/[0-9]/g) >= 4 && count(/[A-Z]/g) >= 4 && count(/[a-z]/g) >= 4;
}

/** Has the shape of a key, a token, or an address with a password in it. */
export const hasKey = (text: string): boolean => KEYS.some((pattern) => pattern.test(text));

/** Has a long piece that was made by chance. */
export const hasRandom = (text: string): boolean => (text.match(/[A-Za-z0-9_+-]{32,}/g) ?? []).some(isRandom);
