// The page of memory in a real browser against a real process: write, search, see why, correct, decide, undo, forget.
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type MessagesApi, startMessagesApi, toolResults } from '../fakes/messages-api.ts';
import { chromiumPath, launchBrowser } from '../helpers/browser.ts';
import { type StewardProcess, startSteward } from '../helpers/process.ts';

const found = chromiumPath();
if (!found) console.log('The page of memory is not tested: there is no Chromium here (apt-get install chromium).');

describe.skipIf(!found)('memory in the console', () => {
  let browser: Browser;
  let model: MessagesApi;
  let steward: StewardProcess;
  let context: BrowserContext;
  let page: Page;
  /** Anything the page should never do: errors, refused loads, requests to elsewhere. */
  let complaints: string[];

  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${steward.url}${path}`, {
      method,
      headers: { 'x-api-key': steward.token, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    expect(response.ok, `${method} ${path}: ${response.status}`).toBe(true);
    return (await response.json()) as T;
  };
  const save = (text: string, more: object = {}) =>
    call<{ item: { id: string } }>('POST', '/api/memory', { text, ...more });
  const open = async (hash = '#/memory') => {
    await page.goto(`${steward.url}/${hash}`);
    await page
      .getByRole('heading', { name: /Memory/ })
      .first()
      .waitFor();
  };
  const list = () => page.getByRole('region', { name: 'What is known' });
  const row = (text: string) => list().getByRole('listitem').filter({ hasText: text });
  const choose = async (text: string, action: string) => {
    await row(text).getByRole('button', { name: 'What to do with this memory' }).click();
    await page.locator('.menu:popover-open').getByRole('button', { name: action }).click();
  };

  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  beforeEach(async () => {
    model = await startMessagesApi();
    steward = await startSteward({
      env: { ANTHROPIC_API_KEY: 'sk-test-memory-000000000', ANTHROPIC_BASE_URL: model.url },
    });
    context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    page = await context.newPage();
    complaints = [];
    page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
    page.on('console', (message) => {
      if (/Content Security Policy|Refused to/i.test(message.text())) complaints.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(steward.url) && !request.url().startsWith('data:'))
        complaints.push(`request to ${request.url()}`);
    });
    const { url } = await call<{ url: string }>('POST', '/api/login-links', {});
    await page.goto(url);
    await page.getByRole('textbox', { name: 'Message' }).waitFor();
  });
  afterEach(async () => {
    await context.close();
    await steward.stop();
    await model.close();
    expect(complaints).toEqual([]);
  });

  it('writes one down, finds it with its score, and shows whose words it rests on', async () => {
    await page.getByRole('link', { name: 'Memory' }).click();
    await page.getByText('Nothing here yet').waitFor();
    await page.getByRole('button', { name: 'Remember' }).click();
    await page.getByLabel('What is to be remembered').fill('The boiler was serviced by Mr Olsen');
    await page.getByLabel('About (optional)').fill('boiler');
    await page.locator('dialog').getByRole('button', { name: 'Remember' }).click();
    await row('serviced by Mr Olsen').waitFor();
    await page.getByRole('searchbox', { name: 'Search memory' }).fill('who serviced the boiler?');
    await page.keyboard.press('Enter');
    const hit = page.getByRole('region', { name: 'Search memory' }).getByRole('listitem').first();
    await hit.waitFor();
    expect(await hit.textContent()).toContain('Mr Olsen');
    expect(await hit.locator('[title^="score 0."], [title^="score 1."]').count()).toBe(1);
    await page.getByRole('button', { name: 'Show everything again' }).click();
    await row('serviced by Mr Olsen').getByRole('link').first().click();
    await page.getByText('Where it comes from').waitFor();
    await page.locator('blockquote').filter({ hasText: 'serviced by Mr Olsen' }).waitFor();
    await page.getByRole('link', { name: 'See it where it was said' }).click();
    await page.getByText('memory.edited').first().waitFor();
  });

  it('says that nothing is known, and never loads what it does not show', async () => {
    for (let i = 0; i < 90; i++) await save(`Fact number ${i} is worth ${i * 37}`);
    await open();
    await row('Fact number').first().waitFor();
    const shown = await list().getByRole('listitem').count();
    expect(shown).toBeLessThanOrEqual(40);
    await list().getByRole('button', { name: 'Show more' }).click();
    await expect.poll(() => list().getByRole('listitem').count()).toBe(80);
    await page.getByRole('searchbox', { name: 'Search memory' }).fill('xylophone quartet');
    await page.keyboard.press('Enter');
    await page.getByText(/Nothing (was found|really fits)/).waitFor();
  });

  it('pins, corrects, takes back and undoes', async () => {
    await save('Ann lives in Bergen', { subject: 'Ann', slot: 'home' });
    await open();
    await choose('Ann lives in Bergen', 'Pin');
    await row('Ann lives in Bergen').getByRole('img', { name: 'pinned' }).waitFor();
    await choose('Ann lives in Bergen', 'Edit');
    await page.getByLabel('What is to be remembered').fill('Ann lives in Oslo');
    await page.locator('dialog').getByRole('button', { name: 'Save' }).click();
    await row('Ann lives in Oslo').waitFor();
    expect(await row('Ann lives in Bergen').count()).toBe(0);
    await row('Ann lives in Oslo').getByRole('link').first().click();
    await page.getByText('What it was before').waitFor();
    await page.getByRole('link', { name: 'Ann lives in Bergen' }).waitFor();
    await page.getByRole('link', { name: 'Memory', exact: true }).first().click();
    await row('Ann lives in Oslo').waitFor();
    // The list of changes comes late: until it is there, its first button still belongs to the change before.
    const { promise: late, resolve: release } = Promise.withResolvers<void>();
    await page.route('**/api/memory/changes*', (route) => late.then(() => route.continue()));
    await choose('Ann lives in Oslo', 'That is wrong');
    await expect.poll(() => row('Ann lives in Oslo').count()).toBe(0);
    const undo = page.getByRole('button', { name: 'Undo' }).first();
    expect(await undo.isDisabled()).toBe(true);
    release();
    await expect.poll(() => undo.isEnabled()).toBe(true);
    await undo.click();
    await row('Ann lives in Oslo').waitFor();
  });

  it('forgets for good, with the words it came from', async () => {
    await save('The cellar code is tulip-nine-four');
    await save('The roof was mended in June');
    await open();
    await choose('cellar code', 'Forget');
    await page.getByRole('checkbox').check();
    await page.locator('dialog').getByRole('button', { name: 'Forget' }).click();
    await page.getByText(/Forgotten: one memory/).waitFor();
    await expect.poll(() => row('cellar code').count()).toBe(0);
    await row('roof was mended').waitFor();
    const { data } = await call<{ data: { text: string }[] }>('GET', '/api/memory/search?q=cellar%20tulip');
    expect(JSON.stringify(data)).not.toContain('tulip');
  });

  it('asks what only the owner can tell', async () => {
    await save('Ann lives in Bergen', { subject: 'Ann', slot: 'home' });
    model.script((request) =>
      toolResults(request).length > 0
        ? 'Noted.'
        : {
            content: [
              {
                type: 'tool_use',
                name: 'memory_save',
                input: { text: 'Ann lives in Narvik', subject: 'Ann', slot: 'home' },
              },
            ],
          },
    );
    await page.getByRole('textbox', { name: 'Message' }).fill('Ann sent a card');
    await page.keyboard.press('Enter');
    await page.locator('article[aria-label="Answer"]:not([aria-busy])').filter({ hasText: 'Noted.' }).waitFor();
    await open();
    const question = page.getByRole('listitem').filter({ hasText: 'Does the new one hold instead?' });
    await question.waitFor();
    await row('Ann lives in Bergen').waitFor();
    await question.getByRole('button', { name: 'Yes' }).click();
    await row('Ann lives in Narvik').waitFor();
    expect([await row('Ann lives in Bergen').count(), await question.count()]).toEqual([0, 0]);
  });

  it('shows hostile words as words, and fits a phone, in the light and in the dark', async () => {
    const hostile = '<img src=x onerror="window.attacked=1"> \u202e gnitser <script>attacked()</script>';
    const { item } = await save(`${hostile} ${'long-word-without-a-break'.repeat(20)}`, { subject: 'w'.repeat(190) });
    await save('The boiler was serviced by Mr Olsen');
    for (const hash of ['#/memory', `#/memory/${item.id}`])
      for (const colorScheme of ['light', 'dark'] as const)
        for (const width of [360, 768, 1440]) {
          await page.emulateMedia({ colorScheme });
          await page.setViewportSize({ width, height: 800 });
          await open(hash);
          await page.getByText('gnitser').first().waitFor();
          const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
          expect(await page.evaluate(overflow), `${hash} ${colorScheme} ${width}`).toBeLessThanOrEqual(0);
        }
    expect(await page.evaluate('window.attacked')).toBeUndefined();
    expect(await page.getByText('U+202E').count()).toBeGreaterThan(0);
    await page.goto(`${steward.url}/#/memory/mem_nothere`);
    await page.getByRole('alert').getByRole('button', { name: 'Try again' }).waitFor();
  });
});
