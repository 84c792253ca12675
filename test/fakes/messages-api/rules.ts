// What Anthropic's Messages API refuses, in its own words. Pure: a request body in, the complaint out.
import {
  type Block,
  blocksOf,
  checkBlock,
  checkFields,
  checkText,
  type Message,
  type MessagesRequest,
  NAME,
  Refusal,
  refuse,
  type Tool,
} from './blocks.ts';

export const VERSIONS = ['2023-06-01', '2026-10-21'];
export const MAX_BODY_BYTES = 32 * 1024 * 1024;
const SAMPLING = ['temperature', 'top_p', 'top_k'];
const FIELDS = new Set([
  'model',
  'max_tokens',
  'messages',
  'system',
  'tools',
  'tool_choice',
  'stream',
  'stop_sequences',
  'metadata',
  'thinking',
  'service_tier',
  'container',
  'cache_control',
  'output_config',
  'inference_geo',
  'speed',
  'diagnostics',
]);

/** Fields that are taken with the beta they belong to, named in `anthropic-beta`, and refused without. */
const BETA_FIELDS: Record<string, string> = { context_management: 'context-management-' };

type Fields = Record<string, unknown>;

/** Anthropic's complaint about this body, or null. `checkSignature` is false for thinking that was altered. */
export function complaintAbout(
  body: unknown,
  facts: {
    version: string;
    betas?: string;
    counting?: boolean;
    checkSignature(thinking: string, signature: string): boolean;
  },
): string | null {
  try {
    checkTop(body, facts);
    const request = body as MessagesRequest;
    for (const [index, tool] of (request.tools ?? []).entries()) checkTool(tool, index);
    checkToolNames(request.tools ?? []);
    if (request.system !== undefined) checkSystem(request.system);
    checkMessages(request.messages, facts.checkSignature);
    checkPairs(request.messages);
    checkCacheMarks(request);
    if (request.messages.at(-1)?.role === 'assistant') {
      refuse('This model does not support assistant message prefill. The conversation must end with a user message.');
    }
    return null;
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

/** The body as JSON. Lone surrogates are legal for JSON.parse and illegal for the API. */
export function parseBody(raw: string): { body: unknown } | { complaint: string } {
  const invalid = 'The request body is not valid JSON:';
  let body: unknown;
  try {
    body = JSON.parse(raw);
  } catch {
    return { complaint: `${invalid} unexpected character: line 1 column 1 (char 0)` };
  }
  if (isWellFormed(body)) return { body };
  return { complaint: `${invalid} no low surrogate in string: line 1 column ${raw.length} (char ${raw.length - 1})` };
}

function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([key, item]) => key.isWellFormed() && isWellFormed(item));
}

function checkTop(body: unknown, facts: { version: string; betas?: string; counting?: boolean }): void {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) refuse('Input should be a valid dictionary');
  const fields = body as Fields;
  const required = facts.counting ? ['model', 'messages'] : ['model', 'max_tokens', 'messages'];
  for (const name of required) if (fields[name] === undefined) refuse(`${name}: Field required`);
  for (const name of Object.keys(fields)) {
    if (SAMPLING.includes(name) && facts.version < '2026-10-21') continue;
    const beta = BETA_FIELDS[name];
    if (beta !== undefined && facts.betas?.split(',').some((one) => one.trim().startsWith(beta))) continue;
    if (!FIELDS.has(name)) refuse(`${name}: Extra inputs are not permitted`);
  }
  if (typeof fields.model !== 'string') refuse('model: Input should be a valid string');
  if (fields.model === '') refuse('model: String should have at least 1 character');
  if (!facts.counting) {
    if (!Number.isInteger(fields.max_tokens)) refuse('max_tokens: Input should be a valid integer');
    if ((fields.max_tokens as number) < 1) refuse('max_tokens: must be greater than or equal to 1');
  }
  if (!Array.isArray(fields.messages)) refuse('messages: Input should be a valid list');
  if (fields.messages.length === 0) refuse('messages: at least one message is required');
  if (fields.stream !== undefined && typeof fields.stream !== 'boolean')
    refuse('stream: Input should be a valid boolean');
  if (fields.tools !== undefined && !Array.isArray(fields.tools)) refuse('tools: Input should be a valid list');
}

function checkTool(tool: Tool, index: number): void {
  const at = `tools.${index}.custom`;
  if (typeof tool.name !== 'string') refuse(`${at}.name: Field required`);
  if (tool.name.length > 128) refuse(`${at}.name: String should have at most 128 characters`);
  if (!NAME.test(tool.name)) refuse(`${at}.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`);
  if (typeof tool.input_schema !== 'object' || tool.input_schema === null) refuse(`${at}.input_schema: Field required`);
  if (tool.input_schema.type === undefined) refuse(`${at}.input_schema.type: Field required`);
  if (tool.input_schema.type !== 'object') refuse(`${at}.input_schema.type: Input should be 'object'`);
}

function checkToolNames(tools: Tool[]): void {
  if (new Set(tools.map((tool) => tool.name)).size < tools.length) refuse('tools: Tool names must be unique.');
}

function checkSystem(system: string | Block[]): void {
  if (typeof system === 'string') return;
  for (const [index, block] of system.entries()) {
    if (block.type !== 'text') refuse(`system.${index}.type: Input should be 'text'`);
    checkText(block, 'system');
    checkFields(block, `system.${index}`);
  }
}

function checkMessages(messages: Message[], checkSignature: (thinking: string, signature: string) => boolean): void {
  if (messages[0]?.role === 'assistant') refuse('messages: first message must use the "user" role');
  for (const [index, message] of messages.entries()) {
    const at = `messages.${index}`;
    const role: unknown = message.role;
    if (role === 'system') {
      refuse(
        'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" as an input message role.',
      );
    }
    if (role !== 'user' && role !== 'assistant') {
      refuse(`messages: Unexpected role "${String(role)}". Allowed roles are "user" or "assistant".`);
    }
    if (message.content === undefined) refuse(`${at}.content: Field required`);
    if (message.content.length === 0) refuse(`${at}: ${role} messages must have non-empty content`);
    if (typeof message.content === 'string') {
      checkText({ type: 'text', text: message.content }, 'messages');
      continue;
    }
    for (const [position, block] of message.content.entries()) {
      checkBlock(block, `${at}.content.${position}`, message.role, at);
      if (block.type === 'thinking' && !checkSignature(block.thinking ?? '', block.signature ?? '')) {
        refuse(`${at}.content.${position}: Invalid \`signature\` in \`thinking\` block`);
      }
    }
  }
}

/** Every tool_use is answered in the very next message, results first. Stricter than the API, which joins same-role neighbours first. */
function checkPairs(messages: Message[]): void {
  const used = new Set<string>();
  for (const [index, message] of messages.entries()) {
    const blocks = blocksOf(message);
    const asked = idsOf(blocksOf(messages[index - 1]), 'tool_use');
    const answered = new Set<string>();
    for (const [position, block] of blocks.entries()) {
      const at = `messages.${index}.content.${position}`;
      if (block.type === 'tool_use') {
        if (used.has(block.id ?? '')) refuse(`${at}: \`tool_use\` ids must be unique`);
        used.add(block.id ?? '');
      }
      if (block.type !== 'tool_result') continue;
      const id = block.tool_use_id ?? '';
      if (!asked.includes(id)) {
        refuse(
          `${at}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${id}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`,
        );
      }
      if (answered.has(id)) {
        refuse(`${at}: each tool_use must have a single result. Found multiple \`tool_result\` blocks with id: ${id}`);
      }
      answered.add(id);
    }
    const other = blocks.findIndex((block) => block.type !== 'tool_result');
    const inFront = idsOf(other < 0 ? blocks : blocks.slice(0, other), 'tool_result');
    const missing = asked.filter((id) => !inFront.includes(id));
    if (missing.length > 0) refuseUnanswered(index - 1, missing);
  }
  const open = idsOf(blocksOf(messages.at(-1)), 'tool_use');
  if (open.length > 0) refuseUnanswered(messages.length - 1, open);
}

function refuseUnanswered(index: number, ids: string[]): never {
  refuse(
    `messages.${index}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${ids.join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`,
  );
}

function idsOf(blocks: Block[], type: 'tool_use' | 'tool_result'): string[] {
  return blocks.flatMap((block) =>
    block.type === type ? [(type === 'tool_use' ? block.id : block.tool_use_id) ?? ''] : [],
  );
}

function checkCacheMarks(request: MessagesRequest): void {
  const nested = (blocks: Block[]): Block[] =>
    blocks.flatMap((block) => [block, ...(Array.isArray(block.content) ? nested(block.content) : [])]);
  const system = Array.isArray(request.system) ? request.system : [];
  const all = [...(request.tools ?? []), ...system, ...nested(request.messages.flatMap(blocksOf)), request];
  const marks = all.filter((item) => 'cache_control' in item && item.cache_control).length;
  if (marks > 4) refuse(`A maximum of 4 blocks with cache_control may be provided. Found ${marks}.`);
}
