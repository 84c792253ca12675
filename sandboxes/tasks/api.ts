// What people and programs may do with tasks: make, look, speak to, pause, stop, take back.
import { DEFAULT_ENVIRONMENT, TASK_AGENT } from '../../core/agents.ts';
import { StewardError } from '../../core/errors.ts';
import type { RecordOf } from '../../core/record.ts';
import type { Author } from '../../core/schedules.ts';
import type { TaskCheckpoint, TasksApi } from '../../core/tasks.ts';
import type { LogEvent, Millis } from '../../core/types.ts';
import type { Hands } from '../hands.ts';
import type { Ledger } from '../ledger.ts';
import { repositoryOf } from '../mirrors.ts';
import { type AskDeps, withdraw } from './ask.ts';
import { branchOf, completeDraft, titleOf } from './draft.ts';
import { goOn, joined, TASK_AGENT_SPEC } from './instruction.ts';
import { messageKey } from './rest.ts';
import type { Rows, TaskRow } from './rows.ts';
import type { Speak } from './speak.ts';
import { isEnd, wordsGo } from './states.ts';
import { pausedEvent, type Work } from './work.ts';
import { diffOf } from './workspace.ts';

const SETTLE_MS: Millis = 30_000;
const CHANGES = 200;

const refuse = (message: string, op: string, hint?: string) =>
  new StewardError('conflict', message, hint === undefined ? { op } : { op, hint });

export function createTasksApi(
  deps: AskDeps &
    Pick<RecordOf, 'agents' | 'newId'> & {
      rows: Rows;
      work: Work;
      speak: Speak;
      hands: Pick<Hands, 'work' | 'restore'>;
      ledger: Pick<Ledger, 'checkpoints' | 'need'>;
      harnesses(): readonly string[];
    },
): TasksApi {
  const { db, events, sessions, rows, work, speak } = deps;

  /** The last message it was given stands in the log already. */
  const given = (task: TaskRow): boolean => task.messages > 0 && events.byDedupe(messageKey(task)) !== null;

  /** Words that are its next message; what it works on now is over. */
  const instead = (task: TaskRow, text: string): Partial<TaskRow> => ({
    messages: task.messages + (given(task) ? 1 : 0),
    words: joined(task.words, text),
  });

  const mayAsk = (author: Author): void => {
    if (author.trust === 'owner') return;
    throw new StewardError('forbidden', 'Only the owner can have code tasks done.', { op: 'create a task' });
  };

  const api: TasksApi = {
    create: (draft, author, options = {}) =>
      db.tx(() => {
        mayAsk(author);
        const key = options.idempotencyKey ?? null;
        const known = key === null ? null : rows.byKey(key);
        if (known) return { task: known, isNew: false };
        const whole = completeDraft(draft, deps.harnesses());
        const id = deps.newId('task');
        const title = titleOf(whole.instruction);
        const agent = deps.agents.builtIn(TASK_AGENT, TASK_AGENT_SPEC);
        const session = sessions.create({
          kind: 'task',
          title,
          trust: author.trust,
          agentId: agent.id,
          agentVersion: agent.version,
          environmentId: DEFAULT_ENVIRONMENT,
          metadata: {
            task_id: id,
            ...(whole.harness && { harness: whole.harness }),
            ...(whole.model && { model: whole.model }),
          },
        });
        const task = rows.create({
          ...{ id, sessionId: session.id, key, draft: whole, title, trust: author.trust, createdBy: author.by },
          repositoryKey: repositoryOf(whole.repository).key,
          branch: branchOf(id, title),
          target: author.here,
        });
        db.afterCommit(() => work.next());
        return { task, isNew: true };
      }),

    get: (id) => rows.get(id),
    need: (id) => rows.need(id),
    list: (query) => rows.list(query),

    steer: (id, text, author) =>
      db.tx(() => {
        const op = 'steer a task';
        mayAsk(author);
        const words = text.trim();
        if (words === '') throw new StewardError('invalid', 'Say what it is to do.', { op });
        const task = rows.need(id);
        const said = { type: 'task.steered', payload: { task_id: id, by: author.by, text: words } };
        switch (wordsGo(task.state)) {
          case 'now':
            if (task.paused !== null || !given(task)) return rows.put(id, { words: joined(task.words, words) }, said);
            speak.say(task, words, `task:${id}:steer:${deps.newId('sevt')}`);
            return rows.put(id, {}, said);
          case 'next':
            return rows.put(id, { words: joined(task.words, words) }, said);
          case 'withdraw': {
            if (!withdraw(deps, task, 'Taken back: the owner wants something changed first.'))
              throw refuse('The delivery was answered already.', op);
            rows.put(id, {}, said);
            const change = { ...instead(task, words), rounds: 0, callId: null };
            const next = rows.step(id, 'working', null, change);
            db.afterCommit(() => work.poke(id));
            return next;
          }
          case 'reopen': {
            rows.put(id, {}, said);
            const fresh = { rounds: 0, attempts: 0, activeMs: 0, callId: null, result: null, paused: null };
            const next = rows.step(id, 'queued', null, { ...fresh, words: joined(task.words, words) });
            db.afterCommit(() => work.next());
            return next;
          }
          case null:
            throw refuse(
              task.state === 'cancelled' ? 'This task was stopped.' : 'This task is being delivered.',
              op,
              task.state === 'cancelled' ? 'Begin another one.' : 'Wait for its end; then it can go on.',
            );
        }
      }),

    pause: (id, why) =>
      db.tx(() => {
        const task = rows.need(id);
        if (isEnd(task.state)) throw refuse('This task has ended.', 'pause a task');
        if (task.paused !== null) return task;
        const paused = rows.put(id, { paused: why }, pausedEvent(task, why));
        if (task.state === 'working') speak.interrupt(task);
        db.afterCommit(() => {
          void work.letGo(id).then(() => work.next());
        });
        return paused;
      }),

    resume: (id) =>
      db.tx(() => {
        const task = rows.need(id);
        if (task.paused === null) return task;
        const event = { type: 'task.resumed', payload: { task_id: id } };
        // The message it worked on was cut off.
        const change =
          task.state === 'working' && given(task) ? { messages: task.messages + 1, words: task.words ?? goOn } : {};
        const open = task.callId === null ? null : deps.approvals.get(task.callId);
        let next = rows.put(id, { ...change, paused: null }, event);
        if (task.state === 'awaiting_approval' && open?.verdict === 'cancelled')
          next = rows.step(id, 'verifying', null, { callId: null });
        db.afterCommit(() => {
          work.poke(id);
          work.next();
        });
        return next;
      }),

    stop: (id, why) =>
      db.tx(() => {
        const task = rows.need(id);
        if (isEnd(task.state)) return task;
        withdraw(deps, task, 'The task was stopped.');
        const ended = rows.step(id, 'cancelled', why, { paused: null, words: null });
        db.afterCommit(() => {
          // What stands on the branch is kept once nobody works on it any more.
          void work.letGo(id).then(() => work.poke(id));
        });
        return ended;
      }),

    checkpoints(id) {
      const task = rows.need(id);
      const log = events.list({
        sessionId: task.sessionId,
        types: ['checkpoint.created', 'task.commit'],
        limit: 10_000,
      });
      const made = new Map(
        log.filter(({ type }) => type === 'checkpoint.created').map((event) => [event.payload.checkpoint_id, event]),
      );
      const headAt = (event: LogEvent | undefined): string | null => {
        const before = log.filter(({ type, seq }) => type === 'task.commit' && seq < (event?.seq ?? 0));
        return before.length === 0 ? task.baseCommit : String(before.at(-1)!.payload.head);
      };
      return deps.ledger.checkpoints(task.sessionId).map((checkpoint): TaskCheckpoint => {
        const event = made.get(checkpoint.id);
        const changes = (event?.payload.changes ?? []) as unknown as TaskCheckpoint['changes'];
        return {
          id: checkpoint.id,
          at: checkpoint.createdAt,
          changes: changes.slice(0, CHANGES),
          head: event ? headAt(event) : null,
        };
      });
    },

    async rollback(id, checkpointId) {
      const op = 'roll a task back';
      const before = rows.need(id);
      if (before.state === 'cancelled' || before.state === 'delivering')
        throw refuse(`A task that is ${before.state} stays as it is.`, op);
      const target = deps.ledger.need(before.sessionId, checkpointId);
      // Held while its files change: nothing begins meanwhile.
      const why = `Its files go back to ${checkpointId}.`;
      const held = isEnd(before.state) ? before : db.tx(() => rows.put(id, { paused: why }, pausedEvent(before, why)));
      db.tx(() => speak.interrupt(held));
      await work.letGo(id);
      if (!(await speak.rested(held.sessionId, SETTLE_MS)))
        throw refuse('What is at work in it does not let go.', op, 'Try again, or stop the task.');
      await deps.hands.restore(held.sessionId, checkpointId);
      return db.tx(() => {
        const task = rows.need(id);
        const words = `The files of /workspace were taken back to how they were at ${new Date(target.createdAt).toISOString()} (${checkpointId}). Look where things stand and go on from there.`;
        rows.put(id, {}, { type: 'task.rolled_back', payload: { task_id: id, checkpoint_id: checkpointId } });
        db.afterCommit(() => {
          work.poke(id);
          work.next();
        });
        if (isEnd(task.state)) {
          const fresh = { rounds: 0, attempts: 0, activeMs: 0, callId: null, result: null };
          return rows.step(id, 'queued', null, { ...fresh, words: joined(task.words, words) });
        }
        withdraw(deps, task, 'Taken back: the files go back to an earlier checkpoint.');
        const change = { ...instead(task, words), paused: null };
        if (task.state === 'verifying' || task.state === 'awaiting_approval')
          return rows.step(id, 'working', null, { ...change, rounds: 0, callId: null });
        return rows.put(id, task.state === 'working' ? change : { paused: null });
      });
    },

    async diff(id) {
      const task = rows.need(id);
      const session = sessions.get(task.sessionId);
      if (task.baseCommit === null || !session)
        throw new StewardError('unavailable', 'There is no change yet.', {
          op: 'show the change of a task',
          hint: 'Look again when it is at work.',
          retryable: true,
        });
      const base = task.baseCommit;
      return await deps.hands.work(session, { by: id, reads: true }, ({ sandbox }) => diffOf(sandbox, base));
    },
  };
  return api;
}
