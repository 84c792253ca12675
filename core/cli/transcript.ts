// A conversation on a terminal: the answer on stdout, what happens on the way dimmed on stderr.
import type { Frame } from './follow.ts';
import type { EventView } from './shapes.ts';
import { harmless, note, oneLine, type Terminal } from './terminal.ts';

export interface Transcript {
  show(frame: Frame): void;
}

/**
 * On a terminal the answer appears as it is written. Into a pipe go finished answers only: a preview may be
 * withdrawn, and a pipe cannot be taken back.
 */
export function createTranscript(terminal: Terminal): Transcript {
  const live = terminal.stdout.isTTY === true;
  let begun: { id: string; text: string } | null = null;

  const print = (text: string) => terminal.stdout.write(live ? harmless(text) : text);
  const breakOff = () => {
    if (begun?.text) print('\n');
    begun = null;
  };

  function showPreview(id: string, text: string): void {
    if (!live) return;
    if (begun?.id !== id) {
      breakOff();
      begun = { id, text: '' };
    }
    begun.text += text;
    print(text);
  }

  function showAnswer(event: EventView): void {
    const text = textOf(event);
    if (begun?.id === event.id && text.startsWith(begun.text)) print(`${text.slice(begun.text.length)}\n`);
    else {
      breakOff();
      print(`${text}\n`);
    }
    begun = null;
  }

  return {
    show(frame) {
      if (frame.kind === 'preview') return showPreview(frame.id, frame.text);
      const { event } = frame;
      if (event.type === 'agent.message') return showAnswer(event);
      const aside = asideOf(event);
      if (!aside) return;
      breakOff();
      note(terminal, aside);
    },
  };
}

export function textOf(event: EventView): string {
  return (event.content ?? [])
    .map((block) => (block.type === 'text' ? (block.text ?? '') : `[${block.type}]`))
    .join('');
}

/** What is worth a line beside the conversation; null for the rest. */
function asideOf(event: EventView): string | null {
  switch (event.type) {
    case 'agent.tool_use':
    case 'agent.custom_tool_use':
      return `→ ${event.name ?? 'tool'} ${oneLine(JSON.stringify(event.input ?? {}), 100)}`;
    case 'agent.tool_result':
      // What stands in for a result that was forgotten is no news.
      return event.forgotten === true ? null : `${event.is_error ? '✗' : '✓'} ${oneLine(textOf(event), 100)}`;
    case 'span.model_request_end':
      return event.is_error ? 'The answer broke off; trying again.' : null;
    case 'session.status_rescheduled':
      return 'The model cannot be reached just now; Steward answers as soon as it can.';
    case 'session.error':
      return harmless(event.error?.message ?? 'Something failed; steward trace shows what.');
    case 'agent.thread_context_compacted':
      return 'The conversation was summed up to fit.';
    default:
      return null;
  }
}
