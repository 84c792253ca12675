// A small strict fake of OpenAI's Responses API on loopback: streaming only, and it refuses what the real one refuses.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface InputItem {
  type?: string;
  role?: string;
  content?: string | { type: string; text?: string }[];
  call_id?: string;
  name?: string;
  arguments?: string;
  output?: unknown;
}
export interface ResponsesRequest {
  model: string;
  input: InputItem[];
  stream: boolean;
  tools?: { type: string; name?: string }[];
}
export type Said = { text: string } | { call: string; arguments: Record<string, unknown> };

export interface ResponsesApi {
  /** With its `/v1`. */
  url: string;
  requests: { raw: string; status: number; refused: string | null }[];
  close(): Promise<void>;
}

const freshId = (prefix: string) => `${prefix}_${randomBytes(12).toString('hex')}`;

/** Texts of the user's messages, in order. */
export const userTexts = ({ input }: ResponsesRequest): string[] =>
  input
    .filter(({ role }) => role === 'user')
    .flatMap(({ content }) =>
      typeof content === 'string' ? [content] : (content ?? []).map(({ text }) => text ?? ''),
    );

/** The API's complaint, or null. Pure. */
export function complaintAbout(body: unknown): string | null {
  if (typeof body !== 'object' || body === null) return 'The body must be a JSON object.';
  const { model, input, stream, tools } = body as Partial<ResponsesRequest>;
  if (typeof model !== 'string' || model === '') return "Missing required parameter: 'model'.";
  if (!Array.isArray(input) || input.length === 0) return "Invalid type for 'input'.";
  if (stream !== true) return 'This fake only streams.';
  const called = new Set<string>();
  const answered = new Set<string>();
  for (const [index, item] of input.entries()) {
    const kind = item.type ?? (item.role ? 'message' : undefined);
    if (kind === undefined) return `Missing required parameter: 'input[${index}].type'.`;
    if (kind === 'message' && !['user', 'assistant', 'developer', 'system'].includes(item.role ?? ''))
      return `Invalid value for 'input[${index}].role'.`;
    if (kind === 'function_call') called.add(item.call_id ?? '');
    if (kind !== 'function_call_output') continue;
    if (!called.has(item.call_id ?? ''))
      return `No tool call found for function call output with call_id ${item.call_id}.`;
    answered.add(item.call_id!);
  }
  const open = [...called].find((id) => !answered.has(id));
  if (open !== undefined) return `No tool output found for function call ${open}.`;
  for (const [index, tool] of (tools ?? []).entries())
    if (tool.type === 'function' && !/^[a-zA-Z0-9_-]{1,64}$/.test(tool.name ?? ''))
      return `Invalid 'tools[${index}].name'.`;
  return null;
}

export async function startResponsesApi(options: {
  key: string;
  handler(request: ResponsesRequest): Said;
}): Promise<ResponsesApi> {
  const requests: ResponsesApi['requests'] = [];

  const refuse = (response: ServerResponse, status: number, message: string) => {
    requests.at(-1)!.status = status;
    requests.at(-1)!.refused = message;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { message, type: 'invalid_request_error', code: null, param: null } }));
  };

  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const raw = Buffer.concat(chunks).toString('utf8');
    requests.push({ raw, status: 200, refused: null });
    if (request.headers.authorization !== `Bearer ${options.key}`)
      return refuse(response, 401, 'Incorrect API key provided.');
    if (request.method !== 'POST' || request.url !== '/v1/responses')
      return refuse(response, 404, `There is no ${request.method} ${request.url}.`);
    let body: unknown = null;
    try {
      body = JSON.parse(raw);
    } catch {
      return refuse(response, 400, 'The body is not JSON.');
    }
    const complaint = complaintAbout(body);
    if (complaint) return refuse(response, 400, complaint);
    const said = options.handler(body as ResponsesRequest);
    const id = freshId('resp');
    const item =
      'text' in said
        ? {
            type: 'message',
            id: freshId('msg'),
            role: 'assistant',
            status: 'completed',
            content: [{ type: 'output_text', text: said.text, annotations: [] }],
          }
        : {
            type: 'function_call',
            id: freshId('fc'),
            call_id: freshId('call'),
            name: said.call,
            arguments: JSON.stringify(said.arguments),
            status: 'completed',
          };
    const usage = {
      input_tokens: Math.ceil(raw.length / 4),
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 20,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: Math.ceil(raw.length / 4) + 20,
    };
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const send = (type: string, more: object) =>
      response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`);
    send('response.created', { response: { id, object: 'response', status: 'in_progress', output: [] } });
    send('response.output_item.added', { output_index: 0, item });
    send('response.output_item.done', { output_index: 0, item });
    send('response.completed', { response: { id, object: 'response', status: 'completed', output: [item], usage } });
    response.end();
  };

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
