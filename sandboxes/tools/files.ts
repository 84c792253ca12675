// read, write and edit: files of the sandbox, by programs inside it, with the limits of the Managed Agents toolset.
import { z } from 'zod';
import { defineTool, type Tool, textResult } from '../../core/tools/tool.ts';
import type { Files } from '../driver.ts';
import type { HandsForTools } from './index.ts';

/** Whole-file limit of read and edit. */
const FILE_LIMIT = 256 * 1024;
/** A range of a file may be taken out of one this big. */
const RANGED_LIMIT = 64 * 1024 * 1024;
const WRITE_LIMIT = 4 * 1024 * 1024;

const path = z.string().min(1).max(4_096).describe('Path in the sandbox; relative to /workspace');

const asText = (bytes: Uint8Array): string | null => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
};

async function readText(files: Files, file: string, limit: number): Promise<string | { why: string }> {
  const bytes = await files.read(file, { limit: limit + 1 });
  if (bytes.length > limit)
    return {
      why: `${file} is larger than ${limit / 1024} KiB. Read a part of it with view_range: [first line, last line], or look for the place with grep.`,
    };
  return asText(bytes) ?? { why: `${file} is not UTF-8 text (${bytes.length} bytes). Use bash to look at it.` };
}

export function createRead(hands: HandsForTools): Tool {
  return defineTool({
    name: 'read',
    description: 'Read a UTF-8 text file of the sandbox, whole (up to 256 KiB) or a range of its lines.',
    schema: z.strictObject({
      file_path: path,
      view_range: z
        .array(z.number().int())
        .length(2)
        .optional()
        .describe('[first line, last line], counted from 1; -1 as last line reads to the end'),
    }),
    effect: 'pure',
    action: () => ({ type: 'hands', hosts: [], isolated: hands.isolated() }),
    title: ({ file_path }) => `Read ${file_path}`,
    run: ({ file_path, view_range }, context) =>
      hands.use(context, { hosts: [], reads: true }, async ({ sandbox }) => {
        const text = await readText(sandbox.files, file_path, view_range ? RANGED_LIMIT : FILE_LIMIT);
        if (typeof text !== 'string') return textResult(text.why, true);
        const tainted = hands.isolated();
        if (!view_range) return { ...textResult(text || '(the file is empty)'), tainted };
        const [first, last] = [view_range[0] ?? 1, view_range[1] ?? -1];
        const lines = text.split('\n');
        if (first < 1 || (last !== -1 && last < first) || first > lines.length)
          return textResult(`The range ${first}–${last} does not fit: the file has ${lines.length} lines.`, true);
        const part = lines.slice(first - 1, last === -1 ? undefined : last).join('\n');
        if (Buffer.byteLength(part) > FILE_LIMIT)
          return textResult(`These lines are more than ${FILE_LIMIT / 1024} KiB. Take a smaller range.`, true);
        return { ...textResult(part || '(these lines are empty)'), tainted };
      }),
  });
}

export function createWrite(hands: HandsForTools): Tool {
  return defineTool({
    name: 'write',
    description: 'Write a text file of the sandbox, whole; makes the folders on the way and replaces what was there.',
    schema: z.strictObject({ file_path: path, content: z.string().max(WRITE_LIMIT) }),
    // The same content twice is the same file.
    effect: 'keyed',
    action: () => ({ type: 'hands', hosts: [], isolated: hands.isolated() }),
    title: ({ file_path }) => `Write ${file_path}`,
    run: ({ file_path, content }, context) =>
      hands.use(context, { hosts: [] }, async ({ sandbox }) => {
        await sandbox.files.write(file_path, content);
        return textResult(`Wrote ${Buffer.byteLength(content)} bytes to ${file_path}.`);
      }),
  });
}

export function createEdit(hands: HandsForTools): Tool {
  return defineTool({
    name: 'edit',
    description:
      'Replace one piece of text in a file of the sandbox. old_string must stand there exactly once, or give replace_all.',
    schema: z.strictObject({
      file_path: path,
      old_string: z.string().min(1).max(WRITE_LIMIT),
      new_string: z.string().max(WRITE_LIMIT),
      replace_all: z.boolean().optional(),
    }),
    // Repeated on the same file it finds nothing to replace and says so; on a restored one it is due again.
    effect: 'keyed',
    action: () => ({ type: 'hands', hosts: [], isolated: hands.isolated() }),
    title: ({ file_path }) => `Edit ${file_path}`,
    run: ({ file_path, old_string, new_string, replace_all }, context) =>
      hands.use(context, { hosts: [] }, async ({ sandbox }) => {
        if (old_string === new_string) return textResult('old_string and new_string are the same.', true);
        const text = await readText(sandbox.files, file_path, FILE_LIMIT);
        if (typeof text !== 'string') return textResult(text.why, true);
        const count = text.split(old_string).length - 1;
        if (count === 0) return textResult(`old_string does not stand in ${file_path}. Read the file again.`, true);
        if (count > 1 && !replace_all)
          return textResult(
            `old_string stands ${count} times in ${file_path}. Give more of its surroundings, or replace_all: true.`,
            true,
          );
        await sandbox.files.write(file_path, text.split(old_string).join(new_string));
        return textResult(`Replaced ${count === 1 ? 'one place' : `${count} places`} in ${file_path}.`);
      }),
  });
}
