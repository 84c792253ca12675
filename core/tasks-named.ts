// Whether the owner named a repository in their own words: only then a task on it begins without asking. Pure.
import type { Saying } from './own-words.ts';

/** Of one message so much is looked at, UTF-16 units. */
const READ = 20_000;
/** The newest messages that are looked at. */
const LATEST = 50;

/** Upper and lower case matter in paths and owners, so only the scheme, a trailing `.git` and slashes make no difference. */
const bare = (address: string): string =>
  address
    .trim()
    .replace(/^(?:https?|ssh|git):\/\/(?:git@)?/i, '')
    .replace(/^git@([^/:]+):/, '$1/')
    .replace(/\/+$/, '')
    .replace(/\.git$/, '');

/** The words of a sentence that may be an address, without what stands around it. */
const wordsOf = (text: string): string[] =>
  text
    .slice(0, READ)
    .split(/\s+/)
    .map((word) => word.replace(/^[("'“‘«<[`]+/, '').replace(/[)"'”’»>\]`,;:!?.]+$/, ''));

/** The whole address has to stand there as a word of its own: `acme/app` does not name `evil.example/acme/app`. */
export function namesRepository(repository: string, said: readonly Saying[]): boolean {
  const wanted = bare(repository);
  if (wanted === '') return false;
  return said.slice(-LATEST).some(({ text }) => wordsOf(text).some((word) => bare(word) === wanted));
}
