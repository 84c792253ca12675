// Claude Code: how it is started, steered and understood (its stream of JSON lines). Pure.
import type { JsonObject, ModelUsage } from '../../core/types.ts';
import { modelEnvironment } from '../broker/environment.ts';
import type { HarnessEvent, ProgramAdapter, Spent } from './adapter.ts';
import { objectOf } from './run-program.ts';

interface Block {
  type: string;
  id?: string;
  text?: string;
  name?: string;
  input?: JsonObject;
  tool_use_id?: string;
  content?: string | { type: string; text?: string }[];
  is_error?: boolean;
}
interface Message {
  id?: string;
  model?: string;
  content?: Block[] | string;
  usage?: Partial<ModelUsage>;
}

const usageOf = (usage: Partial<ModelUsage> = {}): ModelUsage => ({
  input_tokens: usage.input_tokens ?? 0,
  output_tokens: usage.output_tokens ?? 0,
  cache_creation_input_tokens: usage.cache_creation_input_tokens ?? 0,
  cache_read_input_tokens: usage.cache_read_input_tokens ?? 0,
});

const blocksOf = (message: Message | undefined): Block[] =>
  typeof message?.content === 'string' ? [{ type: 'text', text: message.content }] : (message?.content ?? []);

const resultText = ({ content }: Block): string =>
  typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? `(${part.type})`).join('\n');

function said(message: Message): HarnessEvent[] {
  // Its own notes (no key, the server refuses) have a model that is none; they come once more with its end.
  if (message.model === '<synthetic>') return [];
  const events = blocksOf(message).flatMap((block): HarnessEvent[] => {
    if (block.type === 'text' && block.text?.trim()) return [{ type: 'text', text: block.text }];
    if (block.type === 'tool_use' && block.id)
      return [{ type: 'call', id: block.id, name: block.name ?? 'unnamed', input: block.input ?? {} }];
    return [];
  });
  if (!message.id) return events;
  const spent: Spent = { model: message.model ?? null, usage: usageOf(message.usage), costUsd: null };
  return [{ type: 'step', id: message.id, ...spent }, ...events];
}

/** The model that did most of it. */
function totalOf(line: Record<string, unknown>): Spent {
  const models = Object.entries((line.modelUsage ?? {}) as Record<string, { outputTokens?: number }>);
  models.sort(([, a], [, b]) => (b.outputTokens ?? 0) - (a.outputTokens ?? 0));
  const cost = line.total_cost_usd;
  return {
    model: models[0]?.[0] ?? null,
    usage: usageOf(line.usage as Partial<ModelUsage>),
    costUsd: typeof cost === 'number' ? cost : null,
  };
}

export const userLine = (text: string): string =>
  `${JSON.stringify({ type: 'user', message: { role: 'user', content: [{ type: 'text', text }] } })}\n`;

export const claudeCode: ProgramAdapter = {
  name: 'claude-code',
  capabilities: { steering: true, approvals: false, resume: true, where: 'sandbox' },
  program: 'claude-code',
  door: 'anthropic',
  endsByExit: false,
  command: ({ bin, text, resume, model }) => ({
    argv: [
      bin,
      ...['--bare', '-p', '--input-format', 'stream-json', '--output-format', 'stream-json', '--verbose'],
      // The walls of the sandbox are the boundary.
      '--dangerously-skip-permissions',
      ...(model === null ? [] : ['--model', model]),
      ...(resume === null ? [] : ['--resume', resume]),
    ],
    env: {
      ...modelEnvironment(['anthropic']),
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_AUTOUPDATER: '1',
      IS_SANDBOX: '1',
    },
    stdin: userLine(text),
    files: {},
  }),
  steer: userLine,
  forgot: (said) => /No conversation found/i.test(said),
  parse(line) {
    const event = objectOf(line);
    switch (event?.type) {
      case 'system':
        return event.subtype === 'init' && typeof event.session_id === 'string'
          ? [{ type: 'session', id: event.session_id }]
          : [];
      case 'assistant':
        // What a helper of it says goes to it, not to the person.
        return event.parent_tool_use_id
          ? said(event.message as Message).filter(({ type }) => type === 'step')
          : said(event.message as Message);
      case 'user':
        if (event.parent_tool_use_id) return [];
        return blocksOf(event.message as Message).flatMap((block): HarnessEvent[] =>
          block.type === 'tool_result' && block.tool_use_id
            ? [{ type: 'result', id: block.tool_use_id, text: resultText(block), isError: block.is_error === true }]
            : [],
        );
      case 'result': {
        const ok = event.subtype === 'success' && event.is_error !== true;
        const errors = Array.isArray(event.errors) ? event.errors.map(String).join('; ') : '';
        const text = typeof event.result === 'string' ? event.result : errors || String(event.subtype);
        return [{ type: 'end', ok, text, total: totalOf(event) }];
      }
      default:
        return [];
    }
  },
};
