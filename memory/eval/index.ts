// The evaluation: each conversation in a database of its own, asked through the same search as everybody uses.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_AGENT, DEFAULT_ENVIRONMENT } from '../../core/agents.ts';
import { type Clock, systemClock } from '../../core/clock.ts';
import type { EvaluateMemory, MemoryEvaluation } from '../../core/memory-evaluation.ts';
import { openRecord } from '../../core/record.ts';
import type { Id } from '../../core/types.ts';
import { tokensIn } from '../context.ts';
import { createDocs } from '../index/docs.ts';
import { createMeta } from '../meta.ts';
import { OWNER } from '../scope.ts';
import { createSearch } from '../search/search.ts';
import type { Conversation, Question } from './dataset.ts';
import { readLocomo } from './locomo.ts';
import { readLongMemEval } from './longmemeval.ts';
import { type AskedTurns, percentile, scores, turnScores } from './metrics.ts';

/** Enough for 2,000 tokens of short turns. */
const DEPTH = 100;
const READERS: Record<MemoryEvaluation['dataset'], (text: string) => Conversation[]> = {
  locomo: readLocomo,
  longmemeval: readLongMemEval,
};

interface Outcome extends AskedTurns {
  question: Question;
  sessions: string[];
  ms: number;
}

async function play(conversation: Conversation, home: string): Promise<Outcome[]> {
  // Nobody needs the reserve for a full disk here.
  writeFileSync(join(home, 'ballast'), '');
  let now = systemClock.now();
  const clock: Clock = { ...systemClock, now: () => now };
  const record = openRecord(home, {
    clock,
    timeZone: 'UTC',
    safeModeAfter: 0,
    split: (_, text) => [text],
    wakeDelivery() {},
  });
  const docs = createDocs(record.db, { meta: createMeta(record.db), blobs: record.blobs, timeZone: 'UTC' });
  const search = createSearch({ db: record.db, docs, clock, timeZone: 'UTC', log: { warn() {} } });
  try {
    const turnOf = store(record, conversation);
    docs.catchUp();
    const outcomes: Outcome[] = [];
    for (const question of conversation.questions) {
      now = question.at;
      const began = performance.now();
      const { hits } = await search.search({ query: question.text, limit: DEPTH }, OWNER);
      const ms = performance.now() - began;
      const turns = hits.map((hit) => turnOf.get(hit.id)!);
      outcomes.push({
        question,
        gold: question.gold,
        found: turns.map(({ id }) => id),
        tokens: turns.map(({ speaker, text }) => tokensIn(`${speaker}: ${text}`)),
        sessions: [...new Set(turns.map(({ session }) => session))],
        ms,
      });
    }
    return outcomes;
  } finally {
    await search.stop();
    record.db.close();
  }
}

/** As an import of a chat transcript does: one event for each turn. */
function store(record: ReturnType<typeof openRecord>, conversation: Conversation) {
  const turnOf = new Map<Id, Conversation['turns'][number]>();
  const logs = Map.groupBy(conversation.turns, ({ log }) => log);
  record.db.tx(() => {
    for (const turns of logs.values()) {
      const session = record.sessions.create({
        trust: 'owner',
        agentId: DEFAULT_AGENT,
        agentVersion: 1,
        environmentId: DEFAULT_ENVIRONMENT,
      });
      const drafts = turns.map(({ speaker, text, at }) => ({
        type: 'memory.imported',
        payload: { speaker, text, at },
      }));
      for (const [index, event] of record.events.append(session.id, drafts).entries())
        turnOf.set(event.id, turns[index]!);
    }
  });
  return turnOf;
}

/** Throws `invalid` for a file that is no such data set. Leaves nothing behind. */
export const evaluate: EvaluateMemory = async (dataset, text, options = {}) => {
  const conversations = READERS[dataset](text);
  const outcomes: Outcome[] = [];
  for (const [index, conversation] of conversations.entries()) {
    if (conversation.questions.length === 0) continue;
    const home = mkdtempSync(join(tmpdir(), 'steward-eval-'));
    try {
      outcomes.push(...(await play(conversation, home)));
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
    options.progress?.(index + 1, conversations.length);
  }
  const main = outcomes.filter(({ question }) => !question.apart);
  const byTurn = (list: readonly Outcome[]) => turnScores(list.filter(({ gold }) => gold.length > 0));
  const byCategory = (list: readonly Outcome[]) =>
    Object.fromEntries(
      [...Map.groupBy(list, ({ question }) => question.category)]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, some]) => [name, byTurn(some)]),
    );
  const bySession = main
    .map(({ question, sessions }) => ({ gold: question.goldSessions, found: sessions }))
    .filter(({ gold }) => gold.length > 0);
  const times = outcomes.map(({ ms }) => ms);
  return {
    dataset,
    conversations: conversations.length,
    turns: conversations.reduce((sum, { turns }) => sum + turns.length, 0),
    skipped: conversations.reduce((sum, { skipped }) => sum + skipped, 0),
    overall: byTurn(main),
    categories: byCategory(main),
    apart: byCategory(outcomes.filter(({ question }) => question.apart)),
    sessions: scores(bySession),
    latencyMs: { p50: percentile(times, 0.5), p95: percentile(times, 0.95) },
  };
};
