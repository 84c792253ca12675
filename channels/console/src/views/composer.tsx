// Where a person writes: grows with the text, keeps the draft over a reload, refuses what is too long in words.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { MESSAGE_LIMIT } from '../api.ts';
import { bytes } from '../format.ts';
import { drafts } from '../prefs.ts';
import { Icon } from '../ui/icon.tsx';

interface ComposerProps {
  session: string;
  running: boolean;
  /** Why nothing can be written here; empty when it can. */
  closed: string;
  /** Text given back by a message that was not sent. */
  returned: { text: string } | null;
  stopping: boolean;
  onSend: (text: string) => void;
  onStop: () => void;
}

const encoder = new TextEncoder();

function tooLong(size: number): string {
  return `This is ${bytes(size)}; one message holds ${bytes(MESSAGE_LIMIT)}. Send it in parts, or name a link I can read.`;
}

/** On a phone Enter makes a line: there is no Shift to hold. */
const touch = matchMedia('(pointer: coarse)');

export function Composer({ session, running, closed, returned, stopping, onSend, onStop }: ComposerProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState('');
  const [refusal, setRefusal] = useState('');

  function change(next: string): void {
    setText(next);
    setRefusal('');
    drafts.write(session, next);
  }

  useEffect(() => {
    setText(drafts.read(session));
    setRefusal('');
    if (!touch.matches) area.current?.focus();
  }, [session]);

  useEffect(() => {
    if (!returned) return;
    change(text === '' ? returned.text : `${returned.text}\n\n${text}`);
    area.current?.focus();
  }, [returned]);

  useLayoutEffect(() => {
    const box = area.current;
    if (!box) return;
    box.style.height = 'auto';
    box.style.height = `${box.scrollHeight}px`;
  }, [text]);

  function send(): void {
    if (text.trim() === '' || closed) return;
    const size = encoder.encode(text).length;
    if (size > MESSAGE_LIMIT) {
      setRefusal(tooLong(size));
      return;
    }
    onSend(text);
    change('');
    area.current?.focus();
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || (touch.matches && !event.ctrlKey)) return;
    event.preventDefault();
    send();
  }

  /** Megabytes in a textarea freeze the page: refused before they get there. */
  function onPaste(event: ClipboardEvent): void {
    const pasted = event.clipboardData?.getData('text/plain') ?? '';
    const size = pasted.length > MESSAGE_LIMIT / 4 ? encoder.encode(pasted).length : 0;
    if (size <= MESSAGE_LIMIT) return;
    event.preventDefault();
    setRefusal(tooLong(size));
  }

  const hint = running ? 'Goes on while you write: your message will be read between steps.' : '';
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {refusal && (
        <p class="refusal" role="alert">
          <Icon name="alert" /> {refusal}
        </p>
      )}
      <div class="composer-box">
        <textarea
          ref={area}
          rows={1}
          value={text}
          disabled={closed !== ''}
          placeholder={closed || (running ? 'Add something while I work…' : 'Message Steward…')}
          aria-label="Message"
          aria-describedby="composer-hint"
          enterkeyhint={touch.matches ? 'enter' : 'send'}
          onInput={(event) => change(event.currentTarget.value)}
          onKeyDown={onKeyDown}
          onPaste={onPaste}
        />
        {running && (
          <button type="button" class="round stop" disabled={stopping} onClick={onStop} title="Stop (Esc)">
            <Icon name="stop" label="Stop the answer" />
          </button>
        )}
        {(!running || text.trim() !== '') && (
          <button type="submit" class="round" disabled={text.trim() === '' || closed !== ''} title="Send (Enter)">
            <Icon name="send" label="Send" />
          </button>
        )}
      </div>
      <p id="composer-hint" class="composer-hint">
        {hint || (
          <>
            <kbd>Enter</kbd> sends · <kbd>Shift Enter</kbd> new line · <kbd>Esc</kbd> stops an answer
          </>
        )}
      </p>
    </form>
  );
}
