// What the search worker does: answers questions over a read-only connection of its own. Between two no transaction is open.
import { parentPort, workerData } from 'node:worker_threads';
import { openSqlite } from '../../core/sqlite.ts';
import { createCalendar } from '../text/dates.ts';
import { ask } from './ask.ts';
import { createAsker } from './question.ts';
import { cached, createReader } from './reader.ts';
import type { FromWorker, ToWorker, WorkerStart } from './thread.ts';

const { file, timeZone } = workerData as WorkerStart;
const db = openSqlite(file, { readonly: true });
const asker = createAsker(createReader(cached(db)), createCalendar(timeZone));
const port = parentPort!;

port.on('message', ({ id, question }: ToWorker) => {
  let reply: FromWorker;
  try {
    reply = { id, answer: ask(asker, question) };
  } catch (error) {
    reply = { id, failed: error instanceof Error ? error.message : String(error) };
  }
  port.postMessage(reply);
});
