// Markdown as models write it → what Telegram takes: HTML with its few tags, and messages of at most 4,096 UTF-16 units. Pure.
import MarkdownIt, { type Token } from 'markdown-it';
import { cutMarkdown, shows } from './telegram/cut.ts';

/** Telegram's bound on one message, counted after its entities are parsed. */
export const TELEGRAM_LIMIT = 4_096;
/** Source taken per message before the rendered length is looked at; rendering seldom adds more than a tenth. */
const SOURCE_PER_MESSAGE = 3_600;
/** Below this a part is taken as it is: no rendering makes 4,096 of it. */
const SMALLEST_SOURCE = 32;

const markdownIt = new MarkdownIt({ html: false, linkify: false, breaks: true });

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char]!);

/** The text a person sees: without tags, entities decoded. For HTML made here. */
export function visibleText(html: string): string {
  return html
    .replace(/<[^>]*>/g, '')
    .replace(/&(lt|gt|quot|amp);/g, (_, name: string) => ({ lt: '<', gt: '>', quot: '"', amp: '&' })[name]!);
}

const SAFE_LINK = /^(https?:|mailto:|tg:)/i;
const INLINE_TAGS: Record<string, string> = { strong: 'b', em: 'i', s: 's' };

/** What an open mark adds when it ends. */
interface Open {
  tag: string;
  close: string;
}

function inline(tokens: readonly Token[], within: readonly string[] = []): string {
  let html = '';
  const open: Open[] = [];
  const inside = (tag: string) => within.includes(tag) || open.some((entry) => entry.tag === tag);
  for (const token of tokens) {
    const tag = INLINE_TAGS[token.tag];
    if (token.type === 'code_inline') html += `<code>${escapeHtml(token.content)}</code>`;
    else if (token.type === 'softbreak' || token.type === 'hardbreak') html += '\n';
    else if (token.type === 'image') {
      const source = String(token.attrGet('src') ?? '');
      const words = escapeHtml(token.content || source);
      html += SAFE_LINK.test(source) && !inside('a') ? `<a href="${escapeHtml(source)}">${words}</a>` : words;
    } else if (token.type === 'link_open') {
      const href = String(token.attrGet('href') ?? '');
      if (SAFE_LINK.test(href)) {
        html += `<a href="${escapeHtml(href)}">`;
        open.push({ tag: 'a', close: '</a>' });
      } else open.push({ tag: '', close: href ? ` (${escapeHtml(href)})` : '' });
    } else if (tag && token.nesting === 1) {
      // One kind of emphasis inside itself is an error to Telegram.
      const kept = !inside(tag);
      if (kept) html += `<${tag}>`;
      open.push(kept ? { tag, close: `</${tag}>` } : { tag: '', close: '' });
    } else if (token.nesting === -1) html += open.pop()?.close ?? '';
    else html += escapeHtml(token.content);
  }
  return html;
}

function table(rows: readonly string[][]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length))) ?? [];
  const line = (row: readonly string[], pad: boolean) =>
    row
      .map((cell, column) => (pad ? cell.padEnd(widths[column]!) : cell))
      .join(' │ ')
      .trimEnd();
  const [head = [], ...body] = rows;
  const rule = widths.map((width) => '─'.repeat(width)).join('─┼─');
  const padded = [line(head, true), rule, ...body.map((row) => line(row, true))].join('\n');
  const plain = [line(head, false), ...body.map((row) => line(row, false))].join('\n');
  // One long cell would fill every row with spaces.
  return `<pre>${escapeHtml(padded.length > plain.length * 2 + 200 ? plain : padded)}</pre>`;
}

function blocks(tokens: readonly Token[]): string {
  const lists: { ordered: boolean; next: number }[] = [];
  let html = '';
  /** Line breaks due before whatever comes next. */
  let gap = 0;
  let quotes = 0;
  let bullet = '';
  let rows: string[][] = [];
  const add = (block: string) => {
    html += (html === '' ? '' : '\n'.repeat(gap)) + bullet + block;
    bullet = '';
    gap = lists.length > 0 ? 1 : 2;
  };
  for (const [index, token] of tokens.entries()) {
    const before = tokens[index - 1]?.type;
    const children = token.children ?? [];
    switch (token.type) {
      case 'inline':
        if (before === 'th_open' || before === 'td_open') rows.at(-1)?.push(visibleText(inline(children)));
        else if (before === 'heading_open') add(`<b>${inline(children, ['b'])}</b>`);
        else add(inline(children));
        break;
      case 'bullet_list_open':
      case 'ordered_list_open':
        lists.push({ ordered: token.type === 'ordered_list_open', next: Number(token.attrGet('start') ?? 1) });
        break;
      case 'bullet_list_close':
      case 'ordered_list_close':
        lists.pop();
        if (lists.length === 0) gap = 2;
        break;
      case 'list_item_open': {
        const list = lists.at(-1)!;
        const mark = list.ordered ? `${list.next++}. ` : '• ';
        // A list that begins right after another one's bullet stands on the same line.
        bullet = bullet === '' ? '   '.repeat(lists.length - 1) + mark : bullet + mark;
        break;
      }
      case 'list_item_close':
        if (bullet !== '') {
          bullet = bullet.trimEnd();
          add('');
        }
        break;
      case 'blockquote_open':
        // A quote inside a quote is an error to Telegram.
        if (quotes++ === 0) {
          add('<blockquote>');
          gap = 0;
        }
        break;
      case 'blockquote_close':
        if (--quotes === 0) {
          html += '</blockquote>';
          gap = lists.length > 0 ? 1 : 2;
        }
        break;
      case 'fence':
      case 'code_block': {
        const language = /^[\w+#.-]+/.exec(token.info)?.[0];
        const code = escapeHtml(token.content.replace(/\n$/, ''));
        if (code.trim() === '') break;
        add(language ? `<pre><code class="language-${language}">${code}</code></pre>` : `<pre>${code}</pre>`);
        break;
      }
      case 'hr':
        add('———');
        break;
      case 'tr_open':
        rows.push([]);
        break;
      case 'table_close':
        add(table(rows));
        rows = [];
        break;
      default:
        break;
    }
  }
  return html;
}

/** HTML of Telegram's `parse_mode: HTML`. Never empty for text that shows something; unclosed marks stay as they are written. */
export function toTelegramHtml(markdown: string): string {
  const source = markdown.toWellFormed();
  const html = blocks(markdownIt.parse(source, {}));
  return shows(visibleText(html)) ? html : escapeHtml(source.trim());
}

const fitting = (markdown: string, size: number): string[] =>
  cutMarkdown(markdown, size).flatMap((part) =>
    size > SMALLEST_SOURCE && visibleText(toTelegramHtml(part)).length > TELEGRAM_LIMIT
      ? fitting(part, Math.floor(size / 2))
      : [part],
  );

/** Messages that each fit, cut between paragraphs, lines or words; a cut code block is closed and opened again. */
export function splitForTelegram(markdown: string, size = SOURCE_PER_MESSAGE): string[] {
  const parts = fitting(markdown.toWellFormed(), size);
  return parts.length > 0 ? parts : ['(empty message)'];
}

/** The first of the messages, without looking at all of a text that still grows. */
export const firstForTelegram = (markdown: string): string =>
  splitForTelegram(markdown.slice(0, 3 * SOURCE_PER_MESSAGE))[0]!;
