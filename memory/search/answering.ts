// What the search worker does: answers questions over a read-only connection of its own. Between two no transaction is open.
import { workerData } from 'node:worker_threads';
import { openSqlite } from '../../core/sqlite.ts';
import { createCalendar } from '../text/dates.ts';
import { ask } from './ask.ts';
import { createAsker } from './question.ts';
import { cached, createReader } from './reader.ts';
import type { FromWorker, ToWorker, WorkerStart } from './thread.ts';

const { file, timeZone } = workerData as WorkerStart;
const asker = createAsker(createReader(cached(openSqlite(file, { readonly: true }))), createCalendar(timeZone));

/** Never throws. */
export function answer({ id, question }: ToWorker): FromWorker {
  try {
    return { id, answer: ask(asker, question) };
  } catch (error) {
    return { id, failed: error instanceof Error ? error.message : String(error) };
  }
}
