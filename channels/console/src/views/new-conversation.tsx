// Starting afresh: the main conversation for all channels, or one beside it that lives only here.
import { useState } from 'preact/hooks';
import { newKey } from '../api.ts';
import { go, to } from '../route.ts';
import type { Store } from '../store.ts';
import { Dialog } from '../ui/dialog.tsx';
import { Icon } from '../ui/icon.tsx';

export function NewConversation({ store, open, onClose }: { store: Store; open: boolean; onClose: () => void }) {
  const [busy, setBusy] = useState(false);

  async function start(work: () => Promise<string>): Promise<void> {
    setBusy(true);
    const done = await store.attempt(async () => go(await work()));
    setBusy(false);
    if (done) onClose();
  }

  async function beside(incognito: boolean): Promise<string> {
    const session = await store.api.newSession(newKey(), incognito);
    store.sessionChanged(session);
    return to.chat(session.id);
  }

  return (
    <Dialog open={open} onClose={onClose} title="New conversation">
      <div class="choices">
        <button
          type="button"
          disabled={busy}
          onClick={() =>
            start(async () => {
              await store.api.newMain(newKey());
              await store.refresh();
              return to.main();
            })
          }
        >
          <Icon name="message" />
          <span>
            <strong>Start the main conversation afresh</strong>
            <small>Your paired chats go on in the new one too. The old one stays readable in the list.</small>
          </span>
        </button>
        <button type="button" disabled={busy} onClick={() => start(() => beside(false))}>
          <Icon name="plus" />
          <span>
            <strong>Open one beside it</strong>
            <small>For a separate subject. It lives only here and does not touch the main conversation.</small>
          </span>
        </button>
        <button type="button" disabled={busy} onClick={() => start(() => beside(true))}>
          <Icon name="eyeOff" />
          <span>
            <strong>Open an incognito one</strong>
            <small>
              Nothing of it is remembered, and it sees nothing that is. Archiving it, or a day without a word, deletes
              it.
            </small>
          </span>
        </button>
      </div>
    </Dialog>
  );
}
