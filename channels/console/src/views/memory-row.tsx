// One memory in a list: what it says, how sure that is, and what can be done with it.
import { useState } from 'preact/hooks';
import { to } from '../route.ts';
import type { Store } from '../store.ts';
import type { MemoryItem, MemorySaved } from '../types.ts';
import { Badge } from '../ui/badge.tsx';
import { Icon } from '../ui/icon.tsx';
import { Menu } from '../ui/menu.tsx';
import { Ago } from '../ui/time.tsx';
import { shown } from '../visible.ts';
import { EditMemory, ForgetMemory } from './memory-edit.tsx';
import { AUTHORITY, endOf, tierName } from './memory-words.ts';

/** Longer ones (a file, a summary) are whole on their own page. */
const SHOWN = 600;

/** What a person can do with an item, in a menu, with its dialogs. */
export function MemoryActions({
  item,
  store,
  onChange,
}: {
  item: MemoryItem;
  store: Store;
  onChange: (now: string | null) => void;
}) {
  const [asking, setAsking] = useState<'edit' | 'forget' | null>(null);
  const holds = endOf(item, store.now.value) === null;
  const close = () => setAsking(null);
  return (
    <>
      <Menu icon="more" label="What to do with this memory">
        {holds && (
          <>
            <button
              type="button"
              onClick={() =>
                store.attempt(async () => {
                  await store.api.pinMemory(item.id, !item.pinned);
                  onChange(item.id);
                })
              }
            >
              <Icon name="pin" /> {item.pinned ? 'Unpin' : 'Pin'}
            </button>
            <button type="button" onClick={() => setAsking('edit')}>
              <Icon name="edit" /> Edit
            </button>
            <button
              type="button"
              onClick={() =>
                store.attempt(async () => {
                  await store.api.retireMemory(item.id);
                  onChange(item.id);
                }, 'It counts no longer. It stays in the history.')
              }
            >
              <Icon name="close" /> That is wrong
            </button>
          </>
        )}
        <button type="button" class="danger" onClick={() => setAsking('forget')}>
          <Icon name="trash" /> Forget…
        </button>
      </Menu>
      {asking === 'edit' && (
        <EditMemory
          item={item}
          store={store}
          onClose={close}
          onDone={(saved: MemorySaved) => onChange(saved.result === 'asked' ? item.id : saved.item.id)}
        />
      )}
      {asking === 'forget' && <ForgetMemory item={item} store={store} onClose={close} onDone={() => onChange(null)} />}
    </>
  );
}

export function MemoryBadges({ item, now }: { item: MemoryItem; now: number }) {
  const ended = endOf(item, now);
  const authority = AUTHORITY[item.authority] ?? AUTHORITY.outside;
  return (
    <>
      <Badge>{tierName(item.tier)}</Badge>
      {item.authority !== 'owner' && (
        <Badge tone={authority.tone} title={authority.meaning}>
          {authority.word}
        </Badge>
      )}
      {ended && <Badge tone="bad">{ended}</Badge>}
    </>
  );
}

export function MemoryRow({ item, store, onChange }: { item: MemoryItem; store: Store; onChange: () => void }) {
  const about = [item.subject, item.slot].filter((part): part is string => part !== null && part !== '');
  const text = item.text.length > SHOWN ? `${item.text.slice(0, SHOWN)}…` : item.text;
  return (
    <li class={`memory ${endOf(item, store.now.value) ? 'past' : ''}`}>
      <div>
        <a class="memory-text" href={to.memory(item.id)}>
          {item.pinned && <Icon name="pin" label="pinned" />}
          {shown(text)}
        </a>
        <p class="memory-meta">
          <MemoryBadges item={item} now={store.now.value} />
          {about.length > 0 && <span>{shown(about.join(' · '))}</span>}
          <Ago at={item.recorded_at} now={store.now.value} />
        </p>
      </div>
      <MemoryActions item={item} store={store} onChange={onChange} />
    </li>
  );
}

/** For lists where only the words and the way to them matter. */
export function MemoryLink({ item, store }: { item: MemoryItem; store: Store }) {
  return (
    <li class={`memory ${endOf(item, store.now.value) ? 'past' : ''}`}>
      <div>
        <a class="memory-text" href={to.memory(item.id)}>
          {shown(item.text.length > SHOWN ? `${item.text.slice(0, SHOWN)}…` : item.text)}
        </a>
        <p class="memory-meta">
          <MemoryBadges item={item} now={store.now.value} />
          <Ago at={item.recorded_at} now={store.now.value} />
        </p>
      </div>
    </li>
  );
}
