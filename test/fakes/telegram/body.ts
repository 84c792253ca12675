// The body of a request to the Bot API: JSON, or the multipart form grammY sends with files.
import type { IncomingMessage } from 'node:http';

export async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Files stand as `{name, size, text}` where their `attach://` reference stood. Throws for what is neither JSON nor a form. */
export async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const data = await readAll(request);
  const type = request.headers['content-type'] ?? '';
  if (!type.startsWith('multipart/form-data'))
    return data.length > 0 ? (JSON.parse(data.toString()) as Record<string, unknown>) : {};
  const form = await new Response(new Uint8Array(data), { headers: { 'content-type': type } }).formData();
  const body: Record<string, unknown> = {};
  const files = new Map<string, { name: string; size: number; text: string }>();
  for (const [key, value] of form) {
    if (typeof value === 'string') body[key] = value;
    else files.set(key, { name: value.name, size: value.size, text: await value.text() });
  }
  for (const [key, value] of Object.entries(body)) {
    const attached = typeof value === 'string' && /^attach:\/\/(.+)$/.exec(value)?.[1];
    if (attached) body[key] = files.get(attached);
  }
  return body;
}
