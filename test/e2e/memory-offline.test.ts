// Memory without any model: the offline responder drives the real tools, on one channel after the other, through a restart.
import { expect, it, onTestFinished } from 'vitest';
import { startTelegram } from '../fakes/telegram.ts';
import { startSteward } from '../helpers/process.ts';
import { until } from '../helpers/rig.ts';
import { ask, request } from '../helpers/talk.ts';

const ADA = 7;

it('remembers, says what was said, and forgets', async () => {
  const telegram = await startTelegram();
  onTestFinished(() => telegram.close());
  const env = { TELEGRAM_BOT_TOKEN: telegram.token, TELEGRAM_API_ROOT: telegram.url };
  const first = await startSteward({ env });
  onTestFinished(() => first.stop());
  let steward = first;
  const main = async () => String((await request(steward, '/api/status')).body.main_session_id);
  const say = async (text: string) => (await ask(steward, await main(), text)).texts.join('\n');
  const items = async () =>
    (await request(steward, '/api/memory')).body.data as { id: string; text: string; authority: string }[];

  telegram.say(ADA, 'hello', { userId: ADA, name: 'Ada' });
  const pairing = await until('the pairing', async () => {
    const { data } = (await request(steward, '/api/pairings')).body as { data: { code: string }[] };
    return data[0];
  });
  await request(steward, `/api/pairings/${pairing.code}/approve`, { body: { role: 'owner' } });

  telegram.say(ADA, 'remember that the allotment is number 93', { userId: ADA, name: 'Ada' });
  await until('the item', async () => (await items()).length === 1);
  expect(await items()).toMatchObject([{ text: expect.stringMatching(/allotment is number 93/), authority: 'owner' }]);
  await until('the answer', () => telegram.chat(ADA).some(({ text }) => text.includes('Kept: [mem_')));

  // Another conversation, another channel, another life.
  await request(steward, '/api/main/new', { body: {} });
  await steward.kill();
  steward = await startSteward({ home: first.home, env });
  const second = steward;
  // Before its folder goes.
  onTestFinished(() => second.stop());
  expect(await say('what do you know about the allotment?')).toMatch(
    /\[\w+\] \S+, .*“[^”]*allotment is number 93” \(\d+ %\)/,
  );
  expect(await say('What did I say about the allotment?')).toMatch(
    /the owner, telegram: “remember that the allotment is number 93”/,
  );
  expect(await say('what do you know about sailing boats?')).toMatch(/memory_search: Nothing (?:certain was )?found/);

  telegram.say(ADA, '/memory allotment', { userId: ADA, name: 'Ada' });
  await until('the command', () => telegram.chat(ADA).at(-1)!.text.includes('allotment is number 93'));
  expect(await say('forget the allotment')).toMatch(/Forgotten for good: 1 item/);
  expect(await items()).toEqual([]);
  const [found] = (await request(steward, '/api/memory/search?q=allotment+number&actor=owner')).body.data as {
    id: string;
  }[];
  expect(await say(`forget ${found!.id}`)).toMatch(/Forgotten for good: \d+ event/);
  expect(await say('what do you know about 93?')).not.toContain('number 93');
});
