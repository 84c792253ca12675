// One memory whole: what it says, since when, whose words it rests on, what it was before, what was made from it.
import type { ComponentChildren } from 'preact';
import { dayName, fullTime } from '../format.ts';
import { go, to } from '../route.ts';
import type { Store } from '../store.ts';
import type { MemoryShown, MemorySource } from '../types.ts';
import { CopyButton } from '../ui/copy.tsx';
import { Bar, Card, Failed } from '../ui/page.tsx';
import { useLoaded } from '../ui/use-loaded.ts';
import { shown } from '../visible.ts';
import { MemoryActions, MemoryBadges, MemoryLink } from './memory-row.tsx';
import { AUTHORITY, endOf } from './memory-words.ts';
import { channelName } from './message.tsx';

function Moment({ at, now }: { at: string; now: number }) {
  return (
    <time dateTime={at} title={fullTime(at)}>
      {dayName(at, now)}
    </time>
  );
}

function Source({ source, now }: { source: MemorySource; now: number }) {
  return (
    <li class="memory-source">
      <blockquote class="memory-quote">{shown(source.quote) || 'The words are not kept here.'}</blockquote>
      <p class="memory-meta">
        <span>{shown(source.who || 'somebody')}</span>
        {source.channel && <span>{channelName(source.channel)}</span>}
        <Moment at={source.at} now={now} />
        <a href={to.timeline(source.session_id, source.event_id)}>See it where it was said</a>
      </p>
    </li>
  );
}

function Facts({ item, now }: { item: MemoryShown; now: number }) {
  const rows: [string, ComponentChildren][] = [
    ['Rests on', AUTHORITY[item.authority]?.meaning ?? item.authority],
    ['Holds since', <Moment key="from" at={item.valid_from} now={now} />],
  ];
  if (item.valid_to) rows.push(['Held until', <Moment key="to" at={item.valid_to} now={now} />]);
  if (item.retired_at) rows.push(['Taken back', <Moment key="retired" at={item.retired_at} now={now} />]);
  if (item.retire_reason) rows.push(['Because', shown(item.retire_reason)]);
  if (item.expires_at && !item.valid_to && !item.retired_at)
    rows.push(['Fades', <Moment key="expires" at={item.expires_at} now={now} />]);
  rows.push(['Written down', <Moment key="recorded" at={item.recorded_at} now={now} />]);
  if (item.subject) rows.push(['About', shown([item.subject, item.slot].filter(Boolean).join(' · '))]);
  rows.push([
    'Id',
    <span key="id" class="memory-id">
      <code>{item.id}</code>
      <CopyButton label="Copy the id" text={() => item.id} />
    </span>,
  ]);
  return (
    <dl class="memory-facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function MemoryItemView({ id, store, lead }: { id: string; store: Store; lead: ComponentChildren }) {
  const loaded = useLoaded(() => store.api.memory(id), store, id);
  const item = loaded.data;
  const now = store.now.value;
  const changed = (next: string | null) => {
    if (next === id) loaded.reload();
    else go(to.memory(next ?? undefined));
  };
  return (
    <div class="view">
      <Bar
        lead={lead}
        title={
          <>
            <a href={to.memory()}>Memory</a> <span class="muted">/ this one</span>
          </>
        }
        actions={item && <MemoryActions item={item} store={store} onChange={changed} />}
      />
      <div class="scroller">
        <div class="column">
          {loaded.error && <Failed message={loaded.error.message} hint={loaded.error.hint} onRetry={loaded.reload} />}
          {!item && !loaded.error && <p class="muted">Loading…</p>}
          {item && (
            <>
              <section class={`card memory-whole ${endOf(item, now) ? 'past' : ''}`}>
                <p class="memory-words">{shown(item.text)}</p>
                <p class="memory-meta">
                  <MemoryBadges item={item} now={now} />
                  {item.pinned && <span>pinned</span>}
                </p>
                <Facts item={item} now={now} />
              </section>
              <Card title="Where it comes from" hint="The words it rests on, as they were said.">
                <ul class="rows">
                  {item.sources.map((source) => (
                    <Source key={source.event_id} source={source} now={now} />
                  ))}
                </ul>
                {item.sources.length === 0 && <p class="muted">It was made from other memories.</p>}
              </Card>
              {item.history.length > 1 && (
                <Card title="What it was before" hint="Oldest first. Nothing is overwritten.">
                  <ul class="rows">
                    {item.history.map((other) => (
                      <MemoryLink key={other.id} item={other} store={store} />
                    ))}
                  </ul>
                </Card>
              )}
              {item.derived.length > 0 && (
                <Card title="Made from it">
                  <ul class="rows">
                    {item.derived.map((other) => (
                      <MemoryLink key={other.id} item={other} store={store} />
                    ))}
                  </ul>
                </Card>
              )}
            </>
          )}
        </div>
      </div>
    </div>
  );
}
