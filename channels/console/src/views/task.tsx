// One code task: where it stands, what it waits for, what it changed, what the checks said; and every way to steer it.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { usd } from '../format.ts';
import { to } from '../route.ts';
import type { Store } from '../store.ts';
import type { Task } from '../types.ts';
import { Button } from '../ui/button.tsx';
import { Bar, Card, Failed } from '../ui/page.tsx';
import { Ago } from '../ui/time.tsx';
import { useLoaded } from '../ui/use-loaded.ts';
import { ApprovalCard } from './approval.tsx';
import { LOOK_AGAIN_MS, StateBadge } from './tasks.tsx';

function lookOf(line: string): string {
  if (/^(?:diff |index |---|\+\+\+|@@)/.test(line)) return 'place';
  return line.startsWith('+') ? 'added' : line.startsWith('-') ? 'removed' : '';
}

function Diff({ id, head, store }: { id: string; head: string; store: Store }) {
  const diff = useLoaded(() => store.api.taskDiff(id), store, head);
  if (diff.error) return <p class="muted">{diff.error.message}</p>;
  if (diff.data === null) return <p class="muted">Loading…</p>;
  if (diff.data.trim() === '') return <p class="muted">Nothing was changed.</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <pre class="task-diff" tabIndex={0}>
      {diff.data.split('\n').map((line, index) => (
        <span key={index} class={lookOf(line)}>
          {line}
        </span>
      ))}
    </pre>
  );
}

function Steer({ task, store, set }: { task: Task; store: Store; set: (task: Task) => void }) {
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    await store.attempt(async () => {
      set(await store.api.steerTask(task.id, text));
      setText('');
    }, 'The agent was told.');
    setBusy(false);
  };
  return (
    <form class="task-form" onSubmit={send}>
      <label>
        {task.ended_at ? 'Go on with' : 'Say something to the agent'}
        <textarea required rows={2} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <div>
        <Button type="submit" busy={busy}>
          Steer
        </Button>
      </div>
    </form>
  );
}

function Checkpoints({ task, store, set }: { task: Task; store: Store; set: (task: Task) => void }) {
  const points = useLoaded(() => store.api.taskCheckpoints(task.id), store, task.last_progress_at);
  const [busy, setBusy] = useState(false);
  const list = (points.data ?? []).toReversed();
  const back = async (checkpoint: string) => {
    setBusy(true);
    await store.attempt(async () => set(await store.api.rollbackTask(task.id, checkpoint)), 'It went back.');
    setBusy(false);
  };
  if (list.length === 0) return <p class="muted">There is none yet.</p>;
  return (
    <ul class="rows">
      {list.map((point) => (
        <li key={point.id} class="task-line">
          <Ago at={point.created_at} now={store.now.value} />
          <span class="task-facts">{point.changes.map(({ path }) => path).join(', ') || 'no change is known'}</span>
          <Button small look="ghost" icon="undo" disabled={busy || points.stale} onClick={() => back(point.id)}>
            Go back
          </Button>
        </li>
      ))}
    </ul>
  );
}

function Result({ result }: { result: NonNullable<Task['result']> }) {
  return (
    <Card
      title="Result"
      hint={`${result.files} ${result.files === 1 ? 'file' : 'files'}, +${result.insertions} −${result.deletions}; ${Math.round(result.active_seconds)} s at work; ${result.cost_usd === null ? 'cost unknown' : usd(result.cost_usd)}`}
    >
      {result.pull_request && <a href={result.pull_request.url}>Pull request {result.pull_request.number}</a>}
      {result.patch && <p class="task-facts">Patch in Steward’s files: {result.patch}</p>}
      {result.denied_hosts.length > 0 && <p class="task-facts">Not let through: {result.denied_hosts.join(', ')}</p>}
      <p class="task-text">{result.summary}</p>
      {result.handoff && <p class="task-text">{result.handoff}</p>}
      {result.verify.map((report) => (
        <details key={report.command}>
          <summary>
            {report.code === 0 ? '✓' : '✗'} {report.command}
          </summary>
          <pre class="task-diff">{report.output}</pre>
        </details>
      ))}
    </Card>
  );
}

export function TaskView({ id, store, lead }: { id: string; store: Store; lead: ComponentChildren }) {
  const loaded = useLoaded(() => store.api.task(id), store, id);
  const [shown, setShown] = useState(false);
  const [busy, setBusy] = useState(false);
  const task = loaded.data;
  const open = task !== null && (task.ended_at === null || task.result === null);
  useEffect(() => {
    if (!open) return;
    const timer = setInterval(loaded.reload, LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [open]);
  // The card of what it waits for comes with the approvals, which are not looked at as often.
  useEffect(() => store.refreshSoon(), [task?.state]);
  const change = async (verb: 'pause' | 'resume' | 'stop') => {
    setBusy(true);
    await store.attempt(async () => loaded.set(await store.api.changeTask(id, verb)));
    setBusy(false);
  };
  const asked = store.approvals.value.filter(({ session_id }) => session_id === task?.session_id);
  return (
    <div class="view">
      <Bar
        lead={lead}
        title={task?.title ?? 'Task'}
        beside={task && <StateBadge task={task} />}
        actions={
          task?.ended_at === null && (
            <>
              <Button small disabled={busy} onClick={() => change(task.paused === null ? 'pause' : 'resume')}>
                {task.paused === null ? 'Pause' : 'Resume'}
              </Button>
              <Button small look="danger" icon="stop" disabled={busy} onClick={() => change('stop')}>
                Stop
              </Button>
            </>
          )
        }
      />
      <div class="scroller">
        <div class="column">
          {loaded.error && <Failed message={loaded.error.message} hint={loaded.error.hint} onRetry={loaded.reload} />}
          {task && (
            <>
              {asked.map((approval) => (
                <ApprovalCard key={approval.id} store={store} approval={approval} />
              ))}
              <Card title={`It ${task.says}`} hint={`${task.repository}${task.base ? ` at ${task.base}` : ''}`}>
                <p class="task-text">{task.instruction}</p>
                <p class="task-facts">
                  Branch {task.branch}; last progress <Ago at={task.last_progress_at} now={store.now.value} />
                  {task.rounds > 0 && `; ${task.rounds} rounds of checks failed`}
                  {task.attempts > 1 && `; attempt ${task.attempts}`}
                </p>
                <p>
                  <a href={to.timeline(task.session_id)}>Everything it did</a>
                </p>
                {task.state !== 'cancelled' && <Steer task={task} store={store} set={loaded.set} />}
              </Card>
              {task.result && <Result result={task.result} />}
              <Card title="Changes">
                {shown ? (
                  <Diff id={id} head={task.last_progress_at} store={store} />
                ) : (
                  <Button small onClick={() => setShown(true)}>
                    Show the diff
                  </Button>
                )}
              </Card>
              <Card title="Checkpoints" hint="Back to the files of one; the agent hears of it and goes on from there.">
                <Checkpoints task={task} store={store} set={loaded.set} />
              </Card>
            </>
          )}
        </div>
      </div>
    </div>
  );
}
