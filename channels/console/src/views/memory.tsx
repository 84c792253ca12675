// Memory: search, what waits for a decision, what is known by tier, what happened to it.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { count } from '../format.ts';
import type { Store } from '../store.ts';
import type { MemoryStats, Tier } from '../types.ts';
import { Count } from '../ui/badge.tsx';
import { Button } from '../ui/button.tsx';
import { Bar, Empty, Failed } from '../ui/page.tsx';
import { useLoaded } from '../ui/use-loaded.ts';
import { usePages } from '../ui/use-pages.ts';
import { EditMemory } from './memory-edit.tsx';
import { Changes, Questions } from './memory-history.tsx';
import { MemoryRow } from './memory-row.tsx';
import { MemorySearch } from './memory-search.tsx';
import { TIERS } from './memory-words.ts';

function Tiers({
  tier,
  stats,
  onChange,
}: {
  tier: Tier | null;
  stats: MemoryStats | null;
  onChange: (tier: Tier | null) => void;
}) {
  const choices = [{ tier: null, name: 'All', hint: '' }, ...TIERS];
  return (
    <fieldset class="filter inline memory-tiers">
      <legend class="offscreen">Which part of memory</legend>
      {choices.map((one) => {
        const number = one.tier === null ? null : (stats?.items[one.tier] ?? null);
        return (
          <label key={one.name} title={one.hint}>
            <input type="radio" name="memory-tier" checked={tier === one.tier} onChange={() => onChange(one.tier)} />
            <span>
              {one.name} {number !== null && number > 0 && <small>{count(number)}</small>}
            </span>
          </label>
        );
      })}
    </fieldset>
  );
}

/** `turn` changes when something was written: the list is read anew, from its beginning. */
function List({
  tier,
  store,
  turn,
  onChange,
}: {
  tier: Tier | null;
  store: Store;
  turn: number;
  onChange: () => void;
}) {
  const { list, error, more, busy, reload } = usePages(
    (page) => store.api.memories(tier, page),
    store,
    `${tier} ${turn}`,
  );
  if (error) return <Failed message={error.message} hint={error.hint} onRetry={reload} />;
  if (!list) return <p class="muted">Loading…</p>;
  if (list.length === 0)
    return (
      <Empty icon="book" title="Nothing here yet">
        <p>
          Say “remember that …” in any conversation, or write it down here. Everything that was said can be searched all
          the same.
        </p>
      </Empty>
    );
  return (
    <section class="card" aria-label="What is known">
      <ul class="rows">
        {list.map((item) => (
          <MemoryRow key={item.id} item={item} store={store} onChange={onChange} />
        ))}
      </ul>
      {more && (
        <div class="row">
          <Button small look="ghost" busy={busy} onClick={more}>
            Show more
          </Button>
        </div>
      )}
    </section>
  );
}

export function Memory({ store, lead }: { store: Store; lead: ComponentChildren }) {
  const [tier, setTier] = useState<Tier | null>(null);
  const [turn, setTurn] = useState(0);
  const [adding, setAdding] = useState(false);
  const [searching, setSearching] = useState(false);
  const questions = useLoaded(store.api.memoryQuestions, store, turn);
  const stats = useLoaded(store.api.memoryStats, store, turn);
  const changed = () => setTurn((before) => before + 1);
  const hint = TIERS.find((one) => one.tier === tier)?.hint;
  return (
    <div class="view">
      <Bar
        lead={lead}
        title="Memory"
        beside={<Count value={questions.data?.length ?? 0} label="waiting for your decision" />}
        actions={
          <Button small icon="plus" onClick={() => setAdding(true)}>
            Remember
          </Button>
        }
      />
      <div class="scroller">
        <div class="column memory-page">
          <MemorySearch store={store} onSearching={setSearching} />
          {!searching && (
            <>
              <Questions list={questions.data ?? []} store={store} onDone={changed} />
              <div class="memory-filter">
                <Tiers tier={tier} stats={stats.data} onChange={setTier} />
                {hint && <p class="muted">{hint}</p>}
              </div>
              <List tier={tier} store={store} turn={turn} onChange={changed} />
              <Changes store={store} turn={turn} onDone={changed} />
              {stats.data && (
                <p class="muted foot">
                  {count(stats.data.indexed)} things that were said or are known can be searched.
                </p>
              )}
            </>
          )}
        </div>
      </div>
      {adding && <EditMemory item={null} store={store} onClose={() => setAdding(false)} onDone={changed} />}
    </div>
  );
}
