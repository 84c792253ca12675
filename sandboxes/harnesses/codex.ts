// Codex: how it is started and understood (`codex exec --json`). Pure.
import type { JsonObject, ModelUsage } from '../../core/types.ts';
import { modelEnvironment } from '../broker/environment.ts';
import { PLACES } from '../driver.ts';
import type { HarnessEvent, ProgramAdapter } from './adapter.ts';
import { objectOf } from './run-program.ts';

interface Item {
  id?: string;
  type?: string;
  text?: string;
  message?: string;
  command?: string;
  aggregated_output?: string;
  exit_code?: number | null;
  status?: string;
  changes?: { path: string; kind: string }[];
  [key: string]: unknown;
}

const usageOf = (told: Record<string, unknown>): ModelUsage => {
  const number = (key: string) => (typeof told[key] === 'number' ? (told[key] as number) : 0);
  const cached = number('cached_input_tokens');
  return {
    // Theirs counts what came from the cache as input, ours does not.
    input_tokens: Math.max(0, number('input_tokens') - cached),
    output_tokens: number('output_tokens'),
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
  };
};

/** A call by its item; null for what is none. */
function callOf(item: Item): { name: string; input: JsonObject } | null {
  switch (item.type) {
    case 'command_execution':
      return { name: 'shell', input: { command: item.command ?? '' } };
    case 'file_change':
      return {
        name: 'file_change',
        input: { changes: (item.changes ?? []).map(({ path, kind }) => ({ path, kind })) },
      };
    case 'mcp_tool_call':
      return { name: `${String(item.server)}.${String(item.tool)}`, input: (item.arguments as JsonObject) ?? {} };
    case 'web_search':
      return { name: 'web_search', input: { query: String(item.query ?? '') } };
    default:
      return null;
  }
}

function itemEvents(item: Item, done: boolean): HarnessEvent[] {
  if (item.type === 'agent_message') return done && item.text?.trim() ? [{ type: 'text', text: item.text }] : [];
  const call = callOf(item);
  if (!call || item.id === undefined) return [];
  const began: HarnessEvent = { type: 'call', id: item.id, ...call };
  if (!done) return [began];
  const isError = item.status === 'failed' || item.status === 'declined' || (item.exit_code ?? 0) !== 0;
  const code = item.exit_code ? `\n[exit code ${item.exit_code}]` : '';
  const text = `${item.aggregated_output ?? ''}${code}`.trim() || String(item.status ?? '');
  return [began, { type: 'result', id: item.id, text, isError }];
}

const configOf = (): string => {
  const { OPENAI_BASE_URL: base } = modelEnvironment(['openai']);
  return [
    'model_provider = "steward"',
    'check_for_update_on_startup = false',
    '[model_providers.steward]',
    'name = "steward"',
    `base_url = "${base}"`,
    'env_key = "OPENAI_API_KEY"',
    'wire_api = "responses"',
    '[analytics]',
    'enabled = false',
    '',
  ].join('\n');
};

export const codex: ProgramAdapter = {
  name: 'codex',
  capabilities: { steering: false, approvals: false, resume: true, where: 'sandbox' },
  program: 'codex',
  door: 'openai',
  endsByExit: false,
  command: ({ bin, text, resume, model }) => {
    // The walls of the sandbox are the boundary; its own would need namespaces that are not given.
    const flags = ['--json', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox'];
    const named = model === null ? [] : ['--model', model];
    return {
      argv: [
        bin,
        'exec',
        ...(resume === null ? [] : ['resume']),
        ...flags,
        ...named,
        ...(resume === null ? [] : [resume]),
        '-',
      ],
      env: { ...modelEnvironment(['openai']), CODEX_HOME: `${PLACES.home}/.codex` },
      stdin: text,
      files: { [`${PLACES.home}/.codex/config.toml`]: configOf() },
    };
  },
  forgot: (said) => /no rollout found|(?:session|thread|conversation)[^\n]*not found|No saved session/i.test(said),
  parse(line) {
    const event = objectOf(line);
    switch (event?.type) {
      case 'thread.started':
        return [{ type: 'session', id: String(event.thread_id) }];
      case 'item.started':
        return itemEvents((event.item ?? {}) as Item, false);
      case 'item.completed':
        return itemEvents((event.item ?? {}) as Item, true);
      case 'turn.completed': {
        const usage = usageOf((event.usage ?? {}) as Record<string, unknown>);
        return [{ type: 'end', ok: true, text: null, total: { model: null, usage, costUsd: null } }];
      }
      case 'turn.failed': {
        const { message } = (event.error ?? {}) as { message?: string };
        return [{ type: 'end', ok: false, text: message ?? 'its turn failed', total: null }];
      }
      default:
        return [];
    }
  },
};
