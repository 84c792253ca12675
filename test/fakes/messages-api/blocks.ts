// What Anthropic's Messages API refuses in a single content block, in its own words.
export interface Block {
  type: string;
  text?: string;
  id?: string;
  name?: string;
  input?: unknown;
  tool_use_id?: string;
  content?: string | Block[];
  is_error?: boolean;
  thinking?: string;
  signature?: string;
  data?: string;
  source?: { type?: string; media_type?: string; data?: string };
  citations?: unknown;
  cache_control?: { type?: string } | null;
}
export interface Message {
  role: 'user' | 'assistant';
  content: string | Block[];
}
export interface Tool {
  name: string;
  description?: string;
  input_schema: { type: string; properties?: Record<string, unknown> };
  cache_control?: { type?: string } | null;
}
/** A body that broke no rule. */
export interface MessagesRequest {
  model: string;
  max_tokens: number;
  messages: Message[];
  system?: string | Block[];
  tools?: Tool[];
  stream?: boolean;
}

export class Refusal extends Error {}

export function refuse(message: string): never {
  throw new Refusal(message);
}

const MAX_IMAGE_BYTES = 5 * 1024 * 1024;
export const NAME = /^[a-zA-Z0-9_-]{1,128}$/;
const TOOL_ID = /^[a-zA-Z0-9_-]+$/;
const BLOCK_FIELDS: Record<string, string[]> = {
  text: ['text', 'citations', 'cache_control'],
  image: ['source', 'cache_control'],
  document: ['source', 'title', 'context', 'citations', 'cache_control'],
  tool_use: ['id', 'name', 'input', 'cache_control', 'caller', 'toolset_name'],
  tool_result: ['tool_use_id', 'content', 'is_error', 'cache_control', 'toolset_name'],
  thinking: ['thinking', 'signature'],
  redacted_thinking: ['data'],
};
const IMAGES: Record<string, (bytes: Buffer) => boolean> = {
  'image/jpeg': (bytes) => bytes.subarray(0, 3).equals(Buffer.from([0xff, 0xd8, 0xff])),
  'image/png': (bytes) => bytes.subarray(0, 4).equals(Buffer.from([0x89, 0x50, 0x4e, 0x47])),
  'image/gif': (bytes) => bytes.subarray(0, 4).toString('latin1') === 'GIF8',
  'image/webp': (bytes) =>
    bytes.subarray(0, 4).toString('latin1') === 'RIFF' && bytes.subarray(8, 12).toString('latin1') === 'WEBP',
};

const ROLES: Record<string, 'user' | 'assistant'> = {
  image: 'user',
  document: 'user',
  tool_result: 'user',
  tool_use: 'assistant',
  thinking: 'assistant',
  redacted_thinking: 'assistant',
};

export function checkBlock(block: Block, at: string, role: string, messageAt: string): void {
  const fields = BLOCK_FIELDS[block.type];
  if (!fields) {
    const known = Object.keys(BLOCK_FIELDS).map((type) => `'${type}'`);
    refuse(
      `${at}: Input tag '${block.type}' found using 'type' does not match any of the expected tags: ${known.join(', ')}`,
    );
  }
  const owner = ROLES[block.type];
  if (owner && owner !== role) {
    refuse(`${messageAt}: \`${block.type}\` blocks can only be in \`${owner}\` messages`);
  }
  checkFields(block, at);
  const need = (name: keyof Block) => {
    if (block[name] === undefined) refuse(`${at}.${block.type}.${name}: Field required`);
  };
  switch (block.type) {
    case 'text':
      need('text');
      checkText(block, 'messages');
      if (role === 'user' && Array.isArray(block.citations) && block.citations.length > 0) {
        refuse(`${at}.text.citations: Extra inputs are not permitted`);
      }
      return;
    case 'image':
      checkImage(block, at);
      return;
    case 'thinking':
      need('thinking');
      need('signature');
      return;
    case 'redacted_thinking':
      need('data');
      return;
    case 'tool_use':
      need('id');
      need('name');
      need('input');
      if (!TOOL_ID.test(block.id ?? '')) refuse(`${at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'`);
      if (!NAME.test(block.name ?? '')) {
        refuse(`${at}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`);
      }
      if (typeof block.input !== 'object' || block.input === null || Array.isArray(block.input)) {
        refuse(`${at}.tool_use.input: Input should be a valid dictionary`);
      }
      return;
    case 'tool_result':
      need('tool_use_id');
      if (!TOOL_ID.test(block.tool_use_id ?? '')) {
        refuse(`${at}.tool_result.tool_use_id: String should match pattern '^[a-zA-Z0-9_-]+$'`);
      }
      if (block.is_error && (block.content === undefined || block.content.length === 0)) {
        refuse(`${at}.tool_result: content cannot be empty if \`is_error\` is true`);
      }
      if (Array.isArray(block.content)) {
        for (const [index, inner] of block.content.entries()) {
          const innerAt = `${at}.tool_result.content.${index}`;
          if (!['text', 'image', 'document'].includes(inner.type)) {
            refuse(
              `${innerAt}: Input tag '${inner.type}' found using 'type' does not match any of the expected tags: 'text', 'image', 'document'`,
            );
          }
          checkBlock(inner, innerAt, 'user', messageAt);
        }
      }
  }
}

export function checkFields(block: Block, at: string): void {
  const fields = BLOCK_FIELDS[block.type] ?? [];
  for (const name of Object.keys(block)) {
    if (name !== 'type' && !fields.includes(name))
      refuse(`${at}.${block.type}.${name}: Extra inputs are not permitted`);
  }
  if (block.cache_control && block.cache_control.type !== 'ephemeral') {
    refuse(`${at}.${block.type}.cache_control.type: Input should be 'ephemeral'`);
  }
}

export function checkText(block: Block, where: 'messages' | 'system'): void {
  if (typeof block.text !== 'string') refuse(`${where}: Input should be a valid string`);
  if (block.text === '') refuse(`${where}: text content blocks must be non-empty`);
  if (block.text.trim() === '') refuse(`${where}: text content blocks must contain non-whitespace text`);
}

function checkImage(block: Block, at: string): void {
  const { source } = block;
  if (!source) refuse(`${at}.image.source: Field required`);
  if (source.type === 'url' || source.type === 'file') return;
  const where = `${at}.image.source.base64`;
  const matches = IMAGES[source.media_type ?? ''];
  if (!matches) refuse(`${where}.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'`);
  if (!source.data || !/^[A-Za-z0-9+/]+={0,2}$/.test(source.data)) refuse(`${where}: invalid base64 data`);
  const bytes = Buffer.from(source.data, 'base64');
  if (bytes.length > MAX_IMAGE_BYTES) {
    refuse(`${where}: image exceeds 5 MB maximum: ${bytes.length} bytes > ${MAX_IMAGE_BYTES} bytes`);
  }
  if (!matches(bytes)) refuse(`${where}.data: Image does not match the provided media type ${source.media_type}`);
}

export function blocksOf(message: Message | undefined): Block[] {
  if (!message) return [];
  return typeof message.content === 'string' ? [{ type: 'text', text: message.content }] : message.content;
}
