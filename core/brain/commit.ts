// Commits an answer of the model: its text, its tool intents with the policy's verdict, its cost and what is to be said, all or nothing.
import type { Agent } from '../agents.ts';
import { type Approvals, argsHash, escapeHidden } from '../approvals.ts';
import { sendCards } from '../cards.ts';
import type { Db } from '../db.ts';
import type { Events, NewEvent } from '../events.ts';
import { isTooDeep } from '../json.ts';
import type { Outbox } from '../outbox.ts';
import type { People } from '../people.ts';
import { decide } from '../policy.ts';
import type { Runs } from '../runs.ts';
import type { Sessions } from '../sessions.ts';
import { type Tool, textResult } from '../tools/tool.ts';
import type { Address, AnswerBlock, Id, JsonObject, LogEvent, Session, ToolDefinition } from '../types.ts';
import type { Usage } from '../usage.ts';
import type { Asked } from './ask.ts';
import type { Calls } from './calls.ts';
import { resultEvent } from './execute.ts';
import { factsOf, replyTo } from './facts.ts';
import { withLabel } from './mandate.ts';
import { openCalls } from './step.ts';

export interface CommitDeps {
  db: Db;
  events: Events;
  sessions: Sessions;
  usage: Usage;
  calls: Calls;
  approvals: Approvals;
  runs: Runs;
  outbox: Outbox;
  people: People;
  newId(prefix: 'sevt'): Id;
  tool(name: string): Tool | null;
  /** Names of the tools the client itself carries out. */
  customTools(agentId: Id, version: number): ReadonlySet<string>;
  /** Everything the agent is offered. What it is not offered, it cannot call. */
  tools(agentId: Id, version: number): ToolDefinition[];
}

export interface Turn {
  session: Session;
  agent: Agent;
  slice: readonly LogEvent[];
  compaction: LogEvent | null;
  run: { id: Id; generation: number };
}

/** Only the newest run of a session may write. */
export const fence = (turn: Turn) => ({ runId: turn.run.id, generation: turn.run.generation });

/** Text goes to every place that asked; the console reads the log itself. */
export function say(
  deps: { outbox: Outbox },
  sessionId: Id,
  eventId: Id,
  key: string,
  to: readonly Address[],
  markdown: string,
): void {
  for (const address of to)
    if (address.channel !== 'web')
      deps.outbox.enqueue({
        sessionId,
        eventId,
        key: `${key}:${address.channel}:${address.chat}:${address.thread ?? ''}`,
        to: address,
        body: { kind: 'text', markdown },
      });
}

/** Returns true when the turn is over: no call to carry out, none that waits, nothing queued. */
export function commitAnswer(deps: CommitDeps, turn: Turn, answer: Extract<Asked, { kind: 'answered' }>): boolean {
  const { events } = deps;
  const { session, run } = turn;
  const by = fence(turn);
  return deps.db.tx(() => {
    // A session that was held, or waited for an approval, is at work again.
    if (session.status !== 'running') {
      events.append(session.id, [{ type: 'session.status_running' }], by);
      deps.sessions.setStatus(session.id, 'running', null, null);
    }
    deps.runs.progress(run.id);
    const spanEnd = deps.newId('sevt');
    const cost = deps.usage.record({
      eventId: spanEnd,
      sessionId: session.id,
      runId: run.id,
      model: answer.model,
      usage: answer.usage,
    });
    const end: JsonObject = {
      model_request_start_id: answer.spanId,
      is_error: false,
      model: answer.model,
      model_usage: { ...answer.usage },
      cost_usd: cost,
      stop_reason: answer.stopReason,
    };
    const written: NewEvent[] = [{ id: spanEnd, type: 'span.model_request_end', payload: end }];
    const thinking = answer.blocks.filter((block) => block.type === 'thinking' || block.type === 'redacted_thinking');
    if (thinking.length > 0)
      written.push({
        id: answer.thinkingId,
        type: 'agent.thinking',
        payload: { blocks: thinking as unknown as JsonObject[] },
      });
    const texts = answer.blocks.filter((block) => block.type === 'text').filter((block) => block.text.trim() !== '');
    if (texts.length > 0)
      written.push({
        id: answer.messageId,
        type: 'agent.message',
        payload: { content: texts.map(({ text }) => ({ type: 'text', text })) },
      });
    events.append(session.id, written, by);
    if (texts.length > 0)
      say(
        deps,
        session.id,
        answer.messageId,
        answer.messageId,
        replyTo(turn.slice),
        withLabel(turn.slice, texts.map(({ text }) => text).join('\n\n')),
      );

    const uses = answer.blocks.filter((block) => block.type === 'tool_use');
    // Refusals follow all calls: between them they would cut the answer in two when it is read back.
    const refusals = uses.flatMap((use) => intend(deps, turn, use, by));
    events.append(session.id, refusals, by);
    const open = uses.length > 0 || openCalls(turn.slice).length > 0;
    if (open || events.queued(session.id).length > 0) return false;
    events.append(
      session.id,
      [{ type: 'session.status_idle', payload: { stop_reason: { type: 'end_turn' }, stop_details: null } }],
      by,
    );
    deps.sessions.setStatus(session.id, 'idle', { type: 'end_turn' }, null);
    return true;
  });
}

/** Records a call with its verdict; returns its result when it is refused at once. */
function intend(
  deps: CommitDeps,
  turn: Turn,
  use: Extract<AnswerBlock, { type: 'tool_use' }>,
  by: { runId: Id; generation: number },
): NewEvent[] {
  const { session } = turn;
  const deep = isTooDeep(use.input);
  const input = deep ? {} : (use.input ?? {});
  if (use.input !== null && !deep && deps.customTools(turn.agent.id, turn.agent.version).has(use.name)) {
    deps.events.append(session.id, [{ type: 'agent.custom_tool_use', payload: { name: use.name, input } }], by);
    return [];
  }
  const offered = deps.tools(turn.agent.id, turn.agent.version).some(({ name }) => name === use.name);
  const tool = offered ? deps.tool(use.name) : null;
  const parsed = use.input === null || deep ? undefined : tool?.parse(input);
  const wrong =
    use.input === null
      ? `The arguments of ${use.name} were not valid JSON. Send the call again with a JSON object.`
      : deep
        ? `The arguments of ${use.name} are nested too deep.`
        : !tool
          ? `There is no tool named ${use.name}.`
          : parsed && !parsed.ok
            ? `The arguments do not fit: ${parsed.why}.`
            : null;
  const facts = factsOf({ ...turn, tool: use.name });
  const verdict =
    parsed?.ok && tool ? decide(tool.action(parsed.args), facts) : { kind: 'deny' as const, why: wrong ?? '' };
  const payload: JsonObject = { name: use.name, input, evaluated_permission: verdict.kind, reason: verdict.why };
  if (use.input === null) payload.invalid_input = use.raw ?? '';
  const [call] = deps.events.append(session.id, [{ type: 'agent.tool_use', payload }], by);
  if (!call) return [];
  if (verdict.kind === 'deny') return [resultEvent(call, textResult(wrong ?? `Not allowed: ${verdict.why}`, true))];
  const hash = argsHash(session.id, use.name, input);
  deps.calls.intend({ id: call.id, sessionId: session.id, name: use.name, effect: tool!.effect, argsHash: hash });
  if (verdict.kind === 'ask') askOwner(deps, call, tool!, hash, verdict.why);
  return [];
}

function askOwner(deps: CommitDeps, call: LogEvent, tool: Tool, hash: string, why: string): void {
  const input = call.payload.input as JsonObject;
  const detail = escapeHidden(JSON.stringify(input, null, 2));
  const title = escapeHidden(tool.title(input));
  const name = String(call.payload.name);
  const shown = { id: call.id, sessionId: call.sessionId, name, argsHash: hash, title, detail, why };
  sendCards(deps.outbox, deps.approvals.open(shown), deps.people.ownerAddresses());
}
