// The HTML of Telegram's parse_mode, as strict as the real parser: unknown tags, wrong nesting and bare `<` are refused.

const TAGS = new Set([
  'b',
  'strong',
  'i',
  'em',
  'u',
  'ins',
  's',
  'strike',
  'del',
  'code',
  'pre',
  'a',
  'blockquote',
  'tg-spoiler',
]);
const ENTITIES: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"' };

/** The visible text, or the sentence with which the real server refuses. */
export function parseHtml(html: string): { text: string } | { error: string } {
  const refuse = (why: string) => ({ error: `Bad Request: can't parse entities: ${why}` });
  const open: string[] = [];
  let text = '';
  for (let i = 0; i < html.length; ) {
    const char = html[i]!;
    if (char === '&') {
      const match = /^&(?:#(\d+)|([a-z]+));/.exec(html.slice(i));
      const decoded = match && (match[1] ? String.fromCodePoint(Number(match[1])) : ENTITIES[match[2]!]);
      text += decoded ?? '&';
      i += decoded ? match![0].length : 1;
      continue;
    }
    if (char !== '<') {
      text += char;
      i += 1;
      continue;
    }
    const match = /^<(\/?)([a-z-]+)((?:\s+[a-z-]+(?:="[^"<>]*")?)*)\s*>/.exec(html.slice(i));
    if (!match) return refuse(`Unsupported start tag "${html.slice(i + 1, i + 10)}" at byte offset ${i}`);
    const [whole, closing, name = ''] = match;
    if (!TAGS.has(name)) return refuse(`Unsupported start tag "${name}" at byte offset ${i}`);
    if (closing) {
      if (open.pop() !== name)
        return refuse(`Unmatched end tag at byte offset ${i}, expected "</${open.at(-1) ?? ''}>", found "</${name}>"`);
    } else {
      if (open.includes(name)) return refuse(`Nested entity "${name}" at byte offset ${i}`);
      if (open.includes('code') || (open.includes('pre') && name !== 'code'))
        return refuse(`Entity "${name}" inside code at byte offset ${i}`);
      open.push(name);
    }
    i += whole.length;
  }
  if (open.length > 0) return refuse(`Can't find end tag corresponding to start tag "${open.at(-1)}"`);
  return { text };
}
