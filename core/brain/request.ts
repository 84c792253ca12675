// One step of a turn that needs the model: budget, context, compaction when it is due, the question, the commit of its answer.
import type { BudgetVerdict } from '../budget.ts';
import type { NewEvent } from '../events.ts';
import type { BrainHooks } from '../hands.ts';
import type { Requested } from '../harness.ts';
import type { BrainMemory } from '../memory.ts';
import type { Address, Id, LogEvent, Progress } from '../types.ts';
import { type AskDeps, ask, type NamedModel } from './ask.ts';
import { type CommitDeps, commitAnswer, fence, type Turn } from './commit.ts';
import { compactionPoint, plainDigest, summaryRequest } from './compaction.ts';
import { buildContext, type WallTime } from './context.ts';
import { type Ended, type Endings, holdsOf } from './endings.ts';
import { isTainted, modelsFor, replyTo } from './facts.ts';
import { mandateOf, spentInTurn } from './mandate.ts';
import { systemPrompt } from './prompt.ts';
import type { Recall } from './recall.ts';
import type { Slice } from './slices.ts';
import { turnStart } from './step.ts';

const MAX_ANSWER_TOKENS = 16_000;
/** Compact when the context fills this share of its budget. */
const COMPACT_AT = 0.8;

export interface RequestDeps extends CommitDeps, Omit<AskDeps, 'show' | 'named'> {
  hooks: BrainHooks;
  memory: BrainMemory;
  recall: Recall;
  endings: Endings;
  timeZone: string;
  wallTime: WallTime;
  contextTokens: number;
  models(): readonly NamedModel[];
  namedModel(name: string): NamedModel;
  /** Whether this model may be asked now. */
  budget(model: string): BudgetVerdict;
  progress(to: readonly Address[], sessionId: Id, progress: Progress): void;
  load(sessionId: Id): Slice;
}

const modelsOf = (deps: RequestDeps, turn: Turn): NamedModel[] =>
  modelsFor(turn.agent, deps.models(), deps.namedModel, mandateOf(turn.slice)?.model);

/** Asked before anything that costs: what is used up, of the day or of a scheduled run, ends the turn. */
export function stoppedByBudget(deps: RequestDeps, turn: Turn): Ended | null {
  const mandate = mandateOf(turn.slice);
  const budget = deps.budget(modelsOf(deps, turn)[0]!.name);
  const spentUsd = mandate ? spentInTurn(turn.slice) : 0;
  if (mandate?.budgetUsd && spentUsd >= mandate.budgetUsd)
    return deps.endings.runOverBudget(turn, mandate, { spentUsd, limitUsd: mandate.budgetUsd });
  if (budget.kind === 'stop')
    return mandate?.unattended
      ? deps.endings.runOverBudget(turn, mandate, budget)
      : deps.endings.overBudget(turn, budget);
  return null;
}

export async function request(deps: RequestDeps, turn: Turn, signal: AbortSignal): Promise<Requested> {
  const stopped = stoppedByBudget(deps, turn);
  if (stopped) return stopped;
  const models = modelsOf(deps, turn);
  const block = deps.memory.block(turn.session);
  const system = systemPrompt(turn.agent, turn.session, block.text);
  const recalled = await deps.recall.about(turn);
  if (signal.aborted) return { partialText: '' };
  const limits = { budgetTokens: deps.contextTokens, timeZone: deps.timeZone, wallTime: deps.wallTime };
  let current = turn;
  const seen = (): readonly LogEvent[] => (recalled ? [...current.slice, recalled] : current.slice);
  const build = () => buildContext({ ...current, slice: seen(), openFrom: turnStart(current.slice), ...limits });
  let context = build();
  if (context.estimate > deps.contextTokens * COMPACT_AT) {
    const ended = await compact(deps, current, system, models, signal);
    if (ended !== 'compacted') return ended;
    if (signal.aborted) return { partialText: '' };
    current = { ...current, ...deps.load(turn.session.id) };
    context = build();
  }
  const to = replyTo(current.slice);
  deps.progress(to, turn.session.id, { kind: 'working' });
  deps.hooks.asking(turn.session);
  const last = current.slice.findLast((event) => event.type === 'user.message' || event.type.endsWith('tool_result'));
  const tools = deps.tools(turn.agent.id, turn.agent.version);
  const asked = await ask(askDeps(deps, turn, to), {
    request: { system, messages: context.messages, tools, maxTokens: MAX_ANSWER_TOKENS },
    models,
    run: { ...turn.run, sessionId: turn.session.id },
    allowEmpty: last?.type !== 'user.message',
    holds: holdsOf(current.slice),
    purpose: 'turn',
    signal,
    ...(recalled && { before: [draftOf(recalled)] }),
    ...(block.itemIds.length > 0 && { told: { memory_ids: [...block.itemIds] } }),
  });
  switch (asked.kind) {
    case 'stopped':
      return null;
    case 'failed':
      return asked.failure === 'aborted' ? { partialText: asked.partialText } : deps.endings.failed(current, asked);
    case 'answered': {
      deps.crash('model.before_commit');
      const over = commitAnswer(deps, { ...current, session: deps.sessions.need(turn.session.id) }, asked);
      deps.crash('model.after_commit');
      return over ? { outcome: 'idle' } : null;
    }
  }
}

const askDeps = (deps: RequestDeps, turn: Turn, to: readonly Address[]): AskDeps => ({
  ...deps,
  show: (text) => deps.progress(to, turn.session.id, { kind: 'text', text }),
  named: (tool) => deps.hooks.toolNamed(turn.session, tool),
});

const draftOf = ({ id, type, payload }: LogEvent): NewEvent => ({ id, type, payload });

/** A model that is away for a moment holds the turn: what it would have kept must not be lost to a plain digest. */
async function compact(
  deps: RequestDeps,
  turn: Turn,
  system: string,
  models: readonly NamedModel[],
  signal: AbortSignal,
): Promise<Requested | 'compacted'> {
  const { contextTokens: budgetTokens, timeZone } = deps;
  const point = compactionPoint(turn.slice, budgetTokens);
  if (point === null) return 'compacted';
  const older = turn.slice.filter((event) => event.position! <= point);
  deps.memory.compacting(turn.session, point);
  const run = { ...turn.run, sessionId: turn.session.id };
  const asked = models.every((model) => model.name === 'offline')
    ? null
    : await ask(askDeps(deps, turn, []), {
        request: {
          ...summaryRequest({ older, compaction: turn.compaction, budgetTokens, timeZone, system }),
          // Never to be called, but servers want to know the tools of the calls that stand in the messages.
          tools: deps.tools(turn.agent.id, turn.agent.version),
        },
        models,
        run,
        allowEmpty: false,
        holds: holdsOf(turn.slice),
        purpose: 'compaction',
        signal,
      });
  // A summary that has come is paid for: it is kept, also when somebody said stop in that moment.
  if (signal.aborted && asked?.kind !== 'answered') return { partialText: '' };
  if (asked?.kind === 'stopped') return null;
  if (asked?.kind === 'failed' && asked.verdict.kind === 'hold') return deps.endings.failed(turn, asked);
  deps.db.tx(() => {
    let summary = '';
    if (asked?.kind === 'answered') {
      summary = asked.blocks
        .map((block) => (block.type === 'text' ? block.text : ''))
        .join('\n')
        .trim();
      const { model, usage } = asked;
      const eventId = deps.newId('sevt');
      const cost = deps.usage.record({ eventId, sessionId: run.sessionId, runId: run.id, model, usage });
      const span = { model_request_start_id: asked.spanId, is_error: false, purpose: 'compaction', model };
      const payload = { ...span, model_usage: { ...usage }, cost_usd: cost };
      deps.events.append(run.sessionId, [{ id: eventId, type: 'span.model_request_end', payload }], fence(turn));
    }
    const tainted = isTainted(older, turn.compaction);
    const payload = { summary: summary || plainDigest(older, turn.compaction), up_to: point };
    deps.events.append(run.sessionId, [{ type: 'agent.thread_context_compacted', payload, tainted }], fence(turn));
    deps.runs.progress(run.id);
  });
  return 'compacted';
}
