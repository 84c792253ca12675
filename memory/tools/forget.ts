// memory_forget: erases one memory, or words said once, for good. Which one must be clear: otherwise it lists them and asks.
import { z } from 'zod';
import { StewardError } from '../../core/errors.ts';
import type { MemoryHit } from '../../core/memory.ts';
import { forgottenText, foundText } from '../../core/memory-text.ts';
import type { Sessions } from '../../core/sessions.ts';
import { defineTool, type Tool, type ToolContext, textResult } from '../../core/tools/tool.ts';
import type { Id, ToolResult } from '../../core/types.ts';
import { calendar } from '../../core/usage.ts';
import { quoteOf } from '../context.ts';
import type { Forget } from '../forget.ts';
import { scopeOf } from '../scope.ts';
import { stem } from '../text/stem.ts';
import { isStop } from '../text/stopwords.ts';
import { bigrams, words } from '../text/tokens.ts';
import { INCOGNITO, type MemoryToolsDeps } from './deps.ts';

export interface ForgetDeps {
  forget: Forget;
  sessions: Pick<Sessions, 'get'>;
}

const LISTED = 8;
/** The nearest that are looked at for one that fits. */
const LOOKED_AT = 25;

const stemsOf = (text: string): string[] => [
  ...words(text)
    .filter((word) => !isStop(word))
    .map(stem),
  ...bigrams(text),
];

/** Pure. Every word that was asked for stands in it. */
export function fits(query: string, text: string): boolean {
  const wanted = stemsOf(query);
  const said = new Set(stemsOf(text));
  return wanted.length > 0 && wanted.every((word) => said.has(word));
}

export function createMemoryForget(deps: MemoryToolsDeps & ForgetDeps): Tool {
  const { events, items, forget } = deps;
  const dayOf = calendar(deps.timeZone);

  const list = (head: string, hits: readonly MemoryHit[], query: string): ToolResult => {
    const terms = words(query);
    const shown = hits.slice(0, LISTED).map((hit) => ({ ...hit, text: quoteOf(hit.text, terms) }));
    const lines = foundText({ hits: shown, weak: false, degraded: null }, dayOf);
    const text = `${head}\n${lines}\nAsk the owner which one, then call memory_forget with its id. Nothing was forgotten yet.`;
    return { ...textResult(text), tainted: shown.some((hit) => hit.trust === 'outside') };
  };

  const missing = (id: Id) => textResult(`There is no memory ${id} here; it may be forgotten already.`, true);

  const byId = (id: Id, sources: boolean, context: ToolContext, scope: string): ToolResult => {
    const sessionId = context.session.id;
    if (id.startsWith('sevt_')) {
      const event = events.get(id);
      const session = event && deps.sessions.get(event.sessionId);
      if (!session || scopeOf(session) !== scope) return missing(id);
      return textResult(forgottenText(forget.forgetEvent(id, { sessionId }), []));
    }
    const item = items.get(id);
    if (item?.scope !== scope) return missing(id);
    return textResult(forgottenText(forget.forget(id, { sources, sessionId }), [item.text]));
  };

  const byWords = async (query: string, sources: boolean, context: ToolContext, scope: string): Promise<ToolResult> => {
    const known = await deps.search({ query, kinds: ['item'], limit: LOOKED_AT }, scope);
    const fitting = known.hits.filter(({ id }) => {
      const item = items.get(id);
      return item && fits(query, `${item.subject ?? ''} ${item.slot ?? ''} ${item.text}`);
    });
    const [only] = fitting;
    if (only && fitting.length === 1) return byId(only.id, sources, context, scope);
    if (only) return list(`${fitting.length} memories fit that.`, fitting, query);
    const said = await deps.search({ query, limit: LISTED }, scope);
    return said.hits.length === 0
      ? textResult('Nothing found that could be forgotten.')
      : list('Nothing is remembered in just these words. These are the nearest.', said.hits, query);
  };

  /** A repeat after a crash: calls of a session are carried out one after the other, so this one was it. */
  const doneBefore = ({ callId, session }: ToolContext): boolean => {
    const call = events.get(callId);
    if (call?.position == null) return false;
    const after = { after: call.position, limit: 50 };
    return events
      .list({ sessionId: session.id, types: ['memory.written'], ...after })
      .some((event) => event.payload.kind === 'forget');
  };

  return defineTool({
    name: 'memory_forget',
    description:
      'Erase something for good, when the owner asks for it: by id (of an item or of something said, as memory_search shows it), or by words when only one memory fits. With `sources` also the messages it came from. It cannot be undone; for something that is only wrong or outdated, save the new value instead.',
    schema: z
      .strictObject({
        id: z.string().min(1).max(64).optional().describe('mem_… or sevt_…'),
        query: z.string().min(1).max(1_000).optional().describe('What to forget, in words, when the id is not known'),
        sources: z.boolean().optional().describe('Also the words it came from, wherever they stand'),
      })
      .refine(({ id, query }) => (id === undefined) !== (query === undefined), { message: 'give either id or query' }),
    effect: 'keyed',
    action: () => ({ type: 'memory', what: 'forget' }),
    title: ({ id, query, sources }) => {
      const text = id === undefined ? query : (items.get(id)?.text ?? id);
      return `Forget for good${sources ? ', with the messages it came from' : ''}: ${String(text).slice(0, 300)}`;
    },
    async run({ id, query, sources = false }, context) {
      const scope = scopeOf(context.session);
      if (scope === null) return textResult(INCOGNITO);
      if (doneBefore(context)) return textResult('Forgotten for good.');
      try {
        return id === undefined ? await byWords(query!, sources, context, scope) : byId(id, sources, context, scope);
      } catch (error) {
        if (error instanceof StewardError && error.code === 'invalid') return textResult(error.message, true);
        throw error;
      }
    },
  });
}
