// How runs end: by the way their session comes to rest, read from its log; what follows for their schedule; who is told.
import { contentOf, isToolUse, textOf } from '../core/brain/context.ts';
import type { Bus } from '../core/bus.ts';
import type { Db } from '../core/db.ts';
import type { Events } from '../core/events.ts';
import type { Failpoint } from '../core/failpoint.ts';
import type { Log } from '../core/log.ts';
import type { PausedReason, Schedule, ScheduleRun } from '../core/schedules.ts';
import type { Sessions } from '../core/sessions.ts';
import type { Id, LogEvent, StopReason } from '../core/types.ts';
import type { Places } from './places.ts';
import type { RunEnding, Runs } from './runs.ts';
import type { Schedules } from './schedules.ts';
import type { Tell } from './tell.ts';
import { shorten } from './words.ts';

/** Failures in a row after which the owner is told, and after which it stops. */
export const ALERT_AFTER = 3;
export const PAUSE_AFTER = 10;

export interface Completion {
  /** Ends a run, in the transaction it is called in. */
  end(run: ScheduleRun, schedule: Schedule, ending: RunEnding, pause?: PausedReason): ScheduleRun;
  /** Looks in the log whether runs of this session have ended. */
  examine(sessionId: Id): void;
  /** What another life of the process left: ended since, still at work, or cut off. */
  sweep(): void;
  /** From now on sessions that come to rest end their runs. Returns the way to stop. */
  listen(): () => void;
}

export type Seen =
  | { kind: 'open' }
  /** It waits for a person. */
  | { kind: 'asks' }
  | ({ kind: 'ended' } & RunEnding);

/** What the log says about a turn: `after` is everything behind the event that began it. Pure. */
export function readEnd(began: LogEvent, after: readonly LogEvent[]): Seen {
  let asks = false;
  let said: LogEvent | null = null;
  let error: string | null = null;
  let stopped = false;
  let cost: number | null = null;
  const calls = new Set<Id>();
  for (const event of after) {
    if (event.type === 'agent.message') said = event;
    else if (event.type === 'user.interrupt') stopped = true;
    else if (event.type === 'session.error')
      error = String((event.payload.error as { message?: string } | undefined)?.message ?? 'It failed.');
    else if (event.type === 'span.model_request_end' && typeof event.payload.cost_usd === 'number')
      cost = (cost ?? 0) + event.payload.cost_usd;
    else if (isToolUse(event)) calls.add(event.id);
    else if (event.type === 'session.status_running') asks = false;
    if (event.type !== 'session.status_idle') continue;
    const reason = event.payload.stop_reason as unknown as StopReason;
    // What waits may be a call of an earlier turn, which this one only spoke beside.
    if (reason.type === 'requires_action' && reason.event_ids.some((id) => calls.has(id))) {
      asks = true;
      continue;
    }
    const answered = said !== null && contentOf(said).length > 0;
    const result = said && answered ? { result: shorten(textOf(said)), resultEvent: said.id } : {};
    const ended = { kind: 'ended', costUsd: cost, ...result } as const;
    if (reason.type === 'budget_reached')
      return { ...ended, state: 'failed', reason: error ?? 'The budget was used up.' };
    if (reason.type === 'retries_exhausted') return { ...ended, state: 'failed', reason: error ?? 'It gave up.' };
    if (stopped) return { ...ended, state: 'cancelled', reason: 'It was stopped.' };
    return { ...ended, state: 'succeeded', reason: began.payload.redacted ? 'What began it was forgotten.' : null };
  }
  return asks ? { kind: 'asks' } : { kind: 'open' };
}

/** The same of a run that is a code task: it ends as the task does, however often its session rests on the way. Pure. */
export function readTaskEnd(log: readonly LogEvent[]): Seen {
  const last = log.findLast(({ type }) => type === 'task.status');
  const cost = log
    .filter(({ type, payload }) => type === 'span.model_request_end' && typeof payload.cost_usd === 'number')
    .reduce<number | null>((sum, { payload }) => (sum ?? 0) + (payload.cost_usd as number), null);
  const reason = typeof last?.payload.reason === 'string' ? last.payload.reason : null;
  const ended = { kind: 'ended', costUsd: cost } as const;
  switch (last?.payload.to) {
    case 'done':
      return { ...ended, state: 'succeeded', reason };
    case 'handed_off':
      return { ...ended, state: 'failed', reason: reason ?? 'The task was handed off.' };
    case 'failed':
      return { ...ended, state: 'failed', reason: reason ?? 'The task failed.' };
    case 'cancelled':
      return { ...ended, state: 'cancelled', reason: reason ?? 'The task was stopped.' };
    case 'awaiting_approval':
      return { kind: 'asks' };
    default:
      return { kind: 'open' };
  }
}

export function createCompletion(deps: {
  db: Db;
  bus: Bus;
  events: Events;
  sessions: Sessions;
  places: Places;
  schedules: Schedules;
  runs: Runs;
  tell: Tell;
  crash: Failpoint;
  log: Log;
  /** Within the transaction that ends a run. */
  onEnded?(run: ScheduleRun, schedule: Schedule): void;
}): Completion {
  const { db, events, sessions, schedules, runs } = deps;

  /** Told once per streak and cause: the key says which. */
  const alert = (schedule: Schedule, run: ScheduleRun, text: string): void => {
    const target = deps.places.targetOf({ target: null, trust: 'owner' });
    deps.tell({
      ...{ scheduleId: schedule.id, runId: run.id, name: schedule.name, kind: 'alert', text, tainted: false },
      ...{ target: target === 'gone' ? null : target, trust: 'owner', key: `alert:${run.id}` },
    });
  };

  const followUp = (run: ScheduleRun, schedule: Schedule, pause: PausedReason | undefined): void => {
    if (run.state !== 'failed' && run.state !== 'succeeded') return;
    const streak = run.state === 'failed' ? schedule.failures + 1 : 0;
    schedules.ran(schedule.id, streak);
    if (run.state === 'succeeded') return;
    const why = run.reason ?? 'It failed.';
    const stop: PausedReason | null =
      pause ?? (streak >= PAUSE_AFTER ? { kind: 'failing', streak, why: shorten(why) } : null);
    const name = `“${schedule.name}”`;
    if (stop && schedule.state === 'active') {
      schedules.pause(schedule.id, stop);
      const times = stop.kind === 'failing' ? ` after ${streak} failures in a row` : '';
      alert(schedule, run, `⚠ The schedule ${name} is paused${times}: ${shorten(why)}\nResume it when that is mended.`);
    } else if (stop || schedule.state === 'ended')
      alert(schedule, run, `⚠ The schedule ${name} could not do what it was for: ${shorten(why)}`);
    else if (streak === ALERT_AFTER)
      alert(
        schedule,
        run,
        `⚠ The schedule ${name} failed ${streak} times in a row: ${shorten(why)}\nIt goes on trying.`,
      );
  };

  const completion: Completion = {
    end(run, schedule, ending, pause) {
      const ended = runs.end(run.id, ending);
      // As it is now: several runs of it may end in one transaction.
      followUp(ended, schedules.need(schedule.id), pause);
      runs.hurry(schedule.id);
      deps.onEnded?.(ended, schedules.need(schedule.id));
      deps.crash('schedule.before_end');
      db.afterCommit(() => deps.crash('schedule.ended'));
      return ended;
    },

    examine(sessionId) {
      for (const run of runs.begunIn(sessionId)) look(run);
    },

    sweep() {
      for (const run of runs.begun())
        if (run.sessionId !== null) look(run);
        else
          db.tx(() => {
            const reason = 'Steward stopped while it ran. It is not begun again by itself.';
            completion.end(run, schedules.need(run.scheduleId), { state: 'failed', reason });
          });
    },

    listen: () =>
      deps.bus.subscribe(null, (notice) => {
        if (notice.kind !== 'event') return;
        const { type, sessionId } = notice.event;
        if (!RESTS.has(type)) return;
        try {
          completion.examine(sessionId);
        } catch (error) {
          deps.log.error({ error, session: sessionId }, 'the end of a scheduled run is noted at the next start');
        }
      }),
  };

  const look = (run: ScheduleRun): void =>
    db.tx(() => {
      const schedule = schedules.need(run.scheduleId);
      const session = sessions.get(run.sessionId!);
      const began = run.eventId ? events.get(run.eventId) : null;
      const task = schedule.starts.kind === 'task' && run.eventId === null;
      if (!session || session.status === 'terminated' || !(began || task)) {
        completion.end(run, schedule, { state: 'cancelled', reason: 'Its conversation was ended or deleted.' });
        return;
      }
      // Still queued: the conversation has not come to it.
      if (began?.position === null) return;
      const seen = began
        ? readEnd(began, events.slice(began.sessionId, began.position))
        : readTaskEnd(events.slice(session.id, 0));
      if (seen.kind === 'ended') {
        const { kind: _, ...ending } = seen;
        completion.end(run, schedule, ending);
      } else if (seen.kind === 'asks') runs.shown(run.id, 'waiting', 'It waits for your approval.');
      else if (run.state === 'waiting') runs.shown(run.id, 'running', null);
    });

  return completion;
}

const RESTS = new Set([
  'task.status',
  'session.status_idle',
  'session.status_running',
  'session.status_terminated',
  'session.deleted',
]);
