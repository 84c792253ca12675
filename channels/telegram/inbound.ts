// From a Telegram update to what Steward understands: a message, a command, a button, or nothing. Pure.
import type { Address, ContentBlock, Inbound, Sender } from '../../core/types.ts';
import type { TelegramMessage, TelegramUpdate, TelegramUser } from './api.ts';

/** Who this bot is. */
export interface Me {
  id: number;
  username: string;
}

export interface Base {
  dedupe: string;
  sender: Sender;
  address: Address;
  group: boolean;
}

export type Parsed =
  | { kind: 'ignore'; why: string }
  | { kind: 'message'; base: Base; content: ContentBlock[]; tainted: boolean }
  | { kind: 'command'; base: Base; name: string; args: string }
  | { kind: 'button'; base: Base; callbackId: string; toolUseId: string; result: 'allow' | 'deny' };

export const COMMANDS = [
  'start',
  'help',
  'new',
  'stop',
  'status',
  'approve',
  'deny',
  'memory',
  'schedules',
  'task',
  'tasks',
  'incognito',
] as const;
export type Command = (typeof COMMANDS)[number];

export const toInbound = (base: Base, body: Inbound['body'], tainted = false): Inbound =>
  tainted ? { ...base, tainted, body } : { ...base, body };

/** What a message that is not text is called, in the order in which they are looked for. */
const KINDS: readonly [string, string][] = [
  ['photo', 'a photo'],
  ['voice', 'a voice message'],
  ['audio', 'an audio file'],
  ['video', 'a video'],
  ['video_note', 'a video message'],
  ['animation', 'an animation'],
  ['sticker', 'a sticker'],
  ['document', 'a file'],
  ['location', 'a location'],
  ['contact', 'a contact'],
  ['poll', 'a poll'],
];

const nameOf = (user: TelegramUser): string =>
  [user.first_name, user.last_name].filter(Boolean).join(' ') || user.username || String(user.id);

const quoted = (text: string): string =>
  text
    .split('\n')
    .map((line) => `> ${line}`)
    .join('\n');

function textOf(message: TelegramMessage): string | null {
  if (message.text !== undefined) return message.text;
  const kind = KINDS.find(([key]) => message[key] !== undefined)?.[1];
  if (!kind) return null;
  return message.caption
    ? `[${kind}, which cannot be read yet; its caption:]\n${message.caption}`
    : `[${kind}, which cannot be read yet]`;
}

/** Words the sender passes on: a forward, or what an inline bot wrote for them. */
const passedOn = (message: TelegramMessage): boolean =>
  message.forward_origin !== undefined || message.via_bot !== undefined;

/** What is answered is in the words of this person or of this bot; of anything else nobody knows whose words they are. */
const ownReply = (message: TelegramMessage, reply: TelegramMessage | undefined, me: Me): boolean =>
  reply !== undefined &&
  (reply.from?.id === me.id || (reply.from?.id === message.from?.id && !reply.sender_chat && !passedOn(reply)));

/** The message as text with what it answers and where it comes from; `foreign` when words of somebody else are in it. */
function wordsOf(message: TelegramMessage, edited: boolean, me: Me): { text: string; foreign: boolean } | null {
  const own = textOf(message);
  if (own === null) return null;
  const reply = message.reply_to_message;
  const answered = message.quote?.text ?? (reply ? textOf(reply) : null);
  const parts: string[] = [];
  if (edited) parts.push('(edited)');
  if (answered) parts.push(`In reply to${reply?.from?.id === me.id ? ' you' : ''}:\n${quoted(answered)}`);
  parts.push(message.forward_origin ? `Forwarded:\n${quoted(own)}` : own);
  const foreign = passedOn(message) || (answered !== null && !ownReply(message, reply, me));
  return { text: parts.join('\n'), foreign };
}

const repliesTo = (message: TelegramMessage, me: Me): boolean =>
  message.reply_to_message?.from?.id === me.id &&
  // In a topic the bot opened, every message answers the opening.
  message.reply_to_message.forum_topic_created === undefined;

function addressed(message: TelegramMessage, me: Me): boolean {
  if (repliesTo(message, me)) return true;
  const text = message.text ?? message.caption ?? '';
  const entities = message.entities ?? message.caption_entities ?? [];
  return entities.some(({ type, offset, length, user }) =>
    type === 'text_mention'
      ? user?.id === me.id
      : type === 'mention' && text.slice(offset, offset + length).toLowerCase() === `@${me.username.toLowerCase()}`,
  );
}

function commandOf(message: TelegramMessage): { name: string; args: string; to: string | null } | null {
  const first = message.entities?.[0];
  if (!message.text || first?.type !== 'bot_command' || first.offset !== 0 || passedOn(message)) return null;
  const [name = '', to] = message.text.slice(1, first.length).split('@');
  return { name: name.toLowerCase(), args: message.text.slice(first.length).trim(), to: to ? to.toLowerCase() : null };
}

const isId = (id: unknown): boolean => Number.isSafeInteger(id) && id !== 0;

export function parseUpdate(update: TelegramUpdate, me: Me): Parsed {
  const button = update.callback_query;
  const message = update.message ?? update.edited_message ?? button?.message;
  const from = button?.from ?? message?.from;
  if (!message || !from || !isId(message.chat?.id) || !isId(from.id))
    return { kind: 'ignore', why: 'no sender or no chat' };
  if (from.is_bot || (!button && message.sender_chat)) return { kind: 'ignore', why: 'not a person' };
  const group = message.chat.type === 'group' || message.chat.type === 'supergroup';
  if (!group && message.chat.type !== 'private') return { kind: 'ignore', why: `a ${message.chat.type} chat` };
  const chat = String(message.chat.id);
  const thread =
    message.is_topic_message && message.message_thread_id !== undefined ? String(message.message_thread_id) : null;
  const base: Base = {
    dedupe: `telegram:${me.id}:${update.update_id}`,
    sender: { channel: 'telegram', userId: String(from.id), name: nameOf(from) },
    address: thread ? { channel: 'telegram', chat, thread } : { channel: 'telegram', chat },
    group,
  };
  if (button) {
    const match = /^([ad]):(.+)$/.exec(button.data ?? '');
    if (!match) return { kind: 'ignore', why: 'an unknown button' };
    return {
      kind: 'button',
      base,
      callbackId: button.id,
      toolUseId: match[2]!,
      result: match[1] === 'a' ? 'allow' : 'deny',
    };
  }
  const command = update.edited_message ? null : commandOf(message);
  if (command && command.to !== null && command.to !== me.username.toLowerCase())
    return { kind: 'ignore', why: 'for another bot' };
  if (
    command &&
    (COMMANDS as readonly string[]).includes(command.name) &&
    (!group || command.to !== null || repliesTo(message, me))
  )
    return { kind: 'command', base, name: command.name, args: command.args };
  if (group && !command?.to && !addressed(message, me)) return { kind: 'ignore', why: 'not addressed' };
  const words = wordsOf(message, update.edited_message !== undefined, me);
  if (!words) return { kind: 'ignore', why: 'nothing to read' };
  return { kind: 'message', base, content: [{ type: 'text', text: words.text }], tainted: words.foreign };
}
