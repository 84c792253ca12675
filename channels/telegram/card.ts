// An approval as a message: everything that is asked for, or no button that allows it. Pure.
import type { Id, Millis } from '../../core/types.ts';
import type { Button } from './api.ts';

/** With the title, the reason and the frame it stays well below 4,096. UTF-16 units. */
const DETAIL_LIMIT = 3_000;
const TITLE_LIMIT = 200;
const WHY_LIMIT = 500;

export interface Asked {
  title: string;
  why: string;
  detail: string;
  expiresAt: Millis;
}

export interface Waiting extends Asked {
  id: Id;
  /** Its card stands in the chat. */
  shown: boolean;
}

/** What cannot be shown in full cannot be approved here. */
export const shownWhole = (asked: Asked): boolean => asked.detail.length <= DETAIL_LIMIT;

const cut = (text: string, limit: number) =>
  text.length > limit ? `${text.slice(0, limit - 1).toWellFormed()}…` : text;
const oneLine = (text: string, limit: number) => cut(text.replace(/\s+/g, ' ').trim(), limit);
/** Text of others inside our Markdown: nothing in it may format. */
const verbatim = (text: string) => text.replace(/[!-/:-@[-`{-~]/g, '\\$&');
/** A fence longer than any run of backticks inside. */
const fenced = (text: string) => {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
};
const until = (asked: Asked) => `${new Date(asked.expiresAt).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
const shownDetail = (asked: Asked) =>
  shownWhole(asked)
    ? asked.detail
    : `${asked.detail.slice(0, DETAIL_LIMIT).toWellFormed()}\n… the whole of it stands in the console`;

export const cardMarkdown = (asked: Asked): string =>
  [
    `**${verbatim(oneLine(asked.title, TITLE_LIMIT))}?**`,
    verbatim(oneLine(asked.why, WHY_LIMIT)),
    fenced(shownDetail(asked)),
    `Without an answer by ${until(asked)} it counts as no.`,
  ].join('\n\n');

export const cardButtons = (asked: Asked & { id: Id }): Button[][] => {
  const allow = shownWhole(asked) ? [{ text: 'Approve', callback_data: `a:${asked.id}` }] : [];
  return [[...allow, { text: 'Deny', callback_data: `d:${asked.id}` }]];
};

export const closedMarkdown = (title: string, verdict: string): string =>
  `**${verbatim(oneLine(title, TITLE_LIMIT))}**\n\n${verbatim(oneLine(verdict, 1_000))}`;

/** The same as plain text. */
export const cardText = (asked: Asked): string =>
  [oneLine(asked.title, TITLE_LIMIT), oneLine(asked.why, WHY_LIMIT), shownDetail(asked)].filter(Boolean).join('\n');

export const spelledOut = (waiting: Waiting, command: string): string =>
  `${cardText(waiting)}\n${command} ${waiting.id}`;
