// The morning brief: what waits, what is open, what today holds, how the night went. From rows alone; no model is asked.
import type { Approvals } from '../../core/approvals.ts';
import type { Backups } from '../../core/backup.ts';
import type { MemoryApi } from '../../core/memory.ts';
import type { Outbox } from '../../core/outbox.ts';
import type { Schedule, ScheduleRun, SchedulesApi } from '../../core/schedules.ts';
import type { ChannelHealth, Millis } from '../../core/types.ts';
import { calendar, nextDay, type Usage } from '../../core/usage.ts';
import { type BriefFacts, briefText } from './brief-text.ts';
import type { Job } from './job.ts';

const DAY: Millis = 86_400_000;
/** What happened before that is no news, however long the brief was off. */
const LONGEST: Millis = 3 * DAY;
const RUNS = 500;
const KNOWN = 200;
/** Days without a backup after which it is said. */
const NO_BACKUP: Millis = 3 * DAY;

export interface BriefDeps {
  schedules: Pick<SchedulesApi, 'list' | 'runs' | 'upcoming' | 'get'>;
  memory: Pick<MemoryApi, 'list' | 'questions'>;
  approvals: Pick<Approvals, 'pending'>;
  usage: Pick<Usage, 'byDay'>;
  outbox: Pick<Outbox, 'counts'>;
  backups: Backups;
  channels(): readonly ChannelHealth[];
  /** As they are now. */
  budgetDayUsd(): number;
  timeZone(): string;
}

const isOwners = (schedule: Pick<Schedule, 'createdBy'> | null): boolean => schedule?.createdBy !== 'steward:built-in';

function today(deps: BriefDeps, active: readonly Schedule[], now: Millis): BriefFacts['today'] {
  const zone = deps.timeZone();
  const end = nextDay(now, zone);
  const clock = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit' });
  return active
    .flatMap((schedule) => {
      const slots = deps.schedules.upcoming(schedule.id, 50).filter(({ slot }) => slot.at > now && slot.at < end);
      const first = slots[0];
      return first
        ? [{ at: first.slot.at, time: clock.format(first.slot.at), name: schedule.name, times: slots.length }]
        : [];
    })
    .sort((a, b) => a.at - b.at);
}

function night(deps: BriefDeps, runs: readonly ScheduleRun[]): BriefFacts['night'] {
  const nameOf = (run: ScheduleRun) => deps.schedules.get(run.scheduleId)?.name ?? run.scheduleId;
  /** Of one schedule the newest is told, with how many there were. */
  const told = (state: 'failed' | 'missed') => {
    const byName = new Map<string, { name: string; why: string; times: number }>();
    for (const run of runs) {
      if (run.state !== state) continue;
      const known = byName.get(nameOf(run));
      if (known) known.times += 1;
      else byName.set(nameOf(run), { name: nameOf(run), why: run.reason ?? '', times: 1 });
    }
    return [...byName.values()];
  };
  const well = runs.filter((run) => run.state === 'succeeded' && isOwners(deps.schedules.get(run.scheduleId)));
  return { succeeded: well.length, failed: told('failed'), missed: told('missed') };
}

/** Reads everything the brief tells of. Only the owner's: guests and groups have memories of their own. */
export function collectBrief(deps: BriefDeps, now: Millis, since: Millis | null): BriefFacts {
  const from = Math.max(since ?? now - DAY, now - LONGEST);
  const zone = deps.timeZone();
  const dayOf = calendar(zone);
  const costs = new Map<string, number>();
  let unpriced = 0;
  for (const row of deps.usage.byDay(2)) {
    costs.set(row.day, (costs.get(row.day) ?? 0) + (row.cost_usd ?? 0));
    if (row.cost_usd === null) unpriced += row.requests;
  }
  const known = deps.memory.list({ scope: 'owner', order: 'desc', limit: KNOWN });
  const active = deps.schedules.list({ limit: 200, state: 'active' }).filter(isOwners);
  const paused = deps.schedules.list({ limit: 200, state: 'paused' });
  const newest = deps.backups.list().find(({ kind }) => kind === 'backup')?.madeAt ?? null;
  const { dead } = deps.outbox.counts();
  return {
    now,
    timeZone: zone,
    approvals: deps.approvals.pending().map(({ title }) => title),
    questions: deps.memory.questions().map(({ text }) => text),
    loops: deps.memory.list({ scope: 'owner', kind: 'loop', limit: KNOWN }).map(({ text }) => text),
    today: today(deps, active, now),
    night: night(deps, deps.schedules.runs({ since: from, limit: RUNS })),
    learnt: known
      .filter(({ recordedAt, kind }) => recordedAt >= from && !['loop', 'focus', 'summary', 'file'].includes(kind))
      .map(({ text }) => text),
    trouble: [
      ...deps
        .channels()
        .filter(({ state }) => state === 'failing')
        .map(({ name, detail }) => `${name}: ${detail}`),
      ...paused.flatMap(({ name, paused: why }) =>
        why && why.kind !== 'manual' ? [`“${name}” was paused: ${why.why}`] : [],
      ),
      ...(dead > 0 ? [`${dead} message${dead === 1 ? '' : 's'} could not be delivered this week`] : []),
      ...(newest !== null && now - newest > NO_BACKUP
        ? [`the newest backup is ${Math.floor((now - newest) / DAY)} days old`]
        : []),
    ],
    cost: {
      yesterdayUsd: costs.get(dayOf(now - DAY)) ?? 0,
      todayUsd: costs.get(dayOf(now)) ?? 0,
      limitUsd: deps.budgetDayUsd(),
      unpriced,
    },
  };
}

export function createBriefJob(deps: BriefDeps): Job {
  return async ({ now, since }) => ({ text: briefText(collectBrief(deps, now, since)) });
}
