// The page of tasks in a real browser against a real process: begin one, see its diff, approve it, read its result; phone and desktop.
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { chromiumPath, launchBrowser } from '../helpers/browser.ts';
import { call } from '../helpers/talk.ts';
import { openTasksHouse, repository, write } from '../helpers/tasks-house.ts';

const bwrap = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'bwrap')));
const found = chromiumPath();
/** A folder, to look at what was seen. */
const pictures = process.env.STEWARD_PICTURES;

describe.skipIf(!found || !bwrap)('tasks in the console (Chromium and bubblewrap are needed)', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  it('begins one, shows what it changed, approves it, and tells how it ended', async () => {
    const house = await openTasksHouse();
    const source = await repository({ 'greet.sh': 'echo hello\n' });
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    onTestFinished(() => context.close());
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (/Content Security Policy|Refused to/i.test(message.text())) complaints.push(message.text());
    });
    const look = async (name: string) => {
      if (!pictures) return;
      mkdirSync(pictures, { recursive: true });
      for (const [size, width, height] of [
        ['phone', 390, 844],
        ['desktop', 1280, 900],
      ] as const)
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.setViewportSize({ width, height });
          await page.emulateMedia({ colorScheme });
          await page.screenshot({ path: join(pictures, `${name}-${size}-${colorScheme}.png`) });
        }
      await page.setViewportSize({ width: 1280, height: 900 });
    };
    const { url } = await call<{ url: string }>(house.steward, '/api/login-links', {});
    await page.goto(url);
    await page.goto(`${house.steward.url}/#/tasks`);
    await page.getByText('No task yet').waitFor();
    await page.getByRole('button', { name: 'New task' }).click();
    await page.getByLabel('Repository').fill(source);
    await page.getByLabel('What is to be done').fill(`Greet the world.\n${write('greet.sh', 'echo hi\n')}`);
    await page.getByLabel('Checks').fill('grep -q hi greet.sh\n');
    await page.getByRole('button', { name: 'Begin' }).click();
    await page.getByRole('heading', { name: 'Greet the world.' }).waitFor();
    await page.getByText('awaiting approval').waitFor({ timeout: 30_000 });
    await page.getByRole('button', { name: 'Show the diff' }).click();
    await page.getByText('+echo hi').waitFor();
    await look('waiting');
    await page
      .getByRole('button', { name: /^(?:Approve|Allow)/ })
      .first()
      .click();
    await page.getByRole('heading', { name: 'Result' }).waitFor({ timeout: 30_000 });
    await page.getByText('✓ grep -q hi greet.sh').waitFor();
    await look('done');
    for (const width of [390, 1280]) {
      await page.setViewportSize({ width, height: 844 });
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    }
    await page.goto(`${house.steward.url}/#/tasks`);
    await page
      .getByRole('link', { name: /Greet the world/ })
      .last()
      .waitFor();
    await look('list');
    expect(complaints).toEqual([]);
  });
});
