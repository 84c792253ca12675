// Messages on their way: one key over all tries, order kept, text never lost, never shown twice.
import { describe, expect, it } from 'vitest';
import { createOutgoing, notYetInLog, type OutgoingOptions } from '../../../../channels/console/src/outgoing.ts';
import type { SessionEvent } from '../../../../channels/console/src/types.ts';

const failure = (mayRetry: boolean) => Object.assign(new Error('no'), { hint: 'do this', mayRetry });

function setup(send: OutgoingOptions['send'], saved: string | null = null) {
  const store = { json: saved };
  let keys = 0;
  const queue = createOutgoing({
    send,
    failureOf: (error) => error as ReturnType<typeof failure>,
    load: () => store.json,
    save: (json) => {
      store.json = json;
      return true;
    },
    newKey: () => `key${++keys}`,
    now: () => 0,
    pauses: [1, 1],
  });
  const settled = () =>
    new Promise<void>((resolve) => {
      const stop = queue.list.subscribe((list) => {
        if (!list.every((item) => item.state === 'failed')) return;
        // The subscription calls back before it returns the function that ends it.
        queueMicrotask(() => {
          stop();
          resolve();
        });
      });
    });
  return { queue, store, settled };
}

function message(seq: number, text: string): SessionEvent {
  return {
    id: `e${seq}`,
    type: 'user.message',
    seq,
    created_at: '',
    processed_at: null,
    content: [{ type: 'text', text }],
  };
}

describe('sending', () => {
  it('tries again under the same key, then hands the stored event over', async () => {
    const keys: string[] = [];
    const { queue, store, settled } = setup(async (_text, key) => {
      keys.push(key);
      if (keys.length < 3) throw failure(true);
      return [message(1, 'hi')];
    });
    const stored: SessionEvent[] = [];
    queue.onStored((events) => stored.push(...events));
    queue.add('hi', 0);
    expect(JSON.parse(store.json!)).toMatchObject([{ text: 'hi', key: 'key1' }]);
    await settled();
    expect(keys).toEqual(['key1', 'key1', 'key1']);
    expect(stored).toHaveLength(1);
    expect(queue.list.value).toEqual([]);
    expect(store.json).toBeNull();
  });

  it('keeps text, key and reason when it gives up; retry uses the same key', async () => {
    const keys: string[] = [];
    let down = true;
    const { queue, settled } = setup(async (_text, key) => {
      keys.push(key);
      if (down) throw failure(true);
      return [];
    });
    queue.add('precious', 0);
    await settled();
    expect(queue.list.value).toMatchObject([{ state: 'failed', text: 'precious', error: 'no', hint: 'do this' }]);
    down = false;
    queue.retry('key1');
    await settled();
    expect(queue.list.value).toEqual([]);
    expect(new Set(keys)).toEqual(new Set(['key1']));
  });

  it('does not repeat what would be refused again', async () => {
    let tries = 0;
    const { queue, settled } = setup(async () => {
      tries++;
      throw failure(false);
    });
    queue.add('too long', 0);
    await settled();
    expect(tries).toBe(1);
    expect(queue.take('key1')).toBe('too long');
    expect(queue.list.value).toEqual([]);
  });

  it('keeps the order: the second waits for the first', async () => {
    const order: string[] = [];
    const { queue, settled } = setup(async (text) => {
      await new Promise((resolve) => setTimeout(resolve, text === 'one' ? 10 : 0));
      order.push(text);
      return [];
    });
    queue.add('one', 0);
    queue.add('two', 0);
    await settled();
    expect(order).toEqual(['one', 'two']);
  });

  it('after a reload, what was not confirmed is offered again under its key', async () => {
    const keys: string[] = [];
    const saved = JSON.stringify([
      { key: 'old', text: 'before', at: '', after: 3, state: 'sending', error: '', hint: '' },
    ]);
    const { queue, settled } = setup(async (_text, key) => {
      keys.push(key);
      return [];
    }, saved);
    expect(queue.list.value).toMatchObject([{ key: 'old', state: 'failed', text: 'before' }]);
    queue.retry('old');
    await settled();
    expect(keys).toEqual(['old']);
  });

  it.each(['', '{', '7', '[1, null, {}]'])('takes no harm from what storage gives back: %j', (saved) => {
    expect(setup(async () => [], saved).queue.list.value).toEqual([]);
  });
});

describe('beside the log', () => {
  const sending = { key: 'k', text: 'hi', at: '', after: 5, state: 'sending' as const, error: '', hint: '' };

  it('a message the stream brought first is not seen twice', () => {
    expect(notYetInLog([sending], [message(6, 'hi')])).toEqual([]);
    expect(notYetInLog([sending], [message(6, 'other')])).toHaveLength(1);
  });

  it('an earlier message with the same words hides nothing', () => {
    expect(notYetInLog([sending], [message(5, 'hi')])).toHaveLength(1);
  });

  it('two equal messages need two events', () => {
    expect(notYetInLog([sending, { ...sending, key: 'k2' }], [message(6, 'hi')])).toHaveLength(1);
  });

  it('a failed one stays until the person decides', () => {
    expect(notYetInLog([{ ...sending, state: 'failed' }], [message(6, 'hi')])).toHaveLength(1);
  });
});
