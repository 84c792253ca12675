// One open session: its log (newest page, older ones on demand, live tail), its connection, and what the person does in it.
import { computed, type ReadonlySignal, signal } from '@preact/signals';
import { type Activity, activityOf, type SessionState, stateOf } from './activity.ts';
import { type Api, asApiError, newKey } from './api.ts';
import { conversation, type Item } from './conversation.ts';
import type { Outgoing, OutgoingQueue } from './outgoing.ts';
import { cursorOf, emptyLog, type Input, inputOf, type Log, merge, type Preview, reduce } from './reduce.ts';
import { type ConnectionState, type Follower, follow } from './stream.ts';
import type { Session, SessionEvent } from './types.ts';

const PAGE = 200;
/** A hidden tab gives its connection back: browsers allow six per host, and the stream resumes without loss. */
const HIDDEN_MS = 60_000;
/** A first page that did not come because the server is away is asked for again after so long. */
const AGAIN_MS = 1_500;

export interface Problem {
  message: string;
  hint: string;
  status: number;
}

export interface LiveSession {
  readonly id: string;
  readonly session: ReadonlySignal<Session | null>;
  readonly events: ReadonlySignal<readonly SessionEvent[]>;
  readonly items: ReadonlySignal<readonly Item[]>;
  readonly previews: ReadonlySignal<readonly Preview[]>;
  readonly state: ReadonlySignal<SessionState>;
  readonly activity: ReadonlySignal<Activity>;
  readonly connection: ReadonlySignal<ConnectionState>;
  readonly outgoing: ReadonlySignal<readonly Outgoing[]>;
  /** Null until the first page is there; then whether older events exist. */
  readonly older: ReadonlySignal<boolean | null>;
  readonly loading: ReadonlySignal<boolean>;
  readonly problem: ReadonlySignal<Problem | null>;
  loadOlder(): Promise<void>;
  send(text: string): void;
  retry(key: string): void;
  take(key: string): string;
  /** Rejects with ApiError. */
  stop(): Promise<void>;
  /** Rejects with ApiError. Repeated calls for one approval and verdict are one confirmation. */
  confirm(toolUse: string, result: 'allow' | 'deny', message: string): Promise<void>;
  updated(session: Session): void;
  retryNow(): void;
  close(): void;
}

export interface LiveOptions {
  onSignedOut: () => void;
  /** The session changed in a way lists show: status, approvals, a first message. */
  onChange: () => void;
}

export function openSession(api: Api, id: string, queue: OutgoingQueue, options: LiveOptions): LiveSession {
  const session = signal<Session | null>(null);
  const log = signal<Log>(emptyLog);
  const connection = signal<ConnectionState>({ kind: 'connecting' });
  const older = signal<boolean | null>(null);
  const loading = signal(false);
  const problem = signal<Problem | null>(null);
  const events = computed(() => log.value.events);
  const items = computed(() => conversation(events.value));
  const previews = computed(() => log.value.previews);
  const state = computed<SessionState>(() => {
    const known = session.value;
    return stateOf(events.value, {
      status: known?.status ?? 'idle',
      stopReason: known?.stop_reason ?? null,
      since: known?.updated_at ?? '',
    });
  });
  const activity = computed(() => activityOf(log.value, items.value, state.value));

  const aborted = new AbortController();
  const confirmKeys = new Map<string, string>();
  let nextPage: string | null = null;
  let follower: Follower | null = null;
  let waiting: Input[] = [];
  let frame: (() => void) | null = null;
  let lastPosition = 0;
  let hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  let againTimer: ReturnType<typeof setTimeout> | undefined;
  let tries = 0;

  function flush(): void {
    frame = null;
    const inputs = waiting;
    waiting = [];
    const before = state.value.status;
    log.value = reduce(log.value, inputs);
    if (state.value.status !== before || inputs.some((i) => i.kind === 'event' && i.event.type === 'user.message')) {
      options.onChange();
    }
  }

  /** Deltas come faster than a screen draws: they are applied once per frame (per 200 ms in a hidden tab). */
  function apply(input: Input): void {
    waiting.push(input);
    if (frame) return;
    if (document.hidden) {
      const timer = setTimeout(flush, 200);
      frame = () => clearTimeout(timer);
    } else {
      const request = requestAnimationFrame(flush);
      frame = () => cancelAnimationFrame(request);
    }
  }

  function startStream(after: number): void {
    follower?.close();
    follower = follow({
      url: (position) => api.streamUrl(id, position),
      after,
      onMessage(message) {
        if (message.event === 'ping') return;
        try {
          const input = inputOf(message.event, JSON.parse(message.data));
          if (input) apply(input);
        } catch {
          // Not JSON: the log on the server is the truth, a broken line on the wire is not worth a broken page.
        }
      },
      onState(next) {
        // The pauses of a hidden tab are ours: not a lost connection.
        if (next.kind === 'closed') return;
        connection.value = next;
        if (next.kind === 'lost') apply({ kind: 'gap' });
        if (next.kind === 'signed_out') options.onSignedOut();
      },
    });
  }

  function onVisibility(): void {
    clearTimeout(hiddenTimer);
    if (!document.hidden) {
      if (frame) {
        frame();
        flush();
      }
      if (follower === null && older.value !== null) startStream(lastPosition);
      else follower?.retryNow();
      return;
    }
    hiddenTimer = setTimeout(() => {
      if (!follower || state.value.status === 'running') return;
      lastPosition = follower.position;
      follower.close();
      follower = null;
      apply({ kind: 'gap' });
    }, HIDDEN_MS);
  }

  /** While the server is away the conversation stays open: what is written waits to be sent. */
  async function loadFirst(): Promise<void> {
    if (loading.value) return;
    clearTimeout(againTimer);
    loading.value = true;
    problem.value = null;
    try {
      const [known, page] = await Promise.all([api.session(id), api.events(id, null, PAGE, aborted.signal)]);
      if (aborted.signal.aborted) return;
      session.value = known;
      nextPage = page.next_page;
      log.value = merge(log.value, page.data);
      older.value = nextPage !== null;
      startStream(cursorOf(page.data));
    } catch (error) {
      if (aborted.signal.aborted) return;
      const failure = asApiError(error);
      if (!failure.mayRetry) {
        problem.value = problemOf(error);
        return;
      }
      tries += 1;
      connection.value = { kind: 'lost', why: failure.message, retryAt: Date.now() + AGAIN_MS, tries };
      againTimer = setTimeout(() => void loadFirst(), AGAIN_MS);
    } finally {
      loading.value = false;
    }
  }

  async function loadOlder(): Promise<void> {
    if (loading.value || nextPage === null) return;
    loading.value = true;
    try {
      const page = await api.events(id, nextPage, PAGE, aborted.signal);
      nextPage = page.next_page;
      log.value = merge(log.value, page.data);
      older.value = nextPage !== null;
    } catch (error) {
      if (!aborted.signal.aborted) connectionTrouble(error);
    } finally {
      loading.value = false;
    }
  }

  function connectionTrouble(error: unknown): void {
    const failure = asApiError(error);
    if (!failure.mayRetry) problem.value = problemOf(error);
  }

  queue.onStored((stored) => {
    waiting.push(...stored.map((event): Input => ({ kind: 'event', event })));
    frame?.();
    flush();
  });
  addEventListener('online', retryNow);
  document.addEventListener('visibilitychange', onVisibility);
  void loadFirst();

  function retryNow(): void {
    if (problem.value || older.value === null) void loadFirst();
    else follower?.retryNow();
  }

  return {
    id,
    session,
    events,
    items,
    previews,
    state,
    activity,
    connection,
    outgoing: queue.list,
    older,
    loading,
    problem,
    loadOlder,
    send: (text) => queue.add(text, cursorOf(events.value)),
    retry: queue.retry,
    take: queue.take,
    async stop() {
      for (const event of await api.send(id, { type: 'user.interrupt' }, newKey())) apply({ kind: 'event', event });
    },
    async confirm(toolUse, result, message) {
      const slot = `${toolUse}:${result}`;
      const key = confirmKeys.get(slot) ?? newKey();
      confirmKeys.set(slot, key);
      const deny = result === 'deny' && message !== '' ? { deny_message: message } : {};
      const event = { type: 'user.tool_confirmation', tool_use_id: toolUse, result, ...deny } as const;
      for (const stored of await api.send(id, event, key)) apply({ kind: 'event', event: stored });
    },
    updated(next) {
      session.value = next;
    },
    retryNow,
    close() {
      clearTimeout(hiddenTimer);
      clearTimeout(againTimer);
      frame?.();
      aborted.abort();
      follower?.close();
      queue.onStored(null);
      removeEventListener('online', retryNow);
      document.removeEventListener('visibilitychange', onVisibility);
    },
  };
}

function problemOf(error: unknown): Problem {
  const { message, hint, status } = asApiError(error);
  return { message, hint, status };
}
