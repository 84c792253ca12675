// `steward eval memory`: how well memory finds the evidence of a public data set's questions, on this machine, without a model.
import { readFileSync, statSync } from 'node:fs';
import { StewardError } from '../errors.ts';
import type { EvaluateMemory, MemoryEvaluation, RetrievalScores, TurnScores } from '../memory-evaluation.ts';
import { note, say, sayJson, type Terminal, table } from './terminal.ts';

/** Node reads no longer file into one text. Bytes. */
const LONGEST = 500 * 1024 * 1024;

/** One of the two files. */
export interface EvalOptions {
  locomo?: string;
  longmemeval?: string;
  json?: boolean;
}

export async function evalMemory(
  load: () => Promise<EvaluateMemory>,
  terminal: Terminal,
  options: EvalOptions,
): Promise<void> {
  const dataset = options.locomo === undefined ? 'longmemeval' : 'locomo';
  const text = read(options[dataset]!);
  const evaluate = await load();
  const progress = (done: number, of: number) => note(terminal, `${done} of ${of} conversations`);
  const result = await evaluate(dataset, text, terminal.stderr.isTTY ? { progress } : {});
  if (options.json) return sayJson(terminal, result);
  say(terminal, report(result));
}

function read(path: string): string {
  try {
    const { size } = statSync(path);
    if (size > LONGEST)
      throw new StewardError('too_large', `${path} is larger than ${LONGEST / 1024 / 1024} MB.`, {
        op: 'evaluate memory',
        hint: 'Of LongMemEval take the S or the oracle version.',
      });
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof StewardError) throw cause;
    throw new StewardError('not_found', `${path} cannot be read: ${(cause as Error).message}.`, {
      op: 'evaluate memory',
      cause,
    });
  }
}

const percent = (share: number): string => (share * 100).toFixed(1);
const row = (name: string, one: RetrievalScores, within?: TurnScores['within']): string[] => [
  name,
  String(one.questions),
  ...Object.values(one.recall).map(percent),
  percent(one.hit[10]),
  percent(one.mrr),
  ...(within ? Object.values(within).map(percent) : []),
];

/** Pure. In percent. */
export function report(result: MemoryEvaluation): string {
  const turns = (name: string, one: TurnScores) => row(name, one, one.within);
  const header = ['TURNS', 'QUESTIONS', 'R@1', 'R@5', 'R@10', 'R@20', 'HIT@10', 'MRR', '≤500 TOK', '≤1000', '≤2000'];
  const rows = [
    turns('all', result.overall),
    ...Object.entries(result.categories).map(([name, one]) => turns(name, one)),
    ...Object.entries(result.apart).map(([name, one]) => turns(`${name} (apart)`, one)),
    row('sessions', result.sessions),
  ];
  const { p50, p95 } = result.latencyMs;
  return [
    `${result.dataset}: ${result.conversations} conversations, ${result.turns} turns; ${result.skipped} questions without evidence left out.`,
    'Percent of the evidence among the first k, no model.',
    '',
    table(header, rows),
    '',
    `A search takes ${p50.toFixed(1)} ms (half of them), ${p95.toFixed(1)} ms (19 of 20).`,
  ].join('\n');
}
