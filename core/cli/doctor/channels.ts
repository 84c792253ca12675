// Does each configured channel reach its platform? Asks the running process, else the platform itself.
import { z } from 'zod';
import { type Finding, type Patient, reporter } from './finding.ts';

const found = reporter('channels');

/** Milliseconds. */
const patience = 10_000;

const me = z.looseObject({
  ok: z.boolean(),
  description: z.string().optional(),
  result: z.looseObject({ username: z.string().optional() }).optional(),
});

export async function channelsCheck(patient: Patient): Promise<Finding> {
  const { status } = patient;
  if (!status) return askTelegram(patient);
  const lines = status.channels.map(({ name, state, detail }) => `${name}: ${state}${detail ? ` (${detail})` : ''}`);
  const failing = status.channels.filter(({ state }) => state === 'failing');
  return {
    name: 'channels',
    level: failing.length > 0 ? 'fail' : 'ok',
    detail: lines.join('\n') || 'None.',
    ...(failing.length > 0
      ? { fix: `steward logs shows what happened on ${failing.map(({ name }) => name).join(', ')}.` }
      : {}),
  };
}

async function askTelegram({ config, fetch }: Patient): Promise<Finding> {
  if (!config.telegramBotToken) return found('ok', 'telegram: off (no TELEGRAM_BOT_TOKEN)');
  const root = config.telegramApiRoot ?? 'https://api.telegram.org';
  try {
    const response = await fetch(`${root}/bot${config.telegramBotToken}/getMe`, {
      signal: AbortSignal.timeout(patience),
    });
    const answer = me.safeParse(await response.json().catch(() => undefined));
    if (!answer.success)
      return found(
        'fail',
        `telegram: ${root} answered ${response.status} and nothing Telegram would say.`,
        'Mend TELEGRAM_API_ROOT.',
      );
    if (answer.data.ok)
      return found('ok', `telegram: the token is that of @${answer.data.result?.username ?? 'a bot'}`);
    return found(
      'fail',
      `telegram: refused (${answer.data.description ?? response.status}).`,
      'Mend TELEGRAM_BOT_TOKEN: @BotFather shows the current one.',
    );
  } catch (error) {
    // The address holds the token, so only the cause's own words may be shown.
    const cause =
      (error as { cause?: { code?: string } }).cause?.code ?? (error instanceof Error ? error.name : 'no answer');
    return found(
      'fail',
      `telegram: ${root} did not answer (${cause}).`,
      'Is this machine online? Steward keeps trying by itself.',
    );
  }
}
