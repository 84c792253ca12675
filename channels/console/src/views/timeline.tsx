// Every event of a session's log: time, position, type, one line, and the raw payload. Older pages on demand, live tail.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { clockSeconds, dayKey, fullTime } from '../format.ts';
import type { LiveSession } from '../live.ts';
import { isQueued, placeOf } from '../reduce.ts';
import type { Store } from '../store.ts';
import { type Group, groupOf, groups, type Lookup, summarise } from '../summary.ts';
import type { CustodyStep, SessionEvent } from '../types.ts';
import { Button } from '../ui/button.tsx';
import { CopyButton } from '../ui/copy.tsx';
import { Icon } from '../ui/icon.tsx';
import { Failed } from '../ui/page.tsx';
import { Raw, readable } from '../ui/raw.tsx';
import { useFollowingScroll } from '../ui/scroll.ts';
import { Day } from './notes.tsx';
import { SessionBar } from './session-bar.tsx';

/** The way of one message through Steward: received, stored, run, answered, sent, confirmed. */
function Custody({ event, store }: { event: SessionEvent; store: Store }) {
  const [steps, setSteps] = useState<CustodyStep[] | null>(null);
  if (!steps) {
    return (
      <Button
        small
        look="ghost"
        icon="pulse"
        onClick={() =>
          store.attempt(async () => {
            setSteps(await store.api.custody(event.id));
          })
        }
      >
        Custody
      </Button>
    );
  }
  return (
    <ol class="custody">
      {steps.map((step, index) => (
        <li key={index}>
          <strong>{step.step}</strong>
          <time dateTime={step.at} title={fullTime(step.at)}>
            {clockSeconds(step.at)}
          </time>
          <span>{step.detail}</span>
        </li>
      ))}
      {steps.length === 0 && <li>Nothing is recorded.</li>}
    </ol>
  );
}

function isFailure(event: SessionEvent): boolean {
  return event.type === 'session.error' || event.type === 'delivery.failed' || event.is_error === true;
}

interface RowProps {
  event: SessionEvent;
  lookup: Lookup;
  store: Store;
  /** The address bar points here. */
  target: boolean;
}

function Row({ event, lookup, store, target }: RowProps) {
  const [open, setOpen] = useState(target);
  const ref = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    if (target) ref.current?.scrollIntoView({ block: 'center' });
  }, [target]);
  const json = () => readable(event);
  return (
    <details
      ref={ref}
      class={`event ${groupOf(event.type)} ${isFailure(event) ? 'bad' : ''} ${target ? 'target' : ''}`}
      open={open}
      onToggle={(toggle) => setOpen(toggle.currentTarget.open)}
    >
      <summary>
        <time dateTime={event.created_at} title={fullTime(event.created_at)}>
          {clockSeconds(event.created_at)}
        </time>
        <span class="seq">{isQueued(event) ? 'queued' : placeOf(event)}</span>
        <code class="type">{event.type}</code>
        <span class="summary">{summarise(event, lookup)}</span>
        <Icon name="chevron" />
      </summary>
      {open && (
        <div class="event-body">
          <div class="row">
            <code class="muted">{event.id}</code>
            <CopyButton text={json} label="Copy JSON" words />
            {event.type.endsWith('.message') && <Custody event={event} store={store} />}
          </div>
          <Raw text={json()} label="Raw payload" />
        </div>
      )}
    </details>
  );
}

interface TimelineProps {
  live: LiveSession;
  store: Store;
  target: string | null;
  lead: ComponentChildren;
}

export function Timeline({ live, store, target, lead }: TimelineProps) {
  const [group, setGroup] = useState<Group | 'all'>('all');
  const events = live.events.value;
  const problem = live.problem.value;
  const searching = useRef(false);

  const { byId, counts } = useMemo(() => {
    const counted = new Map<string, number>();
    for (const event of events) counted.set(groupOf(event.type), (counted.get(groupOf(event.type)) ?? 0) + 1);
    return { byId: new Map(events.map((event) => [event.id, event])), counts: counted };
  }, [events]);
  const shown = group === 'all' ? events : events.filter((event) => groupOf(event.type) === group);
  const scroll = useFollowingScroll(`${live.id}:${group}`, shown[0]?.id ?? '');

  // A link to an old event: go back until it is there.
  useEffect(() => {
    if (!target || byId.has(target) || searching.current || live.older.value !== true) return;
    searching.current = true;
    void live.loadOlder().finally(() => {
      searching.current = false;
    });
  }, [target, byId, live.older.value]);

  const rows: ComponentChildren[] = [];
  let day = '';
  for (const event of shown) {
    const next = dayKey(event.created_at);
    if (next !== day) rows.push(<Day key={`day-${next}`} at={event.created_at} now={store.now.value} />);
    day = next;
    rows.push(
      <Row key={event.id} event={event} lookup={(id) => byId.get(id)} store={store} target={event.id === target} />,
    );
  }

  return (
    <div class="view timeline">
      <SessionBar live={live} store={store} lead={lead} tab="timeline" />
      {problem ? (
        <Failed message={problem.message} hint={problem.hint} onRetry={live.retryNow} />
      ) : (
        <>
          <fieldset class="filter">
            <legend class="offscreen">Show</legend>
            {[{ id: 'all' as const, label: 'All' }, ...groups].map((choice) => (
              <label key={choice.id}>
                <input
                  type="radio"
                  name="group"
                  checked={group === choice.id}
                  onChange={() => setGroup(choice.id)}
                  disabled={choice.id !== 'all' && !counts.get(choice.id)}
                />
                <span>
                  {choice.label} <small>{choice.id === 'all' ? events.length : (counts.get(choice.id) ?? 0)}</small>
                </span>
              </label>
            ))}
          </fieldset>
          <div class="scroller" ref={scroll.scroller}>
            <div class="column wide" ref={scroll.content}>
              <div class="older">
                {live.older.value === true ? (
                  <Button
                    small
                    look="ghost"
                    busy={live.loading.value}
                    onClick={() => {
                      void live.loadOlder();
                    }}
                  >
                    Load older events
                  </Button>
                ) : (
                  <span class="muted">{live.older.value === null ? 'Loading…' : 'The beginning of the log'}</span>
                )}
              </div>
              {rows}
            </div>
          </div>
          {!scroll.atEnd && (
            <div class="dock">
              <Button class="to-end" small onClick={scroll.toEnd}>
                <Icon name="arrowDown" />
                Live
              </Button>
            </div>
          )}
        </>
      )}
    </div>
  );
}
