// The list of conversations and the way to everything else. The same content stands beside the page or in the drawer.
import { useState } from 'preact/hooks';
import { type Theme, theme } from '../prefs.ts';
import { route, to } from '../route.ts';
import type { Store } from '../store.ts';
import type { Session } from '../types.ts';
import { Badge, Count, Dot } from '../ui/badge.tsx';
import { Button, IconButton } from '../ui/button.tsx';
import { Icon, type IconName, Logo } from '../ui/icon.tsx';
import { Ago } from '../ui/time.tsx';
import { NewConversation } from './new-conversation.tsx';
import { TrustBadge } from './session-bar.tsx';

function StateDot({ session }: { session: Session }) {
  if (session.status === 'running') return <Dot tone="accent" label="answering" pulse />;
  if (session.status === 'rescheduling') return <Dot tone="warn" label="waiting for the model" pulse />;
  const reason = session.stop_reason?.type;
  if (reason === 'requires_action') return <Dot tone="warn" label="waiting for your approval" />;
  if (reason === 'retries_exhausted') return <Dot tone="bad" label="gave up after several tries" />;
  if (reason === 'budget_reached') return <Dot tone="bad" label="stopped by the budget" />;
  return null;
}

function Row({ session, store, current }: { session: Session; store: Store; current: boolean }) {
  return (
    <li>
      <a
        class="session"
        href={session.main ? to.main() : to.chat(session.id)}
        aria-current={current ? 'page' : undefined}
        title={store.titleOf(session)}
      >
        {session.main && <Icon name="message" />}
        <span class="session-title">{store.titleOf(session)}</span>
        {session.kind === 'task' && <Badge>task</Badge>}
        <TrustBadge session={session} />
        <StateDot session={session} />
        <Ago at={session.updated_at} now={store.now.value} />
      </a>
    </li>
  );
}

const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };
const THEME: Record<Theme, { icon: IconName; label: string }> = {
  system: { icon: 'screen', label: 'Theme: as the system. Switch to light' },
  light: { icon: 'sun', label: 'Theme: light. Switch to dark' },
  dark: { icon: 'moon', label: 'Theme: dark. Switch to the system’s' },
};

function NavLink({
  name,
  icon,
  label,
  count,
}: {
  name: 'approvals' | 'tasks' | 'memory' | 'settings' | 'status';
  icon: IconName;
  label: string;
  count: number;
}) {
  return (
    <a href={to[name]()} aria-current={route.value.name === name ? 'page' : undefined}>
      <Icon name={icon} />
      <span>{label}</span>
      <Count value={count} label="waiting" />
    </a>
  );
}

function Health({ store }: { store: Store }) {
  const status = store.status.value;
  if (!store.reached.value) return <Dot tone="bad" label="Not connected" pulse />;
  if (!status) return <Dot tone="quiet" label="Connecting" />;
  const failing =
    status.channels.some((channel) => channel.state === 'failing') || status.model.state === 'unreachable';
  const bad = status.safe_mode !== null || status.disk.state === 'full';
  if (bad) return <Dot tone="bad" label="Needs attention: see Status" />;
  if (failing || !status.ready) return <Dot tone="warn" label="Something is failing: see Status" />;
  return <Dot tone="good" label="All is well" />;
}

export function Sidebar({ store }: { store: Store }) {
  const [starting, setStarting] = useState(false);
  const [loading, setLoading] = useState(false);
  const open = store.live.value?.id;
  const onSession = route.value.name === 'chat' || route.value.name === 'timeline';
  const [main, ...rest] = store.sessions.value[0]?.main ? store.sessions.value : [undefined, ...store.sessions.value];
  const active = rest.filter((session): session is Session => session !== undefined && session.archived_at === null);
  const archived = rest.filter((session): session is Session => session !== undefined && session.archived_at !== null);
  const rows = (list: readonly Session[]) =>
    list.map((session) => (
      <Row key={session.id} session={session} store={store} current={onSession && session.id === open} />
    ));

  return (
    <div class="sidebar-inside">
      <div class="brand">
        <a href={to.main()}>
          <Logo />
          <strong>Steward</strong>
        </a>
        <a class="health" href={to.status()} aria-label="Status">
          <Health store={store} />
        </a>
        <IconButton icon="plus" label="New conversation" onClick={() => setStarting(true)} />
      </div>
      <nav class="sessions" aria-label="Conversations">
        <ul>{main && rows([main])}</ul>
        {active.length > 0 && <h2>Conversations</h2>}
        <ul>{rows(active)}</ul>
        {archived.length > 0 && <h2>Archived</h2>}
        <ul>{rows(archived)}</ul>
        <div class="sessions-foot">
          {store.moreSessions.value && (
            <Button
              small
              look="ghost"
              busy={loading}
              onClick={async () => {
                setLoading(true);
                await store.attempt(store.loadMoreSessions);
                setLoading(false);
              }}
            >
              Show more
            </Button>
          )}
          <Button small look="ghost" onClick={() => store.setShowArchived(!store.showArchived.value)}>
            {store.showArchived.value ? 'Hide archived' : 'Show archived'}
          </Button>
        </div>
      </nav>
      <nav class="places" aria-label="Steward">
        <NavLink name="approvals" icon="hand" label="Approvals" count={store.status.value?.approvals_pending ?? 0} />
        <NavLink name="tasks" icon="tool" label="Tasks" count={0} />
        <NavLink name="memory" icon="book" label="Memory" count={0} />
        <NavLink name="settings" icon="gear" label="Settings" count={store.pairings.value.length} />
        <NavLink name="status" icon="pulse" label="Status" count={0} />
        <IconButton
          icon={THEME[theme.value].icon}
          label={THEME[theme.value].label}
          onClick={() => {
            theme.value = NEXT[theme.value];
          }}
        />
      </nav>
      <NewConversation store={store} open={starting} onClose={() => setStarting(false)} />
    </div>
  );
}
