// Ends a model stream that stops making progress, never ends, or is no longer wanted, even if the stream itself ignores it.
import type { Millis, ModelEvent, ModelFailure, ModelProvider, ModelRequest, ModelUsage } from '../types.ts';
import { NO_USAGE } from './answer.ts';

export interface Timings {
  /** From the request to its first event. */
  firstEventMs: Millis;
  /** Between two events. Time the reader of the stream takes does not count. */
  gapMs: Millis;
  /** The whole call, the reader's time included. */
  totalMs: Millis;
  /** Bytes of answer: text, thinking and tool input. */
  maxBytes: number;
}

export const DEFAULT_TIMINGS: Timings = {
  firstEventMs: 90_000,
  gapMs: 60_000,
  totalMs: 900_000,
  maxBytes: 8 * 1024 * 1024,
};

/**
 * What a provider tells its watchdog and nobody else: it goes on, although there is nothing to show (tool input, thinking).
 * `bytes` of answer came, and `usage` is what is known of it so far.
 */
export interface Progress {
  type: 'progress';
  bytes?: number;
  usage?: ModelUsage;
}
export type SourceEvent = ModelEvent | Progress;
/** A provider before it is watched: without a watchdog its stream may hang for ever, so it is no ModelProvider yet. */
export interface ModelSource {
  readonly name: string;
  stream(request: ModelRequest, signal: AbortSignal): AsyncIterable<SourceEvent>;
}

interface Ended {
  failure: ModelFailure;
  message: string;
}
type Step =
  | { kind: 'event'; result: IteratorResult<SourceEvent> }
  | { kind: 'threw'; error: unknown }
  | ({ kind: 'ended' } & Ended);

/**
 * Progress is an event of the inner stream and nothing else. The keep-alive `ping`s of the Messages API are swallowed by
 * the SDK below the provider, so a server that only pings counts as silent: it is alive, but it answers nothing.
 *
 * A call that is ended here reports the usage its stream had told so far: the prompt is billed even when the answer stalls.
 */
export function watch(inner: ModelSource, timings: Timings = DEFAULT_TIMINGS): ModelProvider {
  return { name: inner.name, stream: (request, signal) => watched(inner, timings, request, signal) };
}

async function* watched(
  inner: ModelSource,
  timings: Timings,
  request: ModelRequest,
  signal: AbortSignal,
): AsyncGenerator<ModelEvent> {
  const source = openSource(inner, request);
  const onAbort = () => source.end('aborted', 'The model call was stopped.');
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const overdue = `The model ${request.model} did not finish its answer within ${duration(timings.totalMs)}.`;
  const total = setTimeout(() => source.end('stalled', overdue), timings.totalMs);

  let events = 0;
  let bytes = 0;
  let text = '';
  let usage = NO_USAGE;
  const failed = (failure: ModelFailure, message: string): ModelEvent => {
    source.abandon();
    return { type: 'end', outcome: { kind: 'failed', failure, message, partialText: text, usage } };
  };

  try {
    while (true) {
      const first = events === 0;
      const step = await source.next(
        first ? timings.firstEventMs : timings.gapMs,
        silence(request.model, first, timings),
      );
      if (step.kind === 'ended') return yield failed(step.failure, step.message);
      if (step.kind === 'threw') return yield failed('cut', `The model's answer broke off: ${String(step.error)}.`);
      if (step.result.done) return yield failed('cut', `The model's answer broke off without an end.`);
      const event = step.result.value;
      events += 1;
      if (event.type === 'end') {
        source.finished();
        return yield event;
      }
      if (event.type === 'delta') {
        text += event.text;
        bytes += Buffer.byteLength(event.text);
      }
      if (event.type === 'progress') {
        bytes += event.bytes ?? 0;
        usage = event.usage ?? usage;
      }
      if (bytes > timings.maxBytes) {
        const limit = `${Math.ceil(timings.maxBytes / 1024)} KiB`;
        return yield failed(
          'stalled',
          `The answer of the model ${request.model} grew past ${limit} and was cut off there.`,
        );
      }
      if (event.type !== 'progress') yield event;
    }
  } finally {
    clearTimeout(total);
    signal.removeEventListener('abort', onAbort);
    source.abandon();
  }
}

/** The inner stream, read one step at a time, each of which can be ended from outside. */
function openSource(inner: ModelSource, request: ModelRequest) {
  const controller = new AbortController();
  let iterator: AsyncIterator<SourceEvent> | undefined;
  let ended: Ended | undefined;
  let settle: ((step: Step) => void) | undefined;
  let open = true;
  const end = (failure: ModelFailure, message: string) => {
    ended ??= { failure, message };
    settle?.({ kind: 'ended', ...ended });
  };
  // Not awaited: a stream that ignores its end must not hold its reader. What it still says goes nowhere.
  const leave = () => void iterator?.return?.().catch(() => {});
  return {
    end,
    next: (quietMs: Millis, message: string) =>
      new Promise<Step>((resolve) => {
        if (ended) return resolve({ kind: 'ended', ...ended });
        const quiet = setTimeout(() => end('stalled', message), quietMs);
        settle = (step) => {
          settle = undefined;
          clearTimeout(quiet);
          resolve(step);
        };
        try {
          iterator ??= inner.stream(request, controller.signal)[Symbol.asyncIterator]();
          iterator.next().then(
            (result) => settle?.({ kind: 'event', result }),
            (error: unknown) => settle?.({ kind: 'threw', error }),
          );
        } catch (error) {
          settle({ kind: 'threw', error });
        }
      }),
    /** It ended by itself: it closes its own connection, or keeps it for the next request. */
    finished() {
      open = false;
      leave();
    },
    abandon() {
      if (!open) return;
      open = false;
      controller.abort();
      leave();
    },
  };
}

function silence(model: string, first: boolean, timings: Timings): string {
  return first
    ? `The model ${model} sent nothing for ${duration(timings.firstEventMs)}.`
    : `The model ${model} fell silent in the middle of its answer: nothing for ${duration(timings.gapMs)}.`;
}

function duration(ms: Millis): string {
  return ms >= 1000 ? `${Math.round(ms / 1000)} s` : `${ms} ms`;
}
