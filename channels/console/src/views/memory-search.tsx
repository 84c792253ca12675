// Searching everything that was said and is known: hits with their scores and where they come from, or plainly nothing.
import { useEffect, useRef, useState } from 'preact/hooks';
import { type ApiError, asApiError } from '../api.ts';
import { to } from '../route.ts';
import type { Store } from '../store.ts';
import type { MemoryFound, MemoryHit } from '../types.ts';
import { Badge } from '../ui/badge.tsx';
import { Button } from '../ui/button.tsx';
import { Icon } from '../ui/icon.tsx';
import { Ago } from '../ui/time.tsx';
import { shown } from '../visible.ts';
import { AUTHORITY, strength, tierName } from './memory-words.ts';
import { channelName } from './message.tsx';

function whoSaid(hit: MemoryHit): string {
  if (hit.trust === 'owner') return 'you';
  if (hit.trust === 'agent') return 'Steward';
  return shown(hit.who || 'somebody');
}

function Hit({ hit, store }: { hit: MemoryHit; store: Store }) {
  const href = hit.kind === 'item' ? to.memory(hit.id) : hit.session_id ? to.timeline(hit.session_id, hit.id) : null;
  return (
    <li class="memory">
      <div>
        {href ? (
          <a class="memory-text" href={href}>
            {shown(hit.text)}
          </a>
        ) : (
          <span class="memory-text">{shown(hit.text)}</span>
        )}
        <p class="memory-meta">
          <Badge>{hit.kind === 'item' ? (hit.tier ? tierName(hit.tier) : 'memory') : 'said'}</Badge>
          {hit.trust === 'outside' && (
            <Badge tone={AUTHORITY.outside.tone} title={AUTHORITY.outside.meaning}>
              {AUTHORITY.outside.word}
            </Badge>
          )}
          {hit.kind === 'event' && (
            <span>
              {whoSaid(hit)}
              {hit.channel && `, ${channelName(hit.channel)}`}
            </span>
          )}
          <Ago at={hit.at} now={store.now.value} />
          <span title={`score ${hit.score.toFixed(3)}`}>{strength(hit.score)}</span>
        </p>
      </div>
    </li>
  );
}

export function MemorySearch({ store, onSearching }: { store: Store; onSearching: (on: boolean) => void }) {
  const [words, setWords] = useState('');
  const [asked, setAsked] = useState('');
  const [found, setFound] = useState<MemoryFound | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const underWay = useRef<AbortController | null>(null);
  useEffect(() => () => underWay.current?.abort(), []);

  async function search(query: string): Promise<void> {
    underWay.current?.abort();
    setAsked(query);
    onSearching(query !== '');
    if (query === '') return setFound(null);
    const mine = new AbortController();
    underWay.current = mine;
    try {
      const answer = await store.api.searchMemory(query, mine.signal);
      if (mine.signal.aborted) return;
      setFound(answer);
      setError(null);
    } catch (cause) {
      if (!mine.signal.aborted) setError(asApiError(cause));
    }
  }

  const clear = () => {
    setWords('');
    void search('');
  };
  return (
    <section class="memory-search" aria-label="Search memory">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void search(words.trim());
        }}
      >
        <Icon name="search" />
        <input
          type="search"
          value={words}
          maxLength={1_000}
          aria-label="Search memory"
          placeholder="What was said or is known about…"
          onInput={(event) => {
            setWords(event.currentTarget.value);
            if (event.currentTarget.value === '') void search('');
          }}
        />
        <Button look="primary" type="submit" disabled={words.trim() === ''}>
          Search
        </Button>
      </form>
      {asked !== '' && (
        <div class="card" aria-live="polite">
          {error && (
            <p class="notice bad">
              <Icon name="alert" /> {error.message} {error.hint}
            </p>
          )}
          {!error && !found && <p class="muted">Searching…</p>}
          {found?.degraded && (
            <p class="notice warn">
              <Icon name="alert" /> Found by words alone: {shown(found.degraded)}
            </p>
          )}
          {!error && found && found.data.length === 0 && <p>Nothing was found about “{shown(asked)}”.</p>}
          {found && found.data.length > 0 && found.weak && (
            <p class="muted">Nothing really fits. The nearest there is:</p>
          )}
          {found && found.data.length > 0 && (
            <ul class="rows">
              {found.data.map((hit) => (
                <Hit key={hit.id} hit={hit} store={store} />
              ))}
            </ul>
          )}
          <div class="row">
            <Button small look="ghost" icon="close" onClick={clear}>
              Show everything again
            </Button>
            {found && <small class="muted">{Math.round(found.took_ms)} ms</small>}
          </div>
        </div>
      )}
    </section>
  );
}
