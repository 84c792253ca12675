// glob and grep: where something is in the sandbox.
import { matchesGlob } from 'node:path/posix';
import { z } from 'zod';
import { defineTool, type Tool, textResult } from '../../core/tools/tool.ts';
import { PLACES, type Sandbox } from '../driver.ts';
import type { HandsForTools } from './index.ts';
import { createRing } from './shell.ts';

const GLOB_HITS = 200;
/** Files looked at by one glob; a tree beyond it is searched in parts. */
const WALKED = 50_000;
const GREP_LIMIT = 100 * 1024;
const GREP_MS = 60_000;
const LINE = 2_000;

/** Runs a program to its end and keeps the newest `limit` bytes of its output. */
async function output(
  sandbox: Sandbox,
  argv: string[],
  cwd: string,
  limit: number,
  timeoutMs: number,
  signal: AbortSignal,
) {
  const execution = sandbox.exec(argv, { cwd, timeoutMs, signal, outputBytes: 256 * 1024 * 1024 });
  const [out, err] = [createRing(limit), createRing(4_096)];
  for await (const event of execution) {
    if (event.type === 'stdout') out.push(event.data);
    if (event.type === 'stderr') err.push(event.data);
  }
  return { ...(await execution.result), out: out.take(), err: err.take().text };
}

const place = (path: string | undefined) =>
  path === undefined ? PLACES.workspace : path.startsWith('/') ? path : `${PLACES.workspace}/${path}`;

export function createGlob(hands: HandsForTools): Tool {
  return defineTool({
    name: 'glob',
    description: `Find files of the sandbox by a pattern such as **/*.ts, newest first; at most ${GLOB_HITS}.`,
    schema: z.strictObject({
      pattern: z.string().min(1).max(1_000),
      path: z.string().min(1).max(4_096).optional().describe('Folder to search in; /workspace if left out'),
    }),
    effect: 'pure',
    action: () => ({ type: 'hands', hosts: [], isolated: hands.isolated() }),
    title: ({ pattern }) => `Look for ${pattern}`,
    run: ({ pattern, path }, context) =>
      hands.use(context, { hosts: [], reads: true }, async ({ sandbox }) => {
        const find = ['find', '.', '-name', '.git', '-prune', '-o', '-type', 'f', '-printf', '%T@ %P\\0'];
        const { out, code, err } = await output(sandbox, find, place(path), 16 * 1024 * 1024, GREP_MS, context.signal);
        if (code !== 0 && out.text === '') return textResult(err.trim() || 'The folder cannot be searched.', true);
        const entries = out.text.split('\0').slice(0, WALKED);
        const hits = entries
          .map((entry) => ({ at: Number.parseFloat(entry), name: entry.slice(entry.indexOf(' ') + 1) }))
          .filter(({ name }) => name !== '' && matchesGlob(name, pattern.replace(/^\.\//, '')))
          .sort((a, b) => b.at - a.at);
        const shown = hits.slice(0, GLOB_HITS).map(({ name }) => name);
        if (hits.length > GLOB_HITS) shown.push(`[${hits.length - GLOB_HITS} more; give a narrower pattern]`);
        return { ...textResult(shown.join('\n') || 'No file fits.'), tainted: hands.isolated() };
      }),
  });
}

export function createGrep(hands: HandsForTools): Tool {
  return defineTool({
    name: 'grep',
    description: 'Search the text of files in the sandbox for an extended regular expression: file, line number, line.',
    schema: z.strictObject({
      pattern: z.string().min(1).max(10_000),
      path: z.string().min(1).max(4_096).optional().describe('File or folder to search in; /workspace if left out'),
    }),
    effect: 'pure',
    action: () => ({ type: 'hands', hosts: [], isolated: hands.isolated() }),
    title: ({ pattern }) => `Search for ${pattern}`,
    run: ({ pattern, path }, context) =>
      hands.use(context, { hosts: [], reads: true }, async ({ sandbox }) => {
        const grep = [
          'grep',
          '-rnIE',
          '--exclude-dir=.git',
          '-e',
          pattern,
          '--',
          path === undefined ? '.' : place(path),
        ];
        const found = await output(sandbox, grep, PLACES.workspace, GREP_LIMIT, GREP_MS, context.signal);
        if (found.limited === 'time')
          return textResult(`No end within ${GREP_MS / 1_000} s. Search a smaller folder.`, true);
        if (found.code === 1 && found.out.text === '') return textResult('Nothing fits.');
        if (found.out.text === '') return textResult(found.err.trim() || 'The search failed.', true);
        const lines = found.out.text
          .trimEnd()
          .split('\n')
          .map((line) => (line.length > LINE ? `${line.slice(0, LINE)} […]` : line));
        if (found.out.dropped > 0)
          lines.unshift(`[only the last ${GREP_LIMIT} bytes of the hits are kept; search for less]`);
        return { ...textResult(lines.join('\n')), tainted: hands.isolated() };
      }),
  });
}
