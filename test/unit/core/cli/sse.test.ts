// Server-sent events arrive in pieces of any size and mean the same.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readServerEvents, type ServerEvent } from '../../../../core/cli/sse.ts';

async function parse(bytes: Uint8Array, cuts: number[]): Promise<ServerEvent[]> {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  async function* pieces() {
    let from = 0;
    for (const end of [...ends, bytes.length]) {
      yield bytes.subarray(from, end);
      from = end;
    }
  }
  const found: ServerEvent[] = [];
  for await (const event of readServerEvents(pieces())) found.push(event);
  return found;
}

const line = fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n]/g, ''));
const event = fc.record({
  id: fc.option(fc.nat().map(String), { nil: null }),
  event: fc.constantFrom('agent.message', 'ping'),
  data: fc.array(line, { minLength: 1, maxLength: 3 }).map((lines) => lines.join('\n')),
});

it.each(['\n', '\r\n'])('in whatever pieces, with %j', async (end) => {
  await fc.assert(
    fc.asyncProperty(fc.array(event), fc.array(fc.nat()), async (events, cuts) => {
      const text = events
        .map(({ id, event, data }) =>
          [
            `event: ${event}`,
            ...(id === null ? [] : [`id: ${id}`]),
            ...data.split('\n').map((part) => `data: ${part}`),
            '',
            '',
          ].join(end),
        )
        .join('');
      expect(await parse(new TextEncoder().encode(text), cuts)).toEqual(events);
    }),
    { numRuns: 200 },
  );
});

it('passes over comments and what was cut off', async () => {
  const text = ': hello\n\nretry: 5\n\ndata: whole\n\ndata: cut';
  expect(await parse(new TextEncoder().encode(text), [])).toEqual([{ id: null, event: 'message', data: 'whole' }]);
});
