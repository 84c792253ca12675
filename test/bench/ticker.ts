// A model for stream measurements: each delta of its answer is the moment it was written, by this process's clock.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pause } from './bench.ts';

export interface Ticker {
  url: string;
  close(): Promise<void>;
}

/** Every request is answered by `ticks` deltas, one each `everyMs`. */
export async function startTicker(ticks: number, everyMs: number): Promise<Ticker> {
  const server = createServer((request, response) => {
    request.resume();
    void (async () => {
      await once(request, 'end');
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const send = (event: { type: string; [key: string]: unknown }) =>
        response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
      const usage = { input_tokens: 10, output_tokens: 1 };
      const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'ticker', content: [], usage };
      send({ type: 'message_start', message });
      send({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } });
      for (let i = 0; i < ticks && !response.destroyed; i++) {
        await pause(everyMs);
        const delta = { type: 'text_delta', text: `${performance.now()} ` };
        send({ type: 'content_block_delta', index: 0, delta });
      }
      send({ type: 'content_block_stop', index: 0 });
      send({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage });
      send({ type: 'message_stop' });
      response.end();
    })().catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
