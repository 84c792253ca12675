// At write: kept at once, once, and only the owner's own plain words.
import { describe, expect, it } from 'vitest';
import type { Id } from '../../../../core/types.ts';
import { dueDay } from '../../../../memory/consolidation/write.ts';
import { openTestRecord } from '../../../helpers/record.ts';
import { openRig, type Rig } from './rig.ts';

const tick = () => new Promise(setImmediate);

/** As Steward does: started, and stopped at the end. */
async function awake<T>(rig: Rig, work: () => T | Promise<T>): Promise<T> {
  rig.consolidation.start();
  try {
    const value = await work();
    await tick();
    await tick();
    return value;
  } finally {
    await rig.consolidation.stop();
  }
}

const accept = (
  rig: Rig,
  text: string,
  more: { sessionId?: Id; tainted?: boolean; userId?: string; group?: boolean } = {},
) =>
  rig.record.intake.accept({
    dedupe: `telegram:${Math.random()}`,
    sender: { channel: 'telegram', userId: more.userId ?? '1' },
    address: { channel: 'telegram', chat: more.group ? '-5' : (more.userId ?? '1') },
    group: more.group ?? false,
    tainted: more.tainted ?? false,
    ...(more.sessionId && { sessionId: more.sessionId }),
    body: { type: 'message', content: [{ type: 'text', text }] },
  });

function household(): Rig {
  const rig = openRig();
  for (const [userId, role] of [
    ['1', 'owner'],
    ['2', 'guest'],
  ] as const) {
    const { code } = rig.record.people.knock({ channel: 'telegram', userId }, userId);
    rig.record.people.approve(code!, role);
  }
  return rig;
}

describe('a message of the owner', () => {
  it('is kept right after it is stored, with its words as the source and without a model', async () => {
    const rig = household();
    await awake(rig, async () => {
      accept(rig, 'Hello! My birthday is 7 May 1990. How are you?');
      expect(rig.live()).toEqual([]);
      await tick();
      expect(rig.live()).toMatchObject([
        { text: 'My birthday is 7 May 1990', subject: 'owner', slot: 'birthday', authority: 'owner' },
      ]);
    });
    expect(rig.items.sources(rig.live()[0]!.id)).toMatchObject([
      { quote: 'My birthday is 7 May 1990', channel: 'telegram' },
    ]);
    expect(rig.asked).toEqual([]);
    expect(rig.logged).toEqual([]);
  });

  it('closes what it contradicts, and is one more source of what it repeats', async () => {
    const rig = household();
    await awake(rig, async () => {
      accept(rig, 'I live in Paris.');
      await tick();
      await rig.record.clock.advance(1_000);
      accept(rig, 'I live in Berlin now.');
      await tick();
      await rig.record.clock.advance(1_000);
      accept(rig, 'I live in Berlin now.');
    });
    const [home, ...rest] = rig.live();
    expect(home).toMatchObject({ text: 'I live in Berlin now', slot: 'home' });
    expect(rest).toEqual([]);
    expect(rig.items.history(home!.id).map(({ text }) => text)).toEqual(['I live in Paris', 'I live in Berlin now']);
    expect(rig.items.sources(home!.id)).toHaveLength(2);
  });

  it.each([
    ['in words that are not the owner’s own', { tainted: true }],
    ['of a guest', { userId: '2' }],
    ['in a group', { group: true }],
  ])('%s is not kept', async (_, more) => {
    const rig = household();
    await awake(rig, () => void accept(rig, 'My name is Ada.', more));
    expect(rig.live()).toEqual([]);
    await awake(rig.again(), () => {});
  });

  it('in an incognito session leaves nothing', async () => {
    const rig = household();
    const { id } = rig.record.intake.newMain({ incognito: true });
    await awake(rig, () => void accept(rig, 'My name is Ada.', { sessionId: id }));
    expect(rig.items.list({ limit: 9, includeRetired: true })).toEqual([]);
  });

  it('that holds a secret is left alone, and stops nothing', async () => {
    const rig = household();
    await awake(rig, () => {
      accept(rig, 'Remember that my password is hunter2hunter2.');
      accept(rig, 'My name is Ada.');
    });
    expect(rig.holds()).toEqual(['My name is Ada']);
    expect(rig.logged).toEqual([]);
  });

  it('with an open loop ends with its date', async () => {
    const rig = household();
    await awake(rig, () => {
      accept(rig, 'I have to send the report by Friday.');
      accept(rig, 'Remind me to water the plants.');
      accept(rig, 'I have to leave before it gets dark.');
    });
    // It is Friday, 20 November 2026.
    const at = rig.record.clock.now();
    const ends = rig.live().map(({ tier, expiresAt }) => [tier, Math.ceil((expiresAt! - at) / 86_400_000)]);
    expect(ends).toEqual([
      ['state', 9],
      ['state', 14],
    ]);
  });

  it('costs no write when it states nothing', async () => {
    const rig = household();
    await awake(rig, async () => {
      const meta = () => rig.record.db.prepare('SELECT * FROM memory_meta').all();
      const before = meta();
      for (let i = 0; i < 5; i++) accept(rig, `What is ${i} and ${i}?`);
      await tick();
      expect(meta()).toEqual(before);
    });
  });
});

describe('a message is read once', () => {
  it('also when the process dies between the message and the memory', async () => {
    const rig = household();
    accept(rig, 'My name is Ada.');
    const next = rig.again();
    await awake(next, () => {});
    expect(next.holds()).toEqual(['My name is Ada']);
    const third = next.again();
    await awake(third, () => {});
    expect(third.changes.list({ limit: 9 })).toHaveLength(1);
  });

  it('also when it dies while it writes', async () => {
    const rig = openRig({ dieAt: 'memory.read_plainly' });
    rig.say('My name is Ada.');
    rig.consolidation.start();
    await tick();
    await rig.consolidation.stop();
    expect(rig.logged.join()).toContain('memory.read_plainly');
    expect(rig.items.list({ limit: 9, includeRetired: true })).toEqual([]);
    const next = rig.again();
    await awake(next, () => {});
    expect(next.holds()).toEqual(['My name is Ada']);
  });

  it('so what was undone, retired or forgotten does not come back', async () => {
    const rig = openRig();
    rig.say('My name is Ada.');
    await awake(rig, () => {});
    rig.changes.undo(rig.changes.list({ limit: 1 })[0]!.id);
    const next = rig.again();
    await awake(next, () => {});
    expect(next.holds()).toEqual([]);
    next.say('My birthday is 7 May.');
    await awake(next, () => {});
    next.forget.forget(next.live()[0]!.id, { sources: false, sessionId: next.sessionId });
    const third = next.again();
    await awake(third, () => {});
    expect(third.holds()).toEqual([]);
  });

  it('and what was said before there was memory is left to search', async () => {
    const record = openTestRecord();
    const id = record.newSession();
    for (let i = 0; i < 3; i++)
      record.events.append(id, [
        {
          type: 'user.message',
          payload: { content: [{ type: 'text', text: 'My name is Ada.' }] },
          origin: { sender: { channel: 'web', userId: 'o' }, address: { channel: 'web', chat: id }, role: 'owner' },
        },
      ]);
    await record.clock.advance(3_600_000);
    const rig = openRig({ record });
    await awake(rig, tick);
    expect(rig.holds()).toEqual([]);
    expect(rig.asked).toEqual([]);
    rig.say('My name is Ada.', id);
    await awake(rig, tick);
    expect(rig.holds()).toEqual(['My name is Ada']);
  });

  it('and a long backlog is read piece by piece', async () => {
    const rig = openRig();
    rig.record.db.tx(() => {
      for (let i = 0; i < 1_800; i++) rig.say(`message ${i}`);
      rig.say('My name is Ada.');
    });
    let turns = 0;
    let over = false;
    const count = () => {
      turns += 1;
      if (!over) setImmediate(count);
    };
    await awake(rig, async () => {
      count();
      while (rig.holds().length === 0) await tick();
    });
    over = true;
    expect(turns).toBeGreaterThan(3);
  });

  it('and an archived log is a record, not news', async () => {
    const rig = openRig();
    const old = rig.record.newSession();
    rig.record.sessions.archive(old);
    rig.say('My name is Bob.', old);
    await awake(rig, () => {});
    expect(rig.holds()).toEqual([]);
  });
});

describe('the day of a date', () => {
  // 2026-11-20, a Friday.
  const today = Date.UTC(2026, 10, 20) / 86_400_000;
  it.each([
    ['today', 0],
    ['tomorrow', 1],
    ['Saturday', 1],
    ['Monday', 3],
    ['next Thursday', 6],
    ['Friday', 7],
    ['morgen', 1],
    ['Montag', 3],
    ['2026-11-30', 10],
  ])('%s', (words, days) => {
    expect(dueDay(words, today)! - today).toBe(days);
  });
  it.each(['it gets dark', 'the meeting', ''])('is none in “%s”', (words) => expect(dueDay(words, today)).toBeNull());
});
