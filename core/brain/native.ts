// The native harness: wake a session, read its log, take the next step, append, repeat. Everything it knows is in the log.
import type { Agents } from '../agents.ts';
import { createPurse } from '../budget.ts';
import { StewardError } from '../errors.ts';
import type { Harness, Requested } from '../harness.ts';
import type { Log } from '../log.ts';
import type { RunOutcome } from '../runs.ts';
import { namedFailure } from '../sqlite.ts';
import { textResult } from '../tools/tool.ts';
import type { Id, LogEvent, Session } from '../types.ts';
import { fence, type Turn } from './commit.ts';
import { createWallTime } from './context.ts';
import { createEndings, type Ended, unansweredMessages } from './endings.ts';
import { type ExecuteDeps, executeCall, resultEvent } from './execute.ts';
import { isTainted, replyTo } from './facts.ts';
import { createRecall } from './recall.ts';
import { type RequestDeps, request, stoppedByBudget } from './request.ts';
import { createSlices, type Slice } from './slices.ts';
import { nextStep } from './step.ts';

/** A turn that takes more steps than this is going in circles. */
const MAX_STEPS = 200;

export interface NativeDeps
  extends ExecuteDeps,
    Omit<RequestDeps, 'endings' | 'load' | 'purse' | 'recall' | 'wallTime'> {
  agents: Agents;
  log: Log;
  /** Crashes on one message before it is set aside; 0 = never. */
  quarantineAfter: number;
  /** What may carry a turn on in place of our own requests to the model. */
  harnesses?: readonly Harness[];
  /** The one for sessions that name none. */
  harness?(): string;
}

/** Our own loop over the Messages API. */
const NATIVE = 'native';

export interface Native {
  /** Carries the session on until it rests. `signal.reason` is `interrupt` or `shutdown`. Throws only when the record fails. */
  carry(sessionId: Id, signal: AbortSignal): Promise<void>;
}

export function createNative(deps: NativeDeps): Native {
  const { db, events, sessions, runs } = deps;
  const endings = createEndings(deps);
  const purse = createPurse(deps.budget);

  const { load } = createSlices(deps);
  const wallTime = createWallTime(deps.timeZone);
  const recall = createRecall(deps);

  /** Reads what waits in the queue; the moment a message stops being "queued". */
  const readInputs = (at: Slice & { run: Turn['run']; sessionId: Id }, queued: readonly LogEvent[]): void =>
    db.tx(() => {
      const { sessionId: id, run } = at;
      if (sessions.need(id).status !== 'running') {
        events.append(id, [{ type: 'session.status_running' }], fence(at));
        sessions.setStatus(id, 'running', null, null);
      }
      const ids = queued.map((event) => event.id);
      const read = events.process(id, ids, fence(at));
      if (!isTainted(at.slice, at.compaction) && read.some((event) => event.tainted))
        taint(id, run, 'A message holds words that are not the owner’s own.');
    });

  const taint = (sessionId: Id, run: Turn['run'], why: string) =>
    void events.append(sessionId, [{ type: 'session.tainted', payload: { why } }], fence({ run }));

  const execute = async (turn: Turn, call: LogEvent, signal: AbortSignal): Promise<void> => {
    const to = replyTo(turn.slice);
    deps.progress(to, turn.session.id, { kind: 'working' });
    const input = { call, session: turn.session, replyTo: to, run: turn.run, signal };
    if ((await executeCall(deps, input)) === 'aborted') return;
    const clean = !isTainted(turn.slice, turn.compaction);
    if (clean && isTainted(load(turn.session.id).slice, null))
      taint(turn.session.id, turn.run, `${String(call.payload.name)} brought in text from outside.`);
  };

  const refuse = (turn: Turn, calls: readonly { call: LogEvent; reason: string }[]): void =>
    db.tx(() => {
      for (const { call, reason } of calls) {
        const words = reason ? `The owner said no: ${reason}` : 'The owner said no.';
        events.append(turn.session.id, [resultEvent(call, textResult(words, true))], fence(turn));
        deps.calls.finish(call.id, 'done');
      }
    });

  const harnessOf = (session: Session): string => session.metadata.harness ?? deps.harness?.() ?? NATIVE;

  /** One step with what carries this session on: our own request to the model, or a program. */
  const answer = async (turn: Turn, signal: AbortSignal): Promise<Requested> => {
    const name = harnessOf(turn.session);
    const own = { ...deps, endings, load, purse, recall, wallTime };
    if (name === NATIVE) return request(own, turn, signal);
    const { harnesses = [] } = deps;
    const harness = harnesses.find((one) => one.name === name);
    if (!harness) {
      const names = [NATIVE, ...harnesses.map((one) => one.name)].join(', ');
      return endings.unfit(turn, `There is no harness named ${JSON.stringify(name)}. There are: ${names}.`);
    }
    const stopped = harness.free ? null : stoppedByBudget(own, turn);
    if (stopped) return stopped;
    deps.progress(replyTo(turn.slice), turn.session.id, { kind: 'working' });
    const requested = await harness.request(turn, signal);
    const clean = !isTainted(turn.slice, turn.compaction);
    if (clean && isTainted(load(turn.session.id).slice, null))
      taint(turn.session.id, turn.run, `${name} brought in text from outside.`);
    return requested;
  };

  const take = async (turn: Turn, signal: AbortSignal): Promise<Requested> => {
    const step = nextStep(turn.slice);
    switch (step.kind) {
      case 'refuse':
        refuse(turn, step.calls);
        return null;
      case 'execute':
        await execute(turn, step.calls[0]!, signal);
        return null;
      case 'request':
        return answer(turn, signal);
      case 'idle':
        deps.crash('run.before_idle');
        db.tx(() => endings.rest(turn, step.reason));
        deps.crash('run.after_idle');
        return { outcome: step.reason.type === 'requires_action' ? 'waiting' : 'idle' };
    }
  };

  const crashedTooOften = (trigger: LogEvent): boolean =>
    deps.quarantineAfter > 0 && runs.crashesOn(trigger.id) >= deps.quarantineAfter;

  /**
   * The attempt is counted before any work is done. What waits is read in the same commit: both come before the model is
   * asked, and each commit is a wait for the disk. `known`: read before the transaction, as `load` wants it.
   */
  const claim = (sessionId: Id, trigger: LogEvent | null, known: Slice, inputs: readonly LogEvent[]): Turn['run'] => {
    // An interrupt is no input, and a message that is to be set aside is none any more.
    const readable = inputs.length > 0 && inputs.every((event) => event.type !== 'user.interrupt');
    const run = db.tx(() => {
      const claimed = runs.claim(sessionId, harnessOf(sessions.need(sessionId)), trigger?.id ?? null);
      if (readable) readInputs({ ...known, run: claimed, sessionId }, inputs);
      return claimed;
    });
    deps.crash('run.claimed');
    if (readable) deps.crash('run.inputs_read');
    return run;
  };

  const turnOf = (run: Turn['run'], sessionId: Id): Turn => {
    const session = sessions.need(sessionId);
    const agent = deps.agents.need(session.agentId, session.agentVersion);
    return { session, agent, run, ...load(sessionId) };
  };

  const loop = async (
    run: Turn['run'],
    sessionId: Id,
    spoiled: LogEvent | null,
    signal: AbortSignal,
  ): Promise<Ended> => {
    const look = () => turnOf(run, sessionId);
    if (spoiled) endings.quarantine(look(), spoiled);
    let partialText = '';
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      if (signal.aborted && signal.reason === 'shutdown') return { outcome: 'shutdown' };
      const turn = look();
      const queued = events.queued(sessionId);
      if (queued.some((event) => event.type === 'user.interrupt')) return endings.interrupt(turn, queued, partialText);
      if (queued.length > 0) {
        readInputs({ ...turn, sessionId }, queued);
        deps.crash('run.inputs_read');
        continue;
      }
      const ended = await take(turn, signal);
      if (ended && 'outcome' in ended) return ended;
      partialText = ended?.partialText ?? '';
    }
    return endings.tooLong(look(), MAX_STEPS);
  };

  return {
    async carry(sessionId, signal) {
      // Whoever woke it goes first: a message is acknowledged as soon as it is durable, not after the work it causes.
      await new Promise(setImmediate);
      const session = sessions.get(sessionId);
      if (!session || session.status === 'terminated') return;
      const queued = events.queued(sessionId);
      const known = load(sessionId);
      const { slice } = known;
      if (queued.length === 0 && session.status === 'idle' && nextStep(slice).kind === 'idle') return;
      const spoken = [...slice, ...queued].filter((event) => event.type === 'user.message');
      // The oldest message without an answer: it stays the same over restarts, so that crashes on it add up.
      const trigger =
        unansweredMessages(slice)[0] ?? spoken.find((event) => event.position === null) ?? spoken.at(-1) ?? null;
      const spoiled = trigger && crashedTooOften(trigger) ? trigger : null;
      if (!spoiled) recall.ahead(session, slice, queued);
      const run = claim(sessionId, trigger, known, spoiled ? [] : queued);
      let outcome: RunOutcome = 'failed';
      try {
        outcome = (await loop(run, sessionId, spoiled, signal)).outcome;
      } catch (error) {
        const named = namedFailure(error, 'carry a session on');
        // A record that fails is tried again by the lane, and a newer run goes on in place of this one.
        if (named instanceof StewardError && (named.retryable || named.code === 'stale_run')) throw named;
        outcome = endings.broke(turnOf(run, sessionId), error).outcome;
      } finally {
        deps.progress(replyTo(load(sessionId).slice), sessionId, { kind: 'ended' });
        deps.hooks.rested(session);
        deps.memory.rested(session);
        recall.ended(sessionId);
        runs.end(run.id, outcome);
      }
    },
  };
}
