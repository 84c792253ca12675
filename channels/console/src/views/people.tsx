// Who may talk to Steward: pairings that wait for a decision, and the people who are paired.
import { useState } from 'preact/hooks';
import { agoSentence, inFuture } from '../format.ts';
import type { Store } from '../store.ts';
import type { Identity, Pairing } from '../types.ts';
import { Badge } from '../ui/badge.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Card } from '../ui/page.tsx';
import { Raw } from '../ui/raw.tsx';
import { useLoaded } from '../ui/use-loaded.ts';
import { shown } from '../visible.ts';
import { channelName } from './message.tsx';

function Waiting({ pairing, store, onDone }: { pairing: Pairing; store: Store; onDone: () => void }) {
  const [busy, setBusy] = useState(false);
  async function decide(work: () => Promise<unknown>, done: string): Promise<void> {
    setBusy(true);
    if (await store.attempt(work, done)) {
      await store.refresh();
      onDone();
    }
    setBusy(false);
  }
  const { api } = store;
  return (
    <li class="pairing">
      <div>
        <strong class="pairing-code">{pairing.code}</strong>
        <p>
          {shown(pairing.name || 'Someone')} on {channelName(pairing.channel)}{' '}
          <small class="muted">id {pairing.user_id}</small>
        </p>
        <small class="muted">expires {inFuture(pairing.expires_at, store.now.value)}</small>
      </div>
      <div class="row">
        <Button
          look="primary"
          small
          disabled={busy}
          onClick={() => decide(() => api.approvePairing(pairing.code, 'owner'), 'Paired as owner.')}
        >
          Approve as owner
        </Button>
        <Button
          small
          disabled={busy}
          onClick={() => decide(() => api.approvePairing(pairing.code, 'guest'), 'Paired as guest.')}
        >
          As guest
        </Button>
        <Button
          look="ghost"
          small
          disabled={busy}
          onClick={() => decide(() => api.denyPairing(pairing.code), 'Denied.')}
        >
          Deny
        </Button>
      </div>
    </li>
  );
}

function Revoke({
  who,
  store,
  onClose,
  onDone,
}: {
  who: Identity;
  store: Store;
  onClose: () => void;
  onDone: () => void;
}) {
  const [busy, setBusy] = useState(false);
  return (
    <Dialog open onClose={onClose} title="Revoke access?">
      <p>
        {shown(who.name || 'This person')} will be a stranger on {channelName(who.channel)} again: no answers, until
        paired anew.
      </p>
      <Raw text={who.user_id} label="Their id" />
      <div class="row end">
        <Button onClick={onClose}>Keep</Button>
        <Button
          look="danger"
          busy={busy}
          onClick={async () => {
            setBusy(true);
            if (await store.attempt(() => store.api.revoke(who), 'Revoked.')) onDone();
            setBusy(false);
            onClose();
          }}
        >
          Revoke
        </Button>
      </div>
    </Dialog>
  );
}

export function People({ store }: { store: Store }) {
  const people = useLoaded(store.api.identities, store);
  const [revoking, setRevoking] = useState<Identity | null>(null);
  const waiting = store.pairings.value;
  return (
    <Card
      title="People"
      hint="Whoever writes to your bot gets a code. Approve only a code you were told by the person. An owner shares your main conversation and approves actions; a guest has a conversation of their own."
    >
      {waiting.length > 0 && (
        <ul class="rows waiting">
          {waiting.map((pairing) => (
            <Waiting key={pairing.code} pairing={pairing} store={store} onDone={people.reload} />
          ))}
        </ul>
      )}
      <ul class="rows">
        {people.data?.map((who) => (
          <li key={`${who.channel}:${who.user_id}`} class="person">
            <div>
              <strong>{shown(who.name || 'No name')}</strong>{' '}
              <Badge tone={who.role === 'owner' ? 'accent' : 'quiet'}>{who.role}</Badge>
              <p class="muted">
                {channelName(who.channel)} · id {who.user_id} · paired {agoSentence(who.paired_at, store.now.value)}
              </p>
            </div>
            <Button small look="ghost" onClick={() => setRevoking(who)}>
              Revoke
            </Button>
          </li>
        ))}
      </ul>
      {people.error && <p class="muted">{people.error.message}</p>}
      {people.data?.length === 0 && waiting.length === 0 && (
        <p class="muted">Nobody is paired yet. Write to your bot: it answers with a code, and the code appears here.</p>
      )}
      {revoking && <Revoke who={revoking} store={store} onClose={() => setRevoking(null)} onDone={people.reload} />}
    </Card>
  );
}
