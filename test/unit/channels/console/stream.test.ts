// The event stream client against a real server: parsing however it is cut, resuming, backing off, giving up, deduping.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type ConnectionState,
  createSseParser,
  type Follower,
  follow,
  type StreamMessage,
} from '../../../../channels/console/src/stream.ts';

function parse(chunks: string[]): StreamMessage[] {
  const parser = createSseParser();
  return chunks.flatMap((chunk) => parser(chunk));
}

describe('parsing', () => {
  const text =
    '\uFEFF: hello\n\nevent: agent.message\nid: 12\ndata: {"a":1}\n\n' +
    'data: first\ndata:second\ndata:  third\n\nevent: ping\r\ndata: {}\r\n\r\n' +
    'id: 13\rdata\r\revent: nothing\n\nid: not a number\ndata: x\nunknown: y\n\ndata: never finished';
  const expected: StreamMessage[] = [
    { event: 'agent.message', data: '{"a":1}', id: 12 },
    { event: 'message', data: 'first\nsecond\n third', id: null },
    { event: 'ping', data: '{}', id: null },
    { event: 'message', data: '', id: 13 },
    { event: 'message', data: 'x', id: null },
  ];

  it('follows the rules of the format', () => {
    expect(parse([text])).toEqual(expected);
  });

  it('gives the same however the text is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 })), (sizes) => {
        const chunks: string[] = [];
        let at = 0;
        for (const size of sizes) {
          chunks.push(text.slice(at, at + size));
          at += size;
        }
        expect(parse([...chunks, text.slice(at)])).toEqual(expected);
      }),
    );
    expect(parse([...text])).toEqual(expected);
  });
});

type Handler = (request: IncomingMessage, response: ServerResponse, attempt: number) => void;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function serve(handler: Handler): Promise<string> {
  let attempt = 0;
  const server = createServer((request, response) => handler(request, response, ++attempt));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function open(response: ServerResponse): (id: number | null, event: string, data?: unknown) => void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  return (id, event, data = {}) =>
    response.write(`event: ${event}\n${id === null ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
}

interface Seen {
  follower: Follower;
  messages: StreamMessage[];
  states: ConnectionState[];
  /** Resolves when the condition holds; checked at each message and state. */
  until: (condition: () => boolean) => Promise<void>;
}

function start(base: string, options: { after?: number; silenceMs?: number; backoffMs?: number } = {}): Seen {
  const messages: StreamMessage[] = [];
  const states: ConnectionState[] = [];
  let checks: (() => void)[] = [];
  const check = () => {
    for (const each of checks) each();
  };
  const follower = follow({
    url: (after) => `${base}/stream?after_seq=${after}`,
    after: options.after ?? 0,
    silenceMs: options.silenceMs,
    backoffMs: options.backoffMs ?? 5,
    random: () => 0.5,
    onMessage: (message) => {
      messages.push(message);
      check();
    },
    onState: (state) => {
      states.push(state);
      check();
    },
  });
  closing.push(() => follower.close());
  return {
    follower,
    messages,
    states,
    until: (condition) =>
      new Promise((resolve) => {
        const each = () => {
          if (!condition()) return;
          checks = checks.filter((other) => other !== each);
          resolve();
        };
        checks.push(each);
        each();
      }),
  };
}

describe('following', () => {
  it('gives messages in order and counts their positions', async () => {
    const base = await serve((_request, response) => {
      const send = open(response);
      send(1, 'user.message');
      send(null, 'event_start');
      send(2, 'agent.message', { text: 'zażółć 😀' });
    });
    const seen = start(base);
    await seen.until(() => seen.messages.length === 3);
    expect(seen.messages.map((m) => m.event)).toEqual(['user.message', 'event_start', 'agent.message']);
    expect(JSON.parse(seen.messages[2]!.data)).toEqual({ text: 'zażółć 😀' });
    expect(seen.follower.position).toBe(2);
    expect(seen.states.map((s) => s.kind)).toEqual(['connecting', 'open']);
  });

  it('resumes after the last position when the connection breaks, and gives nothing twice', async () => {
    const asked: string[] = [];
    const base = await serve((request, response, attempt) => {
      asked.push(request.url ?? '');
      const send = open(response);
      if (attempt === 1) {
        send(8, 'user.message');
        send(9, 'agent.tool_use');
        setImmediate(() => response.destroy());
        return;
      }
      // A server that replays too much must not make the page show it twice.
      send(8, 'user.message');
      send(9, 'agent.tool_use');
      send(10, 'agent.message');
    });
    const seen = start(base, { after: 7 });
    await seen.until(() => seen.messages.some((m) => m.id === 10));
    expect(seen.messages.map((m) => m.id)).toEqual([8, 9, 10]);
    expect(asked).toEqual(['/stream?after_seq=7', '/stream?after_seq=9']);
    expect(seen.states.map((s) => s.kind)).toEqual(['connecting', 'open', 'lost', 'open']);
  });

  it('waits longer after each failure, and from the start again after a success', async () => {
    const base = await serve((_request, response, attempt) => {
      if (attempt === 4) {
        open(response)(1, 'agent.message');
        setImmediate(() => response.destroy());
        return;
      }
      response.writeHead(503).end();
    });
    const seen = start(base);
    await seen.until(() => seen.states.filter((s) => s.kind === 'lost').length === 5);
    const tries = seen.states.flatMap((s) => (s.kind === 'lost' ? [s.tries] : []));
    expect(tries).toEqual([1, 2, 3, 1, 2]);
  });

  it('tries again at once when told to', async () => {
    const base = await serve((_request, response, attempt) => {
      if (attempt === 1) response.writeHead(503).end();
      else open(response)(1, 'agent.message');
    });
    const seen = start(base, { backoffMs: 600_000 });
    await seen.until(() => seen.states.at(-1)?.kind === 'lost');
    seen.follower.retryNow();
    await seen.until(() => seen.messages.length === 1);
  });

  it('takes a silent connection for dead', async () => {
    const base = await serve((_request, response, attempt) => {
      const send = open(response);
      send(attempt, 'agent.message');
    });
    const seen = start(base, { silenceMs: 60 });
    await seen.until(() => seen.messages.length === 2);
    expect(seen.states.find((s) => s.kind === 'lost')).toMatchObject({ why: 'The connection went silent.' });
  });

  it.each([
    [401, { kind: 'signed_out' }],
    [404, { kind: 'refused', status: 404 }],
  ])('stops at %i instead of hammering', async (status, state) => {
    let asked = 0;
    const base = await serve((_request, response) => {
      asked++;
      response.writeHead(status).end('{}');
    });
    const seen = start(base);
    await seen.until(() => seen.states.length === 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(seen.states.at(-1)).toEqual(state);
    expect(asked).toBe(1);
  });

  it('ends the connection when closed and says nothing more', async () => {
    const gone = Promise.withResolvers<void>();
    const base = await serve((_request, response) => {
      response.on('close', gone.resolve);
      open(response)(1, 'agent.message');
    });
    const seen = start(base);
    await seen.until(() => seen.messages.length === 1);
    seen.follower.close();
    await gone.promise;
    expect(seen.states.at(-1)).toEqual({ kind: 'closed' });
    expect(seen.messages).toHaveLength(1);
  });
});
