// The way out to programs: each row of the outbox is one signed POST, as Standard Webhooks has it, guarded like every fetch.
import { createHmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { StewardError } from '../core/errors.ts';
import { createGuard, type Guard } from '../core/tools/guard.ts';
import type { Channel, Delivery, DeliveryOutcome, Millis } from '../core/types.ts';
import { SECRET_PREFIX } from '../core/vault-box.ts';
import { WEBHOOK_CHANNEL, type Webhooks } from '../core/webhooks.ts';

const LIMIT_MS: Millis = 10_000;
/** What a Retry-After may ask for; a day is as long as a row waits at all. */
const RETRY_AFTER_CAP_MS: Millis = 24 * 60 * 60_000;

export interface WebhookDeps {
  webhooks: Webhooks;
  now(): Millis;
  /** For a whole try, from the name to the answer. */
  limitMs?: Millis;
}

/** What came back, or how it broke off. `written`: the request had left, so it may have been taken. */
type Answer =
  | { kind: 'status'; status: number; retryAfter: string | undefined; location: string | undefined }
  | { kind: 'broken'; why: string; written: boolean }
  | { kind: 'blocked'; why: string };

/** The headers of one try. The id stays the same over retries; time and signature are of the try. */
export function signedHeaders(secret: string, id: string, body: string, now: Millis): Record<string, string> {
  const timestamp = String(Math.floor(now / 1_000));
  const key = Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}

/** Pure. Seconds or a date; undefined for what is neither. */
export function retryAfterMs(text: string | undefined, now: Millis): Millis | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(text.trim()) ? Number(text) * 1_000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_CAP_MS);
}

/** Pure. What an answer means for the row; the table stands in docs/webhooks.md. */
export function outcomeOf(answer: Answer, now: Millis): DeliveryOutcome & { gone?: true } {
  if (answer.kind === 'blocked') return { kind: 'refused', why: answer.why };
  if (answer.kind === 'broken') return { kind: answer.written ? 'unknown' : 'not_sent', why: answer.why };
  const { status } = answer;
  if (status >= 200 && status < 300) return { kind: 'sent', externalId: null };
  if (status >= 300 && status < 400)
    return { kind: 'refused', why: `It answers ${status} and redirects elsewhere, which is not followed.` };
  if (status === 410) return { kind: 'refused', why: 'It answers 410: gone. The webhook is switched off.', gone: true };
  const why = `It answers ${status}.`;
  if (status >= 500 || status === 408 || status === 425 || status === 429) {
    const wait = status === 429 || status === 503 ? retryAfterMs(answer.retryAfter, now) : undefined;
    return { kind: 'not_sent', why, ...(wait !== undefined && { retryAfterMs: wait }) };
  }
  return { kind: 'refused', why };
}

function post(
  url: URL,
  body: string,
  headers: Record<string, string>,
  guard: Guard,
  signal: AbortSignal,
): Promise<Answer> {
  const secure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port) || (secure ? 443 : 80);
  return new Promise((resolve) => {
    // From the first byte on it may have been taken, whatever comes after.
    let written = false;
    const request = (secure ? httpsRequest : httpRequest)(url, {
      method: 'POST',
      agent: false,
      signal,
      lookup: guard.lookupFor(host, port),
      headers: {
        ...headers,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'Steward',
      },
    });
    request.once('socket', (socket) =>
      socket.once(secure ? 'secureConnect' : 'connect', () => {
        written = true;
      }),
    );
    request.once('response', (response) => {
      const { 'retry-after': retryAfter, location } = response.headers;
      resolve({ kind: 'status', status: response.statusCode ?? 0, retryAfter, location });
      // What it says besides the status is nobody's business.
      response.once('error', () => {});
      response.destroy();
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (error instanceof StewardError) return resolve({ kind: 'blocked', why: error.message });
      const why = signal.aborted
        ? 'No answer came in time.'
        : `It could not be reached: ${error.message || error.code}.`;
      resolve({ kind: 'broken', why, written });
    });
    request.end(body);
  });
}

export function createWebhook(deps: WebhookDeps): Channel {
  const { webhooks, now } = deps;
  let lastSuccessAt: Millis | null = null;

  const attempt = async (item: Delivery, signal: AbortSignal): Promise<DeliveryOutcome & { gone?: true }> => {
    if (item.body.kind !== 'webhook') return { kind: 'refused', why: 'A webhook takes no messages for people.' };
    const opened = webhooks.opened(item.address.chat);
    if (!opened) return { kind: 'refused', why: 'This webhook was removed.' };
    const { target, secret } = opened;
    if (!target.enabled) return { kind: 'refused', why: `The webhook ${target.name} is switched off.` };
    if (secret === null)
      return {
        kind: 'refused',
        why: `The secret of the webhook ${target.name} does not open; give it a new one with steward webhook rotate.`,
      };
    const url = new URL(target.url);
    const guard = createGuard(target.allowPrivate ? [url.hostname] : []);
    try {
      guard.check(url);
    } catch (error) {
      return { kind: 'refused', why: (error as Error).message };
    }
    const { type, at, data } = item.body;
    // Of the row alone: every try sends the same bytes.
    const body = JSON.stringify({ type, timestamp: new Date(at).toISOString(), data });
    const headers = signedHeaders(secret, item.id, body, now());
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(deps.limitMs ?? LIMIT_MS)]);
    return outcomeOf(await post(url, body, headers, guard, bounded), now());
  };

  return {
    name: WEBHOOK_CHANNEL,
    keyed: true,
    start: async () => {},
    stop: async () => {},
    async deliver(item, context) {
      const { gone, ...outcome } = await attempt(item, context.signal);
      // A try that Steward itself ended says nothing about the other side, and what is off keeps the note that says why.
      const said = webhooks.opened(item.address.chat)?.target.enabled && !context.signal.aborted;
      if (!said && outcome.kind !== 'sent') return outcome;
      if (outcome.kind === 'sent') lastSuccessAt = now();
      webhooks.tried(item.address.chat, {
        delivered: outcome.kind === 'sent',
        note: outcome.kind === 'sent' ? null : outcome.why,
        gone: gone ?? false,
      });
      if (outcome.kind !== 'refused') return outcome;
      const name = webhooks.opened(item.address.chat)?.target.name;
      return name === undefined ? outcome : { ...outcome, why: `${outcome.why} (webhook ${name})` };
    },
    progress() {},
    health() {
      const targets = webhooks.list();
      const on = targets.filter((target) => target.enabled);
      const off = targets.length - on.length;
      return {
        name: WEBHOOK_CHANNEL,
        // A receiver that fails is told of where it is listed: it must not make Steward look ill.
        state: on.length > 0 ? 'ok' : 'off',
        detail: `${on.length} on${off > 0 ? `, ${off} off` : ''}. steward webhook list shows how they do.`,
        lastSuccessAt,
      };
    },
  };
}
