// The ways a turn comes to rest other than by an answer: stopped, failed, held, over budget, set aside, too long.
import type { BudgetVerdict } from '../budget.ts';
import { closeCards } from '../cards.ts';
import type { Clock } from '../clock.ts';
import type { NewEvent } from '../events.ts';
import type { Log } from '../log.ts';
import type { RunOutcome } from '../runs.ts';
import type { Mandate } from '../schedules.ts';
import { textResult } from '../tools/tool.ts';
import type { Address, Id, JsonObject, LogEvent, Millis, StopReason } from '../types.ts';
import type { Asked } from './ask.ts';
import { type CommitDeps, fence, say, type Turn } from './commit.ts';
import { answeredBy, contentOf } from './context.ts';
import { resultEvent } from './execute.ts';
import { replyTo } from './facts.ts';
import { openCalls, unanswered } from './step.ts';

export interface Ended {
  outcome: RunOutcome;
}

/** Told at most once an hour per conversation. */
const BUDGET_REMINDER_MS: Millis = 3_600_000;

const ERROR_TYPES: Partial<Record<Extract<Asked, { kind: 'failed' }>['failure'], string>> = {
  overloaded: 'model_overloaded_error',
  rate_limited: 'model_rate_limited_error',
  unreachable: 'model_request_failed_error',
  stalled: 'model_request_failed_error',
  cut: 'model_request_failed_error',
  invalid: 'model_request_failed_error',
  refused: 'billing_error',
};

export const unansweredMessages = (slice: readonly LogEvent[]): LogEvent[] =>
  unanswered(slice).filter((event) => event.type === 'user.message');

const hasImage = (event: LogEvent): boolean => contentOf(event).some((block) => block.type === 'image');

/** Times this session was put on hold since it last got an answer. */
export function holdsOf(slice: readonly LogEvent[]): number {
  const answered = slice.findLastIndex(
    ({ type, payload }) =>
      type === 'span.model_request_end' && payload.is_error === false && payload.purpose === undefined,
  );
  return slice.slice(answered + 1).filter((event) => event.type === 'session.error' && event.payload.told === true)
    .length;
}

const errorEvent = (
  type: string,
  message: string,
  status: 'retrying' | 'exhausted' | 'terminal',
  extra: JsonObject = {},
): NewEvent => ({
  type: 'session.error',
  payload: { error: { type, message, retry_status: { type: status } }, ...extra },
});

export interface Endings {
  rest(turn: Turn, reason: StopReason, wakeAt?: Millis): void;
  /** Calls are closed, what was asked before counts as read, partial text is kept and marked. */
  interrupt(turn: Turn, queued: readonly LogEvent[], partialText: string): Ended;
  /** The model could not be asked: the message is kept and the person told once, or the turn ends with the reason. */
  failed(turn: Turn, asked: Extract<Asked, { kind: 'failed' }>): Ended;
  overBudget(turn: Turn, verdict: Extract<BudgetVerdict, { kind: 'stop' }>): Ended;
  /** As `overBudget` for a scheduled run: it ends for good, by its own budget or the day's. */
  runOverBudget(turn: Turn, mandate: Mandate, verdict: { spentUsd: number; limitUsd: number }): Ended;
  /** Messages under which the process died again and again are set aside, and the person is told. */
  quarantine(turn: Turn, trigger: LogEvent): void;
  tooLong(turn: Turn, steps: number): Ended;
  /** It cannot be worked on as it is set up. */
  unfit(turn: Turn, message: string): Ended;
  /** A mistake in our own code: it would be made again, so the turn ends instead of asking the model for ever. */
  broke(turn: Turn, error: unknown): Ended;
}

export function createEndings(deps: CommitDeps & { clock: Clock; log: Log }): Endings {
  const { db, events, sessions } = deps;
  const append = (turn: Turn, draft: NewEvent) => events.append(turn.session.id, [draft], fence(turn))[0]!;
  const tell = (turn: Turn, event: LogEvent, to: readonly Address[], words: string) =>
    say(deps, turn.session.id, event.id, event.id, to, words);

  const rest: Endings['rest'] = (turn, reason, wakeAt) => {
    const payload = { stop_reason: reason as unknown as JsonObject, stop_details: null };
    append(turn, { type: 'session.status_idle', payload });
    sessions.setStatus(turn.session.id, 'idle', reason, wakeAt ?? null);
  };

  const cancel = (turn: Turn, call: LogEvent, by: string): void => {
    const entry = deps.calls.get(call.id);
    // After a stop nothing is made again or looked for, so of every begun call but a harmless one it stays open what it did.
    const begun = entry?.state === 'started' && entry.effect !== 'pure';
    const words = begun ? 'Stopped while running: it may or may not have happened.' : `Not run: stopped by ${by}.`;
    const result = resultEvent(call, textResult(words, true), begun ? { status: 'in_doubt' } : {});
    if (call.type === 'agent.custom_tool_use')
      append(turn, { type: 'user.custom_tool_result', payload: { ...result.payload, custom_tool_use_id: call.id } });
    else append(turn, result);
    if (entry) deps.calls.finish(call.id, begun ? 'in_doubt' : 'done');
    const approval = deps.approvals.get(call.id);
    if (approval?.verdict !== null) return;
    deps.approvals.resolve(call.id, 'cancelled', 'interrupt');
    closeCards(deps.outbox, approval, call.id, 'Cancelled');
  };
  /** A call whose result waits in the queue has its result: a second one would be one too many. */
  const cancelAll = (turn: Turn, by: string) => {
    const answered = new Set(events.queued(turn.session.id).map(answeredBy));
    for (const call of openCalls(turn.slice)) if (!answered.has(call.id)) cancel(turn, call, by);
  };
  /** Calls are closed and the person told; what comes later is a new turn. */
  const end = (turn: Turn, type: string, message: string): Ended => {
    db.tx(() => {
      cancelAll(turn, 'Steward');
      tell(turn, append(turn, errorEvent(type, message, 'exhausted')), replyTo(turn.slice), `⚠ ${message}`);
      rest(turn, { type: 'retries_exhausted' });
    });
    return { outcome: 'failed' };
  };

  return {
    rest,

    interrupt(turn, queued, partialText) {
      const last = queued.findLast((event) => event.type === 'user.interrupt')!;
      const before = queued.filter((event) => event.seq <= last.seq);
      const running = sessions.need(turn.session.id).status !== 'idle' || before.length > 1;
      const partial = partialText.trim() !== '';
      db.tx(() => {
        if (partial) {
          const content = [{ type: 'text', text: partialText }];
          const message = append(turn, { type: 'agent.message', payload: { content, interrupted: true } });
          tell(turn, message, replyTo(turn.slice), `${partialText}\n\n(stopped)`);
        }
        cancelAll(turn, 'the owner');
        const ids = before.map((event) => event.id);
        events.process(turn.session.id, ids, fence(turn));
        if (!partial && last.origin)
          tell(turn, last, [last.origin.address], running ? 'Stopped.' : 'Nothing is running.');
        rest(turn, { type: 'end_turn' });
      });
      return { outcome: 'interrupted' };
    },

    failed(turn, asked) {
      const { verdict } = asked;
      const type = ERROR_TYPES[asked.failure] ?? 'unknown_error';
      const to = replyTo(turn.slice);
      db.tx(() => {
        if (verdict.kind === 'give_up') {
          // Sent again with every later request, a picture the server cannot take would end every later turn.
          const pictures = asked.failure === 'invalid' ? unansweredMessages(turn.slice).filter(hasImage) : [];
          const extra: JsonObject =
            pictures.length > 0 ? { refused_image_event_ids: pictures.map((event) => event.id) } : {};
          const event = append(turn, errorEvent(type, asked.message, 'exhausted', extra));
          tell(turn, event, to, `⚠ ${asked.message}`);
          rest(turn, { type: 'retries_exhausted' });
          return;
        }
        const told = holdsOf(turn.slice) > 0;
        append(turn, errorEvent(type, asked.message, 'retrying', { told: true }));
        if (!told) {
          const words = `⏳ ${asked.message}\n\nYour message is kept; I will answer as soon as the model can be reached.`;
          tell(turn, append(turn, { type: 'session.status_rescheduled' }), to, words);
        }
        sessions.setStatus(turn.session.id, 'rescheduling', null, deps.clock.now() + verdict.delayMs);
      });
      return { outcome: verdict.kind === 'hold' ? 'waiting' : 'failed' };
    },

    overBudget(turn, verdict) {
      const spent = `$${verdict.spentUsd.toFixed(2)} of $${verdict.limitUsd.toFixed(2)}`;
      const words = `⚠ The budget of the day is used up (${spent}). Your message is kept and answered tomorrow, or as soon as you raise STEWARD_BUDGET_DAY_USD.`;
      db.tx(() => {
        const last = turn.slice.findLast((event) => event.type === 'budget.alert');
        if (!last || deps.clock.now() - last.createdAt > BUDGET_REMINDER_MS) {
          const payload = { spent_usd: verdict.spentUsd, limit_usd: verdict.limitUsd };
          tell(turn, append(turn, { type: 'budget.alert', payload }), replyTo(turn.slice), words);
        }
        rest(turn, { type: 'budget_reached' }, verdict.until);
      });
      return { outcome: 'waiting' };
    },

    runOverBudget(turn, mandate, { spentUsd, limitUsd }) {
      const of = mandate.budgetUsd === limitUsd ? 'Its budget' : 'The budget of the day';
      const words = `“${mandate.name}” was stopped. ${of} is used up ($${spentUsd.toFixed(2)} of $${limitUsd.toFixed(2)}).`;
      db.tx(() => {
        cancelAll(turn, 'Steward');
        // It closes the turn: a job is not answered tomorrow, its schedule begins it again when it is due.
        const event = append(turn, errorEvent('billing_error', words, 'exhausted'));
        tell(turn, event, replyTo(turn.slice), `⚠ ${words}`);
        rest(turn, { type: 'budget_reached' });
      });
      return { outcome: 'failed' };
    },

    quarantine(turn, trigger) {
      const message =
        'Steward stopped again and again while working on this message, so it was set aside. Send it again in other words, or look at the log (steward logs).';
      db.tx(() => {
        if (trigger.position === null) events.process(turn.session.id, [trigger.id], fence(turn));
        const ids: Id[] = [...new Set([trigger.id, ...unansweredMessages(turn.slice).map((event) => event.id)])];
        cancelAll(turn, 'Steward');
        const event = append(turn, errorEvent('unknown_error', message, 'terminal', { quarantined_event_ids: ids }));
        tell(turn, event, trigger.origin ? [trigger.origin.address] : [], `⚠ ${message}`);
      });
      deps.log.error({ session: turn.session.id, event: trigger.id }, 'a message was set aside after repeated crashes');
    },

    tooLong: (turn, steps) =>
      end(turn, 'tool_use_limit_reached_error', `This turn took more than ${steps} steps and was ended.`),

    unfit: (turn, message) => end(turn, 'invalid_request_error', message),

    broke(turn, error) {
      deps.log.error({ error, session: turn.session.id }, 'a turn was ended by a mistake in Steward itself');
      return end(
        turn,
        'unknown_error',
        'Something failed inside Steward while it worked on this, so the turn was ended. The log says what (steward logs).',
      );
    },
  };
}
