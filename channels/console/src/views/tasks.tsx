// The page of code tasks: one card each, the newest first, and the form that begins one.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { newKey } from '../api.ts';
import { go, to } from '../route.ts';
import type { Store } from '../store.ts';
import type { Task } from '../types.ts';
import { Badge, type Tone } from '../ui/badge.tsx';
import { Button } from '../ui/button.tsx';
import { Bar, Card, Empty, Failed } from '../ui/page.tsx';
import { Ago } from '../ui/time.tsx';
import { useLoaded } from '../ui/use-loaded.ts';

/** While something may change. */
export const LOOK_AGAIN_MS = 3_000;

const TONES: Record<string, Tone> = {
  awaiting_approval: 'warn',
  done: 'good',
  handed_off: 'warn',
  failed: 'bad',
  cancelled: 'quiet',
};

export function StateBadge({ task }: { task: Task }) {
  const word = task.paused !== null && task.ended_at === null ? 'paused' : task.state.replaceAll('_', ' ');
  return <Badge tone={word === 'paused' ? 'warn' : (TONES[task.state] ?? 'accent')}>{word}</Badge>;
}

function TaskCard({ task, now }: { task: Task; now: number }) {
  return (
    <a class="card task-card" href={to.tasks(task.id)}>
      <div class="task-line">
        <StateBadge task={task} />
        <Ago at={task.ended_at ?? task.last_progress_at} now={now} />
      </div>
      <h2>{task.title}</h2>
      <p>{task.repository}</p>
    </a>
  );
}

function NewTask({ store }: { store: Store }) {
  const [repository, setRepository] = useState('');
  const [instruction, setInstruction] = useState('');
  const [verify, setVerify] = useState('');
  const [busy, setBusy] = useState(false);
  // The same wish sent again after a lost answer is the same task; another wish is another one.
  const [key, setKey] = useState(newKey);
  const change = (set: (value: string) => void) => (event: { currentTarget: { value: string } }) => {
    set(event.currentTarget.value);
    setKey(newKey());
  };
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const lines = verify.split('\n').filter((line) => line.trim() !== '');
    await store.attempt(async () => {
      const task = await store.api.newTask({ repository, instruction, verify: lines }, key);
      go(to.tasks(task.id));
    });
    setBusy(false);
  };
  return (
    <Card title="New task" hint="An agent works on a clone; nothing leaves before you approved it.">
      <form class="task-form" onSubmit={send}>
        <label>
          Repository
          <input
            required
            value={repository}
            placeholder="https://github.com/acme/app"
            onInput={change(setRepository)}
          />
        </label>
        <label>
          What is to be done
          <textarea required rows={4} value={instruction} onInput={change(setInstruction)} />
        </label>
        <label>
          Checks, one a line
          <textarea rows={2} value={verify} placeholder="npm test" onInput={change(setVerify)} />
        </label>
        <div>
          <Button type="submit" look="primary" busy={busy}>
            Begin
          </Button>
        </div>
      </form>
    </Card>
  );
}

export function Tasks({ store, lead }: { store: Store; lead: ComponentChildren }) {
  const [page, setPage] = useState<string | null>(null);
  const [making, setMaking] = useState(false);
  const list = useLoaded(() => store.api.tasks(page), store, page);
  const open = list.data?.data.some(({ ended_at }) => ended_at === null) ?? false;
  useEffect(() => {
    if (!open) return;
    const timer = setInterval(list.reload, LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [open, page]);
  const next = list.data?.next_page ?? null;
  return (
    <div class="view">
      <Bar
        lead={lead}
        title="Tasks"
        actions={
          <Button small icon="plus" onClick={() => setMaking(!making)} aria-expanded={making}>
            New task
          </Button>
        }
      />
      <div class="scroller">
        <div class="column">
          {making && <NewTask store={store} />}
          {list.error && <Failed message={list.error.message} hint={list.error.hint} onRetry={list.reload} />}
          {list.data?.data.length === 0 && (
            <Empty icon="tool" title="No task yet">
              <p>A repository and a sentence go in, a reviewed branch comes out.</p>
            </Empty>
          )}
          {list.data?.data.map((task) => (
            <TaskCard key={task.id} task={task} now={store.now.value} />
          ))}
          <div class="task-line">
            {page !== null && (
              <Button small look="ghost" onClick={() => setPage(null)}>
                Newest
              </Button>
            )}
            {next !== null && (
              <Button small look="ghost" disabled={list.stale} onClick={() => setPage(next)}>
                Older
              </Button>
            )}
          </div>
        </div>
      </div>
    </div>
  );
}
