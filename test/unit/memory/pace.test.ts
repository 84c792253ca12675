// Work that nobody waits for lets everybody else go first, and still comes to its end.
import { describe, expect, it } from 'vitest';
import { createBus } from '../../../core/bus.ts';
import { createPace } from '../../../memory/pace.ts';

const BEAT = { kind: 'preview_delta', sessionId: 'sesn_1', eventId: 'sevt_1', text: 'x' } as const;

function house() {
  const bus = createBus();
  const pauses: (() => void)[] = [];
  const pace = createPace(bus, () => new Promise((resolve) => pauses.push(resolve)));
  const breath = () => {
    let over = false;
    void pace.breathe().then(() => {
      over = true;
    });
    return { over: () => over };
  };
  /** Lets everything run that waits for no pause. */
  const turn = async () => {
    for (let n = 0; n < 5; n++) await new Promise(setImmediate);
  };
  /** The pause that is waited for passes. */
  const pass = async () => {
    await turn();
    pauses.shift()!();
    await turn();
  };
  return { bus, pace, breath, turn, pass };
}

describe('a breath', () => {
  it('is one turn of the event loop while nothing happens', async () => {
    const { breath, turn } = house();
    const one = breath();
    expect(one.over()).toBe(false);
    await turn();
    expect(one.over()).toBe(true);
  });

  it('waits for a pause in what is said', async () => {
    const { bus, breath, turn, pass } = house();
    bus.publish(BEAT);
    const one = breath();
    for (let beat = 0; beat < 5; beat++) {
      await turn();
      bus.publish(BEAT);
      await pass();
      expect(one.over()).toBe(false);
    }
    await pass();
    expect(one.over()).toBe(true);
  });

  it('does not wait for ever: talk without a pause holds a piece of work up for 25 of them', async () => {
    const { bus, breath, turn, pass } = house();
    bus.publish(BEAT);
    const one = breath();
    for (let beat = 0; beat < 25; beat++) {
      expect(one.over()).toBe(false);
      await turn();
      bus.publish(BEAT);
      await pass();
    }
    expect(one.over()).toBe(true);
  });

  it('is cut short by the end', async () => {
    const { bus, pace, breath, turn, pass } = house();
    bus.publish(BEAT);
    const one = breath();
    await turn();
    bus.publish(BEAT);
    pace.stop();
    await pass();
    expect(one.over()).toBe(true);
  });
});
