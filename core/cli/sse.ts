// Server-sent events as an async iterator: one item per event, in order, until the server ends the stream.

export interface ServerEvent {
  /** The position to resume after; null for previews and pings. */
  id: string | null;
  event: string;
  data: string;
}

export async function* readServerEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let buffered = '';
  let item: ServerEvent = { id: null, event: 'message', data: '' };
  let lines = 0;
  for await (const chunk of body) {
    buffered += decoder.decode(chunk, { stream: true });
    const complete = buffered.split(/\r\n|\n|\r(?!$)/);
    buffered = complete.pop()!;
    for (const line of complete) {
      if (line === '') {
        if (lines > 0) yield item;
        item = { id: null, event: 'message', data: '' };
        lines = 0;
        continue;
      }
      const colon = line.indexOf(':');
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
      if (field === 'data') item.data += lines++ > 0 ? `\n${value}` : value;
      else if (field === 'event') item.event = value;
      else if (field === 'id') item.id = value;
    }
  }
}
