// Folders of notes and chats come in: as words of a session for each file, and as items that rest on them; never as more than that.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { StewardError } from '../../../../core/errors.ts';
import { type Home, openHome, rows } from './rig.ts';

const refusedWith = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    const { code, message, hint } = error as StewardError;
    return `${code}: ${message} ${hint ?? ''}`;
  }
  return 'nothing was thrown';
};
const imported = (home: Home) =>
  home.record.sessions
    .list({ limit: 100, includeArchived: true, order: 'asc' })
    .filter((session) => session.metadata.imported);
const wordsIn = (home: Home, sessionId: string) =>
  home.record.events
    .list({ sessionId, types: ['memory.imported'], limit: 100 })
    .map(({ payload, tainted }) => ({ ...payload, tainted }));

const ZYLOS = {
  'identity.md':
    '# Identity\n\n## Who I Am\nI am Zylos. I keep house\nfor a small team.\n\n## Principles\n- Ask before doing anything that cannot be undone\n\n## Digital Assets\n### Accounts\n(None configured yet)\n',
  'state.md':
    '# Active State\n\nLast updated: 2026-02-08 14:30\n\n## Current Focus\nMoving the archive to the new disk.\n\n## Pending Tasks\n- [ ] Order a second disk (Howard, 2026-02-08)\n\n## Recent Completions\n- [x] Removed the old cron job (2026-02-07)\n',
  'references.md': '# References\n\n## Key Paths\n- Memory: ~/zylos/memory/\n',
  'users/howard/profile.md':
    '# User Profile: Howard\n\n## Identity\n- Name: Howard\n\n## Communication\n- Language preference: Chinese for casual talk\n\n## Notes\n- Likes long walks by the river\n',
  'reference/decisions.md':
    '# Decisions Log\n\nKey decisions made during operation.\n\n### Backups go to the attic\n- **Date:** 2026-01-15\n- **Decided by:** Howard\n- **Decision:** Every night, by rsync.\n- **Context:** The cellar floods.\n- **Status:** active\n- **Importance:** 2\n\n### Tapes for everything\n- **Date:** 2025-01-15\n- **Decision:** Tapes.\n- **Status:** superseded\n',
  'sessions/2026-02-08.md':
    '# Session Log: 2026-02-08\n\n## 10:30 - Deployed the bot\n- Set the webhook\n\n## 14:15 - Memory Sync\n- Processed conversations\n',
  'archive/2025-12-01.md': '# Session Log: 2025-12-01\n\n## 09:00 - Moved in\n- Boxes everywhere\n',
  'archive/.gitkeep': '',
};

describe('a folder of Zylos', () => {
  it('of the owner becomes items, each resting on the words it comes from', async () => {
    const home = openHome();
    const done = await home.import('zylos', ZYLOS, { own: true });
    const items = home.items.list({ scope: 'owner', limit: 100, includeRetired: true });
    const of = (part: string) => items.find(({ text, retiredAt }) => text.includes(part) && retiredAt === null)!;
    expect(of('I am Zylos')).toMatchObject({
      tier: 'identity',
      authority: 'owner',
      text: 'I am Zylos. I keep house for a small team.',
    });
    expect(of('cannot be undone')).toMatchObject({ tier: 'identity', subject: 'principles' });
    expect(of('Moving the archive')).toMatchObject({ tier: 'state', kind: 'focus', expiresAt: expect.any(Number) });
    expect(of('second disk')).toMatchObject({ tier: 'state', kind: 'loop' });
    expect(of('~/zylos/memory')).toMatchObject({ tier: 'reference', subject: 'key paths' });
    expect(of('Chinese')).toMatchObject({
      tier: 'reference',
      kind: 'preference',
      subject: 'howard',
      slot: 'language preference',
    });
    expect(of('long walks')).toMatchObject({ subject: 'howard', slot: null });
    expect(of('attic')).toMatchObject({
      kind: 'decision',
      subject: 'decisions',
      text: 'Backups go to the attic. Every night, by rsync. The cellar floods.',
      validFrom: Date.parse('2026-01-15T12:00:00Z'),
    });
    expect(of('Tapes for everything')).toMatchObject({ tier: 'archive' });
    for (const missing of ['None configured', 'Removed the old cron', 'Key decisions made', 'Boxes'])
      expect(of(missing)).toBeUndefined();
    for (const item of items)
      for (const { eventId, quote } of home.items.sources(item.id))
        expect(String(home.record.events.get(eventId)!.payload.text)).toContain(quote);
    expect(imported(home).map(({ title, archivedAt }) => [title, archivedAt !== null])).toContainEqual([
      '2026-02-08',
      true,
    ]);
    expect(done.skipped).toContainEqual({ what: 'archive/.gitkeep', why: 'not Markdown' });
    const log = imported(home).find(({ title }) => title === '2026-02-08')!;
    expect(wordsIn(home, log.id)).toMatchObject([
      { speaker: 'zylos', at: Date.parse('2026-02-08T10:30:00Z'), path: 'sessions/2026-02-08.md' },
      { at: Date.parse('2026-02-08T14:15:00Z') },
    ]);
    expect((await home.find('boxes moved in')).length).toBeGreaterThan(0);
  });

  it('of somebody else waits for the owner, and taints what it says', async () => {
    const home = openHome();
    const done = await home.import('zylos', ZYLOS);
    expect(home.holds().sort()).toEqual([
      'Moving the archive to the new disk.',
      'Order a second disk (Howard, 2026-02-08)',
    ]);
    expect(home.questions.list().length).toBeGreaterThan(5);
    expect(done.skipped).toContainEqual({
      what: expect.stringMatching(/^\d+ memories$/),
      why: 'waits for you as a question',
    });
    for (const session of imported(home))
      for (const { tainted } of wordsIn(home, session.id)) expect(tainted).toBe(true);
    const question = home.questions.list().find(({ text }) => text.includes('long walks'))!;
    home.questions.answer(question.id, true);
    expect(home.holds()).toContain('Likes long walks by the river');
  });

  it('may be said to be the owner’s later, and then once', async () => {
    const home = openHome();
    await home.import('zylos', ZYLOS);
    const later = await home.import('zylos', ZYLOS, { own: true });
    expect(later.items).toBeGreaterThan(5);
    expect(home.holds()).toContain('Likes long walks by the river');
    for (const own of [true, false])
      expect(await home.import('zylos', ZYLOS, { own })).toMatchObject({ items: 0, events: 0 });
  });

  it('twice is nothing new, and does not bring back what was taken out since', async () => {
    const home = openHome();
    const first = await home.import('zylos', ZYLOS, { own: true });
    const wrong = home.items.list({ scope: 'owner', limit: 100 }).find(({ text }) => text.includes('long walks'))!;
    home.changes.apply({
      scope: 'owner',
      sessionId: home.main(),
      kind: 'edit',
      ops: [{ kind: 'retire', id: wrong.id, why: 'wrong' }],
    });
    const before = rows(home.record);
    const again = await home.import('zylos', ZYLOS, { own: true });
    expect(again).toMatchObject({ items: 0, events: 0, changeId: null });
    expect(rows(home.record)).toBe(before);
    expect(first.events).toBeGreaterThan(8);
    const more = {
      ...ZYLOS,
      'sessions/2026-02-08.md': `${ZYLOS['sessions/2026-02-08.md']}\n## 18:00 - Dinner\n- Noodles\n`,
    };
    expect(await home.import('zylos', more, { own: true })).toMatchObject({ items: 0, events: 1 });
    expect(imported(home).filter(({ title }) => title === '2026-02-08')).toHaveLength(1);
  });

  it('is one change that can be undone', async () => {
    const home = openHome();
    home.add('Ann likes plums');
    const { 'reference/decisions.md': _, ...files } = ZYLOS;
    const { changeId } = await home.import('zylos', files, { own: true });
    expect(home.holds().length).toBeGreaterThan(5);
    home.changes.undo(changeId!);
    expect(home.holds()).toEqual(['Ann likes plums']);
  });

  it('leaves nothing when it fails in the middle', async () => {
    const home = openHome();
    const before = rows(home.record);
    const whole = home.changes.apply;
    home.changes.apply = (input) => {
      whole(input);
      throw new Error('the disk is gone');
    };
    await expect(home.import('zylos', ZYLOS, { own: true })).rejects.toThrow('the disk is gone');
    expect(rows(home.record)).toBe(before);
    home.changes.apply = whole;
    expect((await home.import('zylos', ZYLOS, { own: true })).items).toBeGreaterThan(5);
  });

  it('that is none is refused', async () => {
    const home = openHome();
    const before = rows(home.record);
    expect(await refusedWith(home.import('zylos', { 'readme.txt': 'hello' }))).toContain('no Zylos memory');
    expect(rows(home.record)).toBe(before);
  });
});

const OPENCLAW = {
  'MEMORY.md':
    '# Memory\n\n## People\n- Maya runs the bakery on Elm Street\n- Sam is allergic to nuts\n\n## Setup\nThe server is called **kestrel**.\n',
  'USER.md': '# User\n\n- Answer in short sentences\n',
  'memory/2026-01-16.md': '# 2026-01-16\n\n## 09:15 Standup\nWe ship on Friday.\n\n- [ ] not an item here\n',
  'memory/2026-01-17-vendor-pitch.md':
    '# Session: 2026-01-17 14:30:00 UTC\n\n- **Session Key**: agent:main:main\n\n## Conversation Summary\n\nuser: Which vendor was cheaper?\nassistant: The one from Turin, by a third.\n',
  'AGENTS.md': '# rules',
};

describe('a workspace of OpenClaw', () => {
  it('of the owner: what is curated becomes items, daily notes become words with their day', async () => {
    const home = openHome();
    const done = await home.import('openclaw', OPENCLAW, { own: true });
    const items = home.items.list({ scope: 'owner', limit: 100 });
    expect(items.map(({ text, subject, kind }) => [text, subject, kind])).toEqual([
      ['Maya runs the bakery on Elm Street', 'people', 'fact'],
      ['Sam is allergic to nuts', 'people', 'fact'],
      ['The server is called kestrel.', 'setup', 'fact'],
      ['Answer in short sentences', null, 'preference'],
    ]);
    expect(done.skipped).toEqual([{ what: 'AGENTS.md', why: expect.stringContaining('not one of the memory files') }]);
    const [, , note, pitch] = imported(home);
    expect(wordsIn(home, note!.id)).toMatchObject([
      { speaker: 'notes', at: Date.parse('2026-01-16T09:15:00Z'), text: expect.stringContaining('We ship on Friday') },
    ]);
    expect(wordsIn(home, pitch!.id).slice(-2)).toMatchObject([
      { speaker: 'user', text: 'Which vendor was cheaper?', at: Date.parse('2026-01-17T14:30:00Z') },
      { speaker: 'assistant', text: 'The one from Turin, by a third.' },
    ]);
    expect((await home.find('vendor Turin')).length).toBeGreaterThan(0);
  });

  it('is not brought back where it was forgotten', async () => {
    const home = openHome();
    await home.import('openclaw', OPENCLAW, { own: true });
    const item = home.items.list({ scope: 'owner', limit: 100 }).find(({ text }) => text.includes('nuts'))!;
    home.forget.forget(item.id, { sources: true, sessionId: home.main() });
    for (const files of [OPENCLAW, { 'MEMORY.md': `- Sam is allergic to nuts\n` }])
      await home.import('openclaw', files, { own: true });
    expect(home.holds().join()).not.toContain('nuts');
    home.record.db.checkpoint();
    for (const file of ['steward.db', 'steward.db-wal'])
      expect(readFileSync(join(home.record.home, file)).includes('allergic to nuts')).toBe(false);
  });
});

describe('a transcript', () => {
  const lines = (...messages: object[]) => messages.map((message) => `${JSON.stringify(message)}\n`).join('');
  const chat = lines(
    { speaker: 'Ada', time: '2025-03-07T18:00:00Z', text: 'I moved to Lisbon' },
    { speaker: 'Bo', time: 1_741_370_460_000, text: 'Since when?' },
    { speaker: 'Ada', time: 1_741_370_520, text: 'Last week', own: false },
  );

  it('becomes words with their speakers and times; whose they are is said by name', async () => {
    const home = openHome();
    expect(await home.import('transcript', { 'a/chat.jsonl': chat }, { own: 'ada' })).toMatchObject({
      events: 3,
      items: 0,
    });
    const [session] = imported(home);
    expect(session).toMatchObject({ title: 'chat', metadata: { imported: 'transcript:a/chat.jsonl' } });
    expect(wordsIn(home, session!.id)).toEqual([
      {
        speaker: 'Ada',
        text: 'I moved to Lisbon',
        at: 1_741_370_400_000,
        path: 'a/chat.jsonl',
        own: true,
        tainted: false,
      },
      { speaker: 'Bo', text: 'Since when?', at: 1_741_370_460_000, path: 'a/chat.jsonl', tainted: true },
      { speaker: 'Ada', text: 'Last week', at: 1_741_370_520_000, path: 'a/chat.jsonl', tainted: true },
    ]);
    const { hits } = await home.search.search({ query: 'Lisbon' }, 'owner');
    expect(hits[0]).toMatchObject({ who: 'Ada', trust: 'owner', at: 1_741_370_400_000 });
  });

  it('twice is nothing new; the same words at another time are', async () => {
    const home = openHome();
    await home.import('transcript', { 'chat.jsonl': chat });
    expect(await home.import('transcript', { 'chat.jsonl': chat })).toMatchObject({ events: 0 });
    const more = chat + lines({ speaker: 'Bo', time: '2025-03-08T18:00:00Z', text: 'Since when?' });
    expect(await home.import('transcript', { 'chat.jsonl': more })).toMatchObject({ events: 1 });
  });

  it.each([
    ['{"speaker":"A","time":"2025-01-01T00:00:00Z","text":"a"}\n{"speaker', 'line 2: the file breaks off here'],
    ['nonsense\n', 'line 1 is not valid JSON'],
    ['[1]\n', 'line 1 is no message'],
    ['{"time":1,"text":"a"}\n', 'does not say who speaks'],
    ['{"speaker":"A","time":"soon","text":"a"}\n', 'no time that can be read'],
    ['{"speaker":"A","time":1}\n', 'has no text'],
    [`{"speaker":"A","time":1,"text":"${'x'.repeat(200_000)}"}\n`, 'holds 200000 characters'],
    ['{"speaker":"A","time":1,"text":"a\u0000"}\n', 'is no text: there is a NUL in line 1'],
  ])('%.60s: refused with the line, and nothing changes', async (data, says) => {
    const home = openHome();
    const before = rows(home.record);
    expect(await refusedWith(home.import('transcript', { 'chat.jsonl': chat, 'b.jsonl': data }))).toContain(says);
    expect(rows(home.record)).toBe(before);
  });
});

describe('the Markdown tree', () => {
  const fill = (home: Home) => {
    home.add('Ann is the owner', { tier: 'identity' });
    home.add('Answer the landlord', { tier: 'state', kind: 'loop', expiresAt: home.record.clock.now() + 86_400_000 });
    home.add('Ann likes oolong -- not <!-- green --> tea', {
      subject: 'tea',
      slot: 'favourite',
      kind: 'preference',
      pinned: true,
    });
    home.add('Two lines:\n\n  - one\n- two', { subject: 'tea' });
    home.add('Ann speaks Norwegian');
    const cold = home.add('The old car was red');
    home.changes.apply({
      scope: 'owner',
      sessionId: home.sessionId,
      kind: 'weekly',
      ops: [{ kind: 'archive', id: cold.id, why: 'old' }],
    });
  };
  const tree = async (home: Home) =>
    Object.fromEntries((await home.out('markdown')).map(({ path, data }) => [path, data]));
  const lessIds = (files: Record<string, string>) => JSON.stringify(files).replace(/mem_\w+/g, 'mem_');

  it('is readable, and comes back into an empty home as it was', async () => {
    const home = openHome();
    fill(home);
    const files = await tree(home);
    expect(Object.keys(files)).toEqual([
      'archive/2026.md',
      'identity.md',
      'reference/general.md',
      'reference/tea.md',
      'state.md',
    ]);
    expect(files['identity.md']).toMatch(/^# Identity\n\n- Ann is the owner <!-- mem_\w+ from=\S+ -->\n$/);
    expect(files['reference/tea.md']).toContain('- Ann likes oolong -- not <\\!-- green --> tea <!-- mem_');
    const next = openHome();
    const done = await next.import('markdown', files);
    expect(done.skipped).toEqual([]);
    expect(lessIds(await tree(next))).toBe(lessIds(files));
    const all = next.items.list({ scope: 'owner', limit: 100 });
    expect(all.find(({ text }) => text.startsWith('Ann likes oolong'))).toMatchObject({
      text: 'Ann likes oolong -- not <!-- green --> tea',
      slot: 'favourite',
      kind: 'preference',
      pinned: true,
      authority: 'owner',
    });
    expect(all.some(({ text }) => text === 'Two lines:\n\n  - one\n- two')).toBe(true);
  });

  it('edited by hand: unchanged lines are known, changed ones supersede, new ones are added, none is lost', async () => {
    const home = openHome();
    fill(home);
    const files = await tree(home);
    const edited = {
      'reference/tea.md': files['reference/tea.md']!.replace('Ann likes oolong', 'Ann likes white').replace(
        /- Two lines[\s\S]*?-->\n/,
        '* A kettle holds two cups\n',
      ),
      'reference/house-rules.md': '# house rules\n\nShoes off at the door.\n',
    };
    const done = await home.import('markdown', edited);
    expect(done).toMatchObject({ items: 3, events: 3, skipped: [] });
    const holds = home.holds();
    expect(holds).toContain('Ann likes white -- not <!-- green --> tea');
    expect(holds).toContain('A kettle holds two cups');
    expect(holds).toContain('Two lines:\n\n  - one\n- two');
    expect(holds.some((text) => text.includes('oolong'))).toBe(false);
    expect(home.items.list({ scope: 'owner', limit: 100, subject: 'house rules' })).toHaveLength(1);
    const again = await home.import('markdown', files);
    expect(again).toMatchObject({ items: 0, events: 0 });
    expect(again.skipped.map(({ why }) => why)).toContain('is here already');
    expect(home.holds()).toEqual(holds);
  });

  it('a dry run says what would happen and changes nothing', async () => {
    const home = openHome();
    const before = rows(home.record);
    const dry = await home.import('markdown', { 'state.md': '- Water the ferns\n' }, { dryRun: true });
    expect(dry).toMatchObject({ items: 1, events: 1, changeId: null });
    expect(rows(home.record)).toBe(before);
  });

  it('with something wrong in one file changes nothing at all; one long line is left out and said', async () => {
    const home = openHome();
    const before = rows(home.record);
    expect(await refusedWith(home.import('markdown', { 'state.md': '- fine\n', '../x.md': '- no\n' }))).toContain(
      'leads out',
    );
    expect(await refusedWith(home.import('markdown', { 'notes.md': '- fine\n' }))).toContain('no Markdown export');
    expect(rows(home.record)).toBe(before);
    const { skipped } = await home.import('markdown', { 'identity.md': `- ${'x'.repeat(20_000)}\n` });
    expect(skipped[0]!.why).toContain('at most 8,000 characters');
  });
});
