// `memory`: the file tool of the Messages API (memory_20250818) over the owner's store. Commands, return texts and errors are those of
// its documentation, so that a model that knows the tool finds it unchanged.
import { z } from 'zod';
import { describeError, StewardError } from '../core/errors.ts';
import type { Events } from '../core/events.ts';
import {
  type MemoryStores,
  OWNER_STORE,
  type StoredMemory,
  type StoreWriter,
  type StoreWritten,
} from '../core/memory-stores.ts';
import { defineTool, type Tool, type ToolContext, textResult } from '../core/tools/tool.ts';
import type { Action, Id, ToolResult } from '../core/types.ts';
import { isIncognito } from './scope.ts';
import { pageAt } from './stores/pages.ts';

const ROOT = '/memories';
const MAX_LINES = 999_999;
/** UTF-16 units of a file that one view shows. */
const SHOWN = 90_000;
/** Entries of a folder. */
const LISTED = 1_000;
const WIDTH = 6;

const text = z.string().max(400_000);
const path = z.string().min(1).max(2_000).describe('Path below /memories, as /memories/notes.md');

/** One flat object: what each command needs is checked by `run`, as models fill in what they remember of the tool. */
const schema = z.strictObject({
  command: z.enum(['view', 'create', 'str_replace', 'insert', 'delete', 'rename']),
  path: path.optional(),
  view_range: z.array(z.number().int()).length(2).optional().describe('view: first and last line; -1 is the end'),
  file_text: text.optional().describe('create: the content'),
  old_str: text.optional().describe('str_replace: the text to replace, letter by letter'),
  new_str: text.optional().describe('str_replace: what takes its place'),
  insert_line: z.number().int().optional().describe('insert: the line after which; 0 is the beginning'),
  insert_text: text.optional().describe('insert: the new lines'),
  old_path: path.optional().describe('rename: from'),
  new_path: path.optional().describe('rename: to'),
});
type Args = z.infer<typeof schema>;

/** A sentence for the model; the call failed. */
class Refused extends Error {}

/** The path inside the store, `` for the root. Throws Refused for whatever could mean another place. */
function inside(given: string | undefined, name = 'path'): string {
  if (given === undefined) throw new Refused(`Error: ${name} is required`);
  let decoded = given;
  // Encoded once or more: an honest path has no percent sign before two hex digits.
  if (/%[0-9a-f]{2}/i.test(decoded)) throw new Refused(`Error: Invalid path ${given}: percent encoding is not allowed`);
  if (/[\u0000-\u001f\u007f\\]/.test(decoded))
    throw new Refused('Error: Invalid path: control characters and backslashes are not allowed');
  if (decoded !== ROOT && !decoded.startsWith(`${ROOT}/`))
    throw new Refused(`Error: Path must start with ${ROOT}, got: ${given}`);
  decoded = decoded.slice(ROOT.length).replace(/\/+$/, '');
  if (decoded.split('/').some((part, index) => part === '.' || part === '..' || (part === '' && index > 0)))
    throw new Refused(`Error: Path ${given} would escape ${ROOT} directory`);
  return decoded.normalize('NFC');
}

const sizeText = (bytes: number): string => {
  const units = ['B', 'K', 'M', 'G'];
  let size = bytes;
  let unit = 0;
  for (; size >= 1024 && unit < units.length - 1; unit++) size /= 1024;
  return `${Number.isInteger(size) ? size : size.toFixed(1)}${units[unit]}`;
};
const numbered = (lines: readonly string[], first: number): string =>
  lines.map((line, index) => `${String(first + index).padStart(WIDTH)}\t${line}`).join('\n');

const hidden = (path: string): boolean =>
  path.split('/').some((part) => part.startsWith('.') || part === 'node_modules');
const missing = (given: string) => new Refused(`Error: The path ${given} does not exist`);

function actionOf(args: Args): Action {
  const where = args.new_path ?? args.path ?? '';
  const tier = pageAt(where.slice(ROOT.length))?.tier ?? 'reference';
  const words = args.file_text ?? args.new_str ?? args.insert_text ?? '';
  switch (args.command) {
    case 'view':
      return { type: 'memory', what: 'search' };
    case 'delete':
      return { type: 'memory', what: 'forget' };
    default:
      return { type: 'memory', what: 'save', tier, text: words };
  }
}

const TITLES: Record<Args['command'], string> = {
  view: 'Look at',
  create: 'Write',
  str_replace: 'Change',
  insert: 'Add to',
  delete: 'Delete',
  rename: 'Rename',
};

/** What a change answers, without the words of the file: the same when the call is repeated after a crash. */
const DONE: Record<Exclude<Args['command'], 'view'>, (args: Args) => string> = {
  create: ({ path }) => `File created successfully at: ${path}`,
  str_replace: () => 'The memory file has been edited.',
  insert: ({ path }) => `The file ${path} has been edited.`,
  delete: ({ path }) => `Successfully deleted ${path}`,
  rename: (args) => `Successfully renamed ${args.old_path} to ${args.new_path}`,
};

export interface FilesDeps {
  events: Pick<Events, 'append' | 'byDedupe'>;
  stores: Pick<MemoryStores, 'memoryAt' | 'listMemories' | 'createMemory' | 'updateMemory' | 'removeMemory'>;
  /** Text from outside stands in the session's context. */
  isTainted(sessionId: Id): boolean;
  transaction<T>(work: () => T): T;
}

export function createMemoryFiles(deps: FilesDeps): Tool {
  const { stores } = deps;
  const at = (path: string): StoredMemory | null => (path === '' ? null : stores.memoryAt(OWNER_STORE, path));
  /** The result may quote the file. */
  const quotesOutside = ({ path }: Args): boolean => {
    try {
      return at(inside(path))?.outside ?? false;
    } catch {
      return false;
    }
  };
  const under = (folder: string): StoredMemory[] => {
    const found: StoredMemory[] = [];
    for (let after: string | undefined; ; ) {
      const page = stores.listMemories(OWNER_STORE, {
        prefix: `${folder}/`,
        depth: 0,
        limit: 500,
        ...(after && { after }),
      });
      for (const entry of page) if (entry.kind === 'memory') found.push(entry.memory);
      const last = found.at(-1)?.path;
      if (page.length < 500 || last === after) return found;
      after = last;
    }
  };
  /** What waits for the owner is not in the file yet: the model must not take it for done. */
  const told = (written: StoreWritten, done: string): string =>
    written.asked === 0
      ? done
      : `${written.asked === 1 ? 'One line waits' : `${written.asked} lines wait`} for the owner's word and ${written.asked === 1 ? 'is' : 'are'} not in the file yet. ${done}`;

  const commands: Record<Args['command'], (args: Args, by: StoreWriter) => string> = {
    view(args) {
      const path = inside(args.path);
      const file = at(path);
      if (!file) return listing(path, args.path!);
      const lines = file.content.split('\n');
      if (lines.length > MAX_LINES) throw new Refused(`File ${args.path} exceeds maximum line limit of 999,999 lines.`);
      const [from, to] = args.view_range ?? [1, -1];
      const first = Math.max(1, from!);
      const chosen = lines.slice(first - 1, to === -1 ? lines.length : Math.max(0, to!));
      let shown = numbered(chosen, first);
      if (shown.length > SHOWN) {
        const kept = shown.slice(0, shown.lastIndexOf('\n', SHOWN)).toWellFormed();
        const last = first + kept.split('\n').length - 1;
        shown = `${kept}\n[cut here: use view_range to read on from line ${last + 1} of ${lines.length}]`;
      }
      return `Here's the content of ${args.path} with line numbers:\n${shown}`;
    },
    create(args, by) {
      const path = inside(args.path);
      if (args.file_text === undefined) throw new Refused('Error: file_text is required');
      if (path === '' || at(path)) throw new Refused(`Error: File ${args.path} already exists`);
      const written = stores.createMemory(OWNER_STORE, { path, content: args.file_text }, by);
      return told(written, DONE.create(args));
    },
    str_replace(args, by) {
      const file = at(inside(args.path));
      if (!file) throw new Refused(`Error: The path ${args.path} does not exist. Please provide a valid path.`);
      const { old_str: old = '', new_str: replacement = '' } = args;
      const places: number[] = [];
      if (old !== '')
        for (let i = file.content.indexOf(old); i >= 0; i = file.content.indexOf(old, i + 1)) places.push(i);
      if (places.length === 0)
        throw new Refused(`No replacement was performed, old_str \`${old}\` did not appear verbatim in ${args.path}.`);
      const lineAt = (place: number) => file.content.slice(0, place).split('\n').length;
      if (places.length > 1)
        throw new Refused(
          `No replacement was performed. Multiple occurrences of old_str \`${old}\` in lines: ${[...new Set(places.map(lineAt))].join(', ')}. Please ensure it is unique`,
        );
      const content = file.content.slice(0, places[0]) + replacement + file.content.slice(places[0]! + old.length);
      const written = stores.updateMemory(OWNER_STORE, file.id, { content }, by);
      const lines = (written.memory?.content ?? '').split('\n');
      const line = Math.min(lineAt(places[0]!), lines.length);
      const first = Math.max(1, line - 2);
      const snippet = numbered(lines.slice(first - 1, line + replacement.split('\n').length + 1), first);
      return told(
        written,
        `${DONE.str_replace(args)} Here is the snippet showing the change (with line numbers):\n${snippet}`,
      );
    },
    insert(args, by) {
      const file = at(inside(args.path));
      if (!file) throw missing(args.path!);
      const { insert_line: line, insert_text: words } = args;
      if (words === undefined) throw new Refused('Error: insert_text is required');
      const lines = file.content === '' ? [] : file.content.replace(/\n$/, '').split('\n');
      if (line === undefined || line < 0 || line > lines.length)
        throw new Refused(
          `Error: Invalid \`insert_line\` parameter: ${line}. It should be within the range of lines of the file: [0, ${lines.length}]`,
        );
      lines.splice(line, 0, words.replace(/\n$/, ''));
      const content = `${lines.join('\n')}${file.content.endsWith('\n') ? '\n' : ''}`;
      return told(stores.updateMemory(OWNER_STORE, file.id, { content }, by), DONE.insert(args));
    },
    delete(args, by) {
      const path = inside(args.path);
      if (path === '') throw new Refused(`Error: Cannot delete the ${ROOT} directory itself`);
      const file = at(path);
      const files = file ? [file] : under(path);
      if (files.length === 0) throw missing(args.path!);
      for (const { id } of files) stores.removeMemory(OWNER_STORE, id, by);
      return DONE.delete(args);
    },
    rename(args, by) {
      const [from, to] = [inside(args.old_path, 'old_path'), inside(args.new_path, 'new_path')];
      if (from === '') throw new Refused(`Error: Cannot rename the ${ROOT} directory itself`);
      const file = at(from);
      const files = file ? [file] : under(from);
      if (files.length === 0) throw missing(args.old_path!);
      if (to === '' || at(to) || under(to).length > 0)
        throw new Refused(`Error: The destination ${args.new_path} already exists`);
      if (to.startsWith(`${from}/`)) throw new Refused(`Error: Cannot rename ${args.old_path} into itself`);
      const written = files.map(({ id, path }) =>
        stores.updateMemory(OWNER_STORE, id, { path: to + path.slice(from.length) }, by),
      );
      const asked = written.reduce((sum, one) => sum + one.asked, 0);
      return told({ memory: null, asked }, DONE.rename(args));
    },
  };

  /** A folder, two levels deep; sizes of folders are those of what is in them. */
  function listing(folder: string, given: string): string {
    const files = under(folder).filter((file) => !hidden(file.path.slice(folder.length + 1)));
    if (files.length === 0 && folder !== '')
      throw new Refused(`The path ${given} does not exist. Please provide a valid path.`);
    const sizes = new Map<string, number>();
    for (const { path, size } of files) {
      const parts = path.slice(folder.length + 1).split('/');
      for (let depth = 1; depth <= Math.min(2, parts.length); depth++) {
        const name = parts.slice(0, depth).join('/') + (depth < parts.length ? '/' : '');
        sizes.set(name, (sizes.get(name) ?? 0) + size);
      }
    }
    const root = given.replace(/\/+$/, '');
    const total = files.reduce((sum, file) => sum + file.size, 0);
    const lines = [...sizes]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, size]) => `${sizeText(size)}\t${root}/${name}`);
    const more = lines.length > LISTED ? [`[${lines.length - LISTED} more: view a folder below]`] : [];
    const shown = [`${sizeText(total)}\t${root}`, ...lines.slice(0, LISTED), ...more];
    return `Here're the files and directories up to 2 levels deep in ${given}, excluding hidden items and node_modules:\n${shown.join('\n')}`;
  }

  const writerOf = ({ session, callId }: ToolContext): StoreWriter => ({
    kind: 'agent',
    actor: { type: 'session_actor', session_id: session.id },
    sessionId: session.id,
    eventId: callId,
    tainted: deps.isTainted(session.id),
  });

  const carryOut = (args: Args, context: ToolContext): string => {
    const { command } = args;
    if (command === 'view') return commands.view(args, writerOf(context));
    const dedupe = `memory:${context.callId}`;
    if (deps.events.byDedupe(dedupe)) return DONE[command](args);
    const answer = commands[command](args, writerOf(context));
    deps.events.append(context.session.id, [
      { type: 'memory.filed', payload: { tool_use_id: context.callId, command }, dedupe },
    ]);
    return answer;
  };

  return defineTool<Args>({
    name: 'memory',
    description:
      'Your memory as files below /memories, kept between conversations: view, create, str_replace, insert, delete, rename. View /memories before you begin, and note progress as you go: a conversation may end at any moment. identity.md, state.md and reference/<subject>.md hold one thing in each line; other files are notes.',
    schema,
    // A change and the event that says whose call it was are one transaction: a repeat finds it and changes nothing.
    effect: 'keyed',
    action: actionOf,
    title: (args) =>
      `${TITLES[args.command]} ${args.path ?? args.old_path ?? 'a memory file'}${args.new_path ? ` to ${args.new_path}` : ''}`,
    async run(args, context): Promise<ToolResult> {
      if (context.session.trust !== 'owner')
        return textResult('Error: These files are the owner’s; this conversation has none.', true);
      if (isIncognito(context.session) && args.command !== 'view')
        return textResult('Error: Nothing is kept of this conversation.', true);
      try {
        const tainted = quotesOutside(args);
        const result = textResult(deps.transaction(() => carryOut(args, context)));
        return tainted ? { ...result, tainted } : result;
      } catch (error) {
        if (error instanceof Refused) return textResult(error.message, true);
        if (error instanceof StewardError && error.code !== 'internal')
          return textResult(`Error: ${describeError(error)}`, true);
        throw error;
      }
    },
  });
}
