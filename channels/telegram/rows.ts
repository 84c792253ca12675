// One row of the outbox as messages of Telegram: text by placeholder and edit, cards and files in one request.
import type { Address, Delivery, DeliveryContext, DeliveryOutcome, Id } from '../../core/types.ts';
import { splitForTelegram, TELEGRAM_LIMIT, toTelegramHtml, visibleText } from '../render.ts';
import {
  type Button,
  failureOf,
  isBadRequest,
  isGone,
  isNotModified,
  outcomeOf,
  type TelegramApi,
  type TelegramFailure,
  type TextOptions,
} from './api.ts';
import { cardButtons, cardMarkdown, cardText, closedMarkdown } from './card.ts';

export const PLACEHOLDER = '…';
const REPEAT_MARK = '↻ may be a repeat\n\n';
const CAPTION_LIMIT = 1_024;

export interface RowsDeps {
  api: TelegramApi;
  drafts: {
    record(sessionId: Id, address: Address, externalId: string): void;
    find(sessionId: Id, address: Address): string | null;
    adopt(deliveryId: Id): string | null;
  };
  blob(hash: string): Uint8Array | null;
  /** As `failureOf`, and remembers what the chat has to wait for. */
  failed(chat: string, error: unknown): TelegramFailure;
}

export const place = (address: Address) => (address.thread ? { thread: address.thread } : {});

export function createRows(deps: RowsDeps): {
  /** Sends or finishes one row. Rejects only when the record fails: then the end of the try is unknown. */
  send(item: Delivery, context: DeliveryContext, signal: AbortSignal): Promise<DeliveryOutcome>;
} {
  const { api, failed } = deps;

  /** HTML first; what Telegram does not take goes as plain text, once, so that formatting never loses an answer. */
  const formatted = async <T>(
    markdown: string,
    call: (text: string, options: Pick<TextOptions, 'html'>) => Promise<T>,
    plain = markdown,
  ): Promise<T> => {
    try {
      return await call(fitted(markdown), { html: true });
    } catch (error) {
      if (!isBadRequest(failureOf(error))) throw error;
      return await call(plain.slice(0, TELEGRAM_LIMIT).toWellFormed(), {});
    }
  };
  const edit = async (
    chat: string,
    message: number,
    markdown: string,
    signal: AbortSignal,
    buttons?: Button[][],
  ): Promise<void> => {
    const extra = buttons ? { buttons } : {};
    try {
      await formatted(markdown, (text, options) =>
        api.editMessageText(chat, message, text, { ...options, ...extra }, signal),
      );
    } catch (error) {
      if (!isNotModified(failureOf(error))) throw error;
    }
  };

  const text = async (
    item: Delivery,
    markdown: string,
    context: DeliveryContext,
    signal: AbortSignal,
  ): Promise<DeliveryOutcome> => {
    const { chat } = item.address;
    let external = item.externalId ?? deps.drafts.adopt(item.id);
    const words = item.mayRepeat && item.externalId === null ? REPEAT_MARK + markdown : markdown;
    for (let tries = 0; ; tries++) {
      if (external === null) {
        try {
          external = String(await api.sendMessage(chat, PLACEHOLDER, place(item.address), signal));
        } catch (error) {
          // Only the empty placeholder may stand there: `settledByEdit` tells that no text is in doubt.
          return outcomeOf(failed(chat, error), 'send');
        }
        context.placed(external);
      }
      try {
        await edit(chat, Number(external), words, signal);
        return { kind: 'sent', externalId: external };
      } catch (error) {
        const failure = failed(chat, error);
        if (isGone(failure) && tries === 0) external = null;
        else return outcomeOf(failure, 'edit');
      }
    }
  };

  const card = async (
    item: Delivery,
    body: Extract<Delivery['body'], { kind: 'approval' }>,
    signal: AbortSignal,
  ): Promise<DeliveryOutcome> => {
    const buttons = cardButtons({ ...body, id: body.toolUseId });
    const mark = item.mayRepeat ? REPEAT_MARK : '';
    const send = (shown: string, options: Pick<TextOptions, 'html'>) =>
      api.sendMessage(item.address.chat, shown, { ...options, buttons, ...place(item.address) }, signal);
    return {
      kind: 'sent',
      externalId: String(await formatted(mark + cardMarkdown(body), send, mark + cardText(body))),
    };
  };

  const closed = async (
    item: Delivery,
    body: Extract<Delivery['body'], { kind: 'approval_closed' }>,
    signal: AbortSignal,
  ): Promise<DeliveryOutcome> => {
    // The card was never seen there: nothing to close.
    if (item.externalId === null) return { kind: 'sent', externalId: null };
    try {
      await edit(item.address.chat, Number(item.externalId), closedMarkdown(body.title, body.verdict), signal, []);
    } catch (error) {
      const failure = failed(item.address.chat, error);
      if (!isGone(failure)) return outcomeOf(failure, 'edit');
    }
    return { kind: 'sent', externalId: item.externalId };
  };

  const file = async (
    item: Delivery,
    body: Extract<Delivery['body'], { kind: 'file' }>,
    signal: AbortSignal,
  ): Promise<DeliveryOutcome> => {
    const data = deps.blob(body.blob);
    if (!data) return { kind: 'refused', why: `The file ${body.name} is no longer stored.` };
    const caption = `${item.mayRepeat ? REPEAT_MARK : ''}${body.caption ?? ''}`.slice(0, CAPTION_LIMIT).toWellFormed();
    const options = { ...(caption && { caption }), ...place(item.address) };
    const message = await api.sendDocument(item.address.chat, data, body.name, options, signal);
    return { kind: 'sent', externalId: String(message) };
  };

  return {
    async send(item, context, signal) {
      const { body } = item;
      switch (body.kind) {
        case 'text':
          return text(item, body.markdown, context, signal);
        case 'approval_closed':
          return closed(item, body, signal);
        case 'webhook':
          return { kind: 'refused', why: 'This is for a program, not for a chat.' };
        case 'approval':
        case 'file':
          try {
            return await (body.kind === 'file' ? file(item, body, signal) : card(item, body, signal));
          } catch (error) {
            return outcomeOf(failed(item.address.chat, error), 'send');
          }
      }
    },
  };
}

/** A row that is too long by itself is cut visibly rather than refused. */
function fitted(markdown: string): string {
  const html = toTelegramHtml(markdown);
  if (visibleText(html).length <= TELEGRAM_LIMIT) return html;
  return toTelegramHtml(`${splitForTelegram(markdown)[0]}\n\n[… cut]`);
}
