// A tool call: one line (name, what about, how it stands), open to input and result; an approval when it waits for one.
import { useState } from 'preact/hooks';
import type { CallStatus, ToolCall } from '../conversation.ts';
import { between, duration } from '../format.ts';
import type { Store } from '../store.ts';
import { inputSummary } from '../summary.ts';
import type { Approval } from '../types.ts';
import type { Tone } from '../ui/badge.tsx';
import { CopyButton } from '../ui/copy.tsx';
import { Icon, type IconName } from '../ui/icon.tsx';
import { Raw, readable } from '../ui/raw.tsx';
import { ApprovalCard } from './approval.tsx';

const STATUS: Record<CallStatus, { word: string; tone: Tone; icon: IconName }> = {
  waiting: { word: 'waiting for you', tone: 'warn', icon: 'hand' },
  running: { word: 'running', tone: 'accent', icon: 'pulse' },
  done: { word: 'done', tone: 'good', icon: 'check' },
  failed: { word: 'failed', tone: 'bad', icon: 'close' },
  denied: { word: 'denied', tone: 'quiet', icon: 'shield' },
  in_doubt: { word: 'in doubt', tone: 'warn', icon: 'alert' },
  stopped: { word: 'no result', tone: 'quiet', icon: 'stop' },
};

function explanation(call: ToolCall): string {
  if (call.status === 'in_doubt') {
    return 'Steward was stopped during this call. It may have taken effect or not, so it was not repeated: please check.';
  }
  if (call.status === 'denied') return call.denyMessage ? `Denied: ${call.denyMessage}` : call.reason || 'Denied.';
  if (call.status === 'stopped') return 'The answer was stopped before this call gave a result.';
  return call.reason;
}

/** The approval as the server shows it, or, until that list is loaded, the event's own words. */
function approvalOf(call: ToolCall, session: string, known: readonly Approval[]): Approval {
  const found = known.find((item) => item.id === call.id);
  return (
    found ?? {
      id: call.id,
      session_id: session,
      name: call.name,
      title: call.name,
      detail: readable(call.input),
      why: call.reason,
      created_at: call.startedAt,
      expires_at: '',
    }
  );
}

function Details({ call }: { call: ToolCall }) {
  const why = explanation(call);
  return (
    <div class="call-details">
      {why && <p class="why">{why}</p>}
      <Part title="Input" text={readable(call.input)} />
      {call.result !== '' && <Part title="Result" text={call.result} />}
    </div>
  );
}

function Part({ title, text }: { title: string; text: string }) {
  return (
    <section>
      <header>
        <h4>{title}</h4>
        <CopyButton text={() => text} label={`Copy ${title.toLowerCase()}`} />
      </header>
      <Raw text={text} label={title} />
    </section>
  );
}

export function ToolCallLine({ call, session, store }: { call: ToolCall; session: string; store: Store }) {
  const [open, setOpen] = useState(false);
  const status = STATUS[call.status];
  const took = call.endedAt ? between(call.startedAt, call.endedAt) : 0;
  return (
    <>
      <details class={`call ${call.status}`} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <span class={`call-mark ${status.tone}`}>
            <Icon name={status.icon} />
          </span>
          <code class="call-name">{call.name}</code>
          <span class="call-about">{inputSummary(call.input)}</span>
          <span class={`call-state ${status.tone}`}>{status.word}</span>
          {took >= 1000 && <span class="call-took">{duration(took)}</span>}
          <Icon name="chevron" />
        </summary>
        {open && <Details call={call} />}
      </details>
      {call.status === 'waiting' && (
        <ApprovalCard store={store} approval={approvalOf(call, session, store.approvals.value)} />
      )}
    </>
  );
}
