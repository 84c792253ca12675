// script: the lines of the instruction are shell commands, one turn each, until one fails. Needs no model.
import { textOf } from '../../core/brain/context.ts';
import type { LogEvent } from '../../core/types.ts';
import type { Adapter, Work } from './adapter.ts';

const OUTPUT_BYTES = 64 * 1024 * 1024;
/** Of one command, the end. */
const KEPT = 100 * 1024;

/** Pure. Commands of the messages: what stands in fences when there are any; blank lines and comments are none. */
export function commandsOf(turn: readonly LogEvent[]): string[] {
  const texts = turn.filter(({ type }) => type === 'user.message').map(textOf);
  return texts.flatMap((text) => {
    const fenced = [...text.matchAll(/^```[^\n]*\n(.*?)^```/gms)].map(([, inner]) => inner!);
    return (fenced.length > 0 ? fenced : [text])
      .flatMap((part) => part.split('\n'))
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
  });
}

/** Pure. How many commands have ended with 0, in order, and whose changes are in the files. */
export function doneOf(turn: readonly LogEvent[], upTo: number | null): number {
  const calls = turn.filter(({ type, payload }) => type === 'agent.tool_use' && payload.harness === 'script');
  const results = new Map(turn.map((event) => [event.payload.tool_use_id, event]));
  let done = 0;
  for (const { id, payload } of calls) {
    const result = results.get(id);
    const kept = result && (upTo === null || result.position! <= upTo);
    if ((payload.input as { line: number }).line === done + 1 && kept && result.payload.is_error === false) done += 1;
  }
  return done;
}

async function runOne({ sandbox, signal }: Work, command: string): Promise<{ text: string; code: number | null }> {
  const execution = sandbox.exec(['bash', '-c', command], { signal, outputBytes: OUTPUT_BYTES });
  let kept = Buffer.alloc(0);
  for await (const event of execution)
    if (event.type === 'stdout' || event.type === 'stderr')
      kept = Buffer.concat([kept, event.data]).subarray(-2 * KEPT);
  const { code } = await execution.result;
  return { text: kept.subarray(-KEPT).toString('utf8').trim(), code };
}

export const script: Adapter = {
  name: 'script',
  capabilities: { steering: false, approvals: false, resume: true, where: 'sandbox' },
  program: null,
  door: null,
  async *run(work) {
    const commands = commandsOf(work.turn);
    const done = doneOf(work.turn, work.upTo);
    for (const [index, command] of commands.entries()) {
      if (index < done) continue;
      const id = `line-${index + 1}`;
      yield { type: 'call', id, name: 'bash', input: { command, line: index + 1 } };
      const { text, code } = await runOne(work, command);
      if (work.signal.aborted) return;
      const end = code === null ? 'was killed' : `ended with ${code}`;
      yield { type: 'result', id, text: code === 0 ? text : `${text}\n[it ${end}]`.trim(), isError: code !== 0 };
      if (code === 0) continue;
      const left = commands.length - index - 1;
      const rest =
        left === 0
          ? ''
          : ` The ${left === 1 ? 'line' : `${left} lines`} after it ${left === 1 ? 'was' : 'were'} not run.`;
      const words = `Line ${index + 1} of ${commands.length} ${end}: ${command}${rest}`;
      yield { type: 'end', ok: true, text: words, total: null };
      return;
    }
    const count = commands.length;
    const text =
      count === 0
        ? 'There is no command in this message: each line is run as one.'
        : count === 1
          ? 'The command ended with 0.'
          : `All ${count} commands ended with 0.`;
    yield { type: 'end', ok: true, text, total: null };
  },
};
