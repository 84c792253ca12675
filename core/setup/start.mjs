// `npm start`: from a fresh clone to a running Steward and the link to its console.
import { ensureConsole } from './console.mjs';
import { ensureInstalled } from './install.mjs';
import { reexec, runScript } from './node.mjs';
import { ensureSystemPackages } from './system-packages.mjs';

await runScript(async () => {
  const log = (line) => console.log(line);
  ensureInstalled({ log });
  ensureSystemPackages(['bubblewrap', 'perl'], { log });
  ensureConsole({ log });
  return reexec('core/cli.mjs', ['start', ...process.argv.slice(2)]);
});
