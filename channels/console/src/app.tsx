// The shell: sign-in or sidebar and view, the banners above them, and which session is open.
import { useEffect, useState } from 'preact/hooks';
import { route } from './route.ts';
import type { Store } from './store.ts';
import { Banner } from './ui/banner.tsx';
import { Button, IconButton } from './ui/button.tsx';
import { Dialog } from './ui/dialog.tsx';
import { Toasts } from './ui/toasts.tsx';
import { Approvals } from './views/approvals.tsx';
import { Chat } from './views/chat.tsx';
import { Memory } from './views/memory.tsx';
import { MemoryItemView } from './views/memory-item.tsx';
import { Settings } from './views/settings.tsx';
import { Sidebar } from './views/sidebar.tsx';
import { SignIn } from './views/sign-in.tsx';
import { StatusView } from './views/status.tsx';
import { TaskView } from './views/task.tsx';
import { Tasks } from './views/tasks.tsx';
import { Timeline } from './views/timeline.tsx';

/** Shown only when it lasts: a restart of a second is not worth a red strip. */
function ConnectionBanner({ store }: { store: Store }) {
  const stream = store.live.value?.connection.value;
  const lost = !store.reached.value || stream?.kind === 'lost';
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (!lost) {
      setShown(false);
      return;
    }
    const timer = setTimeout(() => setShown(true), 1_500);
    return () => clearTimeout(timer);
  }, [lost]);
  if (!shown) return null;
  const retry = () => {
    store.live.value?.retryNow();
    void store.refresh();
  };
  return (
    <Banner
      tone="warn"
      action={
        <Button small onClick={retry}>
          Try now
        </Button>
      }
    >
      <strong>Connection lost.</strong> Trying again by myself; what you write is kept.
    </Banner>
  );
}

function Banners({ store }: { store: Store }) {
  const status = store.status.value;
  return (
    <>
      {status?.safe_mode && (
        <Banner
          tone="bad"
          icon="shield"
          action={
            <Button
              small
              onClick={() =>
                store.attempt(async () => {
                  await store.api.leaveSafeMode();
                  await store.refresh();
                }, 'Safe mode is off.')
              }
            >
              Leave safe mode
            </Button>
          }
        >
          <strong>Safe mode.</strong> {status.safe_mode.why} Nothing runs and nothing is lost until you leave it.
        </Banner>
      )}
      {status?.disk.state === 'full' && (
        <Banner tone="bad">
          <strong>The disk is full.</strong> New messages are refused until there is space; what was accepted is safe.
        </Banner>
      )}
      {store.outdated.value && (
        <Banner
          tone="quiet"
          action={
            <Button small onClick={() => location.reload()}>
              Reload
            </Button>
          }
        >
          Steward was updated. Reload to use the new console.
        </Banner>
      )}
      <ConnectionBanner store={store} />
      {status?.hands.driver === 'none' && (
        <Banner tone="bad">
          <strong>No sandbox.</strong> Commands run on this machine itself, each after your approval
          (STEWARD_SANDBOX=none).
        </Banner>
      )}
    </>
  );
}

function View({ store, lead }: { store: Store; lead: preact.ComponentChildren }) {
  const at = route.value;
  const live = store.live.value;
  switch (at.name) {
    case 'approvals':
      return <Approvals store={store} lead={lead} />;
    case 'memory':
      return at.item ? (
        <MemoryItemView key={at.item} id={at.item} store={store} lead={lead} />
      ) : (
        <Memory store={store} lead={lead} />
      );
    case 'tasks':
      return at.id ? (
        <TaskView key={at.id} id={at.id} store={store} lead={lead} />
      ) : (
        <Tasks store={store} lead={lead} />
      );
    case 'settings':
      return <Settings store={store} lead={lead} />;
    case 'status':
      return <StatusView store={store} lead={lead} />;
    case 'chat':
      return live ? <Chat key={live.id} live={live} store={store} lead={lead} /> : <Waiting lead={lead} />;
    case 'timeline':
      return live ? (
        <Timeline key={live.id} live={live} store={store} target={at.event} lead={lead} />
      ) : (
        <Waiting lead={lead} />
      );
  }
}

/** Before the first answer of the server. */
function Waiting({ lead }: { lead: preact.ComponentChildren }) {
  return (
    <div class="view">
      <header class="bar">{lead}</header>
      <p class="muted waiting-first">Connecting to Steward…</p>
    </div>
  );
}

function useTitle(store: Store): void {
  const waiting = store.status.value?.approvals_pending ?? 0;
  const working = store.live.value?.state.value.status === 'running';
  useEffect(() => {
    document.title = `${waiting > 0 ? `(${waiting}) ` : ''}${working ? '… ' : ''}Steward`;
  }, [waiting, working]);
}

function Shell({ store }: { store: Store }) {
  const [drawer, setDrawer] = useState(false);
  const at = route.value;
  const main = store.mainId.value;
  const wanted = at.name === 'chat' || at.name === 'timeline' ? (at.id ?? main) : null;

  useEffect(() => {
    if (wanted) store.open(wanted);
  }, [wanted]);
  useEffect(() => setDrawer(false), [at]);
  useTitle(store);

  const lead = (
    <IconButton class="only-narrow" icon="menu" label="Conversations and settings" onClick={() => setDrawer(true)} />
  );
  return (
    <>
      {/* Not a hash link: the hash is the route. */}
      <button type="button" class="skip" onClick={() => document.getElementById('content')?.focus()}>
        Skip to content
      </button>
      <div class="shell">
        <aside class="sidebar" aria-label="Conversations and settings">
          <Sidebar store={store} />
        </aside>
        <Dialog drawer open={drawer} onClose={() => setDrawer(false)} title="Conversations and settings">
          <Sidebar store={store} />
        </Dialog>
        <main id="content" tabIndex={-1}>
          <Banners store={store} />
          <View store={store} lead={lead} />
        </main>
      </div>
    </>
  );
}

export function App({ store }: { store: Store }) {
  return (
    <>
      {store.signedOut.value ? <SignIn onRetry={() => void store.refresh()} /> : <Shell store={store} />}
      <Toasts list={store.toasts.value} onDismiss={store.dismiss} />
    </>
  );
}
