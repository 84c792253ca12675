// One question to the model: spans around each request, watchdogs beneath, retry and failover by the rules of retry.ts.
import type { Purse } from '../budget.ts';
import type { Bus } from '../bus.ts';
import type { Clock } from '../clock.ts';
import type { Db } from '../db.ts';
import type { Events, NewEvent } from '../events.ts';
import type { Failpoint } from '../failpoint.ts';
import { NO_USAGE } from '../models/answer.ts';
import type {
  AnswerBlock,
  Id,
  JsonObject,
  ModelFailure,
  ModelOutcome,
  ModelProvider,
  ModelRequest,
  ModelUsage,
} from '../types.ts';
import type { Usage } from '../usage.ts';
import { type AfterFailure, afterFailure } from './retry.ts';
import { tokensOfMessages } from './tokens.ts';

export interface NamedModel {
  name: string;
  provider: ModelProvider;
}

export type Asked =
  | {
      kind: 'answered';
      blocks: AnswerBlock[];
      usage: ModelUsage;
      model: string;
      spanId: Id;
      messageId: Id;
      thinkingId: Id;
      stopReason: string;
    }
  | {
      kind: 'failed';
      failure: ModelFailure;
      message: string;
      verdict: Exclude<AfterFailure, { kind: 'retry' }>;
      partialText: string;
    }
  /** The budget gate closed before a request was made. */
  | { kind: 'stopped' };

export interface AskDeps {
  db: Db;
  events: Events;
  usage: Usage;
  bus: Bus;
  clock: Clock;
  crash: Failpoint;
  random(): number;
  newId(prefix: 'sevt'): Id;
  /** Asked before each request. */
  purse: Purse;
  /** Shows partial text where people wait; lossy. */
  show(text: string): void;
  /** The model began to write a call of this tool. */
  named(tool: string): void;
  /** Notes for health what the model did. */
  observed(outcome: ModelOutcome): void;
}

const isEmpty = (blocks: readonly AnswerBlock[]) =>
  !blocks.some((block) => block.type === 'tool_use' || (block.type === 'text' && block.text.trim() !== ''));

/** The most a request can cost: an estimate on the safe side, held until its cost is known. */
const worstOf = (request: Omit<ModelRequest, 'model'>): ModelUsage => ({
  ...NO_USAGE,
  input_tokens: 2 * tokensOfMessages(request.messages),
  output_tokens: request.maxTokens,
});

export async function ask(
  deps: AskDeps,
  input: {
    request: Omit<ModelRequest, 'model'>;
    models: readonly NamedModel[];
    run: { id: Id; sessionId: Id; generation: number } | { id: null; sessionId: Id };
    /** Events that belong to the first request and are stored with its beginning, and what else its beginning tells. */
    before?: readonly NewEvent[];
    told?: JsonObject;
    /** An answer without text or calls is a failure, unless the model just finished acting. */
    allowEmpty: boolean;
    holds: number;
    /** Anything but `turn` answers nobody: it shows no preview and ends no turn. */
    purpose: 'turn' | 'compaction' | 'memory';
    signal: AbortSignal;
  },
): Promise<Asked> {
  const { events, clock } = deps;
  const { run, models, signal } = input;
  const by = run.id === null ? undefined : { runId: run.id, generation: run.generation };
  const began = clock.elapsed();
  let index = 0;

  for (let failures = 1; ; failures++) {
    const model = models[index]!;
    const letGo = await deps.purse.take(model.name, worstOf(input.request), signal);
    if (!letGo) return { kind: 'stopped' };
    const purpose: JsonObject = input.purpose === 'turn' ? {} : { purpose: input.purpose };
    const payloadOfStart = { model: model.name, ...purpose, ...input.told };
    const begin: NewEvent = { type: 'span.model_request_start', payload: payloadOfStart };
    const start = events.append(run.sessionId, [...(failures === 1 ? (input.before ?? []) : []), begin], by).at(-1);
    // The ids the events of this answer will have, so that previews can name them before.
    const ids = { thinkingId: deps.newId('sevt'), messageId: deps.newId('sevt') };
    deps.crash('model.before_request');
    // The cost is recorded with what follows, before the loop turns.
    const outcome = await stream(deps, { ...input, model, ...ids }).finally(() => setImmediate(letGo));
    deps.crash('model.answered');
    deps.observed(outcome);
    const end: JsonObject = { model_request_start_id: start!.id, model: model.name, ...purpose };

    if (outcome.kind === 'done' && (input.allowEmpty || !isEmpty(outcome.blocks)))
      return {
        kind: 'answered',
        blocks: outcome.blocks,
        usage: outcome.usage,
        model: model.name,
        spanId: start!.id,
        ...ids,
        stopReason: outcome.stopReason,
      };

    const failed =
      outcome.kind === 'failed'
        ? outcome
        : { failure: 'empty' as const, message: 'The model answered nothing.', partialText: '', usage: outcome.usage };
    const error: JsonObject = { type: failed.failure, message: failed.message };
    const payload: JsonObject = { ...end, is_error: true, error, model_usage: { ...failed.usage } };
    if (failed.partialText) payload.partial_text = failed.partialText;
    const spanEnd = deps.newId('sevt');
    deps.db.tx(() => {
      const cost = deps.usage.record({
        eventId: spanEnd,
        sessionId: run.sessionId,
        runId: run.id,
        model: model.name,
        usage: failed.usage,
      });
      events.append(
        run.sessionId,
        [{ id: spanEnd, type: 'span.model_request_end', payload: { ...payload, cost_usd: cost } }],
        by,
      );
    });

    const verdict = afterFailure(
      {
        failure: failed.failure,
        retryAfterMs: ('retryAfterMs' in failed && failed.retryAfterMs) || null,
        model: index,
        models: models.length,
        failures,
        elapsedMs: clock.elapsed() - began,
        holds: input.holds,
      },
      deps.random(),
    );
    if (verdict.kind !== 'retry' || signal.aborted) {
      const ending = verdict.kind === 'retry' ? { kind: 'give_up' as const } : verdict;
      const failure = signal.aborted ? 'aborted' : failed.failure;
      return { kind: 'failed', failure, message: failed.message, verdict: ending, partialText: failed.partialText };
    }
    index = verdict.model;
    await clock.sleep(verdict.delayMs, signal);
    if (signal.aborted)
      return { kind: 'failed', failure: 'aborted', message: 'Stopped.', verdict: { kind: 'give_up' }, partialText: '' };
  }
}

/** Runs one request and turns its deltas into previews. The provider's contract: it never throws and always ends. */
async function stream(
  deps: AskDeps,
  input: {
    request: Omit<ModelRequest, 'model'>;
    model: NamedModel;
    thinkingId: Id;
    messageId: Id;
    run: { sessionId: Id };
    purpose: string;
    signal: AbortSignal;
  },
): Promise<ModelOutcome> {
  const { sessionId } = input.run;
  const preview = input.purpose === 'turn';
  let text = '';
  let thinks = false;
  for await (const event of input.model.provider.stream({ ...input.request, model: input.model.name }, input.signal)) {
    if (event.type === 'end') return event.outcome;
    if (!preview) continue;
    if (event.type === 'tool') {
      deps.named(event.name);
      continue;
    }
    if (event.type === 'thinking') {
      const { thinkingId: eventId } = input;
      if (!thinks) deps.bus.publish({ kind: 'preview_start', sessionId, eventId, type: 'agent.thinking' });
      thinks = true;
      continue;
    }
    if (text === '')
      deps.bus.publish({ kind: 'preview_start', sessionId, eventId: input.messageId, type: 'agent.message' });
    text += event.text;
    deps.bus.publish({ kind: 'preview_delta', sessionId, eventId: input.messageId, text: event.text });
    deps.show(text);
    deps.crash('model.streaming');
  }
  throw new Error('A model stream ended without its end event.');
}
