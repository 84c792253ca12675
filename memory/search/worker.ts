// The search worker's entry. A thread does not share the compile cache of the process: without one it strips types and compiles anew.
import { enableCompileCache, getCompileCacheDir } from 'node:module';
import { workerData } from 'node:worker_threads';
import type { WorkerStart } from './thread.ts';

const { compileCache } = workerData as WorkerStart;
if (compileCache && getCompileCacheDir() === undefined) enableCompileCache(compileCache);
await import('./answering.ts');
