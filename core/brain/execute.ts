// Carries out one tool call: recorded before it acts, resumed by its effect class, its result bounded and committed.
import { type Approvals, argsHash } from '../approvals.ts';
import type { Clock } from '../clock.ts';
import type { Db } from '../db.ts';
import { describeError } from '../errors.ts';
import type { Events, NewEvent } from '../events.ts';
import type { Failpoint } from '../failpoint.ts';
import type { Runs } from '../runs.ts';
import { type Tool, textResult } from '../tools/tool.ts';
import type { Address, ContentBlock, JsonObject, LogEvent, Millis, Session, ToolResult } from '../types.ts';
import { type Calls, resumption } from './calls.ts';

/** A tool that needs longer hands the work to a task. */
export const TOOL_LIMIT_MS: Millis = 120_000;
/** As in the Managed Agents toolset: the last 100 KiB of a text are kept. */
export const RESULT_LIMIT = 100 * 1024;

export interface ExecuteDeps {
  db: Db;
  events: Events;
  calls: Calls;
  runs: Runs;
  approvals: Approvals;
  clock: Clock;
  crash: Failpoint;
  tool(name: string): Tool | null;
}

interface Finished {
  result: ToolResult;
  inDoubt: boolean;
}

const doubt = (name: string, startedWhen: string): Finished => ({
  inDoubt: true,
  result: textResult(
    `In doubt: ${name} was begun and ${startedWhen}; it may or may not have happened. It was not repeated. Tell the owner, and look before you try again.`,
    true,
  ),
});

function bounded(content: readonly ContentBlock[]): JsonObject[] {
  return content.map((block): JsonObject => {
    if (block.type !== 'text') return block as unknown as JsonObject;
    if (block.text.length <= RESULT_LIMIT) return { type: 'text', text: block.text };
    const kept = block.text.slice(-RESULT_LIMIT).toWellFormed();
    return {
      type: 'text',
      text: `[only the last ${RESULT_LIMIT} of ${block.text.length} characters are kept]\n${kept}`,
    };
  });
}

/** The event that answers a call; shared with refusals and interrupts. */
export function resultEvent(call: LogEvent, result: ToolResult, extra: JsonObject = {}): NewEvent {
  const payload: JsonObject = {
    tool_use_id: call.id,
    content: bounded(result.content),
    is_error: result.isError ?? false,
    ...extra,
  };
  return { type: 'agent.tool_result', payload, tainted: result.tainted ?? false };
}

type Limited<T> =
  | { kind: 'ended'; value: T }
  | { kind: 'threw'; error: unknown }
  | { kind: 'late' }
  | { kind: 'aborted' };

/** Races work against its limit and the run's signal; work that ignores its signal is left behind. */
async function withLimit<T>(
  clock: Clock,
  limitMs: Millis,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<Limited<T>> {
  const limit = new AbortController();
  const done = new AbortController();
  const bound = clock.sleep(limitMs, AbortSignal.any([signal, done.signal])).then((): Limited<T> => {
    if (signal.aborted) return { kind: 'aborted' };
    limit.abort();
    return { kind: 'late' };
  });
  const ended = (async () => work(AbortSignal.any([signal, limit.signal])))().then(
    (value): Limited<T> => ({ kind: 'ended', value }),
    (error): Limited<T> => (signal.aborted ? { kind: 'aborted' } : { kind: 'threw', error }),
  );
  const first = await Promise.race([ended, bound]);
  done.abort();
  return first;
}

export async function executeCall(
  deps: ExecuteDeps,
  input: {
    call: LogEvent;
    session: Session;
    replyTo: readonly Address[];
    run: { id: string; generation: number };
    signal: AbortSignal;
  },
): Promise<'done' | 'aborted'> {
  const { db, events, calls } = deps;
  const { call, session, run, signal } = input;
  const by = { runId: run.id, generation: run.generation };
  const name = String(call.payload.name);
  const tool = deps.tool(name);
  const entry = calls.get(call.id);

  const commit = ({ result, inDoubt }: Finished): 'done' => {
    deps.crash('tool.before_result_commit');
    db.tx(() => {
      events.append(session.id, [resultEvent(call, result, inDoubt ? { status: 'in_doubt' } : {})], by);
      if (entry) calls.finish(call.id, inDoubt ? 'in_doubt' : 'done');
      deps.runs.progress(run.id);
    });
    deps.crash('tool.after_result_commit');
    return 'done';
  };
  const refuse = (why: string) => commit({ result: textResult(why, true), inDoubt: false });

  if (!tool || !entry) return refuse(`There is no tool named ${name}.`);
  const given = (call.payload.input as JsonObject | undefined) ?? {};
  const parsed = tool.parse(given);
  if (!parsed.ok) return refuse(`The arguments do not fit: ${parsed.why}.`);
  const context = { callId: call.id, session, replyTo: input.replyTo, signal };

  const how = resumption(entry);
  if (how === 'in_doubt') return commit(doubt(name, 'Steward stopped before its end was known'));
  if (how === 'look_first') {
    if (!tool.verify) return commit(doubt(name, 'it cannot be looked up whether it happened'));
    const seen = await withLimit(deps.clock, TOOL_LIMIT_MS, signal, (inner) =>
      tool.verify!(parsed.args, { ...context, signal: inner }),
    );
    if (seen.kind === 'aborted') return 'aborted';
    if (seen.kind !== 'ended') return commit(doubt(name, 'looking whether it happened failed'));
    if (seen.value) return commit({ result: seen.value, inDoubt: false });
  }

  if (entry.state === 'intended') {
    deps.crash('tool.before_start');
    const bound = db.tx(() => {
      const asked = call.payload.evaluated_permission === 'ask';
      // What is carried out now is hashed again: it must be what was shown.
      if (asked && !deps.approvals.use(call.id, argsHash(session.id, name, given))) return false;
      calls.start(call.id);
      // Fences the start as well: a superseded run must not act.
      events.append(session.id, [{ type: 'span.tool_start', payload: { tool_use_id: call.id } }], by);
      return true;
    });
    if (!bound) return refuse('The approval does not fit these arguments, or was used before.');
    deps.crash('tool.started');
  }

  const limitMs = tool.limitMs?.(parsed.args) ?? TOOL_LIMIT_MS;
  const ended = await withLimit(deps.clock, limitMs, signal, (inner) =>
    tool.run(parsed.args, { ...context, signal: inner }),
  );
  deps.crash('tool.acted');
  switch (ended.kind) {
    case 'aborted':
      return 'aborted';
    case 'ended':
      return commit({ result: ended.value, inDoubt: false });
    case 'threw':
      return refuse(describeError(ended.error));
    case 'late': {
      const limit = `did not end within ${limitMs / 1_000} seconds`;
      return tool.effect === 'unsafe' ? commit(doubt(name, limit)) : refuse(`${name} ${limit}.`);
    }
  }
}
