// What every channel promises, over its own wire: nothing lost, nothing doubled, nobody mistaken for somebody else.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, type TestContext, test, vi } from 'vitest';
import { StewardError } from '../../core/errors.ts';
import type { Channel } from '../../core/types.ts';
import { type Harness, OWNER, openWorld, type Platform, telegram, type World, type WorldOptions } from './world.ts';

/** A further channel is one entry more. */
const HARNESSES: readonly Harness[] = [telegram];

/** As expect.poll, which does not know concurrent tests apart. */
function until(what: () => unknown, timeout = 8_000) {
  const holds = (check: (value: unknown) => void) =>
    vi.waitFor(async () => check(await what()), { timeout, interval: 10 });
  return {
    toBe: (wanted: unknown) => holds((value) => expect(value).toBe(wanted)),
    toEqual: (wanted: unknown) => holds((value) => expect(value).toEqual(wanted)),
    toContain: (wanted: string) => holds((value) => expect(value).toContain(wanted)),
    toMatch: (wanted: RegExp) => holds((value) => expect(value).toMatch(wanted)),
    toHaveLength: (wanted: number) => holds((value) => expect(value).toHaveLength(wanted)),
    toBeGreaterThan: (wanted: number) => holds((value) => expect(value).toBeGreaterThan(wanted)),
  };
}
const texts = (platform: Platform, chat = OWNER) => platform.chat(chat).map((message) => message.text);
/** Without empty placeholders, of which a lost answer may leave one behind. */
const said = (platform: Platform, chat = OWNER) => texts(platform, chat).filter((text) => text !== '…');
const MARKED = /may be a repeat/;

// Each test has a world of its own and mostly waits.
describe.concurrent.each(HARNESSES)('$name', (harness) => {
  const open = async (t: TestContext, options: WorldOptions = {}): Promise<World> => {
    const world = await openWorld(harness, options);
    t.onTestFinished(() => world.stop());
    if (!options.asleep && !options.wrongToken) await until(world.heard).toEqual(['first words']);
    return world;
  };

  describe('what comes in', () => {
    const diskFull = new StewardError('disk_full', 'The disk is full.', { op: 'store', retryable: true });

    /** The promise, so that a known-bad channel can be shown to break it. */
    async function storedBeforeAcknowledged(world: World): Promise<void> {
      world.failStoring(2, diskFull);
      world.platform.say(OWNER, 'while the disk is full');
      await until(() => world.channel.health(Date.now()).detail).toMatch(/cannot be stored|^@/);
      await until(world.heard, 2_000).toEqual(['first words', 'while the disk is full']);
      await until(world.platform.unconfirmed).toBe(0);
    }

    test('is stored before it is acknowledged: what could not be stored comes again', async (t) => {
      const world = await open(t);
      world.failStoring(Number.POSITIVE_INFINITY, diskFull);
      world.platform.say(OWNER, 'one');
      world.platform.say(OWNER, 'two');
      await until(() => world.channel.health(Date.now()).state).toBe('failing');
      expect(world.channel.health(Date.now()).detail).toContain('cannot be stored: The disk is full.');
      expect(world.platform.unconfirmed()).toBe(2);
      expect(world.heard()).toEqual(['first words']);
      world.failStoring(0, diskFull);
      await until(world.heard).toEqual(['first words', 'one', 'two']);
      await until(world.platform.unconfirmed).toBe(0);
      expect(world.channel.health(Date.now()).state).toBe('ok');
      await storedBeforeAcknowledged(await open(t));
    });

    test('known bad: a channel that acknowledges first loses it', async (t) => {
      const eager = await open(t, {
        deps: (deps, record) => ({
          ...deps,
          transaction(work) {
            try {
              return record.db.tx(work);
            } catch (error) {
              deps.cursor.set('telegram:4242', 1_000_000);
              throw error;
            }
          },
        }),
      });
      await expect(storedBeforeAcknowledged(eager)).rejects.toThrow();
    });

    test('waits with the platform while a really full disk takes small writes but not the message', async (t) => {
      const world = await open(t);
      const pragma = (text: string) =>
        Object.values(world.record.db.prepare<[], Record<string, number>>(`PRAGMA ${text}`).get() ?? {})[0]!;
      pragma(`max_page_count = ${pragma('page_count')}`);
      const long = `long ${'words '.repeat(600)}`.trim();
      world.platform.say(OWNER, long);
      await until(() => world.channel.health(Date.now()).detail).toContain('cannot be stored');
      // The cursor alone would fit: a batch that is passed over, now or after some tries, is lost.
      const asked = world.platform.asked();
      await until(world.platform.asked).toBeGreaterThan(asked + 6);
      expect(world.record.db.diskFullSince()).not.toBeNull();
      pragma('max_page_count = 1000000');
      await until(world.heard).toEqual(['first words', long]);
    });

    test('one that can never be taken in is set aside, and the next ones come through', async (t) => {
      const world = await open(t, {
        deps: (deps) => ({
          ...deps,
          intake: {
            accept(inbound) {
              if (JSON.stringify(inbound.body).includes('poison')) throw new TypeError('a defect');
              return deps.intake.accept(inbound);
            },
          },
        }),
      });
      for (const text of ['before', 'poison', 'between', 'poison again', 'after']) world.platform.say(OWNER, text);
      await until(world.heard).toEqual(['first words', 'before', 'between', 'after']);
      await until(world.platform.unconfirmed).toBe(0);
    });

    test('is one event however often it is offered', async (t) => {
      const world = await open(t);
      world.platform.say(OWNER, 'once');
      await until(world.heard).toEqual(['first words', 'once']);
      world.platform.sayAgain();
      world.platform.say(OWNER, 'and on');
      await until(world.heard).toEqual(['first words', 'once', 'and on']);
    });

    test('survives a crash between storing and acknowledging', async (t) => {
      const world = await open(t);
      world.platform.stuck('receive', 'dropAfter');
      world.platform.say(OWNER, 'in between');
      await new Promise((resolve) => setTimeout(resolve, 60));
      await world.crash();
      world.platform.stuck('receive', null);
      await until(world.heard).toEqual(['first words', 'in between']);
      await until(world.platform.unconfirmed).toBe(0);
    });
  });

  describe('who speaks', () => {
    test('is told by the platform’s id; the owner’s names open nothing', async (t) => {
      const world = await open(t);
      world.platform.say('99', 'it is me', { user: '99', name: 'Ada', username: 'ada' });
      await until(() => texts(world.platform, '99')).toHaveLength(1);
      expect(texts(world.platform, '99')[0]).toMatch(/I do not know you yet/);
      world.platform.say('99', 'hello?', { user: '99', name: 'Ada' });
      world.platform.say('99', '/status', { user: '99' });
      world.platform.say(OWNER, 'the real one');
      await until(world.heard).toEqual(['first words', 'the real one']);
      await until(world.platform.unconfirmed).toBe(0);
      // One reply, then silence; and nothing of what was said is kept.
      expect(texts(world.platform, '99')).toHaveLength(1);
      const kept = world.record.db.prepare<[], { n: number }>(
        "SELECT count(*) AS n FROM events WHERE payload LIKE '%it is me%'",
      );
      expect(kept.get()!.n).toBe(0);
      expect(world.record.people.waiting()).toHaveLength(1);
    });
  });

  describe('what goes out', () => {
    test('stays in order per chat, whatever happens to the first', async (t) => {
      const world = await open(t);
      world.platform.trouble('send', 'unavailable');
      world.platform.trouble('edit', 'dropAfter');
      for (const markdown of ['first', 'second', 'third']) world.tell({ kind: 'text', markdown });
      await until(() => said(world.platform)).toEqual(['first', 'second', 'third']);
    });

    async function exactlyOnce(
      world: World,
      call: 'send' | 'edit',
      trouble: 'drop' | 'dropAfter' | 'page',
    ): Promise<void> {
      world.platform.trouble(call, trouble);
      world.tell({ kind: 'text', markdown: 'the answer' });
      world.tell({ kind: 'text', markdown: 'the next' });
      await until(() => said(world.platform).at(-1)).toBe('the next');
      expect(said(world.platform)).toEqual(['the answer', 'the next']);
      // Nothing but empty placeholders can be left over, and at most one for a lost answer.
      expect(texts(world.platform).length - 2).toBeLessThanOrEqual(call === 'send' && trouble !== 'drop' ? 1 : 0);
    }
    test.for([
      ['send', 'drop'],
      ['send', 'dropAfter'],
      ['send', 'page'],
      ['edit', 'drop'],
      ['edit', 'dropAfter'],
      ['edit', 'page'],
    ] as const)('is said exactly once, unmarked: %s, %s', async ([call, trouble], t) => {
      await exactlyOnce(await open(t), call, trouble);
    });

    test('known bad: a channel that says the text in one request doubles it', async (t) => {
      const direct = (channel: Channel, platform: Platform): Channel => ({
        ...channel,
        settledByEdit: new Set(),
        deliver: (item, context) =>
          item.body.kind === 'text'
            ? platform.sayDirectly(
                item.address.chat,
                `${item.mayRepeat ? '↻ may be a repeat ' : ''}${item.body.markdown}`,
              )
            : channel.deliver(item, context),
      });
      const world = await open(t, { channel: direct });
      await expect(exactlyOnce(world, 'send', 'dropAfter')).rejects.toThrow();
      expect(said(world.platform).filter((text) => text.includes('the answer'))).toHaveLength(2);
    });

    test('a wait the platform asks for is kept to the end, by everything that would be sent there', async (t) => {
      const world = await open(t);
      world.platform.trouble('send', { wait: 1 });
      const began = Date.now();
      world.tell({ kind: 'text', markdown: 'patient' });
      await until(() => world.record.outbox.heads()[0]?.error).toMatch(/Too Many Requests/);
      const here = { channel: harness.name, chat: OWNER };
      const session = world.sessionOf(OWNER);
      world.channel.progress(here, session, { kind: 'working' });
      world.channel.progress(here, session, { kind: 'text', text: 'impatient' });
      await until(() => said(world.platform)).toContain('patient');
      const [first = 0, second = 0] = world.platform.callsTo(OWNER);
      expect(second - first).toBeGreaterThanOrEqual(990);
      expect(Date.now() - began).toBeLessThan(4_000);
    });

    test('partial text that met a wait holds the final text back as well', async (t) => {
      const world = await open(t);
      const session = world.sessionOf(OWNER);
      world.platform.trouble('send', { wait: 1 });
      world.channel.progress({ channel: harness.name, chat: OWNER }, session, { kind: 'text', text: 'half' });
      await until(() => world.platform.callsTo(OWNER).length).toBe(1);
      // The answer to that call has come by then.
      await new Promise((resolve) => setTimeout(resolve, 100));
      world.tell({ kind: 'text', markdown: 'whole' });
      await until(() => said(world.platform)).toEqual(['whole']);
      const [first = 0, second = 0] = world.platform.callsTo(OWNER);
      expect(second - first).toBeGreaterThanOrEqual(990);
    });

    test('formatting that is refused does not lose the words: plain, once', async (t) => {
      const world = await open(t);
      world.platform.trouble('edit', 'wrongFormat');
      world.tell({ kind: 'text', markdown: 'some **bold** words' });
      await until(() => said(world.platform)).toEqual(['some **bold** words']);
      world.platform.trouble('edit', 'wrongFormat', 2);
      world.tell({ kind: 'text', markdown: 'refused **twice**' });
      world.tell({ kind: 'text', markdown: 'after' });
      await until(() => said(world.platform).at(-1)).toBe('after');
      expect(world.record.outbox.counts().dead).toBe(1);
    });

    test('a card whose formatting is refused is still a card', async (t) => {
      const world = await open(t);
      world.platform.trouble('send', 'wrongFormat');
      world.ask();
      await until(() => world.platform.chat(OWNER)[0]?.buttons.map((button) => button.label)).toEqual([
        'Approve',
        'Deny',
      ]);
      expect(texts(world.platform)[0]).toContain('{"to":"telegram:1"}');
    });

    async function markedWhenRepeated(world: World): Promise<void> {
      const blob = world.record.db.tx(() => world.record.blobs.put(Buffer.from('contents')));
      world.platform.trouble('file', 'dropAfter');
      world.tell({ kind: 'file', blob, name: 'a "b"; c.txt', mediaType: 'text/plain' });
      await until(() => world.platform.chat(OWNER)).toHaveLength(2);
      const [first, second] = world.platform.chat(OWNER);
      expect(first?.file).toEqual({ name: expect.stringMatching(/^a .b.; c\.txt$/), text: 'contents' });
      expect([first?.text, second?.text]).toEqual(['', expect.stringMatching(MARKED)]);

      world.platform.trouble('send', 'dropAfter');
      world.ask();
      await until(() => world.platform.chat(OWNER)).toHaveLength(4);
      const cards = world.platform.chat(OWNER).slice(2);
      expect(cards.map((card) => MARKED.test(card.text))).toEqual([false, true]);
    }

    test('cards and files in doubt come once more, visibly marked', async (t) => {
      await markedWhenRepeated(await open(t));
    });

    test('known bad: a channel that does not mark what it repeats', async (t) => {
      const blind = (channel: Channel): Channel => ({
        ...channel,
        deliver: (item, context) => channel.deliver({ ...item, mayRepeat: false }, context),
      });
      await expect(markedWhenRepeated(await open(t, { channel: blind }))).rejects.toThrow();
    });

    test('a file whose end could not be stored is in doubt too, and comes again marked', async (t) => {
      let broken = false;
      const breaking = (channel: Channel): Channel => ({
        ...channel,
        async deliver(item, context) {
          const outcome = await channel.deliver(item, context);
          if (!broken) world.record.db.prepare('PRAGMA query_only = ON').run();
          broken = true;
          return outcome;
        },
      });
      const world = await open(t, { channel: breaking });
      const blob = world.record.db.tx(() => world.record.blobs.put(Buffer.from('x')));
      world.tell({ kind: 'file', blob, name: 'x', mediaType: 'text/plain' });
      await until(() => broken).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 50));
      world.record.db.prepare('PRAGMA query_only = OFF').run();
      await until(() => world.platform.chat(OWNER), 15_000).toHaveLength(2);
      expect(texts(world.platform)).toEqual(['', expect.stringMatching(MARKED)]);
    });

    test('in doubt twice it is given up, and told in another place of the owner', async (t) => {
      const world = await open(t);
      const { code } = world.record.people.knock({ channel: harness.name, userId: '8' }, '8');
      world.record.people.approve(code!, 'owner');
      world.platform.say('8', 'also mine', { user: '8' });
      await until(world.heard).toContain('also mine');
      world.platform.trouble('file', 'dropAfter', 2);
      const blob = world.record.db.tx(() => world.record.blobs.put(Buffer.from('x')));
      world.tell({ kind: 'file', blob, name: 'x', mediaType: 'text/plain' });
      await until(() => said(world.platform, '8')).toEqual([expect.stringContaining('could not be delivered')]);
      expect(world.platform.chat(OWNER)).toHaveLength(2);
    });

    test('two places that both block us do not tell each other for ever', async (t) => {
      const world = await open(t);
      const { code } = world.record.people.knock({ channel: harness.name, userId: '8' }, '8');
      world.record.people.approve(code!, 'owner');
      world.platform.stuck('send', 'blocked');
      world.tell({ kind: 'text', markdown: 'to nobody' });
      await until(() => world.record.outbox.counts().dead).toBe(2);
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(world.record.outbox.counts()).toMatchObject({ pending: 0, dead: 2 });
    });

    test('what waited for a platform that was away goes out as soon as it is back', async (t) => {
      const world = await open(t);
      world.platform.stuck('send', 'unavailable');
      world.platform.stuck('receive', 'unavailable');
      // Ends the poll that is open still.
      world.platform.say(OWNER, 'now');
      await until(() => world.channel.health(Date.now()).state).toBe('failing');
      world.tell({ kind: 'text', markdown: 'late' });
      const row = () => world.record.outbox.heads()[0];
      await until(() => (row()?.notBefore ?? 0) - Date.now()).toBeGreaterThan(1_000);
      world.platform.stuck('send', null);
      world.platform.stuck('receive', null);
      await until(() => said(world.platform), 1_000).toEqual(['late']);
    });

    test('a message somebody deleted is said again rather than lost', async (t) => {
      const world = await open(t);
      const session = world.sessionOf(OWNER);
      const here = { channel: harness.name, chat: OWNER };
      world.record.outbox.recordDraft(session, here, '999999');
      world.tell({ kind: 'text', markdown: 'still said' });
      await until(() => said(world.platform)).toEqual(['still said']);
    });
  });

  describe('replies to commands', () => {
    test('are tried again while they surely have not arrived, and keep the wait', async (t) => {
      const world = await open(t);
      world.platform.trouble('send', { wait: 1 });
      world.platform.say(OWNER, '/status');
      await until(() => said(world.platform)).toEqual(['All is well.']);
      const [first = 0, second = 0] = world.platform.callsTo(OWNER);
      expect(second - first).toBeGreaterThanOrEqual(990);
    });

    test('are not doubled when nobody knows whether they arrived', async (t) => {
      const world = await open(t);
      world.platform.trouble('send', 'dropAfter');
      world.platform.say(OWNER, '/status');
      world.platform.say(OWNER, '/help');
      await until(() => said(world.platform).at(-1)).toMatch(/fresh conversation/);
      expect(said(world.platform)).toHaveLength(2);
    });

    test('are told to nobody but the owner, and in a private chat', async (t) => {
      const world = await open(t);
      world.platform.say('-100', '/status@steward_test_bot', { user: OWNER });
      await until(() => said(world.platform, '-100')).toEqual(['I am here.']);
      world.platform.say('-100', '/approve@steward_test_bot', { user: OWNER });
      await until(() => said(world.platform, '-100').at(-1)).toMatch(/Only the owner can do that, in a private chat/);
    });

    test('memory answers the owner alone, in a private chat, and nothing of it is stored', async (t) => {
      const world = await open(t);
      const before = world.heard();
      world.platform.say(OWNER, '/memory green tea');
      await until(() => said(world.platform)).toEqual(['You asked memory for “green tea”.']);
      world.platform.say('-100', '/memory@steward_test_bot green tea', { user: OWNER });
      await until(() => said(world.platform, '-100').at(-1)).toMatch(/Only the owner can do that, in a private chat/);
      const { code } = world.record.people.knock({ channel: harness.name, userId: '9', name: 'Guest' }, '9');
      world.record.people.approve(code!, 'guest');
      world.platform.say('9', '/memory green tea', { user: '9' });
      await until(() => said(world.platform, '9').at(-1)).toMatch(/Only the owner can do that/);
      expect(world.heard()).toEqual(before);
    });

    test('memory that fails is told, and the channel goes on', async (t) => {
      const broken = async () => {
        throw new Error('no');
      };
      const world = await open(t, {
        deps: (deps) => ({ ...deps, commands: { ...deps.commands, memory: broken } }),
      });
      world.platform.say(OWNER, '/memory');
      await until(() => said(world.platform).at(-1)).toMatch(/That failed/);
      world.platform.say(OWNER, '/status');
      await until(() => said(world.platform).at(-1)).toBe('All is well.');
    });
  });

  describe('while a run works', () => {
    const here = { channel: harness.name, chat: OWNER };

    test('partial text grows in one message, and the final text takes its place', async (t) => {
      const world = await open(t);
      const session = world.sessionOf(OWNER);
      world.channel.progress(here, session, { kind: 'working' });
      for (const text of ['Par', 'Partial **te', 'Partial **text** gro'])
        await (async () => {
          world.channel.progress(here, session, { kind: 'text', text });
          await new Promise((resolve) => setTimeout(resolve, 60));
        })();
      await until(() => texts(world.platform)).toEqual(['Partial text gro …']);
      world.tell({ kind: 'text', markdown: 'Partial **text** grown up.' });
      world.channel.progress(here, session, { kind: 'ended' });
      await until(() => texts(world.platform)).toEqual(['Partial text grown up.']);
      expect(world.platform.chat(OWNER)[0]!.history.length).toBeGreaterThan(1);
      // Nothing writes over it afterwards.
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(texts(world.platform)).toEqual(['Partial text grown up.']);
    });

    test('the final text is not written over by partial text that was on its way', async (t) => {
      const world = await open(t);
      const session = world.sessionOf(OWNER);
      world.channel.progress(here, session, { kind: 'text', text: 'half' });
      await until(() => texts(world.platform)).toEqual(['half …']);
      world.channel.progress(here, session, { kind: 'text', text: 'half an answ' });
      world.tell({ kind: 'text', markdown: 'whole' });
      await until(() => texts(world.platform)).toEqual(['whole']);
      await new Promise((resolve) => setTimeout(resolve, 150));
      expect(texts(world.platform)).toEqual(['whole']);
    });

    test('after a crash the answer goes on in the message that already stands there', async (t) => {
      const world = await open(t);
      const session = world.sessionOf(OWNER);
      world.channel.progress(here, session, { kind: 'text', text: 'half an ans' });
      await until(() => texts(world.platform)).toEqual(['half an ans …']);
      await world.crash();
      world.channel.progress(here, session, { kind: 'text', text: 'anew' });
      await until(() => texts(world.platform)).toEqual(['anew …']);
      world.tell({ kind: 'text', markdown: 'anew and whole' });
      await until(() => texts(world.platform)).toEqual(['anew and whole']);
    });

    test('a crash between a placeholder and its text leaves one message', async (t) => {
      const world = await open(t);
      world.platform.trouble('edit', 'hang');
      world.tell({ kind: 'text', markdown: 'whole' });
      // The second call is the edit: by then the placeholder is on record.
      await until(() => world.platform.callsTo(OWNER).length).toBe(2);
      await world.crash();
      await until(() => texts(world.platform)).toEqual(['whole']);
    });

    test('trouble with partial text neither stops the run nor the answer', async (t) => {
      const world = await open(t);
      const session = world.sessionOf(OWNER);
      world.platform.trouble('typing', 'unavailable', 3);
      world.platform.trouble('send', 'unavailable');
      world.channel.progress(here, session, { kind: 'working' });
      world.channel.progress(here, session, { kind: 'text', text: 'half' });
      await until(() => world.platform.callsTo(OWNER).length >= 2).toBe(true);
      world.tell({ kind: 'text', markdown: 'whole' });
      await until(() => said(world.platform)).toEqual(['whole']);
    });
  });

  describe('approvals', () => {
    const button = (world: World, label: string) =>
      world.platform
        .chat(OWNER)
        .flatMap((message) => message.buttons)
        .find((entry) => entry.label === label)!.data;
    const verdict = (world: World, id: string) => world.record.approvals.get(id)?.verdict ?? null;

    test('a press by the owner decides; the card says so and has no buttons any more', async (t) => {
      const world = await open(t);
      const id = world.ask();
      await until(() => world.platform.chat(OWNER)[0]?.buttons.length).toBe(2);
      world.platform.press(OWNER, button(world, 'Approve'));
      await until(() => verdict(world, id)).toBe('allow');
      await until(() => world.platform.chat(OWNER)[0]?.buttons).toEqual([]);
      expect(texts(world.platform)[0]).toContain('Approved');
      expect(world.platform.toasts()).toEqual(['Approved.']);
    });

    test('another person’s press is refused, a second one has no effect', async (t) => {
      const world = await open(t);
      const { code } = world.record.people.knock({ channel: harness.name, userId: '8' }, '8');
      world.record.people.approve(code!, 'guest');
      const id = world.ask();
      await until(() => world.platform.chat(OWNER)[0]?.buttons.length).toBe(2);
      const data = button(world, 'Approve');
      world.platform.press(OWNER, data, '99');
      world.platform.press(OWNER, data, '8');
      await until(world.platform.toasts).toEqual(['Not yours to answer.', 'Not yours to answer.']);
      expect(verdict(world, id)).toBeNull();
      world.platform.press(OWNER, button(world, 'Deny'));
      await until(() => verdict(world, id)).toBe('deny');
      world.platform.press(OWNER, data);
      await until(() => world.platform.toasts().at(-1)).toContain('already answered (deny)');
      expect(verdict(world, id)).toBe('deny');
      world.platform.press(OWNER, 'a:sevt_unknown');
      await until(() => world.platform.toasts().at(-1)).toContain('Nothing waits for approval');
    });

    test('/approve takes the one that is named, or the only one that was shown here', async (t) => {
      const world = await open(t);
      const replies = () => said(world.platform).filter((text) => !text.includes('Without an answer by'));
      world.platform.say(OWNER, '/approve');
      await until(replies).toEqual(['Nothing waits for approval.']);
      // Opened while no card could be sent: what nobody has read is first shown.
      world.platform.stuck('send', 'unavailable');
      const unseen = world.ask('{"unseen":true}');
      world.platform.say(OWNER, '/approve');
      await until(world.platform.unconfirmed).toBe(0);
      world.platform.stuck('send', null);
      await until(() => world.platform.chat(OWNER).some((message) => message.buttons.length > 0)).toBe(true);
      expect(verdict(world, unseen)).toBeNull();

      world.platform.say(OWNER, '/approve sevt_another');
      await until(() => replies().at(-1)).toContain('Nothing waits under sevt_another');
      expect(verdict(world, unseen)).toBeNull();
      const second = world.ask('{"second":true}');
      await until(() => said(world.platform).some((text) => text.includes('second'))).toBe(true);
      world.platform.say(OWNER, '/approve');
      await until(() => replies().at(-1)).toContain('2 things wait');
      expect([unseen, second].map((id) => verdict(world, id))).toEqual([null, null]);
      world.platform.say(OWNER, `/deny ${second} not now`);
      await until(() => verdict(world, second)).toBe('deny');
      expect(world.record.approvals.get(second)?.reason).toBe('not now');
      world.platform.say(OWNER, '/approve');
      await until(() => verdict(world, unseen)).toBe('allow');
    });

    test('what cannot be shown in full cannot be approved here, by no way', async (t) => {
      const world = await open(t);
      const id = world.ask(`{"text":"${'x'.repeat(4_000)}"}`);
      await until(() => world.platform.chat(OWNER)[0]?.buttons.map((entry) => entry.label)).toEqual(['Deny']);
      world.platform.say(OWNER, '/approve');
      world.platform.say(OWNER, `/approve ${id}`);
      await until(() => said(world.platform).filter((text) => text.includes('approve it in the console'))).toHaveLength(
        2,
      );
      expect(verdict(world, id)).toBeNull();
    });
  });

  describe('health', () => {
    const state = (world: World) => world.channel.health(Date.now());

    test('is well as soon as the platform answered once', async (t) => {
      const world = await open(t);
      expect(state(world)).toMatchObject({ state: 'ok', detail: '@steward_test_bot' });
      expect(Date.now() - state(world).lastSuccessAt!).toBeLessThan(5_000);
      // Also when there is nothing to fetch, and a long poll would wait two seconds.
      await world.crash();
      await until(() => state(world).state, 1_500).toBe('ok');
    });

    test('says that the token is refused', async (t) => {
      const world = await open(t, { wrongToken: true });
      await until(() => state(world).detail).toMatch(/refuses the bot token/);
      expect(state(world).state).toBe('failing');
      expect(state(world).lastSuccessAt).toBeNull();
    });

    test('says that another program takes the messages, until it stops', async (t) => {
      const world = await open(t);
      await until(async () => {
        await world.platform.rival();
        return state(world).detail;
      }).toMatch(/Another program polls this bot/);
      expect(state(world).state).toBe('failing');
      await until(() => state(world).state).toBe('ok');
    });

    test('says that the platform does not answer, and is well again by itself', async (t) => {
      const world = await open(t);
      world.platform.stuck('receive', 'hang');
      await until(() => state(world).state).toBe('failing');
      expect(state(world).detail).toMatch(/No poll has completed|cannot be reached/);
      world.platform.stuck('receive', null);
      await until(() => state(world).state).toBe('ok');
      world.platform.say(OWNER, 'back again');
      await until(world.heard).toContain('back again');
    });

    test('a single broken request is nothing to report', async (t) => {
      const world = await open(t);
      world.platform.trouble('receive', 'unavailable');
      world.platform.say(OWNER, 'x');
      await until(world.heard).toContain('x');
      world.platform.say(OWNER, 'y');
      await until(world.heard).toContain('y');
      expect(state(world).state).toBe('ok');
    });
  });

  describe('stopping', () => {
    test.for(['at rest', 'hanging'])('leaves nothing behind, so that the process ends (%s)', async (how, t) => {
      const child = spawn(process.execPath, [fileURLToPath(new URL('leave.ts', import.meta.url)), harness.name, how], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      t.onTestFinished(() => void child.kill('SIGKILL'));
      let stoppedAt = 0;
      child.stdout.on('data', () => {
        stoppedAt ||= performance.now();
      });
      const [code] = (await once(child, 'exit')) as [number];
      expect(code).toBe(0);
      expect(performance.now() - stoppedAt).toBeLessThan(1_500);
      expect(stoppedAt).toBeGreaterThan(0);
    });

    test('does not wait for a platform that hangs', async (t) => {
      const world = await open(t);
      world.platform.stuck('send', 'hang');
      world.tell({ kind: 'text', markdown: 'never' });
      await until(() => world.platform.callsTo(OWNER).length).toBe(1);
      const began = performance.now();
      await world.channel.stop();
      expect(performance.now() - began).toBeLessThan(2_000);
    });
  });
});
