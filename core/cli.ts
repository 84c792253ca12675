// The command line, entered by cli.mjs. `run` goes straight to the process, which has no use for the other commands' code in memory.
import { readFileSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// For whoever starts this file itself; entered by cli.mjs it is on already.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/steward', import.meta.url)));

const args = process.argv.slice(2);

if (args.length === 1 && args[0] === 'run') {
  const { run } = await import('./cli/run.ts');
  const exitCode = await run(process.stderr);
  if (exitCode !== 0) process.exit(exitCode);
  // Otherwise written at a clean end only, and the next start may follow a crash.
  flushCompileCache();
} else {
  const { createTerminal } = await import('./cli/terminal.ts');
  const { runCommand } = await import('./cli/program.ts');
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  // A reader that went away (`steward logs | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const exitCode = await runCommand(args, createTerminal(process), version);
  if (exitCode !== 0) process.exitCode = exitCode;
}
