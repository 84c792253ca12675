// The two voices of a conversation: what a person wrote (as it is) and what the agent answered (as Markdown).
import type { ComponentChildren } from 'preact';
import type { Item } from '../conversation.ts';
import { withoutOpenLink } from '../markdown.ts';
import type { Outgoing } from '../outgoing.ts';
import type { Preview } from '../reduce.ts';
import { to } from '../route.ts';
import { Badge } from '../ui/badge.tsx';
import { Button } from '../ui/button.tsx';
import { CopyButton } from '../ui/copy.tsx';
import { Icon } from '../ui/icon.tsx';
import { Clock } from '../ui/time.tsx';
import { shown } from '../visible.ts';
import { Prose } from './prose.tsx';

const CHANNELS: Record<string, string> = {
  telegram: 'Telegram',
  lark: 'Lark',
  web: 'Web',
  http: 'API',
  cli: 'Terminal',
};

export function channelName(channel: string): string {
  return CHANNELS[channel] ?? channel;
}

/** Which messages came from here needs no badge. */
function Channel({ origin }: { origin: Extract<Item, { kind: 'user' }>['origin'] }) {
  if (!origin || origin.channel === 'web') return null;
  const name = origin.role && origin.role !== 'owner' && origin.name ? `${shown(origin.name)} · ` : '';
  return <Badge tone="accent">{`${name}${channelName(origin.channel)}`}</Badge>;
}

interface UserProps {
  item: Extract<Item, { kind: 'user' }>;
  session: string;
  /** An answer is being made: a queued message is read between its steps. */
  running: boolean;
}

export function UserMessage({ item, session, running }: UserProps) {
  return (
    <article class={`message user ${item.queued ? 'queued' : ''}`} aria-label="Message">
      <div class="bubble">
        {item.images.map((url) => (
          <img key={url} src={url} alt="Sent with the message" />
        ))}
        {item.text !== '' && <p>{item.text}</p>}
        {item.text === '' && item.images.length === 0 && <p class="muted">(nothing to show)</p>}
      </div>
      <footer>
        <Channel origin={item.origin} />
        {item.queued && <span class="state">{running ? 'queued · will be read between steps' : 'queued'}</span>}
        <a class="trace" href={to.timeline(session, item.id)} title="Show in the timeline">
          <Clock at={item.at} />
        </a>
      </footer>
    </article>
  );
}

interface OutgoingProps {
  item: Outgoing;
  onRetry: () => void;
  onEdit: () => void;
}

export function OutgoingMessage({ item, onRetry, onEdit }: OutgoingProps) {
  const failed = item.state === 'failed';
  return (
    <article class={`message user outgoing ${failed ? 'failed' : ''}`} aria-label="Message, not confirmed yet">
      <div class="bubble">
        <p>{item.text}</p>
      </div>
      {failed ? (
        <div class="not-sent" role="alert">
          <p>
            <Icon name="alert" /> <strong>Not sent.</strong> {item.error} {item.hint}
          </p>
          <div class="row">
            <Button small look="primary" onClick={onRetry}>
              Retry
            </Button>
            <Button small onClick={onEdit}>
              Edit
            </Button>
          </div>
        </div>
      ) : (
        <footer>
          <span class="state">sending…</span>
        </footer>
      )}
    </article>
  );
}

function Answer({ text, busy, children }: { text: string; busy?: boolean; children: ComponentChildren }) {
  return (
    <article class={`message answer ${busy ? 'streaming' : ''}`} aria-label="Answer" aria-busy={busy}>
      <Prose text={text} />
      {children}
    </article>
  );
}

export function AgentMessage({ item, session }: { item: Extract<Item, { kind: 'answer' }>; session: string }) {
  return (
    <Answer text={item.text}>
      <footer>
        <CopyButton text={() => item.text} label="Copy answer" />
        <a class="trace" href={to.timeline(session, item.id)} title="Show in the timeline">
          <Clock at={item.at} />
        </a>
        {item.interrupted && <span class="state">stopped before the end</span>}
      </footer>
    </Answer>
  );
}

export function StreamingMessage({ preview }: { preview: Preview }) {
  if (preview.text === '') return null;
  return (
    <Answer busy text={withoutOpenLink(preview.text)}>
      {preview.partial && (
        <footer>
          <span class="state">the beginning follows when the answer is complete</span>
        </footer>
      )}
    </Answer>
  );
}
