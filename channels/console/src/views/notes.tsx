// Everything in a conversation that is neither a message nor a tool call: notes, errors, unknown events, days, activity.
import { useEffect, useState } from 'preact/hooks';
import type { Activity } from '../activity.ts';
import type { Item } from '../conversation.ts';
import { dayName, duration, fullTime } from '../format.ts';
import { Icon } from '../ui/icon.tsx';
import { Raw, readable } from '../ui/raw.tsx';

export function Day({ at, now }: { at: string; now: number }) {
  return (
    <div class="day">
      <time dateTime={at} title={fullTime(at)}>
        {dayName(at, now)}
      </time>
    </div>
  );
}

export function Note({ item }: { item: Extract<Item, { kind: 'note' }> }) {
  const text = (
    <>
      {item.tone === 'warn' && <Icon name="alert" />}
      <span>{item.text}</span>
    </>
  );
  if (item.detail === '') return <p class={`note ${item.tone}`}>{text}</p>;
  return (
    <details class={`note ${item.tone}`}>
      <summary>
        {text}
        <Icon name="chevron" />
      </summary>
      <p class="note-detail">{item.detail}</p>
    </details>
  );
}

export function ErrorCard({ item }: { item: Extract<Item, { kind: 'error' }> }) {
  return (
    <section class="error-card" role="alert">
      <Icon name="alert" />
      <div>
        <h3>{item.message}</h3>
        {item.hint && <p>{item.hint}</p>}
        <small>
          {item.title} · <time dateTime={item.at}>{fullTime(item.at)}</time>
        </small>
      </div>
    </section>
  );
}

export function Unknown({ item }: { item: Extract<Item, { kind: 'unknown' }> }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="note quiet" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <code>{item.event.type}</code>
        <Icon name="chevron" />
      </summary>
      {open && <Raw text={readable(item.event)} label="Event" />}
    </details>
  );
}

/** Seconds since a moment, counting while it is shown. */
function Elapsed({ since }: { since: string }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  const passed = now - new Date(since).getTime();
  return since !== '' && passed >= 3_000 ? (
    <span class="elapsed">{passed < 60_000 ? `${Math.floor(passed / 1000)} s` : duration(passed)}</span>
  ) : null;
}

function activityWords(activity: Activity): string {
  switch (activity.kind) {
    case 'thinking':
      return 'Thinking';
    case 'tool':
      return `Running ${activity.name}`;
    case 'waiting_for_model':
      return 'Waiting for the model. I will answer when it is back.';
    case 'waiting_for_you':
      return 'Waiting for your approval.';
    case 'ended':
      return 'This conversation has ended.';
    default:
      return '';
  }
}

/** The line under the conversation: what is going on right now. */
export function ActivityLine({ activity }: { activity: Activity }) {
  const words = activityWords(activity);
  if (words === '') return null;
  const moving = activity.kind === 'thinking' || activity.kind === 'tool';
  return (
    <p class={`activity ${activity.kind}`}>
      {moving ? (
        <span class="working" aria-hidden="true">
          <i />
          <i />
          <i />
        </span>
      ) : (
        <Icon name={activity.kind === 'waiting_for_model' ? 'clock' : activity.kind === 'ended' ? 'archive' : 'hand'} />
      )}
      <span>{words}</span>
      {'since' in activity && <Elapsed since={activity.since} />}
    </p>
  );
}
