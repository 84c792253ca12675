// The evaluation: evidence as the data sets give it, metrics that can be worked out by hand, and a run through the real search.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { report } from '../../../../core/cli/eval.ts';
import { evaluate } from '../../../../memory/eval/index.ts';
import { evidenceIds, timeOf as locomoTime, readLocomo } from '../../../../memory/eval/locomo.ts';
import { timeOf as longTime, readLongMemEval } from '../../../../memory/eval/longmemeval.ts';
import {
  percentile,
  recallAt,
  recallWithin,
  reciprocalRank,
  scores,
  turnScores,
} from '../../../../memory/eval/metrics.ts';
import { command } from '../../core/cli/stage.ts';

const asked = { gold: ['a', 'b'], found: ['x', 'a', 'y', 'b'], tokens: [100, 100, 400, 10] };

describe('metrics', () => {
  it('are what they are by hand', () => {
    expect([1, 2, 4].map((k) => recallAt(asked, k))).toEqual([0, 0.5, 1]);
    expect(reciprocalRank(asked)).toBe(1 / 2);
    expect(reciprocalRank({ gold: ['z'], found: ['x'] })).toBe(0);
    expect([99, 100, 200, 599, 610].map((budget) => recallWithin(asked, budget))).toEqual([0, 0, 0.5, 0.5, 1]);
    expect(scores([asked, { gold: ['x'], found: ['x'] }])).toEqual({
      questions: 2,
      recall: { 1: 0.5, 5: 1, 10: 1, 20: 1 },
      hit: { 1: 0.5, 5: 1, 10: 1, 20: 1 },
      mrr: 0.75,
    });
    expect(turnScores([asked]).within).toEqual({ 500: 0.5, 1000: 1, 2000: 1 });
    expect(turnScores([])).toMatchObject({ questions: 0, mrr: 0, within: { 500: 0 } });
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([percentile(hundred, 0.5), percentile(hundred, 0.95), percentile([7], 0.95), percentile([], 0.5)]).toEqual([
      50, 95, 7, 0,
    ]);
  });
});

describe('LoCoMo', () => {
  it('evidence is cleaned up', () => {
    const known = new Set(['D8:6', 'D9:17', 'D11:26', 'D30:5', 'D1:1']);
    expect(evidenceIds(['D8:6; D9:17'], known)).toEqual(['D8:6', 'D9:17']);
    expect(evidenceIds(['D:11:26', 'D30:05', 'D', 'D10:19'], known)).toEqual(['D11:26', 'D30:5']);
    expect(evidenceIds(['D1:1 D1:1,D8:6'], known)).toEqual(['D1:1', 'D8:6']);
    expect(evidenceIds([], known)).toEqual([]);
  });

  it('times are read, and nothing else', () => {
    expect(locomoTime('1:56 pm on 8 May, 2023')).toBe(Date.UTC(2023, 4, 8, 13, 56));
    expect(locomoTime('12:09 am on 13 September, 2023')).toBe(Date.UTC(2023, 8, 13, 0, 9));
    expect(locomoTime('noon')).toBeNull();
  });
});

const turn = (dia_id: string, speaker: string, text: string, more = {}) => ({ dia_id, speaker, text, ...more });
const locomo = [
  {
    sample_id: 'one',
    conversation: {
      speaker_a: 'Mira',
      speaker_b: 'Jonas',
      session_1_date_time: '10:00 am on 3 March, 2024',
      session_1: [
        turn('D1:1', 'Mira', 'I adopted a hedgehog on Sunday!'),
        turn('D1:2', 'Jonas', 'Lovely, what is it called?'),
        turn('D1:3', 'Mira', 'Look at it.', { blip_caption: 'a photo of a hedgehog in a shoe box' }),
      ],
      session_2_date_time: '9:30 pm on 1 April, 2024',
      session_2: [
        turn('D2:1', 'Jonas', 'I signed the lease of the bakery in Ghent.'),
        turn('D2:2', 'Mira', 'Congratulations! The oven must be huge.'),
      ],
    },
    qa: [
      { question: 'Which animal did Mira adopt?', answer: 'a hedgehog', evidence: ['D1:1'], category: 4 },
      { question: 'Where is the bakery of Jonas?', answer: 'Ghent', evidence: ['D2:01'], category: 4 },
      { question: 'What did Mira adopt and what did Jonas sign?', answer: '', evidence: ['D1:1; D2:1'], category: 1 },
      { question: 'What colour is the bakery of Mira?', adversarial_answer: 'red', evidence: ['D2:1'], category: 5 },
      { question: 'Who won?', answer: '', evidence: ['D7:1'], category: 2 },
    ],
  },
];
const chat = (...texts: string[]) =>
  texts.map((content, index) => ({ role: index % 2 ? 'assistant' : 'user', content }));
const longmemeval = [
  {
    question_id: 'q1',
    question_type: 'single-session-user',
    question: 'What is the name of my hamster?',
    question_date: '2023/05/30 (Tue) 23:40',
    answer: 'Biscuit',
    haystack_dates: ['2023/05/20 (Sat) 02:21', '2023/05/21 (Sun) 10:00'],
    haystack_session_ids: ['s1', 's2'],
    haystack_sessions: [
      chat('How do I bake bread?', 'With flour and water.'),
      [{ role: 'user', content: 'My hamster is called Biscuit.', has_answer: true }, ...chat('Ok', 'Sweet!')],
    ],
    answer_session_ids: ['s2'],
  },
  {
    question_id: 'q2_abs',
    question_type: 'single-session-user',
    question: 'What is the name of my parrot?',
    question_date: '2023/05/30 (Tue) 23:40',
    answer: 'You did not mention it',
    haystack_dates: ['2023/05/20 (Sat) 02:21'],
    haystack_session_ids: ['s1'],
    haystack_sessions: [[{ role: 'user', content: 'My hamster is called Biscuit.', has_answer: true }]],
    answer_session_ids: ['s1'],
  },
];

describe('a run', () => {
  it('of LoCoMo asks the real search, a database for each conversation, and leaves none behind', async () => {
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith('steward-eval-'));
    const [read] = readLocomo(JSON.stringify(locomo));
    expect(read!.turns.map(({ text }) => text)).toContain('Look at it. [a photo of a hedgehog in a shoe box]');
    const result = await evaluate('locomo', JSON.stringify(locomo));
    expect(result).toMatchObject({ dataset: 'locomo', conversations: 1, turns: 5, skipped: 1 });
    expect(result.overall).toMatchObject({ questions: 3, recall: { 5: 1 }, hit: { 5: 1 } });
    expect(Object.keys(result.categories)).toEqual(['1 multi-hop', '4 single-hop']);
    expect(result.apart).toMatchObject({ '5 adversarial': { questions: 1 } });
    expect(result.sessions).toMatchObject({ questions: 3, recall: { 5: 1 } });
    expect(result.latencyMs.p95).toBeGreaterThanOrEqual(result.latencyMs.p50);
    const text = report(result);
    expect(text).toMatch(/^all +3 .* 100\.0/m);
    expect(text).toMatch(/^5 adversarial \(apart\) +1 /m);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('steward-eval-'))).toEqual(before);
  });

  it('of LongMemEval counts marked turns and sessions, and abstention apart', async () => {
    expect(longTime('2023/05/20 (Sat) 02:21')).toBe(Date.UTC(2023, 4, 20, 2, 21));
    expect(longTime('2023/05/20')).toBe(Date.UTC(2023, 4, 20, 12));
    const [first] = readLongMemEval(JSON.stringify(longmemeval));
    expect(first!.questions).toMatchObject([{ gold: ['1:0'], goldSessions: ['s2'], apart: false }]);
    const result = await evaluate('longmemeval', JSON.stringify(longmemeval));
    expect(result).toMatchObject({
      conversations: 2,
      overall: { questions: 1, recall: { 1: 1 } },
      sessions: { questions: 1, recall: { 1: 1 } },
      apart: { abstention: { questions: 1 } },
    });
  });

  it.each([
    ['', /is not JSON/],
    ['{"a":1}', /is not LoCoMo/],
    ['[]', /is not LoCoMo/],
    ['[{"conversation":{},"qa":[{"question":1}]}]', /is not LoCoMo: 0\.qa\.0/],
    ['[{"conversation":{"session_1":[{"speaker":"x"}]},"qa":[]}]', /is not LoCoMo/],
  ])('refuses %j', async (text, says) => {
    await expect(evaluate('locomo', text)).rejects.toThrow(says);
  });

  it('is a command', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'steward-own-data-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'data.json');
    writeFileSync(file, JSON.stringify(locomo));
    const heard = await command({ STEWARD_HOME: join(folder, 'home') }, ['eval', 'memory', '--locomo', file, '--json']);
    expect(heard).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(heard.out)).toMatchObject({ dataset: 'locomo', overall: { questions: 3 } });
    expect(readdirSync(folder)).toEqual(['data.json']);
  });
});
