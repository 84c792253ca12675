// The fake of the Bot API waits, confirms, refuses and fails as the real one does: seen by grammY.
import { Api, GrammyError, HttpError, InputFile } from 'grammy';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FakeTelegram, startTelegram } from '../../fakes/telegram.ts';

let fake: FakeTelegram;
let api: Api;
let chat = 100;
beforeAll(async () => {
  fake = await startTelegram();
  api = new Api(fake.token, { apiRoot: fake.url });
});
afterAll(() => fake.close());
beforeEach(() => {
  fake.faults.clear();
  fake.calls.length = 0;
  chat += 1;
});

/** A chat the person has begun, with nothing left to fetch. */
async function begun(): Promise<number> {
  const update = fake.say(chat, 'hello');
  await api.getUpdates({ offset: update + 1, timeout: 0 });
  return chat;
}

async function refusal(call: Promise<unknown>): Promise<[code: number, description: string]> {
  const error = await call.then(
    () => null,
    (caught: unknown) => caught,
  );
  if (!(error instanceof GrammyError)) throw new Error(`was not refused: ${String(error)}`);
  return [error.error_code, error.description];
}

const abortable = (controller: AbortController) => controller.signal as Parameters<Api['getMe']>[0];

describe('updates', () => {
  test('a long poll waits for the first update, or for its time', async () => {
    const began = performance.now();
    const waiting = api.getUpdates({ timeout: 5 });
    setTimeout(() => fake.say(chat, 'now'), 120);
    const [update] = await waiting;
    expect(update?.message?.text).toBe('now');
    expect(performance.now() - began).toBeGreaterThan(100);
    expect(performance.now() - began).toBeLessThan(3_000);

    await api.getUpdates({ offset: update!.update_id + 1, timeout: 0 });
    const empty = performance.now();
    expect(await api.getUpdates({ timeout: 1 })).toEqual([]);
    expect(performance.now() - empty).toBeGreaterThan(900);
  });

  test('an update comes again until an offset above it is asked for', async () => {
    const first = fake.say(chat, 'one');
    const second = fake.say(chat, 'two');
    const ids = async (offset?: number) =>
      (await api.getUpdates({ timeout: 0, ...(offset !== undefined && { offset }) })).map((entry) => entry.update_id);
    expect(await ids()).toEqual([first, second]);
    expect(await ids(first)).toEqual([first, second]);
    expect(await ids(second)).toEqual([second]);
    expect(await ids()).toEqual([second]);
    expect(await ids(second + 1)).toEqual([]);
    expect(fake.pending()).toBe(0);
  });

  test('a second poller ends the first with 409', async () => {
    const first = refusal(api.getUpdates({ timeout: 5 }));
    await expect.poll(() => fake.calls.length).toBe(1);
    const second = api.getUpdates({ timeout: 5 });
    expect(await first).toEqual([409, expect.stringContaining('terminated by other getUpdates request')]);
    const update = fake.say(chat, 'for the second');
    expect((await second).map((entry) => entry.update_id)).toEqual([update]);
    await api.getUpdates({ offset: update + 1, timeout: 0 });
  });

  test('a poll whose client went away takes nothing with it', async () => {
    const controller = new AbortController();
    const gone = api.getUpdates({ timeout: 5 }, abortable(controller)).catch(() => 'gone');
    await expect.poll(() => fake.calls.length).toBe(1);
    controller.abort();
    expect(await gone).toBe('gone');
    const update = fake.say(chat, 'still there');
    expect((await api.getUpdates({ timeout: 5 })).map((entry) => entry.update_id)).toEqual([update]);
    await api.getUpdates({ offset: update + 1, timeout: 0 });
  });

  test('a webhook shuts polling out until it is deleted', async () => {
    await api.setWebhook('https://example.org/hook');
    expect(await refusal(api.getUpdates())).toEqual([409, expect.stringContaining('webhook is active')]);
    await api.deleteWebhook();
    expect(await api.getUpdates({ timeout: 0 })).toEqual([]);
  });
});

describe('refuses', () => {
  test('a wrong token', async () => {
    const wrong = new Api('1:wrong', { apiRoot: fake.url });
    expect(await refusal(wrong.getMe())).toEqual([401, 'Unauthorized']);
  });

  test('what it cannot show', async () => {
    const id = await begun();
    expect(await refusal(api.sendMessage(id, ' \n '))).toEqual([400, 'Bad Request: message text is empty']);
    expect(await refusal(api.sendMessage(id, '<b> </b>', { parse_mode: 'HTML' }))).toEqual([
      400,
      'Bad Request: message text is empty',
    ]);
    expect(await refusal(api.sendMessage(id, 'x'.repeat(4_097)))).toEqual([400, 'Bad Request: message is too long']);
    expect((await api.sendMessage(id, 'x'.repeat(4_096))).text).toHaveLength(4_096);
    // The bound counts what is seen, not what is sent.
    const seen = await api.sendMessage(id, '<b>&lt;</b>'.repeat(4_096), { parse_mode: 'HTML' });
    expect(seen.text).toBe('<'.repeat(4_096));
  });

  test.each([
    ['1 < 2', 'Unsupported start tag'],
    ['<b>never closed', `Can't find end tag corresponding to start tag "b"`],
    ['<b>crossed <i>over</b></i>', 'Unmatched end tag'],
    ['<script>x</script>', 'Unsupported start tag "script"'],
    ['<b><b>twice</b></b>', 'Nested entity'],
    ['<code>a <b>b</b></code>', 'inside code'],
  ])('entities that do not parse: %s', async (html, why) => {
    const [code, description] = await refusal(api.sendMessage(await begun(), html, { parse_mode: 'HTML' }));
    expect(code).toBe(400);
    expect(description).toContain("Bad Request: can't parse entities");
    expect(description).toContain(why);
  });

  test('an edit that changes nothing, or of a message that is not there', async () => {
    const id = await begun();
    const { message_id: message } = await api.sendMessage(id, 'as it is');
    expect(await refusal(api.editMessageText(id, message, 'as it is'))).toEqual([
      400,
      expect.stringContaining('Bad Request: message is not modified'),
    ]);
    await api.editMessageText(id, message, 'changed');
    expect(fake.chat(id)[0]).toMatchObject({ text: 'changed', history: ['as it is'] });
    await api.deleteMessage(id, message);
    expect(await refusal(api.editMessageText(id, message, 'late'))).toEqual([
      400,
      'Bad Request: message to edit not found',
    ]);
  });

  test('too much in a button', async () => {
    const id = await begun();
    const keyboard = (data: string) => ({ inline_keyboard: [[{ text: 'Go', callback_data: data }]] });
    await api.sendMessage(id, 'fits', { reply_markup: keyboard('x'.repeat(64)) });
    const long = api.sendMessage(id, 'does not', { reply_markup: keyboard('x'.repeat(65)) });
    expect(await refusal(long)).toEqual([400, 'Bad Request: BUTTON_DATA_INVALID']);
  });

  test('somebody who blocked the bot, and a chat nobody began', async () => {
    const id = await begun();
    fake.block(id);
    expect(await refusal(api.sendMessage(id, 'x'))).toEqual([403, 'Forbidden: bot was blocked by the user']);
    fake.block(id, false);
    await api.sendMessage(id, 'again');
    expect(await refusal(api.sendMessage(9_999_999, 'x'))).toEqual([400, 'Bad Request: chat not found']);
  });
});

describe('fails on demand', () => {
  test('429 says how long to wait, and nothing took effect', async () => {
    const id = await begun();
    fake.faults.next('sendMessage', { kind: 'status', code: 429, retryAfter: 7 });
    const error = await api.sendMessage(id, 'x').catch((caught: unknown) => caught as GrammyError);
    expect(error).toMatchObject({ error_code: 429, parameters: { retry_after: 7 } });
    expect(fake.chat(id)).toEqual([]);
  });

  test('a drop took no effect, a drop after did, and the client cannot tell them apart', async () => {
    const id = await begun();
    for (const kind of ['drop', 'dropAfter'] as const) {
      fake.faults.next('sendMessage', { kind });
      await expect(api.sendMessage(id, kind)).rejects.toBeInstanceOf(HttpError);
    }
    expect(fake.chat(id).map((message) => message.text)).toEqual(['dropAfter']);
    expect(fake.calls.filter((call) => call.method === 'sendMessage').map((call) => call.answered)).toEqual([
      'none',
      'none',
    ]);
  });

  test('a hang answers nothing', async () => {
    const id = await begun();
    fake.faults.next('sendMessage', { kind: 'hang' });
    const call = api.sendMessage(id, 'x', {}, AbortSignal.timeout(100) as Parameters<Api['getMe']>[0]);
    await expect(call).rejects.toBeInstanceOf(HttpError);
    expect(fake.chat(id)).toEqual([]);
  });

  test('an error page of a proxy, with and without effect', async () => {
    const id = await begun();
    fake.faults.next('sendMessage', { kind: 'page', code: 502 });
    fake.faults.next('sendMessage', { kind: 'page', code: 504, took: true });
    await expect(api.sendMessage(id, 'lost')).rejects.toBeInstanceOf(HttpError);
    await expect(api.sendMessage(id, 'took')).rejects.toBeInstanceOf(HttpError);
    expect(fake.chat(id).map((message) => message.text)).toEqual(['took']);
  });

  test('a sticky fault stays until it is taken away', async () => {
    const id = await begun();
    fake.faults.stick('sendMessage', { kind: 'status', code: 502 });
    for (let i = 0; i < 3; i++) expect((await refusal(api.sendMessage(id, 'x')))[0]).toBe(502);
    fake.faults.stick('sendMessage', null);
    await api.sendMessage(id, 'x');
  });

  test('calls at the same time keep their own answers', async () => {
    const id = await begun();
    fake.faults.next('getMe', { kind: 'slow', ms: 80 });
    const slow = api.getMe();
    await expect.poll(() => fake.calls.some((call) => call.method === 'getMe')).toBe(true);
    await refusal(api.sendMessage(id, ''));
    await slow;
    const answered = (method: string) => fake.calls.find((call) => call.method === method)?.answered;
    expect([answered('getMe'), answered('sendMessage')]).toEqual([200, 400]);
  });
});

describe('takes', () => {
  test('a document as a form, whole and with its name', async () => {
    const id = await begun();
    const text = 'line\n'.repeat(40_000);
    await api.sendDocument(id, new InputFile(Buffer.from(text), 'report.csv'), { caption: 'the report' });
    const [message] = fake.chat(id);
    expect(message).toMatchObject({ text: 'the report', document: { name: 'report.csv', size: text.length } });
    expect(message?.document?.text).toBe(text);
    const empty = api.sendDocument(id, new InputFile(Buffer.alloc(0), 'nothing'));
    expect(await refusal(empty)).toEqual([400, 'Bad Request: file must be non-empty']);
  });

  test('a press of a button, and the toast that answers it', async () => {
    const id = await begun();
    const { message_id: message } = await api.sendMessage(id, 'Sure?', {
      reply_markup: { inline_keyboard: [[{ text: 'Yes', callback_data: 'y' }]] },
    });
    const update = fake.press(id, message, 'y');
    const [press] = await api.getUpdates({ offset: update });
    expect(press?.callback_query).toMatchObject({ data: 'y', message: { message_id: message } });
    await api.answerCallbackQuery(press!.callback_query!.id, { text: 'Noted' });
    expect(fake.toasts.at(-1)).toMatchObject({ text: 'Noted' });
    await api.getUpdates({ offset: update + 1, timeout: 0 });
  });
});
