// A question to the model beside the conversation (consolidating memory): same budget, same ledger, spans in the session it is about.
import { createPurse } from '../budget.ts';
import type { Clock } from '../clock.ts';
import type { Consult } from '../memory.ts';
import { type AskDeps, ask, type NamedModel } from './ask.ts';
import type { RequestDeps } from './request.ts';

type ConsultDeps = Omit<AskDeps, 'purse' | 'show' | 'named'> &
  Pick<RequestDeps, 'budget' | 'models'> & { clock: Clock };

/** Never throws for what the model or the budget does; what is not answered can be asked again later. */
export function createConsult(deps: ConsultDeps): Consult {
  const purse = createPurse(deps.budget);
  return async ({ sessionId, system, prompt, maxTokens, signal }) => {
    const models: readonly NamedModel[] = deps.models().filter(({ name }) => name !== 'offline');
    if (models.length === 0) return { kind: 'none' };
    const verdict = deps.budget(models[0]!.name);
    if (verdict.kind === 'stop') return { kind: 'failed', why: 'The day budget is spent.' };
    const asked = await ask(
      { ...deps, purse, show() {}, named() {} },
      {
        request: {
          system,
          messages: [{ role: 'user', content: [{ type: 'text', text: prompt }] }],
          tools: [],
          maxTokens,
        },
        models,
        run: { id: null, sessionId },
        allowEmpty: false,
        holds: 0,
        purpose: 'memory',
        signal,
      },
    );
    if (asked.kind === 'stopped') return { kind: 'failed', why: 'The day budget is spent.' };
    if (asked.kind === 'failed') return { kind: 'failed', why: asked.message };
    const { model, usage, spanId } = asked;
    deps.db.tx(() => {
      const eventId = deps.newId('sevt');
      const cost = deps.usage.record({ eventId, sessionId, runId: null, model, usage });
      const span = { model_request_start_id: spanId, is_error: false, purpose: 'memory', model };
      const payload = { ...span, model_usage: { ...usage }, cost_usd: cost, stop_reason: asked.stopReason };
      deps.events.append(sessionId, [{ id: eventId, type: 'span.model_request_end', payload }]);
    });
    const text = asked.blocks.map((block) => (block.type === 'text' ? block.text : '')).join('\n');
    return { kind: 'answered', text };
  };
}
