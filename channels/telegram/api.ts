// The part of the Bot API we use, as plain types, and how its failures are told apart. No SDK in here.
import type { DeliveryOutcome, Millis } from '../../core/types.ts';

export interface TelegramUser {
  id: number;
  is_bot: boolean;
  first_name?: string;
  last_name?: string;
  username?: string;
}
export interface TelegramChat {
  id: number;
  type: string;
  title?: string;
}
export interface TelegramMessage {
  message_id: number;
  message_thread_id?: number;
  is_topic_message?: boolean;
  from?: TelegramUser;
  sender_chat?: TelegramChat;
  chat: TelegramChat;
  date: number;
  text?: string;
  caption?: string;
  entities?: { type: string; offset: number; length: number; user?: TelegramUser }[];
  caption_entities?: { type: string; offset: number; length: number; user?: TelegramUser }[];
  reply_to_message?: TelegramMessage;
  /** What is answered stands in another chat; of its text only the quote is told. */
  external_reply?: object;
  quote?: { text: string };
  /** The text was made by this inline bot. */
  via_bot?: TelegramUser;
  forward_origin?: { type: string; sender_user?: TelegramUser; sender_user_name?: string; chat?: TelegramChat };
  [kind: string]: unknown;
}
export interface TelegramUpdate {
  update_id: number;
  message?: TelegramMessage;
  edited_message?: TelegramMessage;
  callback_query?: { id: string; from: TelegramUser; message?: TelegramMessage; data?: string };
}

export interface Button {
  text: string;
  callback_data: string;
}

/** Every call is one request with its own time limit and no retries; `signal` ends it earlier. */
export interface TelegramApi {
  getMe(signal: AbortSignal, limitMs: Millis): Promise<{ id: number; username?: string }>;
  getUpdates(
    offset: number | undefined,
    timeoutS: number,
    signal: AbortSignal,
    limitMs: Millis,
  ): Promise<TelegramUpdate[]>;
  deleteWebhook(signal: AbortSignal): Promise<void>;
  setMyCommands(commands: { command: string; description: string }[], signal: AbortSignal): Promise<void>;
  sendMessage(chat: string, text: string, options: TextOptions, signal: AbortSignal): Promise<number>;
  editMessageText(
    chat: string,
    message: number,
    text: string,
    options: Omit<TextOptions, 'thread'>,
    signal: AbortSignal,
  ): Promise<void>;
  sendDocument(
    chat: string,
    data: Uint8Array,
    name: string,
    options: { thread?: string; caption?: string },
    signal: AbortSignal,
  ): Promise<number>;
  sendChatAction(chat: string, thread: string | undefined, signal: AbortSignal): Promise<void>;
  answerCallbackQuery(id: string, text: string, signal: AbortSignal): Promise<void>;
}

export interface TextOptions {
  thread?: string;
  html?: boolean;
  buttons?: Button[][];
}

/** What the server answered (`code`), or null when no answer came. */
export interface TelegramFailure {
  code: number | null;
  description: string;
  retryAfterMs: Millis | null;
  /** False when the request surely never reached the server. */
  mayHaveArrived: boolean;
}

const NEVER_ARRIVED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
/** Certificates and handshakes: the request waits for them. */
const TLS = /^(CERT_|ERR_TLS_|ERR_SSL_|EPROTO$|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_)/;
/** As Node words an attempt to connect that came to nothing; the code alone (ETIMEDOUT, ECONNRESET) does not tell. */
const CONNECTING = /\b(connect|getaddrinfo) [A-Z_]+|before secure TLS connection/;

interface Trace {
  codes: string[];
  messages: string[];
}

/** Codes and messages of an error and of everything it was caused by, within reason. */
function traceOf(error: unknown, trace: Trace = { codes: [], messages: [] }, depth = 0): Trace {
  if (depth > 6 || typeof error !== 'object' || error === null) return trace;
  const known = error as { code?: unknown; message?: unknown; error?: unknown; cause?: unknown; errors?: unknown };
  if (typeof known.code === 'string') trace.codes.push(known.code);
  if (typeof known.message === 'string') trace.messages.push(known.message);
  for (const inner of [known.error, known.cause, ...(Array.isArray(known.errors) ? known.errors : [])])
    traceOf(inner, trace, depth + 1);
  return trace;
}

/** Pure, over grammY's errors by their shape: an answer of the server has `error_code`, a broken request has a cause. */
export function failureOf(error: unknown): TelegramFailure {
  const answer = error as { error_code?: unknown; description?: unknown; parameters?: { retry_after?: number } };
  if (typeof answer?.error_code === 'number')
    return {
      code: answer.error_code,
      description: String(answer.description ?? ''),
      retryAfterMs: answer.parameters?.retry_after === undefined ? null : answer.parameters.retry_after * 1_000,
      // A 5xx may come from a proxy in front of a server that did its work.
      mayHaveArrived: answer.error_code >= 500,
    };
  const { codes, messages } = traceOf(error);
  const never =
    codes.some((code) => NEVER_ARRIVED.has(code) || TLS.test(code)) ||
    messages.some((message) => CONNECTING.test(message));
  return {
    code: null,
    // Never a message of the library: it holds the URL, and the URL holds the token.
    description: codes[0] ? `no answer (${codes[0]})` : 'no answer in time',
    retryAfterMs: null,
    mayHaveArrived: !never,
  };
}

export const isNotModified = (failure: TelegramFailure) =>
  failure.code === 400 && failure.description.includes('message is not modified');
export const isGone = (failure: TelegramFailure) =>
  failure.code === 400 &&
  /message to edit not found|message can't be edited|MESSAGE_ID_INVALID/i.test(failure.description);

/** The request itself is refused: the same text without formatting may be taken. */
export const isBadRequest = (failure: TelegramFailure) =>
  failure.code === 400 && !isNotModified(failure) && !isGone(failure);

/** The class of a failed try. An edit may be repeated, so for it nothing is ever in doubt. */
export function outcomeOf(failure: TelegramFailure, call: 'send' | 'edit'): DeliveryOutcome {
  const { code } = failure;
  const why = `Telegram: ${failure.description || `error ${code}`}`;
  if (code === 429) return { kind: 'not_sent', why, retryAfterMs: failure.retryAfterMs ?? 5_000 };
  if (code === 401 || code === 404)
    return { kind: 'not_sent', why: 'Telegram refuses the bot token. Set a new one in the settings.' };
  if (code === 408 || code === 409) return { kind: 'not_sent', why };
  if (code !== null && code >= 400 && code < 500) return { kind: 'refused', why };
  if (failure.mayHaveArrived && call === 'send') return { kind: 'unknown', why };
  return { kind: 'not_sent', why };
}
