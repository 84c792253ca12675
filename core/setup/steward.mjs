#!/usr/bin/env node
// The `steward` command: core/cli.mjs on the pinned Node, whichever Node this is.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { pinnedNode, projectRoot, reexec, runScript } from './node.mjs';

const script = join(projectRoot, 'core', 'cli.mjs');

await runScript(async () => {
  if (process.execPath !== pinnedNode()) return reexec(script, process.argv.slice(2));
  await import(pathToFileURL(script).href);
  return process.exitCode;
});
