// A reader of a session's event stream, as the console is one.
import { get, type IncomingMessage } from 'node:http';
import { readServerEvents } from '../../core/cli/sse.ts';
import type { StewardProcess } from '../helpers/process.ts';

export interface Heard {
  type: string;
  [key: string]: unknown;
}

export interface Listener {
  close(): void;
}

/** Resolves once the stream is open; `hear` gets every event and preview as it arrives, pings left out. */
export async function listen(
  steward: StewardProcess,
  sessionId: string,
  hear: (event: Heard) => void,
): Promise<Listener> {
  const path = `/v1/sessions/${sessionId}/events/stream?event_deltas[]=agent.message`;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${steward.url}${path}`, { headers: { 'x-api-key': steward.token } }, resolve).on('error', reject);
  });
  if (response.statusCode !== 200) throw new Error(`the stream answered ${response.statusCode}`);
  // The first event is a ping that says: subscribed.
  await new Promise<void>((opened) => {
    void (async () => {
      try {
        for await (const { event, data } of readServerEvents(response)) {
          if (event === 'ping') opened();
          else hear(JSON.parse(data) as Heard);
        }
      } catch {
        // Closed by `close`, or with the process; what was missed shows as a missing sample.
      }
    })();
  });
  return { close: () => void response.destroy() };
}
