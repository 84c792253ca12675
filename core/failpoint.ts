// Named places where a test may end the process, so that every step can be shown to survive it. Does nothing in production.

export const FAILPOINTS = [
  'intake.before_commit',
  'intake.after_commit',
  'run.claimed',
  'run.inputs_read',
  'model.before_request',
  'model.streaming',
  'model.answered',
  'model.before_commit',
  'model.after_commit',
  'tool.before_start',
  'tool.started',
  'tool.acted',
  'tool.before_result_commit',
  'tool.after_result_commit',
  'approval.resolved',
  'run.before_idle',
  'run.after_idle',
  'outbox.before_claim',
  'outbox.claimed',
  'outbox.placed',
  'outbox.delivered',
  'outbox.settled',
  'schedule.claimed',
  'schedule.after_event',
  'schedule.committed',
  'schedule.before_end',
  'schedule.ended',
  'task.created',
  'task.provisioning',
  'task.setup',
  'task.working',
  'task.verifying',
  'task.awaiting_approval',
  'task.delivering',
  'task.before_deliver',
  'task.delivered',
  'task.ended',
] as const;

export type FailpointName = (typeof FAILPOINTS)[number];
export type Failpoint = (name: FailpointName) => void;

export const noFailpoint: Failpoint = () => {};
