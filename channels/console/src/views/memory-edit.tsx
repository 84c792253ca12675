// Writing one memory, new or in place of an older one; and making one forgotten for good.
import { useState } from 'preact/hooks';
import type { Store } from '../store.ts';
import type { MemoryDraft, MemoryItem, MemorySaved } from '../types.ts';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { shown } from '../visible.ts';
import { TIERS } from './memory-words.ts';

/** As the server has it. */
const LONGEST = 8_000;
const WRITABLE = TIERS.filter(({ tier }) => tier === 'identity' || tier === 'state' || tier === 'reference');

const orNull = (text: string): string | null => text.trim() || null;

function tell(store: Store, saved: MemorySaved): void {
  if (saved.result === 'saved')
    store.toast('good', saved.superseded.length > 0 ? 'Saved in place of the old one.' : 'Saved.');
  else if (saved.result === 'known') store.toast('good', 'That was known already.');
  else store.toast('good', 'It waits for your decision.', saved.question.text);
}

interface EditProps {
  /** Null: a new one. */
  item: MemoryItem | null;
  store: Store;
  onClose: () => void;
  onDone: (saved: MemorySaved) => void;
}

export function EditMemory({ item, store, onClose, onDone }: EditProps) {
  const [text, setText] = useState(item?.text ?? '');
  const [subject, setSubject] = useState(item?.subject ?? '');
  const [slot, setSlot] = useState(item?.slot ?? '');
  const [tier, setTier] = useState(WRITABLE.find((one) => one.tier === item?.tier)?.tier ?? 'reference');
  const [busy, setBusy] = useState(false);

  async function save(): Promise<void> {
    setBusy(true);
    const draft: MemoryDraft = { text: text.trim() };
    // Only what was changed: a new value of the same thing keeps everything else.
    if (subject.trim() !== (item?.subject ?? '')) draft.subject = orNull(subject);
    if (slot.trim() !== (item?.slot ?? '')) draft.slot = orNull(slot);
    if (tier !== item?.tier) draft.tier = tier as 'identity' | 'state' | 'reference';
    await store.attempt(async () => {
      const saved = await (item ? store.api.editMemory(item.id, draft) : store.api.saveMemory(draft));
      tell(store, saved);
      onClose();
      onDone(saved);
    });
    setBusy(false);
  }

  return (
    <Dialog open onClose={onClose} title={item ? 'Edit this memory' : 'Remember something'}>
      <form
        class="form memory-form"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <label class="field">
          <span>What is to be remembered</span>
          <textarea
            value={text}
            rows={4}
            maxLength={LONGEST}
            autoFocus
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <div class="memory-pair">
          <label class="field">
            <span>About (optional)</span>
            <input
              value={subject}
              maxLength={200}
              placeholder="Ann"
              onInput={(event) => setSubject(event.currentTarget.value)}
            />
          </label>
          <label class="field">
            <span>Which of its facts (optional)</span>
            <input
              value={slot}
              maxLength={200}
              placeholder="birthday"
              onInput={(event) => setSlot(event.currentTarget.value)}
            />
          </label>
        </div>
        <fieldset class="memory-tier">
          <legend>Where it belongs</legend>
          <div class="filter inline">
            {WRITABLE.map((one) => (
              <label key={one.tier}>
                <input
                  type="radio"
                  name="memory-edit-tier"
                  checked={tier === one.tier}
                  onChange={() => setTier(one.tier)}
                />
                <span>{one.name}</span>
              </label>
            ))}
          </div>
          <p class="muted">{WRITABLE.find((one) => one.tier === tier)?.hint}</p>
        </fieldset>
        {item && <p class="muted">The old wording stays in its history, as what was known until now.</p>}
        <div class="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" busy={busy} disabled={text.trim() === ''}>
            {item ? 'Save' : 'Remember'}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

interface ForgetProps {
  item: MemoryItem;
  store: Store;
  onClose: () => void;
  onDone: () => void;
}

export function ForgetMemory({ item, store, onClose, onDone }: ForgetProps) {
  const [sources, setSources] = useState(false);
  const [busy, setBusy] = useState(false);
  return (
    <Dialog open onClose={onClose} title="Forget this for good?">
      <blockquote class="memory-quote">{shown(item.text)}</blockquote>
      <p>
        It is erased, with everything made from it and every memory that says the same. This cannot be undone, and an
        import does not bring it back.
      </p>
      <label class="memory-check">
        <input type="checkbox" checked={sources} onChange={(event) => setSources(event.currentTarget.checked)} />
        <span>
          Also erase the words it came from
          <small>The messages themselves, wherever they are kept here. Otherwise they can still be found.</small>
        </span>
      </label>
      <div class="row end">
        <Button onClick={onClose}>Keep</Button>
        <Button
          look="danger"
          icon="trash"
          busy={busy}
          onClick={async () => {
            setBusy(true);
            const done = await store.attempt(async () => {
              const { items, events, remains } = await store.api.forgetMemory(item.id, sources);
              const words = events > 0 ? ` and ${events === 1 ? 'one message' : `${events} messages`}` : '';
              store.toast(
                'good',
                `Forgotten: ${items === 1 ? 'one memory' : `${items} memories`}${words}.`,
                remains.join(' '),
              );
            });
            setBusy(false);
            onClose();
            if (done) onDone();
          }}
        >
          Forget
        </Button>
      </div>
    </Dialog>
  );
}
