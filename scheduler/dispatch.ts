// Begins the work of a run: the event (or the job) that its schedule starts, counted and committed with the run's row.
import type { Agents } from '../core/agents.ts';
import type { Db } from '../core/db.ts';
import { StewardError } from '../core/errors.ts';
import type { Events, NewEvent } from '../core/events.ts';
import type { Failpoint } from '../core/failpoint.ts';
import type { Mandate, PausedReason, Schedule, ScheduleRun } from '../core/schedules.ts';
import type { Sessions } from '../core/sessions.ts';
import type { Address, Id, JsonObject, Millis, Origin, Session } from '../core/types.ts';
import type { Places } from './places.ts';
import type { RunEnding, Runs } from './runs.ts';
import type { Tell } from './tell.ts';
import { lateLabel, lateNote, shorten } from './words.ts';

export interface TaskStart {
  schedule: Schedule;
  run: ScheduleRun;
  /** What a webhook or a condition brought, from outside. */
  beside: string | null;
}

export interface DispatchDeps {
  db: Db;
  events: Events;
  sessions: Sessions;
  agents: Agents;
  places: Places;
  runs: Runs;
  tell: Tell;
  crash: Failpoint;
  now(): Millis;
  wake(sessionId: Id): void;
  /** Carries out a built-in job once its beginning is committed. */
  work(schedule: Schedule, run: ScheduleRun): void;
  /** Makes a code task within the transaction; the run ends as its session does. Absent: there are none yet. */
  createTask?(task: JsonObject, start: TaskStart): { sessionId: Id; eventId: Id | null };
}

/** `begun`: it ends later. `over`: it is done already, or cannot be; with `pause` the schedule should not try again. */
export type Dispatched =
  | { kind: 'begun'; run: ScheduleRun }
  | { kind: 'over'; run: ScheduleRun; ending: RunEnding; pause?: PausedReason };

type ErrorPause = Extract<PausedReason, { kind: 'error' }>;

export function createDispatch(deps: DispatchDeps) {
  const { events, sessions, agents, places, runs, now } = deps;

  /** Counted even though it could not begin: what it would have needed is not there. */
  const impossible = (run: ScheduleRun, code: ErrorPause['code'], why: string): Dispatched => ({
    kind: 'over',
    run: runs.start(run.id, { sessionId: null, eventId: null }),
    ending: { state: 'failed', reason: why },
    pause: { kind: 'error', code, why },
  });

  const mandateOf = (schedule: Schedule, run: ScheduleRun, unattended: boolean): Mandate => ({
    ...{ scheduleId: schedule.id, runId: run.id, name: schedule.name, grants: schedule.grants, unattended },
    ...{ model: schedule.model, budgetUsd: schedule.budgetUsd, label: lateLabel(schedule, run, now()) },
  });

  const send = (
    schedule: Schedule,
    run: ScheduleRun,
    session: Session,
    target: Address | null,
    drafts: readonly NewEvent[],
    unattended: boolean,
  ): Dispatched => {
    const origin: Origin = {
      sender: { channel: 'steward', userId: `schedule:${schedule.id}`, name: schedule.name },
      address: target ?? { channel: 'web', chat: session.id },
      role: 'system',
      mandate: mandateOf(schedule, run, unattended),
    };
    const [first] = events.append(
      session.id,
      drafts.map((draft, index) => ({ ...draft, queued: true, origin, dedupe: `schedule:${run.id}:${index}` })),
    );
    deps.db.afterCommit(() => {
      deps.crash('schedule.committed');
      deps.wake(session.id);
    });
    return { kind: 'begun', run: runs.start(run.id, { sessionId: session.id, eventId: first!.id }) };
  };

  const ownSession = (schedule: Schedule, run: ScheduleRun, of: Partial<Parameters<Sessions['create']>[0]> = {}) =>
    sessions.create({
      ...places.fresh(schedule.trust),
      title: schedule.name,
      metadata: { schedule_id: schedule.id, schedule_run_id: run.id },
      ...of,
    });

  const says = (text: string, tainted = false): NewEvent => ({
    type: 'user.message',
    payload: { content: [{ type: 'text', text: text.toWellFormed() }] },
    tainted,
  });

  /** Within the transaction that took the slot. */
  return function dispatch(schedule: Schedule, run: ScheduleRun, beside: string | null): Dispatched {
    const target = places.targetOf(schedule);
    if (target === 'gone')
      return impossible(run, 'target_gone', 'Nobody is known any more at the place its results go to.');
    const { starts } = schedule;
    switch (starts.kind) {
      case 'message': {
        const label = lateLabel(schedule, run, now(), 'due');
        const text = [label ? `${starts.text} (${label})` : starts.text, beside].filter(Boolean).join('\n\n');
        const event = deps.tell({
          ...{ scheduleId: schedule.id, runId: run.id, name: schedule.name, kind: 'message', text, target },
          ...{ tainted: beside !== null, trust: schedule.trust, key: run.id },
        });
        const begun = runs.start(run.id, { sessionId: event.sessionId, eventId: event.id });
        deps.db.afterCommit(() => deps.crash('schedule.committed'));
        const ending = { state: 'succeeded', reason: null, result: shorten(text), resultEvent: event.id } as const;
        return { kind: 'over', run: begun, ending };
      }
      case 'prompt': {
        const main = starts.session === 'main';
        const session = main
          ? places.conversationAt(schedule.trust === 'owner' ? null : target, schedule.trust)
          : ownSession(schedule, run);
        const words = [starts.text, lateNote(schedule, run, now())].filter(Boolean).join('\n\n');
        const drafts = [says(words), ...(beside === null ? [] : [says(beside, true)])];
        return send(schedule, run, session, target, drafts, !main);
      }
      case 'deployment': {
        const agent = agents.get(starts.agentId, starts.agentVersion);
        if (!agent || agent.archivedAt !== null)
          return impossible(run, 'agent_archived', `The agent ${starts.agentId} is archived or gone.`);
        const environment = agents.listEnvironments(true).find(({ id }) => id === starts.environmentId);
        if (!environment || environment.archivedAt !== null)
          return impossible(
            run,
            'environment_archived',
            `The environment ${starts.environmentId} is archived or gone.`,
          );
        const { agentId, agentVersion, environmentId } = starts;
        const session = ownSession(schedule, run, { agentId, agentVersion, environmentId });
        const drafts: NewEvent[] = starts.initialEvents.map(({ type, ...payload }) => ({
          type: String(type),
          payload,
        }));
        return send(schedule, run, session, target, beside === null ? drafts : [...drafts, says(beside, true)], true);
      }
      case 'job': {
        const begun = runs.start(run.id, { sessionId: null, eventId: null });
        deps.db.afterCommit(() => {
          deps.crash('schedule.committed');
          deps.work(schedule, begun);
        });
        return { kind: 'begun', run: begun };
      }
      case 'task': {
        if (!deps.createTask)
          return impossible(run, 'unknown', 'There is nobody here who could carry a code task out.');
        try {
          const { sessionId, eventId } = deps.createTask(starts.task, { schedule, run, beside });
          deps.db.afterCommit(() => deps.wake(sessionId));
          return { kind: 'begun', run: runs.start(run.id, { sessionId, eventId }) };
        } catch (error) {
          if (!(error instanceof StewardError)) throw error;
          if (!error.retryable) return impossible(run, 'unknown', error.message);
          const begun = runs.start(run.id, { sessionId: null, eventId: null });
          return { kind: 'over', run: begun, ending: { state: 'failed', reason: error.message } };
        }
      }
    }
  };
}

export type Dispatch = ReturnType<typeof createDispatch>;
