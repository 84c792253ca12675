// Writes down what a harness does, under the fence of its turn: messages, calls, results, what it cost, and how it ended.
import { type CommitDeps, fence, say, type Turn } from '../../core/brain/commit.ts';
import { withLabel } from '../../core/brain/mandate.ts';
import type { NewEvent } from '../../core/events.ts';
import type { Requested } from '../../core/harness.ts';
import { NO_USAGE } from '../../core/models/answer.ts';
import { costOf } from '../../core/models/prices.ts';
import type { Address, Id, JsonObject, ModelUsage } from '../../core/types.ts';
import { type HarnessEvent, SESSION_EVENT, type Spent } from './adapter.ts';

/** As for results of our own tools: the last 100 KiB of a text are kept. */
const RESULT_LIMIT = 100 * 1024;
/** Arguments above are shortened; what a call did is in the files. */
const INPUT_LIMIT = 200 * 1024;

type Deps = Pick<CommitDeps, 'db' | 'events' | 'sessions' | 'usage' | 'runs' | 'outbox' | 'newId'> & {
  redact(text: string): string;
};

export interface Recorder {
  /** Of the span that begins the work. */
  readonly id: Id;
  begin(): void;
  wakeUp(): void;
  /** The id of a call that has just ended, which may have changed files. */
  take(event: HarnessEvent): Id | null;
  /** It has answered, or said why it cannot. */
  ended(): boolean;
  /** After `ended`: the turn rests, goes on with what came meanwhile, or ends with its reason. */
  finish(): Requested;
  /** The turn ends with this reason. */
  fail(message: string): Requested;
  /** As `fail`, before anything was begun. */
  refuse(message: string): Requested;
  /** Nothing answers; the same is tried again. */
  died(type: string, message: string): void;
  /** Somebody said stop: what it was doing has no result. */
  cut(why: string): void;
}

const text = (value: string) => [{ type: 'text', text: value }];

/** Pure. What of a total was not told step by step; never below zero. */
export function restOf(total: ModelUsage, steps: readonly ModelUsage[]): ModelUsage {
  const rest = { ...total };
  for (const key of Object.keys(rest) as (keyof ModelUsage)[])
    rest[key] = Math.max(0, total[key] - steps.reduce((sum, step) => sum + step[key], 0));
  return rest;
}

export function createRecorder(
  deps: Deps,
  turn: Turn,
  facts: { name: string; model: string | null; to: readonly Address[]; tainted: boolean },
): Recorder {
  const { db, events, sessions } = deps;
  const { session, run } = turn;
  const by = fence(turn);
  const harness = facts.name;
  const id = deps.newId('sevt');
  /** Our ids of the program's calls; answered ones stay, so that a second answer is none. */
  const calls = new Map<string, { id: Id; answered: boolean }>();
  const steps = new Map<string, Spent>();
  let end: Extract<HarnessEvent, { type: 'end' }> | null = null;
  let lastSaid = '';
  let begun = false;
  /** Its conversation, once it is written down: some say it with every step. */
  let vendor: string | null = null;

  const write = (...drafts: NewEvent[]) =>
    db.tx(() => {
      deps.runs.progress(run.id);
      return events.append(session.id, drafts, by);
    });
  const clean = (value: unknown): unknown => {
    if (typeof value === 'string') return deps.redact(value);
    if (Array.isArray(value)) return value.map(clean);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, clean(inner)]));
  };
  const inputOf = (input: JsonObject): JsonObject => {
    const cleaned = clean(input) as JsonObject;
    const length = JSON.stringify(cleaned).length;
    return length <= INPUT_LIMIT ? cleaned : { shortened: JSON.stringify(cleaned).slice(0, 2_000), characters: length };
  };
  const message = (words: string, interrupted = false): void =>
    db.tx(() => {
      const said = deps.redact(words);
      lastSaid = words.trim();
      const payload: JsonObject = { content: text(said), harness, ...(interrupted && { interrupted }) };
      // The program read files, pages and outputs: its words are not only its model's.
      const [event] = write({ type: 'agent.message', payload });
      say(deps, session.id, event!.id, event!.id, facts.to, withLabel(turn.slice, said));
    });
  const call = (vendor: string, name: string, input: JsonObject): Id => {
    const known = calls.get(vendor);
    if (known) return known.id;
    const payload: JsonObject = { name, input: inputOf(input), evaluated_permission: 'allow', harness };
    const [event] = write({ type: 'agent.tool_use', payload });
    calls.set(vendor, { id: event!.id, answered: false });
    return event!.id;
  };
  const result = (vendor: string, words: string, isError: boolean): Id | null => {
    const known = calls.get(vendor);
    if (!known || known.answered) return null;
    known.answered = true;
    const said = deps.redact(words);
    const kept =
      said.length <= RESULT_LIMIT
        ? said
        : `[only the last ${RESULT_LIMIT} of ${said.length} characters are kept]\n${said.slice(-RESULT_LIMIT).toWellFormed()}`;
    const payload: JsonObject = { tool_use_id: known.id, content: text(kept), is_error: isError, harness };
    write({ type: 'agent.tool_result', payload, tainted: true });
    return known.id;
  };
  const closeCalls = (why: string): void => {
    for (const [vendor, { answered }] of calls) if (!answered) result(vendor, why, true);
  };
  /** A row of the ledger; our own prices first, then the program's, and what nobody knows stays unknown. */
  const record = (eventId: Id, spent: Spent): number | null => {
    const model = spent.model ?? facts.model ?? harness;
    const known = costOf(model, spent.usage) !== null;
    const told = spent.costUsd !== null && spent.costUsd > 0 ? spent.costUsd : null;
    const entry = { eventId, sessionId: session.id, runId: run.id, model, usage: spent.usage };
    return deps.usage.record(known || told === null ? entry : { ...entry, costUsd: told });
  };
  const spend = (spent: Spent, purpose: string | null, more: JsonObject): void => {
    const spanEnd = deps.newId('sevt');
    db.tx(() => {
      const used = Object.values(spent.usage).some((tokens) => tokens > 0);
      const cost = used ? record(spanEnd, spent) : 0;
      const payload: JsonObject = {
        model_request_start_id: id,
        ...(purpose !== null && { purpose }),
        model: spent.model ?? facts.model ?? harness,
        harness,
        model_usage: { ...spent.usage },
        cost_usd: cost,
        ...more,
      };
      write({ id: spanEnd, type: 'span.model_request_end', payload });
    });
  };
  /** Each step once, with its newest figures: a step is over when the next begins. */
  const told = new Set<string>();
  const settleSteps = (except: string | null): void => {
    for (const [key, spent] of steps) {
      if (key === except || told.has(key)) continue;
      told.add(key);
      spend(spent, 'step', { is_error: false });
    }
  };
  const close = (more: JsonObject): void => {
    closeCalls('No result: the program ended before.');
    settleSteps(null);
    const total = end?.total ?? null;
    const done = [...steps.values()];
    const doneUsd = done.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0);
    const rest: Spent = {
      model: total?.model ?? done.at(-1)?.model ?? null,
      usage: total
        ? restOf(
            total.usage,
            done.map(({ usage }) => usage),
          )
        : { ...NO_USAGE },
      costUsd: total?.costUsd != null ? Math.max(0, total.costUsd - doneUsd) : null,
    };
    spend(rest, null, { turns: steps.size, ...more });
  };
  const rest = (type: 'end_turn' | 'retries_exhausted'): void => {
    const payload: JsonObject = { stop_reason: { type }, stop_details: null };
    events.append(session.id, [{ type: 'session.status_idle', payload }], by);
    sessions.setStatus(session.id, 'idle', { type }, null);
  };
  const fail = (why: string): Requested => {
    const words = deps.redact(why);
    db.tx(() => {
      if (begun) close({ is_error: true, error: { type: 'harness_error', message: words } });
      const error: JsonObject = { type: 'harness_error', message: words, retry_status: { type: 'exhausted' } };
      const [event] = write({ type: 'session.error', payload: { error, harness } });
      say(deps, session.id, event!.id, event!.id, facts.to, `⚠ ${words}`);
      rest('retries_exhausted');
    });
    return { outcome: 'failed' };
  };

  return {
    id,
    begin() {
      begun = true;
      write({ id, type: 'span.model_request_start', payload: { model: facts.model ?? harness, harness } });
    },
    wakeUp: () =>
      db.tx(() => {
        write({ type: 'session.status_running' });
        sessions.setStatus(session.id, 'running', null, null);
      }),
    take(event) {
      switch (event.type) {
        case 'session':
          if (vendor === event.id) return null;
          vendor = event.id;
          write({ type: SESSION_EVENT, payload: { harness, vendor_session_id: event.id } });
          return null;
        case 'text':
          message(event.text);
          return null;
        case 'call':
          call(event.id, event.name, event.input);
          return null;
        case 'result':
          return result(event.id, event.text, event.isError);
        case 'step':
          settleSteps(event.id);
          steps.set(event.id, event);
          return null;
        case 'end':
          end = event;
          return null;
      }
    },
    ended: () => end !== null,
    finish() {
      if (end && !end.ok) return fail(`${harness} could not go on: ${end.text?.trim() || 'it does not say why'}`);
      return db.tx((): Requested => {
        if (end?.text?.trim() && end.text.trim() !== lastSaid) message(end.text);
        close({ is_error: false, stop_reason: 'end_turn' });
        if (events.queued(session.id).length > 0) return null;
        rest('end_turn');
        return { outcome: 'idle' };
      });
    },
    fail,
    refuse: fail,
    died: (type, why) => db.tx(() => close({ is_error: true, error: { type, message: deps.redact(why) } })),
    cut: (why) =>
      db.tx(() => {
        closeCalls(`No result: ${why}`);
        close({ is_error: true, error: { type: 'aborted', message: why } });
      }),
  };
}
