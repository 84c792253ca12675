// Compiled code for the processes that tests start: most of them are killed before they could keep it themselves.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** The same that `core/cli.mjs` uses. */
export const COMPILE_CACHE = fileURLToPath(new URL('../../node_modules/.cache/steward', import.meta.url));

const LOADED = [
  './core/main.ts',
  './core/cli/run.ts',
  './core/cli/program.ts',
  './channels/telegram.ts',
  './sandboxes/drivers/bwrap.ts',
  './sandboxes/drivers/none.ts',
  '@anthropic-ai/sdk',
  'html-to-text',
];

/** Once before a run: loads everything in a process that ends by itself, and so keeps what it compiled. */
export default function setup(): void {
  const script = LOADED.map((file) => `await import(${JSON.stringify(file)});`).join('\n');
  execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: COMPILE_CACHE },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
