// `npm test`: installs what is missing and runs every suite but the long ones. Arguments go to vitest.
import { ensureConsole } from './console.mjs';
import { ensureInstalled } from './install.mjs';
import { projectRoot, reexec, runScript, testEnvironment } from './node.mjs';
import { ensureSystemPackages } from './system-packages.mjs';

const suites = ['unit', 'contract', 'abuse', 'e2e', 'parts', 'chaos-quick'];

await runScript(async () => {
  ensureInstalled();
  ensureSystemPackages(['bubblewrap', 'perl', 'chromium', 'podman']);
  ensureConsole();
  const args = process.argv.slice(2);
  const chosen = args.some((arg) => arg === '--project' || arg.startsWith('--project='));
  const projects = chosen ? [] : suites.flatMap((suite) => ['--project', suite]);
  process.chdir(projectRoot);
  return reexec('node_modules/vitest/vitest.mjs', ['run', ...projects, ...args], { env: testEnvironment() });
});
