// One approval: what would happen, with every argument, why it is asked, until when; approve, or deny with a reason.
import { useState } from 'preact/hooks';
import { inFuture } from '../format.ts';
import type { Store } from '../store.ts';
import type { Approval } from '../types.ts';
import { Button } from '../ui/button.tsx';
import { Icon } from '../ui/icon.tsx';
import { Raw } from '../ui/raw.tsx';
import { shown } from '../visible.ts';

interface ApprovalProps {
  store: Store;
  approval: Approval;
  /** Shown above the buttons: where it comes from. */
  from?: preact.ComponentChildren;
}

export function ApprovalCard({ store, approval, from }: ApprovalProps) {
  const [busy, setBusy] = useState<'allow' | 'deny' | null>(null);
  const [reasoning, setReasoning] = useState(false);
  const [reason, setReason] = useState('');
  const expired = approval.expires_at !== '' && new Date(approval.expires_at).getTime() <= store.now.value;

  async function answer(result: 'allow' | 'deny'): Promise<void> {
    setBusy(result);
    const said = result === 'allow' ? 'Approved.' : 'Denied.';
    await store.attempt(() => store.answer(approval, result, reason.trim()), said);
    setBusy(null);
  }

  return (
    <section class="approval" aria-label={`Approval needed: ${approval.title}`}>
      <header>
        <Icon name="hand" />
        <h3>{shown(approval.title || approval.name)}</h3>
        <code>{shown(approval.name)}</code>
      </header>
      {approval.why && (
        <p class="why">
          <span>Asked because:</span> {shown(approval.why)}
        </p>
      )}
      <Raw whole text={approval.detail} label="Full arguments" />
      {reasoning && (
        <label class="field">
          <span>Reason for denying (the agent reads it)</span>
          <input value={reason} maxLength={500} onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
      )}
      <footer>
        <Button
          look="primary"
          icon="check"
          busy={busy === 'allow'}
          disabled={busy !== null || expired}
          onClick={() => answer('allow')}
        >
          Approve
        </Button>
        <Button
          look="danger"
          icon="close"
          busy={busy === 'deny'}
          disabled={busy !== null}
          onClick={() => answer('deny')}
        >
          Deny
        </Button>
        {!reasoning && (
          <Button look="ghost" onClick={() => setReasoning(true)}>
            Add a reason
          </Button>
        )}
        <span class="meta">
          {from}
          {approval.expires_at !== '' && (
            <time dateTime={approval.expires_at}>
              {expired ? 'expired: counts as denied' : `expires ${inFuture(approval.expires_at, store.now.value)}`}
            </time>
          )}
        </span>
      </footer>
    </section>
  );
}
