// The search worker: the same answers, a life of its own, and no hand on the database while it waits.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BUDGET, type Question } from '../../../../memory/search/question.ts';
import { createWorker, startThread } from '../../../../memory/search/thread.ts';
import { CHATTER, openSearchWorld } from './world.ts';

describe('off the main thread', () => {
  it('answers as the main thread does', async () => {
    const apart = openSearchWorld({ offThreadDocs: 0 });
    const here = openSearchWorld();
    const queries = [
      'plum jam',
      'Who was late today?',
      'courier on Thursday',
      'When does the parcel arrive?',
      'teh umbrela',
      'Ana neighbours',
      '',
      '"late again"',
      'kubernetes',
    ];
    for (const world of [apart, here]) {
      world.talk(CHATTER);
      world.memory.add('the plum jam stands in the cellar');
    }
    for (const query of queries) {
      const [one, other] = [await apart.find(query), await here.find(query)];
      const plain = ({ hits, weak }: typeof one) => ({
        weak,
        hits: hits.map(({ text, score, why, kind, who }) => ({ text, score, why, kind, who })),
      });
      expect(plain(one)).toEqual(plain(other));
      expect(one.degraded).toBeNull();
    }
    // What is said between two questions is found by the next.
    apart.memory.say('the glazier rang twice');
    expect((await apart.find('glazier')).hits[0]!.text).toBe('the glazier rang twice');
    expect(apart.warnings).toEqual([]);
  });

  it('holds nothing open: a redaction empties the WAL', async () => {
    const world = openSearchWorld({ offThreadDocs: 0 });
    const [secret] = world.talk(`${CHATTER}`);
    await world.find('umbrella');
    const { record, sessionId } = world.memory;
    record.events.redact(sessionId, [secret!.id], 'test');
    expect(statSync(join(record.home, 'steward.db-wal')).size).toBe(0);
    expect((await world.find('umbrella')).hits.length).toBeGreaterThan(0);
  });

  it('answers many at once, each with its own', async () => {
    const world = openSearchWorld({ offThreadDocs: 0 });
    world.talk(CHATTER);
    const found = await Promise.all(
      ['kettle', 'umbrella', 'parcel', 'bus', 'neighbours'].map((query) => world.texts(query)),
    );
    for (const [index, text] of [
      'The kettle is on, do you want toast?',
      'Take an umbrella anyway.',
      'Did the parcel arrive?',
      'The bus was late again today.',
      'Fine, thanks. The neighbours were quiet for once.',
    ].entries())
      expect(found[index]!.slice(0, 2)).toContain(text);
  });

  it('gives up in time, says so, and goes on', async () => {
    const world = openSearchWorld({ offThreadDocs: 0 });
    world.talk(CHATTER);
    const late = await world.find('kettle', {}, 'owner', { ms: 0 });
    expect(late).toMatchObject({ hits: [], weak: true, degraded: 'The index did not answer in time.' });
    expect((await world.find('kettle')).hits).not.toEqual([]);
  });

  it('starts again when it died, and asks once more', async () => {
    const world = openSearchWorld();
    world.talk(CHATTER);
    world.docs.catchUp();
    const warnings: string[] = [];
    const threads: Worker[] = [];
    const worker = createWorker({
      file: world.memory.record.db.file,
      timeZone: 'UTC',
      startThread(start) {
        threads.push(startThread(start));
        return threads.at(-1)!;
      },
      log: { warn: (_: unknown, message?: string) => void warnings.push(message ?? '') },
    });
    onTestFinished(() => worker.stop());
    const question = (query: string): Question => ({ search: { query }, scope: 'owner', budget: BUDGET, now: 0 });
    expect((await worker.ask(question('kettle')))!.hits).not.toEqual([]);
    const both = Promise.all([worker.ask(question('kettle')), worker.ask(question('umbrella'))]);
    await threads[0]!.terminate();
    const [one, other] = await both;
    expect(one!.hits).not.toEqual([]);
    expect(other!.hits).not.toEqual([]);
    expect(threads).toHaveLength(2);
    expect(warnings).toEqual(['the search worker died; the next question starts it again']);
    await worker.stop();
    expect(await worker.ask(question('kettle'))).toBeNull();
  });
});
