// One step of a turn by a harness that is not ours: from what is unanswered to an answer, everything between in the log.

import { type CommitDeps, fence, type Turn } from '../../core/brain/commit.ts';
import { isTainted, replyTo } from '../../core/brain/facts.ts';
import { unanswered } from '../../core/brain/step.ts';
import type { Bus } from '../../core/bus.ts';
import { describeError, StewardError } from '../../core/errors.ts';
import type { Harness, Requested } from '../../core/harness.ts';
import type { Log } from '../../core/log.ts';
import type { Id, LogEvent, Session } from '../../core/types.ts';
import type { Hands } from '../hands.ts';
import { type Adapter, SESSION_EVENT, vendorSessionOf } from './adapter.ts';
import { handoverOf, messageText } from './handover.ts';
import { createRecorder, type Recorder } from './recorder.ts';

/** Runs of a program that died in a row, without an answer, before its turn is given up. */
const MAX_DEATHS = 3;
/** In a span that says so. */
const DIED = 'harness_died_error';

export interface HarnessDeps
  extends Pick<CommitDeps, 'db' | 'events' | 'sessions' | 'usage' | 'runs' | 'outbox' | 'newId'> {
  bus: Bus;
  log: Log;
  hands: Pick<Hands, 'lend'>;
  redact(text: string): string;
  /** The model to ask for; null: the program's own choice. */
  modelFor(session: Session, adapter: Adapter): string | null;
  /** Why it cannot be used here, with what to do about it. */
  missing(adapter: Adapter): StewardError | null;
}

/** Pure. Runs that died since the last answer. */
export const deathsIn = (slice: readonly LogEvent[]): number => {
  const fresh = unanswered(slice)[0]?.position ?? Number.POSITIVE_INFINITY;
  const died = ({ payload }: LogEvent) => (payload.error as { type?: string } | undefined)?.type === DIED;
  return slice.filter((event) => event.position! > fresh && event.type === 'span.model_request_end' && died(event))
    .length;
};

export function createHarness(deps: HarnessDeps, adapter: Adapter): Harness {
  const { db, events, sessions } = deps;
  const { name } = adapter;

  /** Its own conversation may have begun before the last compaction. */
  const sessionEvent = (sessionId: Id): LogEvent | null => {
    const all = events.list({ sessionId, types: [SESSION_EVENT], order: 'desc', limit: 50 });
    return all.find((event) => vendorSessionOf(event)?.harness === name) ?? null;
  };

  /** Messages that come meanwhile, in order, each read as it is handed over. */
  const listen = (turn: Turn, take: (text: string) => Promise<void>): (() => void) => {
    let chain = Promise.resolve();
    let deaf = false;
    const look = () => {
      chain = chain.then(async () => {
        if (deaf) return;
        const queued = events.queued(turn.session.id).filter(({ type }) => type === 'user.message');
        if (queued.length === 0) return;
        const read = db.tx(() => {
          const ids = queued.map(({ id }) => id);
          return events.process(turn.session.id, ids, fence(turn));
        });
        for (const event of read) await take(messageText(event));
      });
      // A record that fails, or a program that is gone: the message stands in the log and is answered by the next step.
      chain = chain.catch((error) => deps.log.warn({ error, session: turn.session.id }, 'a message came too late'));
    };
    const unsubscribe = deps.bus.subscribe(turn.session.id, (notice) => {
      if (notice.kind === 'event' && notice.event.type === 'user.message' && notice.event.position === null) look();
    });
    look();
    return () => {
      deaf = true;
      unsubscribe();
    };
  };

  const work = async (turn: Turn, recorder: Recorder, signal: AbortSignal): Promise<void> => {
    const { slice, compaction, session } = turn;
    await deps.hands.lend(session, { by: recorder.id, doors: adapter.door ? [adapter.door] : [] }, async (lent) => {
      const told = handoverOf({ harness: name, slice, compaction, session: sessionEvent(session.id), note: lent.note });
      const fresh = unanswered(slice)[0]?.position ?? Number.POSITIVE_INFINITY;
      const running = adapter.run({
        sandbox: lent.sandbox,
        prompt:
          told.since === '' || told.resume === null
            ? told.prompt
            : `<meanwhile>\n${told.since}\n</meanwhile>\n\n${told.prompt}`,
        transcript: told.transcript,
        resume: adapter.capabilities.resume ? told.resume : null,
        model: deps.modelFor(session, adapter),
        turn: slice.filter(({ position }) => position! >= fresh),
        upTo: lent.upTo,
        signal,
        onMessage: (take) => listen(turn, take),
      });
      for await (const event of running) {
        const changed = recorder.take(event);
        if (changed) lent.changed(changed);
      }
    });
  };

  return {
    name,
    free: adapter.door === null,
    async request(turn, signal): Promise<Requested> {
      const missing = deps.missing(adapter);
      const recorder = createRecorder(deps, turn, {
        name,
        model: deps.modelFor(turn.session, adapter),
        to: replyTo(turn.slice),
        tainted: !isTainted(turn.slice, turn.compaction),
      });
      if (missing) return recorder.refuse(describeError(missing));
      if (sessions.need(turn.session.id).status !== 'running') recorder.wakeUp();
      recorder.begin();
      let failure: unknown = null;
      try {
        await work(turn, recorder, signal);
      } catch (error) {
        if (error instanceof StewardError && error.code === 'stale_run') throw error;
        failure = error;
      }
      if (signal.aborted) {
        recorder.cut(signal.reason === 'shutdown' ? 'Steward stopped.' : 'Stopped by the owner.');
        return { partialText: '' };
      }
      if (failure === null && recorder.ended()) return recorder.finish();
      const lost = failure === null || (failure instanceof StewardError && failure.code === 'sandbox_lost');
      const why = failure === null ? `${name} ended without an answer.` : describeError(failure);
      if (!lost) {
        if (!(failure instanceof StewardError))
          deps.log.error({ error: failure, session: turn.session.id }, 'a harness failed');
        return recorder.fail(why);
      }
      const deaths = deathsIn(turn.slice) + 1;
      if (deaths >= MAX_DEATHS)
        return recorder.fail(`${name} was started ${deaths} times and ended each time without an answer. ${why}`);
      recorder.died(DIED, why);
      return null;
    },
  };
}
