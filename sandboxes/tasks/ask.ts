// The approval of a delivery: an ordinary call that waits for the owner, bound to the digest of what would leave.
import { argsHash, escapeHidden } from '../../core/approvals.ts';
import { resultEvent } from '../../core/brain/execute.ts';
import { closeCards, sendCards } from '../../core/cards.ts';
import type { RecordOf } from '../../core/record.ts';
import { textResult } from '../../core/tools/tool.ts';
import type { Id, LogEvent } from '../../core/types.ts';
import { endOf } from './commands.ts';
import type { DeliverCall, Delivered, Prepared } from './delivery.ts';
import type { TaskRow } from './rows.ts';

export const DELIVER_TOOL = 'task_deliver';

export type AskDeps = Pick<RecordOf, 'db' | 'events' | 'sessions' | 'calls' | 'approvals' | 'outbox' | 'people'>;

export const titleOf = ({
  delivery,
  repository,
  branch,
}: Pick<DeliverCall, 'delivery' | 'repository' | 'branch'>): string =>
  delivery === 'patch' ? `Deliver ${branch} as a patch` : `Push ${branch} to ${repository}`;

/** Within the transaction of the step. Returns the id of the call that waits. */
export function askFor(
  deps: AskDeps,
  task: TaskRow,
  prepared: Prepared,
  reports: readonly Parameters<typeof endOf>[0][],
): Id {
  const input: DeliverCall = {
    task_id: task.id,
    repository: task.repository,
    branch: task.branch,
    base: task.baseCommit ?? '',
    head: prepared.head,
    digest: prepared.digest,
    delivery: task.delivery,
    diffstat: prepared.diffstat,
    verify: reports.map(endOf),
    findings: prepared.findings.map(({ text }) => text),
  };
  const why =
    prepared.findings.length > 0
      ? `The change is ready. Look at: ${input.findings.join(' ')}`
      : 'The change is ready, and leaves only with your approval.';
  const [call] = deps.events.append(task.sessionId, [
    {
      type: 'agent.tool_use',
      payload: { name: DELIVER_TOOL, input, evaluated_permission: 'ask', reason: why, task_id: task.id },
    },
  ]);
  const hash = argsHash(task.sessionId, DELIVER_TOOL, input);
  const { id, sessionId } = call!;
  deps.calls.intend({ id, sessionId, name: DELIVER_TOOL, effect: 'verifiable', argsHash: hash });
  const shown = {
    ...{ id, sessionId, name: DELIVER_TOOL, argsHash: hash, why },
    title: escapeHidden(titleOf(input)),
    detail: escapeHidden(JSON.stringify(input, null, 2)),
  };
  sendCards(deps.outbox, deps.approvals.open(shown), deps.people.ownerAddresses());
  const reason = { type: 'requires_action' as const, event_ids: [id] };
  deps.events.append(sessionId, [
    { type: 'session.status_idle', payload: { stop_reason: { ...reason }, stop_details: null } },
  ]);
  deps.sessions.setStatus(sessionId, 'idle', { ...reason }, null);
  return id;
}

/** Takes an open question back; false when it was answered before. Within a transaction. */
export function withdraw(deps: AskDeps, task: TaskRow, why: string): boolean {
  const approval = task.callId === null ? null : deps.approvals.get(task.callId);
  if (!approval || approval.verdict !== null) return false;
  const call = deps.events.get(approval.id)!;
  closeCards(deps.outbox, deps.approvals.resolve(approval.id, 'cancelled', 'task', why), approval.id, 'Withdrawn');
  deps.events.append(task.sessionId, [resultEvent(call, textResult(why, true))]);
  deps.calls.finish(approval.id, 'done');
  return true;
}

/** The end of the call, once it is in the log. */
export const endOfCall = (log: readonly LogEvent[], callId: Id): LogEvent | null =>
  log.findLast(({ type, payload }) => type === 'agent.tool_result' && payload.tool_use_id === callId) ?? null;

export const approvedBy = (call: LogEvent) => {
  const { head, digest } = call.payload.input as DeliverCall;
  return { head, digest };
};

/** As the tool writes it. Null for anything else. */
export function deliveredOf(result: LogEvent): Delivered | null {
  const [block] = (result.payload.content ?? []) as { text?: string }[];
  try {
    return result.payload.is_error === true ? null : (JSON.parse(block?.text ?? '') as Delivered);
  } catch {
    return null;
  }
}
