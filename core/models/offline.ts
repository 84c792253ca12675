// The embedded responder for a Steward without a model: says what it is, obeys a few plain commands, understands nothing.
import type { AnswerBlock, ModelEvent, ModelMessageBlock, ModelProvider, ModelRequest } from '../types.ts';
import { NO_USAGE } from './answer.ts';
import { COMMANDS, type Command, readCommand } from './offline-commands.ts';

/** Deterministic: the same request gives the same answer. Costs nothing and says so: its usage is zero. */
export function createOffline(): ModelProvider {
  return { name: 'offline', stream };
}

async function* stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelEvent> {
  const blocks = answer(request);
  let shown = '';
  for (const block of blocks) {
    for (const piece of block.type === 'text' ? pieces(block.text) : []) {
      if (signal.aborted) {
        const message = 'The model call was stopped.';
        yield {
          type: 'end',
          outcome: { kind: 'failed', failure: 'aborted', message, partialText: shown, usage: NO_USAGE },
        };
        return;
      }
      shown += piece;
      yield { type: 'delta', text: piece };
    }
  }
  const stopReason = blocks.some((block) => block.type === 'tool_use') ? 'tool_use' : 'end_turn';
  yield { type: 'end', outcome: { kind: 'done', blocks, stopReason, usage: NO_USAGE } };
}

/** Everything since its own last answer is still open: results of tools first, then what people said, in order. */
function answer(request: ModelRequest): AnswerBlock[] {
  const lastOwn = request.messages.findLastIndex((message) => message.role === 'assistant');
  const open = request.messages.slice(lastOwn + 1).flatMap((message) => message.content);
  const asked = request.messages[lastOwn]?.content ?? [];
  const said = open.flatMap((block) => (block.type === 'text' && isSpeech(block.text) ? [block.text.trim()] : []));
  const read = said.map((text) => ({ text, command: readCommand(text) }));

  const lines = open.flatMap((block) => {
    if (block.type === 'tool_result') return [report(block, asked)];
    const late = block.type === 'text' ? LATE_RESULT.exec(block.text)?.groups : undefined;
    return late ? [`${late.tool}: ${shorten(late.text ?? '', 2_000)}`] : [];
  });
  const calls: AnswerBlock[] = [];
  for (const { text, command } of read) {
    const tool = command && request.tools.find((offered) => offered.name === command.tool);
    if (tool) calls.push({ type: 'tool_use', name: tool.name, input: command.input(tool) });
    else lines.push(command ? missing(text, command) : echo(text));
  }
  if (read.some(({ command }) => !command) || (lines.length === 0 && calls.length === 0)) lines.push(self(request));
  return lines.length > 0 ? [{ type: 'text', text: lines.join('\n\n') }, ...calls] : calls;
}

/** How the context tells the result of a call that had to wait for its approval. */
const LATE_RESULT = /^\[Result of the earlier call (?<tool>\S+) \([^)\n]*\)\]\n(?<text>.*)$/s;
/** The notes the context lays beside the conversation for a model: stamps, summaries, fillers, tagged text. Nobody said them. */
const NOTE =
  /^\s*(?:<[a-z]|\[(?:\d{4}-\d\d-\d\d |Summary of the |Older messages |Result of the earlier )|\((?:go on|the conversation goes on|this message was removed|empty message)\)\s*$)/i;

function isSpeech(text: string): boolean {
  return text.trim() !== '' && !NOTE.test(text);
}

function echo(text: string): string {
  return `You said: “${shorten(text, 200)}”.`;
}

function missing(text: string, command: Command): string {
  return `You said: “${shorten(text, 200)}”. That takes the tool ${command.tool}, which this conversation does not have.`;
}

function self(request: ModelRequest): string {
  const known = COMMANDS.filter(({ tool }) => request.tools.some((offered) => offered.name === tool));
  const able =
    known.length === 0
      ? 'I can only repeat what you say.'
      : `I understand ${known.map(({ example }) => `“${example}”`).join(', ')}.`;
  return (
    `I am Steward's offline responder, not a language model. ${able} ` +
    'To talk to a model, set ANTHROPIC_API_KEY in the settings or the environment, ' +
    'or ANTHROPIC_BASE_URL and STEWARD_MODEL for a local server such as Ollama.'
  );
}

function report(result: Extract<ModelMessageBlock, { type: 'tool_result' }>, asked: ModelMessageBlock[]): string {
  const call = asked.find((block) => block.type === 'tool_use' && block.id === result.tool_use_id);
  const name = call?.type === 'tool_use' ? call.name : 'the tool';
  const text = result.content
    .map((block) => (block.type === 'text' ? block.text : '[image]'))
    .join('\n')
    .trim();
  const verdict = result.is_error ? `${name} failed` : name;
  const shown = shorten(text || '(no output)', 2_000);
  // Says by itself what it is, and ends with the next runs.
  if (name.startsWith('schedule_') || name.startsWith('task_')) return shown;
  // What a command printed keeps its lines; a fence longer than any inside cannot be closed by it.
  if (name === 'bash' && text.includes('\n')) {
    const fence = '`'.repeat(Math.max(3, ...[...shown.matchAll(/`+/g)].map(([ticks]) => ticks.length + 1)));
    return `${verdict}:\n${fence}\n${shown}\n${fence}`;
  }
  return `${verdict}: ${shown}`;
}

/** Cut by characters, so that no emoji is halved. */
function shorten(text: string, length: number): string {
  const characters = [...text.slice(0, length * 2 + 2)];
  return characters.length > length ? `${characters.slice(0, length - 1).join('')}…` : text;
}

/** At most four, cut after white space. */
function pieces(text: string): string[] {
  const words = text.split(/(?<=\s)/);
  const size = Math.ceil(words.length / 4);
  return [0, 1, 2, 3].map((part) => words.slice(part * size, (part + 1) * size).join('')).filter((part) => part !== '');
}
