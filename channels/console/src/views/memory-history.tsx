// What waits for a decision, and what happened to memory lately, each step with its undo.
import { useState } from 'preact/hooks';
import type { Store } from '../store.ts';
import type { MemoryChange, MemoryChangeShown, MemoryQuestion } from '../types.ts';
import { Badge } from '../ui/badge.tsx';
import { Button } from '../ui/button.tsx';
import { Card } from '../ui/page.tsx';
import { Ago } from '../ui/time.tsx';
import { usePages } from '../ui/use-pages.ts';
import { shown } from '../visible.ts';
import { MemoryLink } from './memory-row.tsx';
import { changeName } from './memory-words.ts';

function Question({ question, store, onDone }: { question: MemoryQuestion; store: Store; onDone: () => void }) {
  const [busy, setBusy] = useState<boolean | null>(null);
  async function answer(accept: boolean): Promise<void> {
    setBusy(accept);
    const done = await store.attempt(() => store.api.answerMemory(question.id, accept), accept ? 'Kept.' : 'Left out.');
    setBusy(null);
    if (done) onDone();
  }
  return (
    <li class="memory-question">
      <p>{shown(question.text)}</p>
      <div class="row">
        <Button
          small
          look="primary"
          icon="check"
          busy={busy === true}
          disabled={busy !== null}
          onClick={() => answer(true)}
        >
          Yes
        </Button>
        <Button small busy={busy === false} disabled={busy !== null} onClick={() => answer(false)}>
          No
        </Button>
        <Ago at={question.created_at} now={store.now.value} />
      </div>
    </li>
  );
}

export function Questions({
  list,
  store,
  onDone,
}: {
  list: readonly MemoryQuestion[];
  store: Store;
  onDone: () => void;
}) {
  if (list.length === 0) return null;
  return (
    <Card title="Only you can tell" hint="Contradictions, and words from outside: they count only once you say so.">
      <ul class="rows waiting">
        {list.map((question) => (
          <Question key={question.id} question={question} store={store} onDone={onDone} />
        ))}
      </ul>
    </Card>
  );
}

function counted(change: MemoryChange): string {
  const parts = [
    change.added.length > 0 ? `${change.added.length} added` : '',
    change.retired.length > 0 ? `${change.retired.length} retired` : '',
    change.erased > 0 ? `${change.erased} erased` : '',
  ];
  return parts.filter(Boolean).join(', ') || 'nothing changed';
}

/** `behind`: something newer is about to stand above this one, and the button under the finger would be another's. */
function Change({
  change,
  store,
  behind,
  onDone,
}: {
  change: MemoryChange;
  store: Store;
  behind: boolean;
  onDone: () => void;
}) {
  const [whole, setWhole] = useState<MemoryChangeShown | null>(null);
  const [busy, setBusy] = useState(false);
  // What was erased is gone.
  const canUndo = change.undone_by === null && change.kind !== 'forget';
  return (
    <li class="memory-change">
      <div class="row">
        <strong>{changeName(change)}</strong>
        <span class="muted">{counted(change)}</span>
        {change.undone_by && <Badge>undone</Badge>}
        <Ago at={change.at} now={store.now.value} />
        <span class="memory-change-actions">
          {change.added.length + change.retired.length > 0 && (
            <Button
              small
              look="ghost"
              aria-expanded={whole !== null}
              onClick={() =>
                whole ? setWhole(null) : store.attempt(async () => setWhole(await store.api.memoryChange(change.id)))
              }
            >
              {whole ? 'Hide' : 'Show'}
            </Button>
          )}
          {canUndo && (
            <Button
              small
              icon="undo"
              busy={busy}
              disabled={behind}
              onClick={async () => {
                setBusy(true);
                const done = await store.attempt(() => store.api.undoMemory(change.id), 'Undone.');
                setBusy(false);
                if (done) onDone();
              }}
            >
              Undo
            </Button>
          )}
        </span>
      </div>
      {whole && (
        <div class="memory-diff">
          {whole.added_items.length > 0 && <h3>Added</h3>}
          <ul class="rows">
            {whole.added_items.map((item) => (
              <MemoryLink key={item.id} item={item} store={store} />
            ))}
          </ul>
          {whole.retired_items.length > 0 && <h3>Retired</h3>}
          <ul class="rows">
            {whole.retired_items.map((item) => (
              <MemoryLink key={item.id} item={item} store={store} />
            ))}
          </ul>
          {whole.added_items.length + whole.retired_items.length === 0 && (
            <p class="muted">What it was about is forgotten.</p>
          )}
        </div>
      )}
    </li>
  );
}

/** `turn` changes when something was written: the list is read anew. */
export function Changes({ store, turn, onDone }: { store: Store; turn: number; onDone: () => void }) {
  const { list, stale, error, more, busy } = usePages(store.api.memoryChanges, store, turn);
  return (
    <Card title="What happened" hint="Every change of memory, newest first. Undoing one is a change, too.">
      {error && <p class="muted">{error.message}</p>}
      {list?.length === 0 && <p class="muted">Nothing yet.</p>}
      {list && list.length > 0 && (
        <ul class="rows">
          {list.map((change) => (
            <Change key={change.id} change={change} store={store} behind={stale} onDone={onDone} />
          ))}
        </ul>
      )}
      {more && (
        <div class="row">
          <Button small look="ghost" busy={busy} onClick={more}>
            Show older changes
          </Button>
        </div>
      )}
    </Card>
  );
}
