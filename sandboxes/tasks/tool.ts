// task_deliver: carries out an approved delivery from the host. No model is offered it; the outer loop asks for it.
import { z } from 'zod';
import type { Failpoint } from '../../core/failpoint.ts';
import { defineTool, type Tool, textResult } from '../../core/tools/tool.ts';
import type { Millis } from '../../core/types.ts';
import { DELIVER_TOOL, titleOf } from './ask.ts';
import type { Deliver, DeliverCall, Delivered } from './delivery.ts';
import type { Rows } from './rows.ts';

const LIMIT_MS: Millis = 10 * 60_000;

const schema = z.strictObject({
  task_id: z.string(),
  repository: z.string(),
  branch: z.string(),
  base: z.string(),
  head: z.string(),
  digest: z.string(),
  delivery: z.string(),
  diffstat: z.string(),
  verify: z.array(z.string()),
  findings: z.array(z.string()),
});

export function createDeliverTool(deps: { rows: Pick<Rows, 'need'>; deliver: Deliver; crash: Failpoint }): Tool {
  const say = (delivered: Delivered) => textResult(JSON.stringify(delivered));
  return defineTool<DeliverCall>({
    name: DELIVER_TOOL,
    description: 'Deliver the finished change of a code task.',
    schema,
    // What an earlier try pushed or wrote can be seen at the other end.
    effect: 'verifiable',
    offered: false,
    title: titleOf,
    limitMs: () => LIMIT_MS,
    async run({ task_id, head, digest }, { signal }) {
      deps.crash('task.before_deliver');
      const delivered = await deps.deliver.deliver(deps.rows.need(task_id), { head, digest }, signal);
      deps.crash('task.delivered');
      return say(delivered);
    },
    async verify({ task_id, head, digest }, { signal }) {
      const there = await deps.deliver.look(deps.rows.need(task_id), { head, digest }, signal);
      return there && say(there);
    },
  });
}
