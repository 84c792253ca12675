// What every file of an import must be like before it is looked at: pure, one clear sentence for each thing that is wrong.
import { StewardError } from '../../core/errors.ts';

/** Of all files together, and of one text, in UTF-16 units. */
export const IMPORT_LIMIT = 512 * 1024 * 1024;
export const FILES_LIMIT = 20_000;
export const TEXT_LIMIT = 100_000;
const PATH_LIMIT = 400;

/** Every refusal ends the import before anything is written. */
export const refused = (message: string, hint = 'Nothing was changed.') =>
  new StewardError('invalid', message, { op: 'import memory', hint });

const shown = (path: string) => JSON.stringify(path.length > 80 ? `${path.slice(0, 80)}…` : path);

function checkPath(path: string): void {
  if (path === '' || path.length > PATH_LIMIT)
    throw refused(`${shown(path)} is no path: 1 to ${PATH_LIMIT} characters.`);
  if (/[\u0000-\u001f\u007f]/.test(path)) throw refused(`The path ${shown(path)} holds a control character.`);
  const parts = path.split(/[/\\]/);
  if (/^[/\\]|^[a-zA-Z]:/.test(path) || parts.includes('..'))
    throw refused(`The path ${shown(path)} leads out of the folder that is imported.`);
}

/** A copy with paths that use `/`, sorted, each once. Throws `invalid` and `too_large`. */
export function checkedFiles(files: readonly { path: string; data: string }[]): { path: string; data: string }[] {
  if (files.length === 0) throw refused('There is nothing to import: no file was given.');
  if (files.length > FILES_LIMIT) throw refused(`${files.length} files are too many: at most ${FILES_LIMIT} at once.`);
  let size = 0;
  const seen = new Set<string>();
  const all = files.map(({ path, data }) => {
    checkPath(path);
    const plain = path.replaceAll('\\', '/').replace(/^(?:\.\/)+/, '');
    if (seen.has(plain)) throw refused(`${shown(plain)} is there twice.`);
    seen.add(plain);
    size += data.length;
    return { path: plain, data };
  });
  if (size > IMPORT_LIMIT)
    throw new StewardError('too_large', `The files hold ${Math.round(size / 1024 / 1024)} MB of text.`, {
      op: 'import memory',
      hint: `At most ${IMPORT_LIMIT / 1024 / 1024} MB at once; nothing was changed.`,
    });
  for (const { path, data } of all) {
    const zero = data.indexOf('\u0000');
    if (zero >= 0)
      throw refused(`${shown(path)} is no text: there is a NUL in line ${data.slice(0, zero).split('\n').length}.`);
  }
  return all.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Lines of a text one after the other, without a second copy of it. Empty ones are passed over. */
export function* linesOf(data: string): Generator<{ text: string; line: number; last: boolean }> {
  let line = 0;
  for (let at = data.charCodeAt(0) === 0xfeff ? 1 : 0; at < data.length; ) {
    const end = data.indexOf('\n', at);
    const text = data.slice(at, end < 0 ? data.length : end).replace(/\r$/, '');
    line += 1;
    at = end < 0 ? data.length : end + 1;
    if (text.trim() !== '') yield { text, line, last: end < 0 };
  }
}
