// A strict fake of embedding servers on loopback: the wires of Voyage, OpenAI and Ollama. It refuses what the real ones
// refuse, fails on demand, and places texts near each other when they share words, or words the test calls the same.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export type Wire = 'voyage' | 'openai' | 'ollama';

/** What goes wrong with one request. */
export type Fault =
  | { kind: 'none' }
  | { kind: 'status'; status: number; retryAfter?: number; message?: string }
  | { kind: 'slow'; ms: number }
  /** The request is read and never answered. */
  | { kind: 'black_hole' }
  /** The connection is closed without an answer. */
  | { kind: 'drop' }
  /** The connection is closed in the middle of the body. */
  | { kind: 'cut' }
  /** A whole answer with half the JSON. */
  | { kind: 'truncated' }
  | { kind: 'dimension'; dimension: number }
  /** The last vector is shorter than the others. */
  | { kind: 'uneven' }
  | { kind: 'missing' }
  /** Two vectors for the first text, none for the second. */
  | { kind: 'doubled' }
  | { kind: 'not_a_number' }
  | { kind: 'zero' }
  | { kind: 'html' }
  | { kind: 'redirect'; to: string }
  /** White space without end, at full speed. */
  | { kind: 'endless' };

export interface Recorded {
  path: string;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
  texts: string[];
  /** What it was told the texts are for. */
  use: 'query' | 'document' | null;
  /** 0: none was sent. */
  status: number;
}

export interface EmbeddingsOptions {
  wire: Wire;
  /** The only key let in. Ollama wants none when it is left out, the others any. */
  key?: string;
  /** The only models known; any when left out. */
  models?: string[];
  dimension?: number;
  /** Words that mean the same, each list one meaning. */
  synonyms?: string[][];
  /** Texts it refuses with 400. */
  refuses?: (text: string) => boolean;
  /** Says the wrong key whole in its answer, as no server should. */
  tellsKey?: boolean;
  /** Gives the vectors as base64, as some servers do. */
  base64?: boolean;
}

export interface EmbeddingsFake {
  url: string;
  port: number;
  requests: Recorded[];
  options: EmbeddingsOptions;
  faults: { next(...faults: Fault[]): void; stick(fault: Fault | null): void };
  /** All texts it ever got. */
  texts(): string[];
  /** Resolves when it has got so many requests. */
  reached(count: number): Promise<void>;
  close(): Promise<void>;
}

/** Where the models were trained with words before a text, and what they are. As the model cards have it. */
const PREFIXES: [RegExp, { query: string; document: string }][] = [
  [/nomic-embed/, { query: 'search_query: ', document: 'search_document: ' }],
  [/embeddinggemma/, { query: 'task: search result | query: ', document: 'title: none | text: ' }],
];
const FIELDS: Record<Wire, string[]> = {
  voyage: ['input', 'model', 'input_type', 'truncation', 'output_dimension', 'output_dtype', 'encoding_format'],
  openai: ['input', 'model', 'encoding_format', 'dimensions', 'user'],
  ollama: ['input', 'model', 'truncate', 'options', 'keep_alive', 'dimensions'],
};
const PATHS: Record<Wire, string> = { voyage: '/v1/embeddings', openai: '/v1/embeddings', ollama: '/api/embed' };
const MOST_TEXTS: Record<Wire, number> = { voyage: 1_000, openai: 2_048, ollama: 10_000 };
const TOKENS_EACH = 8_192;
const STOP = new Set(
  'a an and are as at be by did do for from has have i in is it my of on or our that the to was we what when where which who you your'.split(
    ' ',
  ),
);

class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function seedOf(text: string): number {
  let hash = 2_166_136_261;
  for (const unit of text) hash = Math.imul(hash ^ unit.codePointAt(0)!, 16_777_619);
  return hash >>> 0;
}

/** A direction for a word; always the same one. */
function direction(word: string, dimension: number): Float32Array {
  let state = seedOf(word) || 1;
  return Float32Array.from({ length: dimension }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32 - 0.5;
  });
}

/** Not of length 1, and all of them in one corner of the space, as those of real models. */
export function vectorOf(
  text: string,
  options: { dimension: number; synonyms?: string[][]; space?: string },
): number[] {
  const { dimension, synonyms = [], space = '' } = options;
  const words = (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => !STOP.has(word));
  const corner = direction(`${space}corner`, dimension);
  const sum = Float64Array.from(corner, (value) => value * 0.8);
  for (const word of words) {
    const meaning = synonyms.find((list) => list.includes(word))?.[0] ?? word;
    for (const [place, value] of direction(space + meaning, dimension).entries())
      sum[place]! += value / Math.sqrt(words.length);
  }
  return [...sum].map((value) => value * 3);
}

export async function startEmbeddings(initial: EmbeddingsOptions): Promise<EmbeddingsFake> {
  const options = { ...initial };
  const requests: Recorded[] = [];
  let queue: Fault[] = [];
  let sticky: Fault | null = null;
  const waiting = new Set<() => void>();
  const sockets = new Set<Socket>();

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
      response.end(`The fake failed: ${error instanceof Error ? error.stack : String(error)}`);
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const fault: Fault = queue.shift() ?? sticky ?? { kind: 'none' };
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const recorded: Recorded = {
      path: request.url ?? '',
      headers: request.headers,
      body: {},
      texts: [],
      use: null,
      status: 0,
    };
    requests.push(recorded);
    for (const look of waiting) look();
    const send = (status: number, body: unknown, headers: Record<string, string> = {}) => {
      recorded.status = status;
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    };
    try {
      const { model, dimension } = accept(request, Buffer.concat(chunks).toString('utf8'), recorded);
      if (fault.kind === 'status') {
        const headers: Record<string, string> =
          fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) };
        return send(fault.status, complaint(fault.message ?? 'Something went wrong.'), headers);
      }
      if (fault.kind === 'slow') await delay(fault.ms);
      if (fault.kind === 'black_hole') return;
      if (fault.kind === 'drop') return void request.socket.destroy();
      if (fault.kind === 'html')
        return send(200, '<html>Sign in to the network</html>', { 'content-type': 'text/html' });
      if (fault.kind === 'redirect') return send(307, '', { location: fault.to });
      if (fault.kind === 'endless') {
        response.writeHead(200, { 'content-type': 'application/json' });
        const closed = once(response, 'close');
        while (!response.destroyed) {
          response.write(' '.repeat(1 << 20));
          await Promise.race([closed, new Promise(setImmediate)]);
        }
        return;
      }
      const vectors = recorded.texts.map((text) => place(text, model, recorded, fault, dimension));
      const text = JSON.stringify(shape(spoil(vectors, fault), model, recorded.texts, fault));
      if (fault.kind === 'truncated') return send(200, text.slice(0, text.length / 2));
      if (fault.kind !== 'cut') return send(200, text);
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
      response.write(text.slice(0, text.length / 2), () => response.destroy());
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      send(error.status, complaint(error.message));
    }
  }

  const complaint = (message: string): unknown =>
    ({
      voyage: { detail: message },
      openai: { error: { message, type: 'invalid_request_error', param: null, code: null } },
      ollama: { error: message },
    })[options.wire];

  /** The request of a client that the real server would have served. */
  function accept(request: IncomingMessage, raw: string, recorded: Recorded): { model: string; dimension: number } {
    const { wire, key } = options;
    if (recorded.path !== PATHS[wire]) throw new Refused(404, `Invalid URL (${request.method} ${recorded.path})`);
    if (request.method !== 'POST') throw new Refused(405, 'Method Not Allowed');
    if (!/^application\/json\b/.test(request.headers['content-type'] ?? ''))
      throw new Refused(400, 'The content type must be application/json.');
    const bearer = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (wire !== 'ollama' && !bearer) throw new Refused(401, 'You did not provide an API key.');
    if (key !== undefined && bearer !== key)
      throw new Refused(401, `Incorrect API key provided: ${options.tellsKey ? bearer : '****'}`);
    let body: Record<string, unknown>;
    try {
      body = JSON.parse(raw) as Record<string, unknown>;
    } catch {
      throw new Refused(400, 'We could not parse the JSON body of your request.');
    }
    recorded.body = body;
    const unknown = Object.keys(body).find((name) => !FIELDS[wire].includes(name));
    if (unknown) throw new Refused(400, `Unrecognized request argument supplied: ${unknown}`);
    const { model, input } = body;
    if (typeof model !== 'string' || model === '') throw new Refused(400, 'you must provide a model parameter');
    if (options.models && !options.models.includes(model))
      throw new Refused(wire === 'voyage' ? 400 : 404, `model "${model}" not found`);
    const texts = typeof input === 'string' ? [input] : input;
    if (!Array.isArray(texts) || texts.length === 0 || texts.length > MOST_TEXTS[wire])
      throw new Refused(400, "'$.input' is invalid.");
    for (const text of texts) {
      if (typeof text !== 'string' || text === '') throw new Refused(400, "'$.input' is invalid.");
      if (!text.isWellFormed()) throw new Refused(400, 'The body is not valid Unicode.');
      // A token is at least a byte.
      if (Buffer.byteLength(text) > TOKENS_EACH)
        throw new Refused(400, "This model's maximum context length is 8192 tokens.");
      if (options.refuses?.(text)) throw new Refused(400, 'This input is not accepted.');
    }
    recorded.texts = texts as string[];
    const { input_type: type = null } = body;
    if (wire === 'voyage' && type !== null && type !== 'query' && type !== 'document')
      throw new Refused(400, "The value of 'input_type' must be null, 'query' or 'document'.");
    if (wire === 'voyage') recorded.use = type as Recorded['use'];
    else {
      const prefixes = PREFIXES.find(([family]) => family.test(model))?.[1];
      for (const use of ['query', 'document'] as const)
        if (prefixes && recorded.texts.every((text) => text.startsWith(prefixes[use]))) recorded.use = use;
    }
    return { model, dimension: options.dimension ?? 256 };
  }

  /** A model that tells questions from texts puts what came without a role somewhere else. */
  function place(text: string, model: string, recorded: Recorded, fault: Fault, usual: number): number[] {
    const prefixes = PREFIXES.find(([family]) => family.test(model))?.[1];
    const asymmetric = options.wire === 'voyage' || prefixes !== undefined;
    const bare = recorded.use && prefixes ? text.slice(prefixes[recorded.use].length) : text;
    const space = `${model}${asymmetric && !recorded.use ? ' without a role' : ''}`;
    const dimension = fault.kind === 'dimension' ? fault.dimension : usual;
    return vectorOf(bare, { dimension, synonyms: options.synonyms ?? [], space });
  }

  const spoil = (vectors: number[][], fault: Fault): number[][] => {
    if (fault.kind === 'missing') return vectors.slice(0, -1);
    if (fault.kind === 'uneven') return vectors.with(-1, vectors.at(-1)!.slice(1));
    if (fault.kind === 'zero')
      return vectors.with(
        0,
        vectors[0]!.map(() => 0),
      );
    if (fault.kind === 'not_a_number') return vectors.with(0, vectors[0]!.with(0, Number.NaN));
    return vectors;
  };

  function shape(vectors: number[][], model: string, texts: string[], fault: Fault): unknown {
    const tokens = texts.reduce((sum, text) => sum + Math.ceil(text.length / 4), 0);
    if (options.wire === 'ollama')
      return {
        model,
        embeddings: vectors,
        total_duration: 14_143_917,
        load_duration: 1_019_500,
        prompt_eval_count: tokens,
      };
    const data = vectors.map((vector, index) => ({
      object: 'embedding',
      embedding: options.base64 ? Buffer.from(Float32Array.from(vector).buffer).toString('base64') : vector,
      index: fault.kind === 'doubled' ? 0 : index,
    }));
    // The index says whose a vector is. Clients that go by the order of the list are found out.
    data.reverse();
    return { object: 'list', data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } };
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    options,
    faults: {
      next: (...more) => void queue.push(...more),
      stick(fault) {
        sticky = fault;
        queue = [];
      },
    },
    texts: () => requests.flatMap((request) => request.texts),
    reached: (count) =>
      new Promise((resolve) => {
        const look = () => {
          if (requests.length < count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
