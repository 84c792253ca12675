// OpenCode: how it is started and understood (`opencode run --format json`). Pure.
import type { JsonObject } from '../../core/types.ts';
import { modelEnvironment, PLACEHOLDER_KEY } from '../broker/environment.ts';
import { PLACES } from '../driver.ts';
import type { HarnessEvent, ProgramAdapter } from './adapter.ts';
import { objectOf } from './run-program.ts';

interface Part {
  id?: string;
  text?: string;
  tool?: string;
  callID?: string;
  reason?: string;
  cost?: number;
  tokens?: { input?: number; output?: number; reasoning?: number; cache?: { read?: number; write?: number } };
  state?: { status?: string; input?: JsonObject; output?: string; error?: string };
}

/** What it asks for when nobody chose: it needs a name. */
const USUAL_MODEL = 'claude-sonnet-5-5';

function configOf(model: string): string {
  const { ANTHROPIC_BASE_URL: base } = modelEnvironment(['anthropic']);
  return JSON.stringify({
    provider: {
      anthropic: {
        options: { baseURL: `${base}/v1`, apiKey: PLACEHOLDER_KEY },
        // One it has not heard of is a name all the same.
        models: { [model]: {} },
      },
    },
    model: `anthropic/${model}`,
    small_model: `anthropic/${model}`,
    // The walls of the sandbox are the boundary; a question would be answered with no.
    permission: { '*': 'allow', external_directory: 'allow', doom_loop: 'allow' },
    autoupdate: false,
    share: 'disabled',
  });
}

export const opencode: ProgramAdapter = {
  name: 'opencode',
  capabilities: { steering: false, approvals: false, resume: true, where: 'sandbox' },
  program: 'opencode',
  door: 'anthropic',
  endsByExit: true,
  command: ({ bin, text, resume, model }) => ({
    argv: [
      ...[bin, 'run', '--format', 'json', '--dir', PLACES.workspace],
      ...(resume === null ? [] : ['--session', resume]),
    ],
    env: {
      ...modelEnvironment(['anthropic']),
      OPENCODE_DISABLE_AUTOUPDATE: 'true',
      OPENCODE_DISABLE_MODELS_FETCH: 'true',
      OPENCODE_DISABLE_LSP_DOWNLOAD: 'true',
    },
    // As an argument it would be quoted, and a word that is a number is one it cannot take.
    stdin: text,
    files: {
      [`${PLACES.home}/.config/opencode/opencode.json`]: configOf(model ?? USUAL_MODEL),
    },
  }),
  forgot: (said) => /session not found|NotFoundError/i.test(said),
  parse(line) {
    const event = objectOf(line);
    const part = (event?.part ?? {}) as Part;
    const begin: HarnessEvent[] =
      event?.type === 'step_start' && typeof event.sessionID === 'string'
        ? [{ type: 'session', id: event.sessionID }]
        : [];
    switch (event?.type) {
      case 'step_start':
        return begin;
      case 'text':
        return part.text?.trim() ? [{ type: 'text', text: part.text }] : [];
      case 'tool_use': {
        const { tool, callID, state } = part;
        if (!callID || !state) return [];
        const call: HarnessEvent = { type: 'call', id: callID, name: tool ?? 'unnamed', input: state.input ?? {} };
        if (state.status !== 'completed' && state.status !== 'error') return [call];
        const isError = state.status === 'error';
        return [call, { type: 'result', id: callID, text: (isError ? state.error : state.output) ?? '', isError }];
      }
      case 'step_finish': {
        const { id, tokens = {}, cost } = part;
        const usage = {
          input_tokens: tokens.input ?? 0,
          output_tokens: (tokens.output ?? 0) + (tokens.reasoning ?? 0),
          cache_creation_input_tokens: tokens.cache?.write ?? 0,
          cache_read_input_tokens: tokens.cache?.read ?? 0,
        };
        return [{ type: 'step', id: id ?? line, model: null, usage, costUsd: cost ?? null }];
      }
      case 'error': {
        const error = (event.error ?? {}) as { name?: string; data?: { message?: string }; message?: string };
        return [
          { type: 'end', ok: false, text: error.data?.message ?? error.message ?? error.name ?? null, total: null },
        ];
      }
      default:
        return [];
    }
  },
};
