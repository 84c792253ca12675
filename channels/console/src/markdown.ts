// Markdown of a model to HTML that can do nothing: no raw HTML, no scheme but http(s) and mailto, no image ever loaded.
// Pure text in, text out; the page still runs the result through a sanitiser (prose.tsx) before it touches the DOM.
import MarkdownIt, { type RendererRule, type Token } from 'markdown-it';

const SAFE_LINK = /^(https?:\/\/|mailto:)/i;

const md = new MarkdownIt({ html: false, linkify: true, typographer: false, breaks: false });
// `file.md` and `notes.py` are file names here, not hosts.
md.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
md.validateLink = (url) => SAFE_LINK.test(url.trim());

const { escapeHtml } = md.utils;

function isBlank(text: string): boolean {
  return text.trim() === '';
}

md.renderer.rules.link_open = (tokens, index, options, _env, self) => {
  const token = tokens[index]!;
  token.attrSet('target', '_blank');
  token.attrSet('rel', 'noopener noreferrer nofollow');
  // What the link says may not be where it goes: the address is always shown on hover.
  token.attrSet('title', String(token.attrGet('href') ?? ''));
  return self.renderToken(tokens, index, options);
};

/** An image address is written by the model and would be fetched by the reader: it is shown as a link and never loaded. */
md.renderer.rules.image = (tokens, index) => {
  const token = tokens[index]!;
  const url = String(token.attrGet('src') ?? '');
  const alt = isBlank(token.content) ? url : token.content;
  if (!SAFE_LINK.test(url)) return escapeHtml(alt);
  return `<a class="image-link" href="${escapeHtml(url)}" title="${escapeHtml(url)}" target="_blank" rel="noopener noreferrer nofollow">${escapeHtml(alt)}</a>`;
};

function codeBlock(token: Token): string {
  const language = md.utils.unescapeAll(token.info).trim().split(/\s+/)[0] ?? '';
  const label = /^[\w+#.-]{1,24}$/.test(language) ? language : '';
  return (
    `<figure class="code"><figcaption><span>${escapeHtml(label || 'text')}</span>` +
    `<button type="button" class="copy-code">Copy</button></figcaption>` +
    `<pre tabindex="0"><code>${escapeHtml(token.content.replace(/\n$/, ''))}</code></pre></figure>`
  );
}
md.renderer.rules.fence = (tokens, index) => codeBlock(tokens[index]!);
md.renderer.rules.code_block = (tokens, index) => codeBlock(tokens[index]!);

// Wide tables scroll by themselves instead of widening the page.
md.renderer.rules.table_open = () => '<div class="table" tabindex="0"><table>';
md.renderer.rules.table_close = () => '</table></div>';

// A strict CSP refuses style attributes, which markdown-it uses for column alignment.
const cell: RendererRule = (tokens, index, options, _env, self) => {
  const token = tokens[index]!;
  const align = /text-align:(left|right|center)/.exec(String(token.attrGet('style') ?? ''))?.[1];
  token.attrs = align ? [['class', `align-${align}`]] : null;
  return self.renderToken(tokens, index, options);
};
md.renderer.rules.th_open = cell;
md.renderer.rules.td_open = cell;

/** `- [ ] todo` and `- [x] done` as boxes. */
md.core.ruler.push('task_items', (state) => {
  state.tokens.forEach((token, index) => {
    if (token.type !== 'inline' || state.tokens[index - 2]?.type !== 'list_item_open') return;
    const first = token.children?.[0];
    const box = first?.type === 'text' ? /^\[([ xX])\] /.exec(first.content) : null;
    if (!first || !box) return;
    first.content = `${box[1] === ' ' ? '☐' : '☑'} ${first.content.slice(4)}`;
    state.tokens[index - 2]!.attrJoin('class', 'task');
  });
});

/** Without the link that is still being written at its end: half a link flickers as brackets and a wrong address. */
export function withoutOpenLink(text: string): string {
  return text.replace(/!?\[[^\]\n]{0,80}(\]|\]\([^)\s]{0,500})?$/, '');
}

/**
 * The HTML of each top-level block. While an answer streams, only the last block changes: the page redraws that one
 * and leaves a selection or a copy button in the others alone.
 */
export function renderBlocks(text: string): string[] {
  const env = {};
  const tokens = md.parse(text, env);
  const blocks: string[] = [];
  let start = 0;
  let depth = 0;
  tokens.forEach((token, index) => {
    depth += token.nesting;
    if (depth !== 0) return;
    blocks.push(md.renderer.render(tokens.slice(start, index + 1), md.options, env));
    start = index + 1;
  });
  return blocks;
}
