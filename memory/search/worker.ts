// The search worker's entry. A thread does not share the compile cache of the process: without one it strips types and compiles anew.
import { enableCompileCache, getCompileCacheDir } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { ToWorker, WorkerStart } from './thread.ts';

const { compileCache } = workerData as WorkerStart;
if (compileCache && getCompileCacheDir() === undefined) enableCompileCache(compileCache);
const answering = import('./answering.ts');
// Listening before anything is waited for: a message that nobody listens to is lost.
parentPort!.on('message', async (message: ToWorker) => parentPort!.postMessage((await answering).answer(message)));
