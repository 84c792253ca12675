// Markdown becomes HTML that Telegram takes, whatever the model wrote, and long text becomes messages that lose nothing.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { splitForTelegram, TELEGRAM_LIMIT, toTelegramHtml, visibleText } from '../../../channels/render.ts';
import { cutMarkdown } from '../../../channels/telegram/cut.ts';
import { parseHtml } from '../../fakes/telegram/entities.ts';

/** What the server would show; fails where it would refuse. */
function shown(html: string): string {
  const parsed = parseHtml(html);
  if ('error' in parsed) throw new Error(`${parsed.error}\nin ${JSON.stringify(html)}`);
  return parsed.text;
}

describe('Markdown as HTML of Telegram', () => {
  test.each([
    // emphasis
    ['**bold** and *italic* and ~~gone~~', '<b>bold</b> and <i>italic</i> and <s>gone</s>'],
    ['***both***', '<i><b>both</b></i>'],
    ['**a **b** c**', '<b>a b c</b>'],
    ['*a _b_ c*', '<i>a b c</i>'],
    ['**a *b ~~c~~ d* e**', '<b>a <i>b <s>c</s> d</i> e</b>'],
    ['# Title with **bold** and *more*', '<b>Title with bold and <i>more</i></b>'],
    ['snake_case_stays and 2*3*4', 'snake_case_stays and 2<i>3</i>4'],
    // code
    ['`a < b && c`', '<code>a &lt; b &amp;&amp; c</code>'],
    ['**`x`**', '<b><code>x</code></b>'],
    ['```ts\nconst a = "<b>";\n```', '<pre><code class="language-ts">const a = &quot;&lt;b&gt;&quot;;</code></pre>'],
    ['```\nplain\n```', '<pre>plain</pre>'],
    ['```"onload=x\nodd\n```', '<pre>odd</pre>'],
    ['```py\na\n\n\n\nb\n```', '<pre><code class="language-py">a\n\n\n\nb</code></pre>'],
    ['    by indent', '<pre>by indent</pre>'],
    // links
    ['[a](https://x.org/?q="1"&r=<2>)', '<a href="https://x.org/?q=%221%22&amp;r=%3C2%3E">a</a>'],
    ['[**a**](https://x.org)', '<a href="https://x.org"><b>a</b></a>'],
    ['[a](javascript:alert(1))', '[a](javascript:alert(1))'],
    ['[a](data:text/html,x)', '[a](data:text/html,x)'],
    ['[a](src/a.ts)', 'a (src/a.ts)'],
    ['<https://x.org/a&b>', '<a href="https://x.org/a&amp;b">https://x.org/a&amp;b</a>'],
    ['![a cat](https://x.org/c.png)', '<a href="https://x.org/c.png">a cat</a>'],
    ['[![a cat](https://x.org/c.png)](https://y.org)', '<a href="https://y.org">a cat</a>'],
    // lists, quotes, rules
    ['- a\n  - b\n    - c\n- d', '• a\n   • b\n      • c\n• d'],
    ['3. c\n4. d', '3. c\n4. d'],
    ['1. a\n\n   more\n2. b', '1. a\nmore\n2. b'],
    ['- - x', '• • x'],
    ['- a\n\nafter', '• a\n\nafter'],
    ['> a\n> > b\n\nc', '<blockquote>a\n\nb</blockquote>\n\nc'],
    ['> - a\n>\n> ```\n> x\n> ```', '<blockquote>• a\n\n<pre>x</pre></blockquote>'],
    ['- > a', '• <blockquote>a</blockquote>'],
    ['a\n\n---\n\nb', 'a\n\n———\n\nb'],
    ['a\n\n\n\n\nb', 'a\n\nb'],
    ['a\nb', 'a\nb'],
    // tables
    ['|a|long|\n|-|-|\n|1|`2`|', '<pre>a │ long\n──┼─────\n1 │ 2</pre>'],
    ['|a|\n|-|\n|<x> & y|', '<pre>a\n───────\n&lt;x&gt; &amp; y</pre>'],
    // raw HTML is text
    ['<b>raw</b> &amp; &lt;i&gt;', '&lt;b&gt;raw&lt;/b&gt; &amp; &lt;i&gt;'],
    ['<script>alert(1)</script>', '&lt;script&gt;alert(1)&lt;/script&gt;'],
    ['<!-- note --> x', '&lt;!-- note --&gt; x'],
    // half of a text, while it streams
    ['**bol', '**bol'],
    ['`cod', '`cod'],
    ['```js\nlet a', '<pre><code class="language-js">let a</code></pre>'],
    ['[a](https://x', '[a](https://x'],
    ['| a | b |\n|-', '| a | b |\n|-'],
    ['- ', '•'],
    // what would show nothing is shown as it is written
    ['>', '&gt;'],
    ['#', '#'],
    ['```\n```', '```\n```'],
    ['&nbsp;', '&amp;nbsp;'],
    ['[a]: https://x.org', '[a]: https://x.org'],
  ])('%j', (markdown, html) => {
    expect(toTelegramHtml(markdown)).toBe(html);
    shown(html);
  });

  test('one wide cell does not fill every row with spaces', () => {
    const rows = Array.from({ length: 50 }, (_, i) => `|${i}|x|`).join('\n');
    const html = toTelegramHtml(`|n|text|\n|-|-|\n|${'w'.repeat(2_000)}|y|\n${rows}`);
    expect(shown(html).length).toBeLessThan(5_000);
    expect(shown(html)).toContain('49 │ x');
  });

  test('nothing said is lost on the way', () => {
    const words = [
      '# Heading1',
      'text2 **bold3** [link4](rel5)',
      '- item6\n  - item7\n\n    para8\n- item9',
      '> quote10',
      '```sh\ncode11\n```',
      '|cell12|cell13|\n|-|-|\n|cell14|cell15|',
    ].join('\n\n');
    expect(shown(toTelegramHtml(words)).match(/\d+/g)).toEqual(Array.from({ length: 15 }, (_, i) => String(i + 1)));
  });
});

/** Any UTF-16, lone surrogates included. */
const units = fc.array(fc.integer({ min: 0, max: 0xffff })).map((codes) => String.fromCharCode(...codes));
const MARKS = [
  '*',
  '**',
  '_',
  '__',
  '~~',
  '`',
  '``',
  '```',
  '```js\n',
  '\n```\n',
  '~~~\n',
  '<',
  '</b>',
  '<b>',
  '&',
  '&lt;',
];
const MORE = [
  '&#60;',
  '&nbsp;',
  '[',
  '](',
  ')',
  '](http://x/"',
  '![',
  '|',
  '|-|-|\n',
  '\n',
  '\n\n',
  '> ',
  '- ',
  '1. ',
  '# ',
];
const REST = [
  '    ',
  '\t',
  '  \n',
  '\\',
  '"',
  "'",
  '===\n',
  '---\n',
  '<http://x>',
  '[a]: http://x\n',
  'word',
  ' ',
  '😀',
  '\ud83d',
];
const marks = fc.array(fc.constantFrom(...MARKS, ...MORE, ...REST), { maxLength: 60 }).map((list) => list.join(''));
const anything = fc.oneof(marks, units, fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }));
const seen = (text: string) => text.replace(/[\s\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu, '');

describe('any text at all', () => {
  test('becomes HTML the server takes, and shows something when there was something', () => {
    fc.assert(
      fc.property(anything, (text) => {
        const html = toTelegramHtml(text);
        expect(html.isWellFormed()).toBe(true);
        expect(visibleText(html)).toBe(shown(html));
        if (seen(text.toWellFormed()) !== '') expect(seen(shown(html))).not.toBe('');
      }),
      { numRuns: 1_500 },
    );
  });

  test('becomes messages that each fit and show something', () => {
    const long = fc.tuple(anything, fc.integer({ min: 1, max: 400 })).map(([text, times]) => text.repeat(times));
    fc.assert(
      fc.property(long, (text) => {
        for (const part of splitForTelegram(text)) {
          const visible = shown(toTelegramHtml(part));
          expect(visible.length).toBeLessThanOrEqual(TELEGRAM_LIMIT);
          expect(seen(visible)).not.toBe('');
        }
      }),
      { numRuns: 120 },
    );
  });

  test('is cut without losing or moving a character, and never inside a pair', () => {
    fc.assert(
      fc.property(anything, fc.integer({ min: 16, max: 60 }), (text, size) => {
        // What else stands behind a fence is repeated with it, as a language is: only `js` is looked through below.
        fc.pre(!/(?:`{3,}|~{3,})(?!js\s*(?:\n|$))[^\n]*[^\s`~][^\n]*/.test(text));
        const parts = cutMarkdown(text.toWellFormed(), size);
        for (const part of parts) expect(part.isWellFormed()).toBe(true);
        // Marks of code fences are repeated at a cut; everything else stands once and in order.
        const plain = (value: string) => seen(value.toWellFormed()).replace(/[`~]/g, '');
        const bare = /```|~~~/.test(text) ? (value: string) => value.replaceAll('js', '') : (value: string) => value;
        expect(bare(plain(parts.join('')))).toBe(bare(plain(text)));
      }),
      { numRuns: 1_500 },
    );
  });
});

describe('long text', () => {
  const paragraph = (word: string, length: number) => `${word} `.repeat(Math.ceil(length / (word.length + 1))).trim();

  test('is cut between paragraphs where that is possible', () => {
    const text = [paragraph('one', 2_500), paragraph('two', 1_500), paragraph('three', 1_000)].join('\n\n');
    const parts = splitForTelegram(text);
    expect(parts.map((part) => part.slice(0, 3))).toEqual(['one', 'two']);
    expect(parts.every((part) => !part.startsWith('\n'))).toBe(true);
  });

  test('is cut between words when it is one line, and anywhere when it is one word', () => {
    for (const part of splitForTelegram(paragraph('word', 9_000))) expect(part.trim()).toMatch(/^(word )*word$/);
    expect(splitForTelegram('x'.repeat(9_000)).join('')).toBe('x'.repeat(9_000));
    expect(splitForTelegram('😀'.repeat(5_000)).join('')).toBe('😀'.repeat(5_000));
  });

  test('a code block that is cut is closed, and opened again with its language', () => {
    const code = Array.from({ length: 400 }, (_, i) => `line_${i} = ${i}`).join('\n');
    const parts = splitForTelegram(`Look:\n\n\`\`\`python title="x"\n${code}\n\`\`\`\n\nDone.`);
    expect(parts.length).toBeGreaterThan(1);
    for (const part of parts.slice(1)) expect(part.startsWith('```python\n')).toBe(true);
    const html = parts.map(toTelegramHtml);
    for (const part of html) expect(part).toContain('<pre><code class="language-python">');
    const text = html.map(shown).join('\n');
    expect(text.match(/line_\d+ = \d+/g)).toEqual(code.split('\n'));
    expect(text).not.toContain('`');
    expect(html.at(-1)).toMatch(/<\/pre>\n\nDone\.$/);
  });

  test('a fence inside a longer fence, and one that looks like a close but is none, do not end the block', () => {
    const inner = Array.from({ length: 300 }, (_, i) => `\`\`\`js\nstep ${i}\n\`\`\``).join('\n');
    const html = splitForTelegram(`\`\`\`\`md\n${inner}\n\`\`\`\`\nafter`).map(toTelegramHtml);
    expect(html.length).toBeGreaterThan(1);
    for (const part of html) expect(part.startsWith('<pre><code class="language-md">')).toBe(true);
    expect(html.at(-1)).toMatch(/<\/pre>\n\nafter$/);
  });

  test('a code block inside a list stays code on both sides of a cut', () => {
    const code = Array.from({ length: 500 }, (_, i) => `     echo *${i}*`).join('\n');
    const html = splitForTelegram(`1. Run:\n     \`\`\`sh\n${code}\n     \`\`\`\n2. Look`).map(toTelegramHtml);
    const text = html.map(shown).join('\n');
    expect(text.match(/\*\d+\*/g)).toHaveLength(500);
    expect(html.at(-1)).toContain('2. Look');
    expect(html.at(-1)).not.toContain('`');
  });

  test('an opening fence is not left behind alone', () => {
    const parts = splitForTelegram(`${paragraph('intro', 3_590)}\n\`\`\`js\n${paragraph('code', 300)}\n\`\`\``);
    expect(parts[0]).not.toContain('```');
    expect(parts[1]).toMatch(/^```js\ncode/);
  });

  test('what grows when it is rendered still fits', () => {
    const rules = splitForTelegram('***\n'.repeat(3_000));
    for (const part of rules) expect(shown(toTelegramHtml(part)).length).toBeLessThanOrEqual(TELEGRAM_LIMIT);
    const table = `|a|b|\n|-|-|\n${Array.from({ length: 600 }, (_, i) => `|${i}|${'x'.repeat(i % 40)}|`).join('\n')}`;
    const parts = splitForTelegram(table);
    for (const part of parts) expect(shown(toTelegramHtml(part)).length).toBeLessThanOrEqual(TELEGRAM_LIMIT);
    expect(parts.length).toBeLessThan(30);
  });

  test('text with nothing to see in it is still one message', () => {
    expect(splitForTelegram('')).toEqual(['(empty message)']);
    expect(splitForTelegram(' \n\u200b\u0000\n')).toEqual(['(empty message)']);
    expect(splitForTelegram(`a\n${'\u200b'.repeat(9_000)}\nb`).join('')).not.toContain('empty');
  });
});

describe('time', () => {
  // What grows with the square of the length takes minutes at this one.
  const LENGTH = 250_000;
  const fill = (piece: string, length: number) => piece.repeat(Math.ceil(length / piece.length)).slice(0, length);
  test.each([
    ['one word', 'x'],
    ['lines', 'some words in a line\n'],
    ['paragraphs', 'a paragraph\n\n'],
    ['backticks', '`'],
    ['tildes', '~'],
    ['fences', '```js\ncode\n```\n'],
    ['an endless fence', '```x\n'],
    ['stars', '*'],
    ['emphasis', '*a **b '],
    ['brackets', '['],
    ['links', '[a]('],
    ['angles', '<'],
    ['entities', '&#x41;'],
    ['quotes', '> '],
    ['list marks', '- '],
    ['spaces', ' '],
    ['line breaks', '\n'],
    ['table bars', '|-'],
    ['table rows', '|a|b|\n|-|-|\n'],
    ['backslashes', '\\'],
    ['pairs', '😀'],
  ])('a long text of %s takes no longer than its length', (_, piece) => {
    const began = performance.now();
    splitForTelegram(fill(piece, LENGTH));
    expect(performance.now() - began).toBeLessThan(4_000);
  });

  test('a megabyte of prose and code is cut in the time of a breath', () => {
    const text = fill('A paragraph with **bold** and `code`.\n\n```js\nlet a = 1;\n```\n\n- a list\n\n', 1_000_000);
    const began = performance.now();
    expect(splitForTelegram(text).length).toBeGreaterThan(270);
    expect(performance.now() - began).toBeLessThan(4_000);
  });
});
