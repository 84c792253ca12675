// Turns whatever a request to a model server can end with into a failure class and a sentence for a person. Pure.
import type { Millis, ModelFailure } from '../types.ts';

export interface Failure {
  failure: ModelFailure;
  message: string;
  retryAfterMs?: Millis;
}

export interface FailureFacts {
  /** The server as shown to people: without credentials. */
  server: string;
  model: string;
  hasKey: boolean;
  /** Never to be seen in a message, whatever the server echoes. */
  secrets: string[];
  /** True once the server answered with 200: what breaks after that is the stream. */
  streaming: boolean;
  now: Millis;
}

/** An error of the SDK, read by its shape: its classes are not loaded here. */
interface ApiError {
  name?: string;
  message?: string;
  status?: number;
  type?: string | null;
  apiMessage?: string | null;
  errorCode?: string | null;
  headers?: { get(name: string): string | null };
  cause?: unknown;
}

export function toFailure(error: unknown, facts: FailureFacts): Failure {
  const seen = (typeof error === 'object' && error !== null ? error : { message: String(error) }) as ApiError;
  if (seen.name === 'APIUserAbortError') return stopped();
  return fromStatus(seen, facts) ?? fromBreak(seen, facts);
}

/** The stream ended by itself, but not with an answer. */
export function endedEarly(facts: FailureFacts, response: { contentType: string | null; events: number }): Failure {
  if (response.events === 0 && !response.contentType?.includes('text/event-stream')) {
    return {
      failure: 'invalid',
      message: `${facts.server} answered, but not as a model server (${response.contentType ?? 'no content type'}). ${ADDRESS_HINT}`,
    };
  }
  return { failure: 'cut', message: `The model server at ${facts.server} ended its answer in the middle.` };
}

export function stopped(): Failure {
  return { failure: 'aborted', message: 'The model call was stopped.' };
}

const KEY_HINT = 'Set ANTHROPIC_API_KEY (or ANTHROPIC_AUTH_TOKEN) to a valid one in the settings or the environment.';
const ADDRESS_HINT = 'Check that ANTHROPIC_BASE_URL is the address of the server itself, without /v1.';

type Kind =
  | 'redirect'
  | 'key'
  | 'billing'
  | 'permission'
  | 'not_found'
  | 'too_large'
  | 'rate'
  | 'overloaded'
  | 'broken'
  | 'invalid';

const BY_STATUS: Record<number, Kind> = {
  401: 'key',
  402: 'billing',
  403: 'permission',
  404: 'not_found',
  408: 'overloaded',
  409: 'overloaded',
  413: 'too_large',
  425: 'overloaded',
  429: 'rate',
  503: 'overloaded',
  529: 'overloaded',
};

/** What an error event in the middle of a stream says instead of a status. */
const BY_TYPE: Record<string, Kind> = {
  authentication_error: 'key',
  billing_error: 'billing',
  permission_error: 'permission',
  not_found_error: 'not_found',
  request_too_large: 'too_large',
  rate_limit_error: 'rate',
  overloaded_error: 'overloaded',
  timeout_error: 'overloaded',
  api_error: 'broken',
  invalid_request_error: 'invalid',
};

/** Anthropic reports an empty credit balance and a reached spend limit as 400, some tiers as 429. */
const BILLING = /credit balance|billing|spend(ing)?[ _]limit|usage limits/i;

function fromStatus(error: ApiError, facts: FailureFacts): Failure | undefined {
  const kind = kindOf(error);
  if (!kind) return undefined;
  const server = `The model server at ${facts.server}`;
  const detail = `(${[error.status, quoted(said(error), facts)].filter(Boolean).join(': ')})`;
  const retryAfterMs = retryAfter(error, facts.now);
  const later = retryAfterMs === undefined ? {} : { retryAfterMs };
  const failures: Record<Kind, () => Failure> = {
    redirect: () => ({ failure: 'invalid', message: `${server} sends requests elsewhere ${detail}. ${ADDRESS_HINT}` }),
    key: () => ({
      failure: 'refused',
      message: `${server} ${facts.hasKey ? 'refused the key' : 'wants a key, and none is set'} ${detail}. ${KEY_HINT}`,
    }),
    billing: () => ({
      failure: 'refused',
      message: `${server} does not bill this account ${detail}. Check its credit and its spend limits.`,
    }),
    permission: () => ({
      failure: 'refused',
      message: `${server} does not permit this ${detail}. Check what the key may use, or set STEWARD_MODEL to another model.`,
    }),
    not_found: () => ({
      failure: 'invalid',
      message: `${server} does not know the model ${facts.model} ${detail}. Check STEWARD_MODEL. ${ADDRESS_HINT}`,
    }),
    too_large: () => ({
      failure: 'invalid',
      message: `The request is too large for the model server at ${facts.server} ${detail}.`,
    }),
    rate: () => ({ failure: 'rate_limited', message: `${server} asks to slow down ${detail}.`, ...later }),
    overloaded: () => ({ failure: 'overloaded', message: `${server} is overloaded ${detail}.`, ...later }),
    broken: () => ({ failure: 'overloaded', message: `${server} failed ${detail}.`, ...later }),
    invalid: () => ({ failure: 'invalid', message: `${server} does not accept the request ${detail}.` }),
  };
  return failures[kind]();
}

function kindOf(error: ApiError): Kind | undefined {
  const { status, type } = error;
  if (status === undefined && !type) return undefined;
  if (BILLING.test(`${error.errorCode ?? ''} ${said(error)}`) && [400, 429, undefined].includes(status))
    return 'billing';
  if (status === undefined) return BY_TYPE[type ?? ''] ?? 'broken';
  // A gateway may pass on the server's own verdict under a status of its own.
  if (type === 'overloaded_error') return 'overloaded';
  return BY_STATUS[status] ?? (status >= 500 ? 'broken' : status < 400 ? 'redirect' : 'invalid');
}

/** No verdict of the server: the connection failed before or while it answered. */
function fromBreak(error: ApiError, facts: FailureFacts): Failure {
  const cause = quoted(causeOf(error), facts);
  if (facts.streaming) {
    return {
      failure: 'cut',
      message: `The connection to the model server at ${facts.server} broke off in the middle of the answer (${cause}).`,
    };
  }
  return {
    failure: 'unreachable',
    message: `The model server at ${facts.server} does not answer (${cause}). Check that it is running, the network, and ANTHROPIC_BASE_URL.`,
  };
}

const CAUSES: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection closed',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name could not be looked up',
  ETIMEDOUT: 'timed out',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no network',
  UND_ERR_CONNECT_TIMEOUT: 'connecting timed out',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stopped',
  UND_ERR_SOCKET: 'connection closed',
};

/** The innermost cause is the telling one: fetch wraps the socket's error, the SDK wraps fetch's. */
function causeOf(error: ApiError): string {
  let inner: { code?: unknown; message?: unknown; cause?: unknown } = error;
  for (let depth = 0; depth < 8 && typeof inner.cause === 'object' && inner.cause !== null; depth += 1)
    inner = inner.cause;
  const code = typeof inner.code === 'string' ? inner.code : '';
  return CAUSES[code] ?? (code || String(inner.message ?? error.name ?? 'unknown'));
}

function said(error: ApiError): string {
  return error.apiMessage ?? error.message?.replace(/^\d{3} /, '') ?? '';
}

/** Words that are not ours: one line, cut, and without the key, which servers and header errors like to repeat. */
function quoted(text: string, facts: FailureFacts): string {
  const safe = facts.secrets.reduce((rest, secret) => rest.replaceAll(secret, '[key]'), text);
  const line = safe.replace(/\s+/g, ' ').trim();
  return line.length > 300 ? `${line.slice(0, 299).toWellFormed()}…` : line;
}

/** Seconds or an HTTP date, as RFC 9110 has it; milliseconds in the SDKs' own header. */
function retryAfter(error: ApiError, now: Millis): Millis | undefined {
  const ms = Number.parseFloat(error.headers?.get('retry-after-ms') ?? '');
  if (ms >= 0) return ms;
  const value = error.headers?.get('retry-after');
  if (!value) return undefined;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return seconds >= 0 ? Math.round(seconds * 1000) : undefined;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
