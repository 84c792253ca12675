// A reminder without any model: said in words, told back with its time, and it arrives on Telegram once, also through a restart.
import { expect, it, onTestFinished } from 'vitest';
import { startTelegram } from '../fakes/telegram.ts';
import { startSteward } from '../helpers/process.ts';
import { until } from '../helpers/rig.ts';
import { ask, request } from '../helpers/talk.ts';

const ADA = 7;

it('is made by words, listed, cancelled, and arrives', async () => {
  const telegram = await startTelegram();
  onTestFinished(() => telegram.close());
  const env = { TELEGRAM_BOT_TOKEN: telegram.token, TELEGRAM_API_ROOT: telegram.url, STEWARD_TZ: 'UTC' };
  const first = await startSteward({ env });
  onTestFinished(() => first.stop());
  let steward = first;
  const say = (text: string) => telegram.say(ADA, text, { userId: ADA, name: 'Ada' });
  const heard = (text: string) => telegram.chat(ADA).filter((message) => message.text.includes(text));

  say('hello');
  const pairing = await until('the pairing', async () => {
    const { data } = (await request(steward, '/api/pairings')).body as { data: { code: string }[] };
    return data[0];
  });
  await request(steward, `/api/pairings/${pairing.code}/approve`, { body: { role: 'owner' } });

  const due = new Date(Date.now() + 4_000).toISOString().replace(/\.\d+Z$/, 'Z');
  say(`remind me ${due} to water the plants`);
  await until('what was understood', () => heard('Scheduled: [sched_').length === 1);
  expect(heard('Scheduled: [sched_')[0]!.text).toContain('Next run:');
  // Death before it is due; the next life says it, once.
  await steward.kill();
  steward = await startSteward({ home: first.home, env });
  const second = steward;
  onTestFinished(() => second.stop());
  await until('the reminder', () => telegram.chat(ADA).some(({ text }) => text.startsWith('water the plants')));

  const main = String((await request(steward, '/api/status')).body.main_session_id);
  const told = async (text: string) => (await ask(steward, main, text)).texts.join('\n');
  const daily = await told('every day at 8 stretch');
  expect(daily.match(/08:00 UTC/g)).toHaveLength(5);
  expect(await told('what is scheduled')).toContain('“stretch”');
  say('/schedules');
  await until('the command', () => telegram.chat(ADA).at(-1)!.text.includes('“stretch”'));
  expect(await told(`cancel schedule ${/sched_\w+/.exec(daily)![0]}`)).toContain('will not run again');
  // What is there from the first start is still there.
  const left = await told('what is scheduled');
  expect(left).toContain('“Backup”');
  expect(left).not.toContain('“stretch”');
  expect(await told('remind me at 99:99 to jump')).toContain('Nothing was scheduled');
  expect(telegram.chat(ADA).filter(({ text }) => text.startsWith('water the plants'))).toHaveLength(1);
});
