// The thread that looks through a copy, so that nobody waits for it.
import { parentPort, workerData } from 'node:worker_threads';
import { examine } from './backup-check.ts';

parentPort!.postMessage(examine((workerData as { file: string }).file));
