// Reading source text just far enough for the rules: comments and strings told apart, imports found and resolved.
import { posix } from 'node:path';

/** Source texts by path from the project's root, with forward slashes. */
export type Sources = ReadonlyMap<string, string>;

export interface Import {
  from: string;
  /** As written. */
  specifier: string;
  /** The path inside the project, or null for a package. */
  target: string | null;
  /** `import type`: gone before anything runs. */
  typeOnly: boolean;
}

interface Pieces {
  /** The code with comments blanked out; strings stand. */
  code: string;
  /** The code with comments and the insides of strings blanked out. */
  bare: string;
  /** The insides of string and template literals. */
  strings: string[];
}

const beforeRegex = /(?:^|[=(,:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|do|else|void|delete|await|yield))\s*$/;

/** Splits JavaScript or TypeScript into code, comments and literals. Template placeholders count as string text. */
export function split(source: string): Pieces {
  let code = '';
  let bare = '';
  const strings: string[] = [];
  let at = 0;
  const blank = (text: string) => text.replace(/[^\n]/g, ' ');
  const take = (end: number, kind: 'comment' | 'literal') => {
    const text = source.slice(at, end);
    code += kind === 'comment' ? blank(text) : text;
    bare += kind === 'comment' || text.length < 2 ? blank(text) : text[0] + blank(text.slice(1, -1)) + text.at(-1);
    if (kind === 'literal') strings.push(text.slice(1, -1));
    at = end;
  };
  while (at < source.length) {
    const two = source.slice(at, at + 2);
    const character = source[at]!;
    if (two === '//' || (at === 0 && two === '#!')) take(endOr(source, '\n', at), 'comment');
    else if (two === '/*') take(endOr(source, '*/', at + 2, 2), 'comment');
    else if (character === "'" || character === '"') take(literalEnd(source, at, character), 'literal');
    else if (character === '`') take(templateEnd(source, at), 'literal');
    else if (character === '/' && beforeRegex.test(bare.slice(-40))) take(regexEnd(source, at), 'literal');
    else {
      code += character;
      bare += character;
      at++;
    }
  }
  return { code, bare, strings };
}

function endOr(source: string, mark: string, from: number, extra = 0): number {
  const end = source.indexOf(mark, from);
  return end < 0 ? source.length : end + extra;
}

function literalEnd(source: string, start: number, quote: string): number {
  for (let at = start + 1; at < source.length; at++) {
    if (source[at] === '\\') at++;
    else if (source[at] === quote) return at + 1;
    // A quote inside JSX text is no literal: it never reaches past its line.
    else if (source[at] === '\n') return start + 1;
  }
  return source.length;
}

function templateEnd(source: string, start: number): number {
  let depth = 0;
  for (let at = start + 1; at < source.length; at++) {
    if (source[at] === '\\') at++;
    else if (source.startsWith('${', at)) {
      depth++;
      at++;
    } else if (depth > 0 && source[at] === '{') depth++;
    else if (depth > 0 && source[at] === '}') depth--;
    else if (depth > 0 && source[at] === '`') at = templateEnd(source, at) - 1;
    else if (depth === 0 && source[at] === '`') return at + 1;
  }
  return source.length;
}

function regexEnd(source: string, start: number): number {
  let inClass = false;
  for (let at = start + 1; at < source.length; at++) {
    const character = source[at];
    if (character === '\\') at++;
    else if (character === '[') inClass = true;
    else if (character === ']') inClass = false;
    else if (character === '\n') return start + 1;
    else if (character === '/' && !inClass) return at + 1;
  }
  return source.length;
}

/** Every static, dynamic and required import of one file. Linear in its length, whatever it holds. */
export function importsOf(path: string, source: string): Import[] {
  const { code, bare } = split(source);
  const found: Import[] = [];
  for (const { 0: keyword, index } of bare.matchAll(/\b(?:import|export|require)\b/g)) {
    const after = index + keyword.length;
    // What may stand between the keyword and the quote: names and braces, or an opening bracket.
    const head = sticky(/[\w*{}\s,$]*/y, code, after);
    const called = head.trim() === '' ? sticky(/\(\s*/y, code, after + head.length) : '';
    const quoted = sticky(/'[^'\n]+'|"[^"\n]+"/y, code, after + head.length + called.length);
    if (!quoted || (!called && head.trim() !== '' && !/\bfrom$/.test(head.trim()))) continue;
    const specifier = quoted.slice(1, -1);
    const target = specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : null;
    found.push({ from: path, specifier, target, typeOnly: /^type\s+(?!from$)/.test(head.trim()) });
  }
  return found;
}

function sticky(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}

/** `@scope/name/deep/file` → `@scope/name`; null for Node's own modules. */
export function packageOf(specifier: string): string | null {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return null;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
