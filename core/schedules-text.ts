// Schedules and their runs in lines for people: what chats, tools and the terminal say is worded here once.
import { escapeHidden } from './approvals.ts';
import type { Grants, PausedReason, Schedule, ScheduleRun, SchedulesApi, Starts, Upcoming } from './schedules.ts';
import type { Address, Millis } from './types.ts';

/** How many runs are told when a schedule is made or shown. */
export const AHEAD = 5;

export const placeText = ({ channel, chat, thread }: Address): string =>
  `${channel}:${chat}${thread ? `#${thread}` : ''}`;

/** `2026-12-07 07:30`, in the zone. */
export const localTime = (at: Millis, timeZone: string): string =>
  new Date(at).toLocaleString('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' });

/** By the calendar: a day on which clocks change is not 24 hours long. */
export const dayBefore = (day: string): string =>
  new Date(Date.parse(`${day}T12:00:00Z`) - 86_400_000).toISOString().slice(0, 10);

function cut(text: string, length: number): string {
  const flat = [...escapeHidden(text).replace(/\s+/g, ' ').trim()];
  return flat.length > length ? `${flat.slice(0, length - 1).join('')}…` : flat.join('');
}

export function startsText(starts: Starts, length = 200): string {
  switch (starts.kind) {
    case 'message':
      return `says “${cut(starts.text, length)}”`;
    case 'prompt':
      return `asks the model “${cut(starts.text, length)}”${starts.session === 'main' ? ' in the main conversation' : ''}`;
    case 'job':
      return `does the job ${starts.job}`;
    case 'task':
      return 'begins a code task';
    case 'deployment':
      return `begins a session of agent ${starts.agentId}, version ${starts.agentVersion}`;
  }
}

/** What its runs may do without asking; null when there is nothing of it. */
export function grantsText({ hosts, tools, recipients }: Grants): string | null {
  const parts = [
    hosts.length > 0 ? `reach ${hosts.join(', ')}` : null,
    tools.length > 0 ? `use ${tools.join(', ')}` : null,
    recipients.length > 0 ? `write to ${recipients.map(placeText).join(', ')}` : null,
  ].filter((part) => part !== null);
  return parts.length > 0 ? parts.join('; ') : null;
}

export function pausedText(reason: PausedReason): string {
  if (reason.kind === 'manual') return 'paused by hand';
  if (reason.kind === 'failing') return `paused after ${reason.streak} failures: ${cut(reason.why, 200)}`;
  return `paused: ${cut(reason.why, 200)}`;
}

/** When it is due, and why not. */
export function stateText(schedule: Schedule): string {
  if (schedule.state === 'archived') return 'removed';
  if (schedule.state === 'ended') return 'ended';
  if (schedule.state === 'paused') return schedule.paused ? pausedText(schedule.paused) : 'paused';
  if (!schedule.next) return 'runs by hand';
  return `next ${localTime(schedule.next.at, schedule.rule.timeZone)}`;
}

/** `[sched_…] “Brief”: at 07:30 …; next 2026-12-07 07:30`. */
export const scheduleLine = (schedule: Schedule, describe: SchedulesApi['describe']): string =>
  `[${schedule.id}] “${cut(schedule.name, 80)}”: ${describe(schedule.rule)}; ${stateText(schedule)}`;

export function aheadText(upcoming: readonly Pick<Upcoming, 'local'>[]): string {
  if (upcoming.length === 0) return 'It has no runs of its own ahead.';
  if (upcoming.length === 1) return `Next run: ${upcoming[0]!.local}`;
  return ['Next runs:', ...upcoming.map(({ local }) => `  ${local}`)].join('\n');
}

export function runLine(run: ScheduleRun, timeZone: string): string {
  const by = { schedule: '', catch_up: ', made up for', manual: ', by hand', webhook: ', by webhook' }[run.trigger];
  const told = [run.reason, run.result].filter((text) => text !== null && text !== '').map((text) => cut(text!, 200));
  return `${localTime(run.slot.at, timeZone)}  ${run.state}${by}${told.length > 0 ? `: ${told.join(' – ')}` : ''}`;
}

/** All there is to know of one. */
export function scheduleText(schedule: Schedule, api: Pick<SchedulesApi, 'describe' | 'upcoming' | 'runs'>): string {
  const { rule, grants, quiet, conditions } = schedule;
  const allowed = grantsText(grants);
  const recent = api.runs({ scheduleId: schedule.id, limit: AHEAD });
  const conditionText = conditions.map((condition) => Object.values(condition).join(' ')).join('; ');
  const live = schedule.state === 'active' || schedule.state === 'paused';
  return [
    scheduleLine(schedule, api.describe),
    `It ${startsText(schedule.starts, 1_000)}.`,
    ...(schedule.target ? [`Results go to ${placeText(schedule.target)}.`] : []),
    ...(allowed ? [`Without asking it may ${allowed}.`] : []),
    ...(quiet ? [`Quiet from ${quiet.from} to ${quiet.to}.`] : []),
    ...(conditions.length > 0 ? [`Only when there is news: ${cut(conditionText, 400)}.`] : []),
    ...(schedule.endsAt === null ? [] : [`Until ${localTime(schedule.endsAt, rule.timeZone)}.`]),
    ...(live ? [aheadText(api.upcoming(schedule.id, AHEAD))] : []),
    ...(recent.length > 0 ? ['Last runs:', ...recent.map((run) => `  ${runLine(run, rule.timeZone)}`)] : []),
  ].join('\n');
}

/** What is said when one was made: never without the times, so that a wrong one is seen at once. */
export const madeText = (schedule: Schedule, api: Pick<SchedulesApi, 'describe' | 'upcoming'>): string =>
  [
    `Scheduled: [${schedule.id}] “${cut(schedule.name, 80)}” – ${api.describe(schedule.rule)}. It ${startsText(schedule.starts)}.`,
    aheadText(api.upcoming(schedule.id, AHEAD)),
  ].join('\n');
