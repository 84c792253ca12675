// The promise "each slot once" with its keepers taken away one by one: each variant must be caught by what holds for the real one.
import { describe, expect, it } from 'vitest';
import { HOUR, MINUTE, openRoom, type Room } from '../../helpers/scheduler-room.ts';

/** Everything about a history that breaks the promise: what a person hears once, with one row for it. */
async function findings(history: (room: Room) => Promise<Room>): Promise<string[]> {
  const room = openRoom();
  const { id } = room.make({});
  const end = await history(room);
  const rows = end.api.runs({ scheduleId: id, limit: 100 });
  const found: string[] = [];
  if (end.outbox().length !== 1) found.push(`said ${end.outbox().length} times`);
  const keys = rows.map(({ slot }) => slot.key);
  if (new Set(keys).size !== keys.length) found.push('a slot has two rows');
  if (rows.length === 0) found.push('no row');
  if (rows.some(({ state, attempts }) => state === 'succeeded' && attempts !== 1))
    found.push('an attempt is not counted');
  return found;
}

const died = new Error('the process is gone');
/** Dies at this place the first time it is passed, and is born again over what was committed. */
const dyingAt =
  (place: string, spoil: (room: Room) => void = () => {}) =>
  async (first: Room): Promise<Room> => {
    let left = 1;
    const crash = (name: string) => {
      if (name === place && left-- > 0) throw died;
    };
    const room = openRoom({ crash }, first.record);
    spoil(room);
    await room.record.clock.advance(30 * MINUTE);
    const due = room.record.db.prepare<[], { id: string }>('SELECT id FROM schedules WHERE due_at IS NOT NULL').all();
    // As the tick does it, but for its mercy: a life that ends here pauses nothing.
    await room.scheduler.tick();
    room.record.db
      .prepare("UPDATE schedules SET state = 'active', paused = NULL, due_at = next_at WHERE id = ?")
      .run(due[0]!.id);
    const next = room.reborn({});
    await next.later(1_000);
    await next.later(1_000);
    return next;
  };

const setBack = async (room: Room): Promise<Room> => {
  await room.later(31 * MINUTE);
  await room.later(-HOUR);
  // The next slot is looked up anew, and is due a second time.
  room.record.db.prepare('UPDATE schedules SET next_at = ?, next_key = ?, due_at = ?').run(...again(room));
  await room.later(HOUR + 5 * MINUTE);
  return room;
};
const again = (room: Room): [number, string, number] => {
  const [run] = room.api.runs({ limit: 1 });
  return [run!.slot.at, run!.slot.key, run!.slot.at];
};

describe('each slot once', () => {
  it.each(['schedule.claimed', 'schedule.after_event', 'schedule.before_end'])('with a death at %s', async (place) => {
    expect(await findings(dyingAt(place))).toEqual([]);
  });
  it('with a clock set back', async () => {
    expect(await findings(setBack)).toEqual([]);
  });
});

describe('is broken, and seen to be,', () => {
  it('when the next slot is committed before its event', async () => {
    const early = dyingAt('schedule.claimed', ({ record }) => {
      const { db } = record;
      const real = db.tx;
      const mutable = db as { tx: typeof db.tx };
      mutable.tx = (work) => {
        mutable.tx = real;
        // Moved on in a transaction of its own, and only then the work.
        real(() =>
          db
            .prepare(
              "UPDATE schedules SET next_at = next_at + 86400000, next_key = '2026-11-24T07:30', due_at = due_at + 86400000",
            )
            .run(),
        );
        return real(work);
      };
    });
    expect(await findings(early)).toContain('said 0 times');
  });

  it('when a slot may have two rows', async () => {
    const withoutKey = async (room: Room): Promise<Room> => {
      const { db } = room.record;
      // As a run by another key would be: the row of the slot no longer stands in the way.
      await room.later(31 * MINUTE);
      const slot = again(room);
      db.prepare("UPDATE schedule_runs SET slot_key = 'lost'").run();
      await room.later(-HOUR);
      db.prepare('UPDATE schedules SET next_at = ?, next_key = ?, due_at = ?').run(...slot);
      await room.later(HOUR + 5 * MINUTE);
      return room;
    };
    expect(await findings(withoutKey)).toContain('said 2 times');
  });
});
