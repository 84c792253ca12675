// The end of a task: what stands on the branch is committed and kept, its result made from the log, whoever asked for it told.
import type { Log } from '../../core/log.ts';
import type { RecordOf } from '../../core/record.ts';
import type { TaskState } from '../../core/tasks.ts';
import type { Id, Millis } from '../../core/types.ts';
import type { Audit } from '../audit.ts';
import type { Hands } from '../hands.ts';
import { type AskDeps, withdraw } from './ask.ts';
import type { Deliver, Delivered } from './delivery.ts';
import { resultOf } from './result.ts';
import type { Rows, TaskRow } from './rows.ts';
import type { Speak } from './speak.ts';
import type { End } from './states.ts';
import { branchHead, commit, measure, type Numbers } from './workspace.ts';

/** For keeping what stands on the branch of a task that ends otherwise than by a delivery. */
const KEEP_MS: Millis = 5 * 60_000;
/** For a run at work to let go. */
const SETTLE_MS: Millis = 30_000;

export interface Finish {
  /** Ends it in this state with its result. Does nothing when it has ended meanwhile, or moved on. */
  end(task: TaskRow, to: End, reason: string | null, delivered?: Delivered): Promise<void>;
  /** The result of one that was stopped. */
  windUp(task: TaskRow): Promise<void>;
}

interface Kept {
  head: string | null;
  numbers: Numbers | null;
  patch: string | null;
}

export function createFinish(
  deps: AskDeps &
    Pick<RecordOf, 'usage'> & {
      rows: Rows;
      hands: Pick<Hands, 'work' | 'putAway'>;
      deliver: Deliver;
      audit: Audit;
      speak: Speak;
      log: Log;
      /** Adds what was spent since it was last looked at. */
      bill(id: Id): void;
    },
): Finish {
  const { db, rows, hands, events, sessions } = deps;

  /** Best effort: a task ends also when its sandbox does not answer any more. */
  const keep = async (task: TaskRow): Promise<Kept> => {
    const kept: Kept = { head: task.head, numbers: null, patch: null };
    const session = sessions.get(task.sessionId);
    if (!session || task.baseCommit === null) return kept;
    const base = task.baseCommit;
    const signal = AbortSignal.timeout(KEEP_MS);
    try {
      await hands.work(session, { by: task.id }, async ({ sandbox }) => {
        if ((await branchHead(sandbox, task.branch, signal)) === null) return;
        const message = `${task.title} (as it was left)`;
        const head = await commit(sandbox, { branch: task.branch, base, message }, signal);
        kept.head = head;
        if (head === base) return;
        kept.numbers = await measure(sandbox, base, head, signal);
        kept.patch = await deps.deliver.keep({ ...task, head }, { sandbox }, signal);
      });
    } catch (error) {
      deps.log.warn({ error, task: task.id }, 'what stood on the branch of a task could not be kept');
    }
    return kept;
  };

  const settle = async (task: TaskRow): Promise<void> => {
    if (sessions.get(task.sessionId)?.status === 'running') {
      db.tx(() => deps.speak.interrupt(task));
      await deps.speak.rested(task.sessionId, SETTLE_MS);
    }
  };

  /** Of a change that was prepared: measured then, and no sandbox is needed for it. */
  const prepared = (task: TaskRow): Kept => {
    if (task.head === task.baseCommit) return { head: task.head, numbers: null, patch: null };
    const event = events.list({ sessionId: task.sessionId, types: ['task.prepared'], order: 'desc', limit: 1 })[0];
    if (!event) return { head: task.head, numbers: null, patch: null };
    const { diffstat, files, insertions, deletions } = event.payload as unknown as Numbers;
    return { head: task.head, numbers: { diffstat, files, insertions, deletions }, patch: null };
  };

  /** The result, told to whoever asked; within the transaction that ends the task. */
  const result = (task: TaskRow, to: TaskState, reason: string | null, kept: Kept, delivered: Delivered | null) => {
    const log = events.slice(task.sessionId, 0);
    const spent = deps.usage.ofSession(task.sessionId);
    const asked = log.filter(({ payload }) => payload.evaluated_permission === 'ask');
    const denied = deps.audit
      .list({ sessionId: task.sessionId, limit: 1_000 })
      .filter(({ verdict }) => verdict === 'denied')
      .map(({ host, port }) => (port === 443 || port === 80 ? host : `${host}:${port}`));
    return resultOf({
      ...{ task, to, reason, log, ...kept, delivered },
      approvals: asked.flatMap(({ id }) => {
        const approval = deps.approvals.get(id);
        return approval ? [{ id, title: approval.title, verdict: approval.verdict ?? 'open' }] : [];
      }),
      deniedHosts: [...new Set(denied)].sort(),
      usage: {
        input_tokens: spent.input_tokens + spent.cache_creation_input_tokens + spent.cache_read_input_tokens,
        output_tokens: spent.output_tokens,
        costUsd: spent.unpriced_requests > 0 ? null : (spent.cost_usd ?? 0),
      },
    });
  };

  const tell = (task: TaskRow, summary: string): void => {
    const { target } = task;
    if (!target || target.channel === 'web') return;
    const event = events.list({ sessionId: task.sessionId, types: ['task.status'], order: 'desc', limit: 1 })[0];
    deps.outbox.enqueue({
      sessionId: task.sessionId,
      eventId: event?.id ?? null,
      key: `task:${task.id}:end:${event?.id}`,
      to: target,
      body: { kind: 'text', markdown: `**${task.title}**\n\n${summary}` },
    });
  };

  const putAway = (task: TaskRow) =>
    hands.putAway(task.sessionId, 'its task ended').catch((error) => {
      deps.log.warn({ error, task: task.id }, 'the sandbox of an ended task could not be put away');
    });

  return {
    async end(task, to, reason, delivered) {
      await settle(task);
      const kept = to === 'done' ? prepared(task) : await keep(task);
      deps.bill(task.id);
      db.tx(() => {
        const now = rows.need(task.id);
        if (now.state !== task.state || now.messages !== task.messages) return;
        withdraw(deps, now, 'The task has ended.');
        const made = result({ ...now, head: kept.head }, to, reason, kept, delivered ?? null);
        const ended = rows.step(task.id, to, reason, { result: made, head: kept.head, paused: null, words: null });
        tell(ended, made.summary);
      });
      await putAway(task);
    },
    async windUp(task) {
      await settle(task);
      const kept = await keep(task);
      db.tx(() => {
        const now = rows.need(task.id);
        if (now.result !== null) return;
        const made = result({ ...now, head: kept.head }, now.state, now.reason, kept, null);
        const ended = rows.put(task.id, { result: made, head: kept.head });
        tell(ended, made.summary);
      });
      await putAway(task);
    },
  };
}
