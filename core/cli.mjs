// The way into the command line, in plain JavaScript: for an entry with types Node loads its type stripper, 15 MB that stay.
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// Types are stripped and code is compiled once, not at every start, of which that is half the time. The cache lies beside
// the code it was made from and is as trusted; where that folder cannot be written, starts are only slower.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/steward', import.meta.url)));
await import('./cli.ts');
