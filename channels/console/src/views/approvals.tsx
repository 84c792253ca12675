// The inbox of what waits for the owner, oldest first, from all conversations.
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { to } from '../route.ts';
import type { Store } from '../store.ts';
import { Count } from '../ui/badge.tsx';
import { Bar, Empty } from '../ui/page.tsx';
import { Ago } from '../ui/time.tsx';
import { ApprovalCard } from './approval.tsx';

export function Approvals({ store, lead }: { store: Store; lead: ComponentChildren }) {
  useEffect(() => store.refreshSoon(), []);
  const list = [...store.approvals.value].sort((a, b) => a.created_at.localeCompare(b.created_at));
  const titles = new Map(store.sessions.value.map((session) => [session.id, store.titleOf(session)]));
  return (
    <div class="view">
      <Bar lead={lead} title="Approvals" beside={<Count value={list.length} label="waiting" />} />
      <div class="scroller">
        <div class="column">
          {list.length === 0 && (
            <Empty icon="shield" title="Nothing waits for you">
              <p>What I may not do on my own appears here, on your paired chats and in the conversation itself.</p>
            </Empty>
          )}
          {list.map((approval) => (
            <ApprovalCard
              key={approval.id}
              store={store}
              approval={approval}
              from={
                <>
                  <a href={to.chat(approval.session_id)}>
                    {titles.get(approval.session_id) ?? 'Open the conversation'}
                  </a>
                  <Ago at={approval.created_at} now={store.now.value} />
                </>
              }
            />
          ))}
        </div>
      </div>
    </div>
  );
}
