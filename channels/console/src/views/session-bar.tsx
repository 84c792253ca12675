// The title bar of a session: its name, whose it is, how it stands; switch between chat and timeline; rename, archive.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { LiveSession } from '../live.ts';
import { go, to } from '../route.ts';
import type { Store } from '../store.ts';
import type { Session } from '../types.ts';
import { Badge } from '../ui/badge.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Icon } from '../ui/icon.tsx';
import { Menu } from '../ui/menu.tsx';
import { Bar } from '../ui/page.tsx';
import { NewConversation } from './new-conversation.tsx';

export function TrustBadge({ session }: { session: Session }) {
  if (session.metadata?.incognito === 'true')
    return <Badge title="Nothing is kept of this conversation; it is deleted when it is archived.">incognito</Badge>;
  if (session.trust === 'guest') return <Badge>guest</Badge>;
  if (session.trust === 'group') return <Badge>group</Badge>;
  return null;
}

function Rename({ session, store, onClose }: { session: Session; store: Store; onClose: () => void }) {
  const [title, setTitle] = useState(session.title ?? '');
  const [busy, setBusy] = useState(false);
  return (
    <form
      class="form"
      onSubmit={async (event) => {
        event.preventDefault();
        setBusy(true);
        const done = await store.attempt(async () =>
          store.sessionChanged(await store.api.rename(session.id, title.trim())),
        );
        setBusy(false);
        if (done) onClose();
      }}
    >
      <label class="field">
        <span>Title</span>
        {/* biome-ignore lint/a11y/noAutofocus: the dialog was opened to type here */}
        <input value={title} maxLength={200} autoFocus onInput={(event) => setTitle(event.currentTarget.value)} />
      </label>
      <div class="row end">
        <Button onClick={onClose}>Cancel</Button>
        <Button look="primary" type="submit" busy={busy} disabled={title.trim() === ''}>
          Rename
        </Button>
      </div>
    </form>
  );
}

interface SessionBarProps {
  live: LiveSession;
  store: Store;
  lead: ComponentChildren;
  tab: 'chat' | 'timeline';
}

export function SessionBar({ live, store, lead, tab }: SessionBarProps) {
  const session = live.session.value;
  const [renaming, setRenaming] = useState(false);
  const [starting, setStarting] = useState(false);
  const title = session ? store.titleOf(session) : 'Conversation';

  async function archive(): Promise<void> {
    const done = await store.attempt(async () => store.sessionChanged(await store.api.archive(live.id)), 'Archived.');
    if (done) go(to.main());
  }

  const actions = (
    <>
      <nav class="tabs" aria-label="View">
        <a href={session?.main ? to.main() : to.chat(live.id)} aria-current={tab === 'chat' ? 'page' : undefined}>
          <Icon name="message" />
          <span>Chat</span>
        </a>
        <a href={to.timeline(live.id)} aria-current={tab === 'timeline' ? 'page' : undefined}>
          <Icon name="list" />
          <span>Timeline</span>
        </a>
      </nav>
      <Menu icon="more" label="More">
        <button type="button" onClick={() => setStarting(true)}>
          <Icon name="plus" /> New conversation
        </button>
        <button type="button" disabled={!session || session.main} onClick={() => setRenaming(true)}>
          <Icon name="edit" /> Rename
        </button>
        {session && !session.main && session.archived_at === null && (
          <button type="button" onClick={archive}>
            <Icon name="archive" /> Archive
          </button>
        )}
      </Menu>
    </>
  );

  return (
    <>
      <Bar
        lead={lead}
        title={title}
        actions={actions}
        beside={
          session && (
            <>
              <TrustBadge session={session} />
              {session.tainted && (
                <Badge tone="warn" title="Text from outside was read here: acting outward asks you first.">
                  <Icon name="shield" />
                  <span class="not-narrow">outside text</span>
                </Badge>
              )}
              {session.archived_at && <Badge>archived</Badge>}
            </>
          )
        }
      />
      {session && (
        <Dialog open={renaming} onClose={() => setRenaming(false)} title="Rename">
          <Rename session={session} store={store} onClose={() => setRenaming(false)} />
        </Dialog>
      )}
      <NewConversation store={store} open={starting} onClose={() => setStarting(false)} />
    </>
  );
}
