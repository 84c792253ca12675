// Markdown on the page: rendered, sanitised, and drawn block by block so that a streaming answer disturbs nothing above.
import DOMPurify from 'dompurify';
import { useMemo } from 'preact/hooks';
import { renderBlocks } from '../markdown.ts';
import { copyText } from '../ui/copy.tsx';

/** The second lock behind markdown-it's `html: false`: what may be in the DOM at all. No style, no id, no src. */
const ALLOWED = {
  ALLOWED_TAGS: [
    ...['a', 'blockquote', 'br', 'button', 'code', 'del', 'div', 'em', 'figcaption', 'figure', 'h1', 'h2', 'h3', 'h4'],
    ...[
      'h5',
      'h6',
      'hr',
      'li',
      'ol',
      'p',
      'pre',
      's',
      'span',
      'strong',
      'table',
      'tbody',
      'td',
      'th',
      'thead',
      'tr',
      'ul',
    ],
  ],
  ALLOWED_ATTR: ['class', 'href', 'rel', 'start', 'tabindex', 'target', 'title', 'type'],
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

function Block({ html }: { html: string }) {
  const clean = useMemo(() => DOMPurify.sanitize(html, ALLOWED), [html]);
  // The only HTML that is set from text anywhere in the console; sanitised one line above.
  return <div class="block" dangerouslySetInnerHTML={{ __html: clean }} />;
}

/** Code blocks come as text: their copy buttons are found by delegation. */
async function onClick(event: MouseEvent): Promise<void> {
  const button = event.target instanceof Element ? event.target.closest('button.copy-code') : null;
  const code = button?.closest('figure')?.querySelector('code');
  if (!button || !code) return;
  button.textContent = (await copyText(code.textContent)) ? 'Copied' : 'Not copied';
  setTimeout(() => {
    button.textContent = 'Copy';
  }, 1_600);
}

export function Prose({ text }: { text: string }) {
  const blocks = useMemo(() => renderBlocks(text), [text]);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the target is a real button, which clicks on Enter and Space
    // biome-ignore lint/a11y/noStaticElementInteractions: delegation for the buttons inside
    <div class="prose" onClick={onClick}>
      {blocks.map((html, index) => (
        <Block key={index} html={html} />
      ))}
    </div>
  );
}
