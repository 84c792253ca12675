// `/memory …` in a chat, over the room as it is wired: short answers, ids that can be used, and nothing forgotten by a guess.
import { describe, expect, it } from 'vitest';
import { memoryCommand } from '../../../core/memory-command.ts';
import { oneLineOf } from '../../../core/memory-text.ts';
import { calendar } from '../../../core/usage.ts';
import { openRoom } from '../../helpers/memory-room.ts';

const day = calendar('UTC');
const open = () => {
  const room = openRoom();
  const say = (args: string) => memoryCommand(room.api, args, day);
  const save = (text: string, more: object = {}) => {
    const saved = room.api.save({ text, ...more });
    if (saved.kind !== 'saved') throw new Error(saved.kind);
    return saved.item.id;
  };
  return { room, say, save };
};

describe('/memory', () => {
  it('shows the newest that hold, and what waits', async () => {
    const { room, say, save } = open();
    expect(await say('')).toBe('I remember nothing yet.');
    for (let n = 1; n <= 12; n++) save(`Fact number ${n}`, n < 3 ? { subject: 'it', slot: 'number' } : {});
    const lines = (await say('')).split('\n\n');
    expect(lines).toHaveLength(10);
    expect(lines[0]).toMatch(/^\[mem_\w+\] reference, since 2026-11-20, the owner’s words: “Fact number 12”$/);
    expect(lines.join()).not.toContain('“Fact number 1”');
    room.fetched('x');
    await room.call('memory_save', { text: 'A rumour', tier: 'reference' });
    expect(await say('')).toMatch(/1 question for you: .*steward memory questions\.$/);
  });

  it('finds, explains, and says what it can', async () => {
    const { say, save } = open();
    const id = save('The piano tuner comes in May');
    expect(await say('piano tuner')).toMatch(/^\[\w+\] 2026-11-20, .*“The piano tuner comes in May” \(\d+ %\)$/);
    expect(await say('saxophone')).toBe('Nothing found.');
    const shown = await say(`show ${id}`);
    expect(shown).toContain('It comes from:\n[sevt_');
    expect(shown).toContain('owner, web: “The piano tuner comes in May”');
    expect(await say('show mem_nothing')).toContain('There is no memory item');
    expect(await say('show it to me')).toContain('Which one?');
    expect(await say('help')).toContain('/memory forget ID');
  });

  it('forgets by id alone, and does not say the words again', async () => {
    const { room, say, save } = open();
    const id = save('The combination is 12-34-56');
    expect(await say('forget the combination')).toContain('Which one? Forgetting is for good, so say its id.');
    const done = await say(`forget ${id} with sources`);
    expect(done).toMatch(/^Forgotten for good: 1 item and \d+ events?\./);
    expect(done).not.toContain('12-34-56');
    expect(await say(`forget ${id}`)).toContain('There is no memory item');
    const said = room.say('I hid it in the oven.');
    expect(await say(`FORGET ${said.id}`)).toMatch(/^Forgotten for good/);
    expect(room.record.events.get(said.id)!.payload).toEqual({ redacted: true });
  });
});

it('a line is one line, cut between characters', () => {
  expect(oneLineOf(' a\n b\tc ', 10)).toBe('a b c');
  expect(oneLineOf('😀'.repeat(20), 5)).toBe('😀😀😀😀…');
});
