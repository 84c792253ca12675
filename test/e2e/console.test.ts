// The console in a real browser against a real process: sign in, chat, approve, steer, die in mid-answer, stay tame.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { lastUserText, type MessagesApi, startMessagesApi, toolResults } from '../fakes/messages-api.ts';
import { type FakeTelegram, startTelegram } from '../fakes/telegram.ts';
import { chromiumPath, launchBrowser } from '../helpers/browser.ts';
import { type StewardProcess, startSteward } from '../helpers/process.ts';

const found = chromiumPath();
if (!found) console.log('The console is not tested: there is no Chromium here (apt-get install chromium).');

const KEY = 'sk-test-console-000000000000';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe.skipIf(!found)('the console', () => {
  let browser: Browser;
  let model: MessagesApi;
  let telegram: FakeTelegram;
  let steward: StewardProcess;
  let context: BrowserContext;
  let page: Page;
  let env: Record<string, string>;
  /** Anything the page should never do: errors, refused loads, requests to elsewhere. */
  let complaints: string[];

  const start = () => startSteward({ env, ...(steward && { home: steward.home }) });
  const link = async () => {
    const response = await fetch(`${steward.url}/api/login-links`, {
      method: 'POST',
      headers: { 'x-api-key': steward.token },
    });
    return ((await response.json()) as { url: string }).url;
  };
  const say = async (text: string) => {
    await page.getByRole('textbox', { name: 'Message' }).fill(text);
    await page.keyboard.press('Enter');
  };
  /** Answers that are complete: from the log, not a preview. */
  const finished = () => page.locator('article[aria-label="Answer"]:not([aria-busy])');
  const answered = (text: string) => finished().filter({ hasText: text }).first().waitFor();
  const answers = () => page.getByRole('article', { name: 'Answer' });

  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  beforeEach(async () => {
    model = await startMessagesApi({ key: KEY });
    telegram = await startTelegram();
    env = {
      ANTHROPIC_API_KEY: KEY,
      ANTHROPIC_BASE_URL: model.url,
      TELEGRAM_API_ROOT: telegram.url,
      STEWARD_PORT: String(await freePort()),
    };
    steward = await startSteward({ env });
    context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    page = await context.newPage();
    complaints = [];
    page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
    page.on('console', (message) => {
      if (/Content Security Policy|Refused to/i.test(message.text())) complaints.push(message.text());
    });
    page.on('request', (request) => {
      if (
        !request.url().startsWith(steward.url) &&
        !request.url().startsWith('data:') &&
        !request.url().startsWith('blob:')
      )
        complaints.push(`request to ${request.url()}`);
    });
    await page.goto(await link());
    await page.getByRole('textbox', { name: 'Message' }).waitFor();
  });
  afterEach(async () => {
    await context.close();
    await steward.stop();
    await model.close();
    await telegram.close();
    expect(complaints).toEqual([]);
  });

  it('signs in by a link that works once, and keeps no secret where scripts can read it', async () => {
    const used = await link();
    const other = await browser.newContext();
    const visitor = await other.newPage();
    await visitor.goto(used);
    await visitor.getByRole('textbox', { name: 'Message' }).waitFor();
    const again = await browser.newContext();
    const late = await again.newPage();
    await late.goto(used);
    await late.getByText('steward login').waitFor();
    expect(await late.getByRole('textbox', { name: 'Message' }).count()).toBe(0);
    expect(await visitor.evaluate('document.cookie')).toBe('');
    expect(await visitor.evaluate('JSON.stringify({ ...localStorage, ...sessionStorage })')).not.toContain(
      steward.token,
    );
    await other.close();
    await again.close();
  });

  it('streams an answer and keeps exactly one of it', async () => {
    model.script(() => 'One two three four five six seven eight nine ten.');
    const go = Promise.withResolvers<void>();
    model.faults.next({ kind: 'hold', afterChunks: 6, until: go.promise });
    await say('count');
    await page.getByText('One two', { exact: false }).first().waitFor();
    await page.locator('article[aria-label="Answer"][aria-busy]').waitFor();
    go.resolve();
    await answered('nine ten.');
    expect(await answers().count()).toBe(1);
    await page.reload();
    await answered('nine ten.');
    expect(await answers().count()).toBe(1);
    expect(await page.getByRole('article', { name: 'Message' }).count()).toBe(1);
  });

  it('comes back after a kill in mid-answer and finishes, without being asked again', async () => {
    model.script(() => 'A rather long answer that is cut off in the middle and then told once more to its end.');
    model.faults.next({ kind: 'hold', afterChunks: 6, until: new Promise(() => {}) });
    await say('tell me');
    await page.getByText('A rather', { exact: false }).first().waitFor();
    await steward.kill('SIGKILL');
    steward = await start();
    await answered('to its end.');
    expect(await answers().count()).toBe(1);
    expect(await page.getByRole('article', { name: 'Message' }).count()).toBe(1);
  });

  it('sends a message written while the process was down, once', async () => {
    await steward.kill('SIGKILL');
    await say('are you there?');
    steward = await start();
    await answered('You said: are you there?');
    expect(await page.getByRole('article', { name: 'Message' }).count()).toBe(1);
    expect(await answers().count()).toBe(1);
  });

  it('keeps and sends what is written before the conversation could even be loaded', async () => {
    const gone = Promise.withResolvers<void>();
    await page.route(
      /\/events\?/,
      async (route) => {
        await gone.promise;
        await route.abort('connectionrefused');
      },
      { times: 1 },
    );
    const asked = page.waitForRequest(/\/events\?/);
    await page.reload();
    await asked;
    await steward.kill('SIGKILL');
    gone.resolve();
    await say('anybody?');
    steward = await start();
    await answered('You said: anybody?');
    expect(await page.getByRole('article', { name: 'Message' }).count()).toBe(1);
  });

  it('shows an approval with its whole arguments, and does what was decided', async () => {
    model.script((request) =>
      toolResults(request).length > 0
        ? `The result: ${toolResults(request)[0]!.text}`
        : { content: [{ type: 'tool_use', name: 'web_fetch', input: { url: 'https://unnamed.example/\u202epath' } }] },
    );
    await say('look it up');
    const approval = page.getByRole('region', { name: /Approval needed/ });
    await approval.waitFor();
    expect(await approval.textContent()).toMatch(/202e/i);
    await approval.getByRole('button', { name: 'Deny' }).first().click();
    await answered('The result: The owner said no');
  });

  it('stops a running answer with Escape', async () => {
    model.script(() => 'word '.repeat(200));
    model.faults.stick({ kind: 'slow', msPerChunk: 100 });
    await say('talk');
    await page.getByText('word word', { exact: false }).first().waitFor();
    await page.keyboard.press('Escape');
    await finished().waitFor();
    model.faults.clear();
    model.script((request) => `Then: ${lastUserText(request)}`);
    await say('and now?');
    await answered('Then:');
  });

  it('renders a hostile answer as text: nothing runs, nothing loads', async () => {
    const source = readFileSync(new URL('../unit/channels/console/markdown.test.ts', import.meta.url), 'utf8');
    const [, list = ''] = /const HOSTILE = \[\n([\s\S]*?)\n\];/.exec(source) ?? [];
    const hostile = [...list.matchAll(/'((?:[^'\\]|\\.)*)'/g)].map(([, text]) => text!.replaceAll('\\n', '\n'));
    expect(hostile.length).toBeGreaterThan(10);
    model.script(() => `${hostile.join('\n\n')}\n\nTHE END`);
    await page.exposeFunction('attacked', () => complaints.push('a script of the answer ran'));
    await page.evaluate('window.alert = window.attacked');
    await say('show me');
    await answered('THE END');
    for (const anchor of await page.locator('article[aria-label="Answer"] :not(footer) > a').all())
      expect(await anchor.getAttribute('href')).toMatch(/^(https?:|mailto:)/);
    const foreign = ':is(img, script, iframe, style, form, input, object, embed, video, audio)';
    expect(await page.locator(`article[aria-label="Answer"] ${foreign}`).count()).toBe(0);
  });

  it('fits a phone, in the light and in the dark', async () => {
    await say('hello');
    await answered('You said: hello');
    for (const colorScheme of ['light', 'dark'] as const)
      for (const width of [360, 390, 768, 1440]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 800 });
        const overflow = await page.evaluate(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        );
        expect(overflow, `${colorScheme} ${width}`).toBeLessThanOrEqual(0);
        expect(await page.getByRole('textbox', { name: 'Message' }).isVisible()).toBe(true);
      }
  });

  it('shows the timeline with raw payloads', async () => {
    await say('hello');
    await answered('You said: hello');
    await page.getByText('Timeline').first().click();
    await page.getByText('span.model_request_end').first().waitFor();
  });

  it('takes a Telegram token in the settings, pairs a person there and shows their message in the same conversation', async () => {
    await page.goto(`${steward.url}/#/settings`);
    await page.getByLabel('Telegram bot token').fill(telegram.token);
    await page.getByRole('button', { name: 'Save' }).first().click();
    await page.getByText(`@${telegram.username}`).first().waitFor();
    telegram.say(42, 'let me in');
    await expect.poll(() => telegram.chat(42).length).toBe(1);
    await page.reload();
    await page
      .getByRole('button', { name: /as owner/i })
      .first()
      .click();
    await page.getByText('User 42').first().waitFor();
    telegram.say(42, 'from the phone');
    await expect.poll(() => telegram.chat(42).map((message) => message.text)).toContain('You said: from the phone');
    await page.goto(`${steward.url}/#/`);
    await answered('You said: from the phone');
    expect(await page.content()).not.toContain(telegram.token);
  });
});
