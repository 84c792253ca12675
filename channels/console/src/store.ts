// The state of the whole console as signals, and the few things that change it. Views read it and call it; nobody else fetches.
import { computed, type ReadonlySignal, signal } from '@preact/signals';
import { type Api, asApiError, createApi, newKey } from './api.ts';
import { textOf } from './fields.ts';
import { oneLine } from './format.ts';
import { type LiveSession, openSession } from './live.ts';
import { createOutgoing, type OutgoingQueue } from './outgoing.ts';
import { unconfirmed } from './prefs.ts';
import type { Approval, Pairing, Session, Status } from './types.ts';
import { shown } from './visible.ts';

const POLL_MS = 8_000;
const POLL_LOST_MS = 2_000;

export interface Toast {
  id: string;
  tone: 'good' | 'bad';
  text: string;
  hint: string;
}

export interface Store {
  readonly api: Api;
  readonly signedOut: ReadonlySignal<boolean>;
  /** False while the server does not answer. */
  readonly reached: ReadonlySignal<boolean>;
  readonly status: ReadonlySignal<Status | null>;
  readonly sessions: ReadonlySignal<readonly Session[]>;
  readonly moreSessions: ReadonlySignal<boolean>;
  readonly showArchived: ReadonlySignal<boolean>;
  readonly approvals: ReadonlySignal<readonly Approval[]>;
  readonly pairings: ReadonlySignal<readonly Pairing[]>;
  readonly live: ReadonlySignal<LiveSession | null>;
  readonly toasts: ReadonlySignal<readonly Toast[]>;
  /** The minute hand: relative times are drawn against it. */
  readonly now: ReadonlySignal<number>;
  readonly mainId: ReadonlySignal<string | null>;
  /** The server was upgraded under this page. */
  readonly outdated: ReadonlySignal<boolean>;
  titleOf(session: Session): string;
  open(id: string | null): void;
  refresh(): Promise<void>;
  refreshSoon(): void;
  loadMoreSessions(): Promise<void>;
  setShowArchived(shown: boolean): void;
  sessionChanged(session: Session): void;
  answer(approval: Approval, result: 'allow' | 'deny', message: string): Promise<void>;
  /** Runs it; a failure becomes a toast. True when it worked. */
  attempt(work: () => Promise<unknown>, done?: string): Promise<boolean>;
  toast(tone: Toast['tone'], text: string, hint?: string): void;
  dismiss(id: string): void;
  start(): void;
}

export function createStore(): Store {
  const signedOut = signal(false);
  const reached = signal(true);
  const status = signal<Status | null>(null);
  const sessionMap = signal<ReadonlyMap<string, Session>>(new Map());
  const nextPage = signal<string | null>(null);
  const showArchived = signal(false);
  const approvals = signal<readonly Approval[]>([]);
  const pairings = signal<readonly Pairing[]>([]);
  const live = signal<LiveSession | null>(null);
  const toasts = signal<readonly Toast[]>([]);
  const now = signal(Date.now());
  const firstWords = signal<ReadonlyMap<string, string>>(new Map());
  const version = signal<string | null>(null);
  const outdated = computed(
    () => version.value !== null && status.value !== null && status.value.version !== version.value,
  );
  const mainId = computed(() => status.value?.main_session_id ?? null);
  const sessions = computed(() =>
    [...sessionMap.value.values()]
      .filter((session) => showArchived.value || session.archived_at === null)
      .sort((a, b) => Number(b.main) - Number(a.main) || b.updated_at.localeCompare(a.updated_at)),
  );

  const queues = new Map<string, OutgoingQueue>();
  const answerKeys = new Map<string, string>();
  let pagesLoaded = false;
  let pollTimer: ReturnType<typeof setTimeout> | undefined;
  let soonTimer: ReturnType<typeof setTimeout> | undefined;
  let refreshing: Promise<void> | null = null;

  function signOut(): void {
    signedOut.value = true;
    live.peek()?.close();
    live.value = null;
  }

  const api = createApi({
    onSignedOut: signOut,
    onReached: (yes) => {
      if (yes && !reached.value) live.value?.retryNow();
      reached.value = yes;
    },
  });

  function addSessions(page: readonly Session[]): void {
    const next = new Map(sessionMap.value);
    for (const session of page) next.set(session.id, session);
    const main = mainId.value;
    // After "new conversation" only one is the main one, also among those of older pages.
    if (main)
      for (const [id, session] of next)
        if (session.main !== (id === main)) next.set(id, { ...session, main: id === main });
    sessionMap.value = next;
    const open = live.peek();
    const current = open && next.get(open.id);
    if (current) open.updated(current);
    for (const session of page) if (!session.title && !session.main) void findFirstWords(session.id);
  }

  async function findFirstWords(id: string): Promise<void> {
    if (firstWords.value.has(id)) return;
    firstWords.value = new Map(firstWords.value).set(id, '');
    try {
      const event = await api.firstMessage(id);
      const words = event ? shown(oneLine(textOf(event.content), 80)) : '';
      const next = new Map(firstWords.value);
      // An empty session may get its first words later: ask again then.
      if (words === '') next.delete(id);
      else next.set(id, words);
      firstWords.value = next;
    } catch {
      const next = new Map(firstWords.value);
      next.delete(id);
      firstWords.value = next;
    }
  }

  async function refreshOnce(): Promise<void> {
    try {
      const current = await api.status();
      signedOut.value = false;
      version.value ??= current.version;
      status.value = current;
      now.value = Date.now();
      const [page, pending, waiting] = await Promise.all([
        api.sessions(null, showArchived.value),
        current.approvals_pending > 0 || approvals.value.length > 0 ? api.approvals() : approvals.value,
        api.pairings(),
      ]);
      approvals.value = pending;
      pairings.value = waiting;
      if (!pagesLoaded) nextPage.value = page.next_page;
      pagesLoaded = true;
      addSessions(page.data);
      if (!sessionMap.value.has(current.main_session_id)) addSessions([await api.session(current.main_session_id)]);
    } catch {
      // `reached` and `signedOut` say it; the next poll tries again.
    }
  }

  function refresh(): Promise<void> {
    refreshing ??= refreshOnce().finally(() => {
      refreshing = null;
    });
    return refreshing;
  }

  function poll(): void {
    clearTimeout(pollTimer);
    const again = () => {
      // Signed out, only a look at the page asks again.
      if (!signedOut.value) pollTimer = setTimeout(poll, reached.value ? POLL_MS : POLL_LOST_MS);
    };
    if (document.hidden) return;
    void refresh().then(again);
  }

  function refreshSoon(): void {
    clearTimeout(soonTimer);
    soonTimer = setTimeout(() => void refresh(), 250);
  }

  function toast(tone: Toast['tone'], text: string, hint = ''): void {
    const id = newKey();
    toasts.value = [...toasts.value, { id, tone, text, hint }];
    setTimeout(() => dismiss(id), tone === 'good' ? 3_500 : 9_000);
  }

  function dismiss(id: string): void {
    toasts.value = toasts.value.filter((item) => item.id !== id);
  }

  function queueOf(id: string): OutgoingQueue {
    const known = queues.get(id);
    if (known) return known;
    const queue = createOutgoing({
      send: (text, key) => api.send(id, { type: 'user.message', content: [{ type: 'text', text }] }, key),
      failureOf: asApiError,
      load: () => unconfirmed.read(id),
      save: (json) => unconfirmed.write(id, json),
      newKey,
      now: Date.now,
    });
    queues.set(id, queue);
    return queue;
  }

  return {
    api,
    signedOut,
    reached,
    status,
    sessions,
    moreSessions: computed(() => nextPage.value !== null),
    showArchived,
    approvals,
    pairings,
    live,
    toasts,
    now,
    mainId,
    outdated,
    titleOf(session) {
      // Its title would be the first words of a conversation that has long moved on.
      if (session.main) return 'Main conversation';
      if (session.title) return shown(session.title);
      return firstWords.value.get(session.id) || (session.kind === 'task' ? 'Task' : 'New conversation');
    },
    open(id) {
      if (live.peek()?.id === id) return;
      live.peek()?.close();
      live.value =
        id === null
          ? null
          : openSession(api, id, queueOf(id), {
              onSignedOut: signOut,
              onChange: refreshSoon,
            });
    },
    refresh,
    refreshSoon,
    async loadMoreSessions() {
      if (nextPage.value === null) return;
      const page = await api.sessions(nextPage.value, showArchived.value);
      nextPage.value = page.next_page;
      addSessions(page.data);
    },
    setShowArchived(shown) {
      showArchived.value = shown;
      pagesLoaded = false;
      void refresh();
    },
    sessionChanged(session) {
      addSessions([session]);
    },
    async answer(approval, result, message) {
      const open = live.peek();
      if (open?.id === approval.session_id) await open.confirm(approval.id, result, message);
      else {
        const slot = `${approval.id}:${result}`;
        const key = answerKeys.get(slot) ?? newKey();
        answerKeys.set(slot, key);
        const deny = result === 'deny' && message !== '' ? { deny_message: message } : {};
        await api.send(
          approval.session_id,
          { type: 'user.tool_confirmation', tool_use_id: approval.id, result, ...deny },
          key,
        );
      }
      approvals.value = approvals.value.filter((item) => item.id !== approval.id);
      refreshSoon();
    },
    async attempt(work, done) {
      try {
        await work();
        if (done) toast('good', done);
        return true;
      } catch (error) {
        const failure = asApiError(error);
        if (failure.status !== 401) toast('bad', failure.message, failure.hint);
        return false;
      }
    },
    toast,
    dismiss,
    start() {
      poll();
      const wake = () => {
        if (!document.hidden) poll();
      };
      document.addEventListener('visibilitychange', wake);
      addEventListener('focus', wake);
      addEventListener('online', wake);
    },
  };
}
