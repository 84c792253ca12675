// send_message and send_file: say something in another place. Both are outbox rows keyed by the call, so a repeat adds nothing.
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { basename, join, resolve, sep } from 'node:path';
import { z } from 'zod';
import type { Blobs } from '../blobs.ts';
import type { Db } from '../db.ts';
import { StewardError } from '../errors.ts';
import type { Outbox } from '../outbox.ts';
import type { People } from '../people.ts';
import type { Address } from '../types.ts';
import { defineTool, type Tool, type ToolContext, textResult } from './tool.ts';

const FILE_LIMIT = 50 * 1024 * 1024;

export interface SendDeps {
  db: Db;
  outbox: Outbox;
  people: People;
  blobs: Blobs;
  /** The only folder files are sent from. */
  filesDir: string;
  /** Channels that can be written to now. */
  channels(): string[];
}

const place = z
  .string()
  .regex(/^[a-z]+:[^\s:#]+(#[^\s]+)?$/, 'must look like telegram:12345')
  .describe('Where to: channel:chat, as in telegram:12345');

export function parsePlace(text: string): Address {
  const [, channel = '', chat = '', thread] = /^([a-z]+):([^#]+)(?:#(.+))?$/.exec(text) ?? [];
  return thread ? { channel, chat, thread } : { channel, chat };
}
const placeName = (address: Address) =>
  `${address.channel}:${address.chat}${address.thread ? `#${address.thread}` : ''}`;

/** The place with the name its person gave themselves, in quotes: a name proves nothing. */
function named(deps: SendDeps, to: string): string {
  const title = deps.people.addresses().find((entry) => placeName(entry.address) === to)?.title;
  return title ? `${to} (“${title}”)` : to;
}

/** A place nobody wrote from is refused: it is a slip or an attack, and the platforms refuse it anyway. */
function known(deps: SendDeps, to: Address): string | null {
  const places = deps.people.addresses().map((entry) => `${placeName(entry.address)} (${entry.title ?? entry.trust})`);
  if (places.some((name) => name.startsWith(`${placeName(to)} (`))) return null;
  if (to.channel === 'web') return 'The console shows every conversation by itself: just answer.';
  return `${placeName(to)} is not a known place. Known: ${places.join(', ') || 'none yet'}.`;
}

export function createSendMessage(deps: SendDeps): Tool {
  return defineTool({
    name: 'send_message',
    description:
      'Send a message to another chat or channel than the one you are answering in (to answer, just answer). Needs the owner’s approval.',
    schema: z.strictObject({ to: place, text: z.string().min(1).max(100_000) }),
    effect: 'keyed',
    action: ({ to }) => ({ type: 'send', to: parsePlace(to), what: 'message' }),
    title: ({ to }) => `Send a message to ${named(deps, to)}`,
    async run({ to, text }, context) {
      const address = parsePlace(to);
      const unknown = known(deps, address);
      if (unknown) return textResult(unknown, true);
      enqueue(deps, context, address, { kind: 'text', markdown: text });
      return textResult(`Queued for ${to}; it is sent at once or as soon as ${address.channel} can be reached.`);
    },
  });
}

export function createSendFile(deps: SendDeps): Tool {
  return defineTool({
    name: 'send_file',
    description:
      'Send a file from Steward’s files folder to this chat, or with `to` to another one (which needs the owner’s approval).',
    schema: z.strictObject({
      path: z.string().min(1).max(1_000).describe('Path inside the files folder'),
      to: place.optional(),
      caption: z.string().max(1_000).optional(),
    }),
    effect: 'keyed',
    action: ({ to }) => ({ type: 'send', to: to ? parsePlace(to) : 'here', what: 'file' }),
    title: ({ path, to }) => `Send the file ${path}${to ? ` to ${named(deps, to)}` : ''}`,
    async run({ path, to, caption }, context) {
      const targets = to ? [parsePlace(to)] : context.replyTo.filter((address) => address.channel !== 'web');
      if (targets.length === 0)
        return textResult('The question came from the console; tell the owner the path instead.', true);
      const unknown = to ? known(deps, targets[0]!) : null;
      if (unknown) return textResult(unknown, true);
      const data = readInside(deps.filesDir, path);
      const file = { kind: 'file', name: basename(path), mediaType: 'application/octet-stream' } as const;
      deps.db.tx(() => {
        const blob = deps.blobs.put(data);
        for (const address of targets)
          enqueue(deps, context, address, caption ? { ...file, blob, caption } : { ...file, blob });
      });
      return textResult(`Queued: ${path} (${data.length} bytes) to ${targets.map(placeName).join(', ')}.`);
    },
  });
}

function enqueue(
  deps: SendDeps,
  context: ToolContext,
  to: Address,
  body: Parameters<Outbox['enqueue']>[0]['body'],
): void {
  deps.db.tx(() =>
    deps.outbox.enqueue({
      sessionId: context.session.id,
      eventId: context.callId,
      key: `${context.callId}:${placeName(to)}`,
      to,
      body,
    }),
  );
}

/** Reads a regular file whose real path lies inside the folder; links out of it are refused. */
export function readInside(folder: string, path: string): Buffer {
  const op = 'read a file to send';
  const refuse = (why: string, cause?: unknown) =>
    new StewardError('invalid', `${path} cannot be sent: ${why}.`, {
      op,
      hint: `Only files inside ${folder} can be sent.`,
      cause,
    });
  const root = realpathSync(folder);
  let real: string;
  try {
    real = realpathSync(resolve(join(root, path)));
  } catch (cause) {
    throw refuse('there is no such file', cause);
  }
  if (!real.startsWith(root + sep)) throw refuse('it lies outside the files folder');
  // The path is resolved: a link that appears in its place between the check and here is not followed.
  const descriptor = openSync(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw refuse('it is not a regular file');
    if (stat.nlink > 1) throw refuse('it is hard-linked from elsewhere');
    if (stat.size > FILE_LIMIT) throw refuse(`it is larger than ${FILE_LIMIT / 1024 / 1024} MB`);
    const data = Buffer.alloc(stat.size);
    const read = readSync(descriptor, data, 0, stat.size, 0);
    return data.subarray(0, read);
  } finally {
    closeSync(descriptor);
  }
}
