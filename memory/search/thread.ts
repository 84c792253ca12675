// The search worker as the main thread sees it: started when first needed, again when it died, asked one question after the other.
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Log } from '../../core/log.ts';
import type { Answer, Question } from './question.ts';

export interface SearchWorker {
  /** Null when no answer came in the time of the question's budget, or the worker died twice over it. */
  ask(question: Question): Promise<Answer | null>;
  stop(): Promise<void>;
}

export type FromWorker = { id: number; answer: Answer } | { id: number; failed: string };
export interface ToWorker {
  id: number;
  question: Question;
}
export interface WorkerStart {
  file: string;
  timeZone: string;
  /** Where compiled code is kept; none in a process that keeps none. */
  compileCache?: string | undefined;
}

/** The folder that was asked for: the one in use is below it, named by version and architecture. */
const cacheFolder = (): string | undefined => {
  const used = getCompileCacheDir();
  return used && dirname(used);
};

interface Waiting {
  id: number;
  question: Question;
  tries: number;
  settle(answer: Answer | null): void;
}

export const startThread = (workerData: WorkerStart): Worker =>
  new Worker(new URL('./worker.ts', import.meta.url), { workerData });

export function createWorker(
  deps: WorkerStart & { log: Pick<Log, 'warn'>; startThread?: typeof startThread },
): SearchWorker {
  /** The first is with the worker. The others wait here, where one that nobody waits for any more can be left out. */
  const queue: Waiting[] = [];
  let asked: Waiting | null = null;
  let thread: Worker | null = null;
  let ids = 0;
  let stopped = false;

  const next = () => {
    asked = queue.shift() ?? null;
    if (!asked) return;
    asked.tries += 1;
    thread ??= start();
    const message: ToWorker = { id: asked.id, question: asked.question };
    thread.postMessage(message);
  };

  const start = (): Worker => {
    const made = (deps.startThread ?? startThread)({
      file: deps.file,
      timeZone: deps.timeZone,
      compileCache: cacheFolder(),
    });
    // An idle worker keeps no process alive.
    made.unref();
    made.on('message', (message: FromWorker) => {
      if (thread !== made || message.id !== asked?.id) return;
      if ('failed' in message) deps.log.warn({ why: message.failed }, 'the search worker could not answer');
      asked.settle('answer' in message ? message.answer : null);
      next();
    });
    const died = (why: unknown) => {
      if (thread !== made) return;
      thread = null;
      deps.log.warn({ why }, 'the search worker died; the next question starts it again');
      // What it died of may be the question: it is asked once more, and no third time.
      if (asked && asked.tries > 1) asked.settle(null);
      else if (asked) queue.unshift(asked);
      next();
    };
    made.on('error', died);
    made.on('exit', died);
    return made;
  };

  return {
    ask: (question) =>
      new Promise((resolve) => {
        if (stopped) return resolve(null);
        const one: Waiting = {
          id: ++ids,
          question,
          tries: 0,
          settle(answer) {
            clearTimeout(timer);
            const index = queue.indexOf(one);
            if (index >= 0) queue.splice(index, 1);
            resolve(answer);
          },
        };
        const timer = setTimeout(() => one.settle(null), question.budget.ms);
        queue.push(one);
        if (!asked) next();
      }),
    async stop() {
      stopped = true;
      const running = thread;
      thread = null;
      for (const one of [...queue]) one.settle(null);
      asked?.settle(null);
      await running?.terminate();
    },
  };
}
