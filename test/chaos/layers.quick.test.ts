// Where two layers keep one promise, which of them held; and what a crash may leave in a chat.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EffectClass, textOf } from '../helpers/oracle.ts';
import { allowTools, OWNER, type Rig, startRig, until } from '../helpers/rig.ts';

let rig: Rig;
let counter = 0;
beforeAll(async () => {
  rig = await startRig({ env: { STEWARD_SAFE_MODE_AFTER: '0' } });
  await rig.pair(OWNER, 'owner');
});
afterAll(() => rig.close());

const next = () => `m${++counter}`;
const fresh = async () => (await rig.api<{ session_id: string }>('/api/main/new', 'POST', {})).session_id;
const standing = (mark: string) =>
  rig.telegram.chat(OWNER).filter(({ text }) => new RegExp(`\\b${mark}\\b`).test(text));
const callsSince = (at: number, method: string) =>
  rig.telegram.calls.slice(at).filter((call) => call.method === method);
const polls = (at = 0) => callsSince(at, 'getUpdates').map(({ body }) => Number(body.offset));
const offset = () => polls().at(-1) ?? 0;
const firstOffsetSince = (at: number) => polls(at)[0];
const quiet = (mark: string) =>
  until(`the answer to ${mark}`, async () => {
    const { sessions, outbox } = await rig.status();
    return sessions.active + outbox.pending === 0 && standing(mark).some(({ text }) => text.startsWith('answer'));
  });
const said = async (session: string, mark: string) =>
  (await rig.events(session)).filter((event) => event.type === 'user.message' && textOf(event).includes(mark));

/** Dies at the armed place, by what `act` sets off, and starts again. */
async function dies(act: () => unknown): Promise<void> {
  const { exited } = rig.steward;
  void act();
  await exited;
  await rig.restart();
}

describe('a message from Telegram', () => {
  it('comes again when it was not stored: the offset had not moved', async () => {
    const [session, mark] = [await fresh(), next()];
    const before = offset();
    const at = rig.telegram.calls.length;
    rig.arm('intake.before_commit');
    await dies(() => rig.telegram.say(OWNER, `hello ${mark}`));
    await quiet(mark);
    expect(before).toBeGreaterThan(0);
    expect(firstOffsetSince(at)).toBe(before);
    expect(await said(session, mark)).toHaveLength(1);
  });

  it('does not come again once it was stored: the offset moved with it', async () => {
    const [session, mark] = [await fresh(), next()];
    let update = 0;
    rig.arm('intake.after_commit');
    const at = rig.telegram.calls.length;
    await dies(() => {
      update = rig.telegram.say(OWNER, `hello ${mark}`);
    });
    await quiet(mark);
    expect(firstOffsetSince(at)).toBe(update + 1);
    expect(await said(session, mark)).toHaveLength(1);
  });

  it('is one event when the same update comes twice: the dedupe key holds', async () => {
    const [session, mark] = [await fresh(), next()];
    await rig.steward.kill();
    const updateId = rig.telegram.say(OWNER, `hello ${mark}`);
    rig.telegram.say(OWNER, `hello ${mark}`, { updateId });
    await rig.restart();
    await quiet(mark);
    expect(await said(session, mark)).toHaveLength(1);
    expect(standing(mark)).toHaveLength(1);
  });
});

describe('a request with an Idempotency-Key', () => {
  it('is one event over restarts, and always the same one', async () => {
    const body = { agent: 'agent_steward', environment_id: 'env_steward' };
    const { id } = await rig.api<{ id: string }>('/v1/sessions', 'POST', body);
    const mark = next();
    const send = async () => {
      const event = { type: 'user.message', content: [{ type: 'text', text: `hello ${mark}` }] };
      const path = `/v1/sessions/${id}/events`;
      const headers = { 'idempotency-key': `key-${mark}` };
      return (await rig.api<{ data: { id: string }[] }>(path, 'POST', { events: [event] }, headers)).data[0]!.id;
    };
    rig.arm('intake.after_commit');
    await dies(() => send().catch(() => 'no answer'));
    const ids = [await send(), await send()];
    await rig.steward.kill();
    await rig.restart();
    ids.push(await send());
    expect(new Set(ids).size).toBe(1);
    expect(await said(id, mark)).toHaveLength(1);
  });
});

describe('an answer in the chat', () => {
  it('is edited again, and Telegram finds nothing to change, when its end was not noted', async () => {
    await fresh();
    const mark = next();
    const at = rig.telegram.calls.length;
    rig.arm('outbox.delivered');
    await dies(() => rig.telegram.say(OWNER, `hello ${mark}`));
    await quiet(mark);
    expect(callsSince(at, 'sendMessage')).toHaveLength(1);
    expect(callsSince(at, 'editMessageText').map(({ answered }) => answered)).toEqual([200, 400]);
  });

  it('goes into the placeholder that already stands there', async () => {
    await fresh();
    const mark = next();
    const at = rig.telegram.calls.length;
    rig.arm('outbox.placed');
    await dies(() => rig.telegram.say(OWNER, `hello ${mark}`));
    await quiet(mark);
    expect(callsSince(at, 'sendMessage')).toHaveLength(1);
    expect(callsSince(at, 'editMessageText')).toHaveLength(1);
  });

  it('leaves one empty placeholder when its id never came back, and the words once', async () => {
    await fresh();
    const mark = next();
    const empty = () => rig.telegram.chat(OWNER).filter(({ text }) => text === '…').length;
    const before = empty();
    rig.telegram.faults.next('sendMessage', { kind: 'dropAfter' });
    rig.telegram.say(OWNER, `hello ${mark}`);
    await quiet(mark);
    expect(empty() - before).toBe(1);
    expect(standing(mark)).toHaveLength(1);
  });

  it('takes over the half answer a crash cut off', async () => {
    await fresh();
    const mark = next();
    const before = rig.telegram.chat(OWNER).length;
    rig.model.faults.next({ kind: 'slow', msPerChunk: 600 }, { kind: 'slow', msPerChunk: 100 });
    rig.telegram.say(OWNER, `hello ${mark}`);
    await until('half an answer in the chat', () =>
      rig.telegram.chat(OWNER).some(({ text }) => /^answer.* …$/.test(text)),
    );
    await rig.steward.kill();
    await rig.restart();
    await quiet(mark);
    expect(
      rig.telegram
        .chat(OWNER)
        .slice(before)
        .map(({ text }) => text),
    ).toEqual([`answer ${mark}`]);
  });
});

describe('an approval', () => {
  const waiting = async (effect: EffectClass, mark: string) => {
    await allowTools(rig, false);
    const session = await fresh();
    rig.telegram.say(OWNER, `use ${effect} ${mark}`);
    const card = await until('the card', () => standing(mark).find(({ buttons }) => buttons.length > 0));
    await allowTools(rig, true);
    return { session, card, allow: card.buttons[0]![0]!.callback_data };
  };

  it('pressed twice, with a crash between, is used once', async () => {
    const mark = next();
    const { session, card, allow } = await waiting('unsafe', mark);
    rig.arm('approval.resolved');
    await dies(() => rig.telegram.press(OWNER, card.id, allow));
    rig.telegram.press(OWNER, card.id, allow);
    await quiet(mark);
    expect(rig.effects.of(mark).seen).toBe(1);
    const events = await rig.events(session);
    expect(events.filter((event) => event.type === 'user.tool_confirmation')).toHaveLength(1);
    await until('the second press to be told', () =>
      rig.telegram.toasts.some(({ text }) => /already answered/.test(text)),
    );
    expect(card.buttons).toEqual([]);
  });

  it('stands after a crash, and one that was begun is not used again', async () => {
    const mark = next();
    const { session, card, allow } = await waiting('unsafe', mark);
    await rig.steward.kill();
    await rig.restart();
    rig.arm('tool.started');
    await dies(() => rig.telegram.press(OWNER, card.id, allow));
    await quiet(mark);
    expect(rig.effects.of(mark).seen).toBe(0);
    const results = (await rig.events(session)).filter((event) => event.type === 'agent.tool_result');
    expect(results.map(({ status }) => status)).toEqual(['in_doubt']);
    expect(standing(mark).at(-1)?.text).toBe(`answer ${mark} in-doubt:${mark}`);
  });
});

describe('a call that is stopped while it runs', () => {
  it.each(['keyed', 'verifiable', 'unsafe'] as const)(
    'is in doubt when it is %s: nobody claims it did not happen',
    async (effect) => {
      const [session, mark] = [await fresh(), next()];
      rig.effects.delay(10_000);
      rig.telegram.say(OWNER, `use ${effect} ${mark}`);
      await until('the call to be under way', () => rig.effects.of(mark).seen === 1);
      rig.effects.delay(0);
      rig.telegram.say(OWNER, '/stop');
      const results = await until('its result', async () => {
        const found = (await rig.events(session)).filter((event) => event.type === 'agent.tool_result');
        return found.length > 0 ? found : null;
      });
      expect(results.map(({ status }) => status)).toEqual(['in_doubt']);
      expect(rig.effects.of(mark)).toMatchObject({ seen: 1, applied: 1 });
    },
  );
});
