// POST /hooks/:name: the signature first, then one run per delivery. No cookie, no CORS, and no word about which names exist.
import { type Context, Hono } from 'hono';
import { StewardError } from '../../core/errors.ts';
import { judgeSignature, type SignatureVerdict } from '../../core/hook-signature.ts';
import type { Hook, Hooks, Receipt } from '../../core/hooks.ts';
import { isTooDeep } from '../../core/json.ts';
import type { SchedulesApi } from '../../core/schedules.ts';
import type { Millis } from '../../core/types.ts';
import { githubPayload, githubText, refusedBy, stewardText } from './hook-text.ts';
import { invalid, readRaw } from './params.ts';
import { createThrottle } from './throttle.ts';
import { parseBody } from './wire.ts';

const BODY_LIMIT = 1024 * 1024;
/** A body above the limit is read to here, so that its sender sees the answer. */
const PATIENCE = 8 * 1024 * 1024;
const op = 'take a webhook';

export interface HookRoutesDeps {
  hooks: Hooks;
  schedules: SchedulesApi;
  now(): Millis;
  /** A secret nobody has: what a name that is not there is checked with. */
  decoy: string;
}

/** The parts of a delivery once its sender is known. `event`: of GitHub. */
interface Delivery {
  id: string;
  proof: string;
  event: string;
  body: Buffer;
  contentType: string;
}

export function createHookRoutes(deps: HookRoutesDeps): Hono {
  const app = new Hono();
  const throttle = createThrottle(deps.now);

  app.post('/:name', async (c) => {
    const body = await readRaw(c, BODY_LIMIT, PATIENCE);
    const found = deps.hooks.opened(c.req.param('name'));
    const presented = { steward: c.req.header('steward-signature'), github: c.req.header('x-hub-signature-256') };
    // Also for a name that is not there, so that it takes as long; whatever the verdict, it is then a wrong signature.
    const scheme = found?.hook.scheme ?? (presented.github === undefined ? 'steward' : 'github');
    const verdict = judgeSignature(scheme, found?.secret ?? deps.decoy, presented, body, deps.now());
    if (!found || verdict.kind === 'wrong') {
      if (throttle.throttled())
        throw new StewardError('rate_limited', 'Too many wrong signatures.', {
          op,
          hint: 'Wait five minutes; right ones still pass.',
          retryable: true,
        });
      throttle.noteFailure();
      throw new StewardError(
        'unauthenticated',
        'There is no such webhook, or its signature is missing, wrong or older than five minutes.',
        { op },
      );
    }
    const receipt = accept(found.hook, readDelivery(c, found.hook, verdict, body));
    if (receipt.kind === 'ignored') return c.json({ run_id: null, ignored: receipt.why });
    return c.json({ run_id: receipt.runId }, 202);
  });

  /** After this returns it is committed. */
  const accept = (hook: Hook, delivery: Delivery): Receipt =>
    deps.hooks.receive(hook.id, delivery, () => {
      const read = hook.scheme === 'github' ? readGithub(hook, delivery) : { text: stewardText(delivery.body) };
      if ('why' in read) return { kind: 'ignored', why: read.why };
      const schedule = deps.schedules.need(hook.scheduleId);
      // Nothing is kept of it: its sender may bring it again once the schedule goes on.
      if (schedule.state === 'paused')
        throw new StewardError('conflict', `The schedule ${schedule.name} is paused.`, {
          op,
          hint: 'Resume it first.',
        });
      const input = { dedupe: `${hook.id}:${delivery.id}`, text: `From the webhook ${hook.name}.\n${read.text}` };
      return { kind: 'run', runId: deps.schedules.runNow(hook.scheduleId, 'webhook', input).id };
    });

  return app;
}

function readDelivery(c: Context, hook: Hook, { proof }: SignatureVerdict & { proof: string }, body: Buffer): Delivery {
  const given = c.req.header(hook.scheme === 'github' ? 'x-github-delivery' : 'steward-delivery');
  if (given !== undefined && !/^[\x21-\x7e]{1,200}$/.test(given))
    throw invalid('The delivery id must be 1 to 200 visible ASCII characters.', op);
  return {
    // Without an id of its own, the same words signed at the same second are the same delivery.
    id: given ?? `signature:${proof}`,
    proof,
    event: c.req.header('x-github-event') ?? '',
    body,
    contentType: c.req.header('content-type') ?? '',
  };
}

function readGithub(hook: Hook, { event, body, contentType }: Delivery): { text: string } | { why: string } {
  const raw = new TextDecoder().decode(body);
  // GitHub's other content type, the one its form offers first.
  const form = contentType.toLowerCase().startsWith('application/x-www-form-urlencoded');
  let json: unknown;
  try {
    json = JSON.parse(form ? (new URLSearchParams(raw).get('payload') ?? '') : raw);
  } catch (cause) {
    throw new StewardError('invalid', 'The body is not valid JSON.', { op, cause });
  }
  if (isTooDeep(json)) throw invalid('The body is nested too deep.', op);
  const payload = parseBody(githubPayload, json, op);
  const why = refusedBy(hook.filters, event, payload);
  return why === null ? { text: githubText(event, payload) } : { why };
}
