// `npm run check`: format, lint, types, unit and architecture tests side by side; prints what failed and one line.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureInstalled } from './install.mjs';
import { pinnedEnvironment, pinnedNode, projectRoot, runScript, testEnvironment } from './node.mjs';

const parts = [
  { name: 'format and lint', args: ['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'] },
  { name: 'types', args: ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json'] },
  {
    name: 'types of the console',
    args: ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'channels/console/tsconfig.json'],
  },
  {
    name: 'unit and architecture',
    // In two processes for all files: no module keeps state, and a process for each would be two thirds of the time.
    args: ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', '--isolate=false', '--reporter', 'minimal'],
  },
];

/** Milliseconds. */
const longestPart = 120_000;

/** Runs one part to its end; its output is kept back until it is known to have failed. */
function run(part, node) {
  return new Promise((resolve) => {
    const child = spawn(node, part.args, {
      cwd: projectRoot,
      env: pinnedEnvironment(node, { env: testEnvironment() }),
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own, so that its workers can be ended with it.
      detached: true,
    });
    const chunks = [];
    const end = () => process.kill(-child.pid, 'SIGKILL');
    // Ctrl-C does not reach a group of its own.
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, end);
    // A loop that never ends shows as a failure here, not as a check that never does.
    const timer = setTimeout(() => {
      chunks.push(Buffer.from(`\n${part.name} did not end within ${longestPart / 1000} s.\n`));
      end();
    }, longestPart);
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => chunks.push(chunk));
    child.once('error', (error) => chunks.push(Buffer.from(`${error.message}\n`)));
    child.once('close', (code) => {
      clearTimeout(timer);
      for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, end);
      resolve({ name: part.name, ok: code === 0, output: Buffer.concat(chunks).toString().trim() });
    });
  });
}

await runScript(async () => {
  const started = Date.now();
  ensureInstalled();
  const node = pinnedNode();
  const there = parts.filter((part) => !part.args.includes('-p') || existsSync(join(projectRoot, part.args.at(-1))));
  const results = await Promise.all(there.map((part) => run(part, node)));
  const failed = results.filter((result) => !result.ok);
  for (const { name, output } of failed) console.log(`── ${name}\n${output}\n`);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  const verdict = failed.length === 0 ? 'passed' : `failed: ${failed.map(({ name }) => name).join(', ')}`;
  console.log(`Check ${verdict} (${results.map(({ name }) => name).join(', ')}; ${seconds} s).`);
  return failed.length === 0 ? 0 : 1;
});
