// A conversation: its items, what is being written now, and the composer. Follows the end unless the reader scrolled away.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { type Spoken, speak } from '../announce.ts';
import type { Item } from '../conversation.ts';
import { dayKey } from '../format.ts';
import type { LiveSession } from '../live.ts';
import { notYetInLog } from '../outgoing.ts';
import { isQueued } from '../reduce.ts';
import type { Store } from '../store.ts';
import { Button } from '../ui/button.tsx';
import { Icon, Logo } from '../ui/icon.tsx';
import { Failed } from '../ui/page.tsx';
import { useFollowingScroll, useSeen } from '../ui/scroll.ts';
import { Composer } from './composer.tsx';
import { AgentMessage, OutgoingMessage, StreamingMessage, UserMessage } from './message.tsx';
import { ActivityLine, Day, ErrorCard, Note, Unknown } from './notes.tsx';
import { SessionBar } from './session-bar.tsx';
import { ToolCallLine } from './tool-call.tsx';

function ItemView({ item, live, store }: { item: Item; live: LiveSession; store: Store }) {
  switch (item.kind) {
    case 'user':
      return (
        <UserMessage item={item} session={live.id} running={item.queued && live.state.value.status === 'running'} />
      );
    case 'answer':
      return <AgentMessage item={item} session={live.id} />;
    case 'tool':
      return <ToolCallLine call={item.call} session={live.id} store={store} />;
    case 'note':
      return <Note item={item} />;
    case 'error':
      return <ErrorCard item={item} />;
    case 'unknown':
      return <Unknown item={item} />;
  }
}

/** The items with a separator before each new day. */
function Items({ items, live, store }: { items: readonly Item[]; live: LiveSession; store: Store }) {
  const today = dayKey(store.now.value);
  return useMemo(() => {
    const drawn: ComponentChildren[] = [];
    let day = '';
    for (const item of items) {
      const next = item.at ? dayKey(item.at) : day;
      if (next !== day) drawn.push(<Day key={`day-${next}`} at={item.at} now={Date.now()} />);
      day = next;
      drawn.push(<ItemView key={item.id} item={item} live={live} store={store} />);
    }
    return <>{drawn}</>;
  }, [items, live, today]);
}

/** Says finished sentences of the streaming answer, and then the rest of it, to a screen reader. */
function Announcer({ live }: { live: LiveSession }) {
  const [said, setSaid] = useState('');
  const spoken = useRef<Spoken | null>(null);
  const preview = live.previews.value.at(-1);
  const last = live.items.value.at(-1);
  const connected = useRef(false);

  useEffect(() => {
    if (preview) {
      const next = speak(spoken.current, preview.id, preview.text, false);
      spoken.current = next.spoken;
      if (next.say) setSaid(next.say);
    } else if (last?.kind === 'answer' && connected.current) {
      const next = speak(spoken.current, last.id, last.text, true);
      spoken.current = next.spoken;
      if (next.say) setSaid(next.say);
    } else if (last?.kind === 'answer') {
      // What was there before the page was opened is read, not announced.
      spoken.current = { id: last.id, upTo: last.text.length };
    }
    connected.current = live.older.value !== null;
  }, [preview, last]);

  return (
    <div class="offscreen" aria-live="polite" role="status">
      {said}
    </div>
  );
}

function Welcome({ main }: { main: boolean }) {
  return (
    <div class="welcome">
      <Logo />
      <h2>What can I do for you?</h2>
      <p>
        {main
          ? 'This conversation goes on wherever you write: here, or in a chat you have paired. Nothing you send is lost.'
          : 'A conversation of its own, beside the main one. It lives only here.'}
      </p>
    </div>
  );
}

export function Chat({ live, store, lead }: { live: LiveSession; store: Store; lead: ComponentChildren }) {
  const scroll = useFollowingScroll(live.id, live.items.value[0]?.id ?? '');
  const [returned, setReturned] = useState<{ text: string } | null>(null);
  const [stopping, setStopping] = useState(false);
  const state = live.state.value;
  const running = state.status === 'running' || state.status === 'rescheduling';
  const outgoing = notYetInLog(live.outgoing.value, live.events.value);
  const problem = live.problem.value;
  const items = live.items.value;
  // What waits in the queue is read after the answer that is being written: it stands below it.
  const [settled, queued] = useMemo(() => {
    const ids = new Set(live.events.value.filter(isQueued).map((event) => event.id));
    return [items.filter((item) => !ids.has(item.id)), items.filter((item) => ids.has(item.id))];
  }, [items]);
  const activity = <ActivityLine activity={live.activity.value} />;
  const archived = live.session.value?.archived_at != null;
  const closed =
    state.status === 'terminated' ? 'This conversation has ended.' : archived ? 'This conversation is archived.' : '';
  const empty = live.older.value === false && items.length === 0 && outgoing.length === 0;

  const top = useSeen(
    () => {
      void live.loadOlder();
    },
    live.older.value === true && !live.loading.value,
  );

  async function stop(): Promise<void> {
    setStopping(true);
    await store.attempt(() => live.stop());
    setStopping(false);
  }

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const taken = event.defaultPrevented || document.querySelector('dialog[open], :popover-open') !== null;
      if (event.key === 'Escape' && !taken && running) void stop();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [running, live]);

  return (
    <div class="view chat">
      <SessionBar live={live} store={store} lead={lead} tab="chat" />
      {problem ? (
        <Failed message={problem.message} hint={problem.hint} onRetry={live.retryNow} />
      ) : (
        <>
          <div class="scroller" ref={scroll.scroller}>
            <div class="column" ref={scroll.content} role="log" aria-live="off" aria-label="Conversation">
              <div ref={top} class="older">
                {live.loading.value && <span class="muted">Loading…</span>}
              </div>
              {empty && <Welcome main={live.session.value?.main === true} />}
              <Items items={settled} live={live} store={store} />
              {live.previews.value.map((preview) => (
                <StreamingMessage key={preview.id} preview={preview} />
              ))}
              {state.status === 'running' && activity}
              {queued.map((item) => (
                <ItemView key={item.id} item={item} live={live} store={store} />
              ))}
              {outgoing.map((item) => (
                <OutgoingMessage
                  key={item.key}
                  item={item}
                  onRetry={() => live.retry(item.key)}
                  onEdit={() => setReturned({ text: live.take(item.key) })}
                />
              ))}
              {state.status !== 'running' && activity}
            </div>
          </div>
          <Announcer live={live} />
          <div class="dock">
            {!scroll.atEnd && (
              <Button class="to-end" small onClick={scroll.toEnd}>
                <Icon name="arrowDown" />
                Latest
              </Button>
            )}
            <Composer
              session={live.id}
              running={running}
              closed={closed}
              returned={returned}
              stopping={stopping}
              onSend={(text) => {
                live.send(text);
                scroll.toEnd();
              }}
              onStop={stop}
            />
          </div>
        </>
      )}
    </div>
  );
}
