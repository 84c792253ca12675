// The console's only way to the server: fetch with one error type, and an Idempotency-Key on every send.
import type {
  Approval,
  CustodyStep,
  Identity,
  MemoryChange,
  MemoryChangeShown,
  MemoryDraft,
  MemoryForgotten,
  MemoryFound,
  MemoryItem,
  MemoryQuestion,
  MemorySaved,
  MemoryShown,
  MemoryStats,
  Page,
  Pairing,
  Role,
  Session,
  SessionEvent,
  Setting,
  Status,
  Task,
  TaskCheckpoint,
  Tier,
  Usage,
} from './types.ts';

export class ApiError extends Error {
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  readonly hint: string;

  constructor(status: number, message: string, hint: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.hint = hint;
  }

  /** True when the same request may succeed later, or may even have succeeded: repeat it with the same key. */
  get mayRetry(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, error instanceof Error ? error.message : String(error), '');
}

/** What may be sent in one user.message, bytes of UTF-8. */
export const MESSAGE_LIMIT = 1_000_000;

export type OutgoingEvent =
  | { type: 'user.message'; content: { type: 'text'; text: string }[] }
  | { type: 'user.interrupt' }
  | { type: 'user.tool_confirmation'; tool_use_id: string; result: 'allow' | 'deny'; deny_message?: string };

/** 128 random bits. Not crypto.randomUUID: that one is missing outside secure contexts. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

interface Call {
  body?: unknown;
  key?: string;
  signal?: AbortSignal;
}

const TIMEOUT_MS = 30_000;

async function errorOf(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => null)) as { error?: { message?: string; hint?: string } } | null;
  const fallback =
    response.status >= 500
      ? `Steward had a problem (${response.status}).`
      : `Steward refused this (${response.status}).`;
  return new ApiError(response.status, body?.error?.message || fallback, body?.error?.hint ?? '');
}

export interface ApiOptions {
  onSignedOut: () => void;
  onReached: (reached: boolean) => void;
}

export type Api = ReturnType<typeof createApi>;

/** Every method throws ApiError and nothing else; a 401 also calls `onSignedOut`. */
export function createApi(options: ApiOptions) {
  async function call<T>(method: string, path: string, { body, key, signal }: Call = {}): Promise<T> {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (key !== undefined) headers['idempotency-key'] = key;
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    let response: Response;
    try {
      response = await fetch(path, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        cache: 'no-store',
      });
    } catch {
      if (!signal?.aborted) options.onReached(false);
      throw new ApiError(0, 'Steward does not answer.', 'It may be restarting. Nothing you sent is lost: try again.');
    }
    options.onReached(true);
    if (response.status === 401) options.onSignedOut();
    if (!response.ok) throw await errorOf(response);
    if (response.status === 204) return undefined as T;
    try {
      return (await response.json()) as T;
    } catch {
      throw new ApiError(
        502,
        'Steward’s answer could not be read.',
        'Reload the page; it may be older than the server.',
      );
    }
  }

  const memory = (id: string) => `/api/memory/items/${encodeURIComponent(id)}`;
  const task = (id: string) => `/api/tasks/${encodeURIComponent(id)}`;
  const session = (id: string) => `/v1/sessions/${encodeURIComponent(id)}`;
  const query = (fields: Record<string, string | number | boolean | null | undefined>) => {
    const params = new URLSearchParams();
    for (const [name, value] of Object.entries(fields))
      if (value !== null && value !== undefined) params.set(name, String(value));
    return params.size > 0 ? `?${params}` : '';
  };

  return {
    status: () => call<Status>('GET', '/api/status'),
    approvals: async () => (await call<{ data: Approval[] }>('GET', '/api/approvals')).data,
    usage: (days: number) => call<Usage>('GET', `/api/usage${query({ days })}`),
    pairings: async () => (await call<{ data: Pairing[] }>('GET', '/api/pairings')).data,
    approvePairing: (code: string, role: Role) =>
      call<Identity>('POST', `/api/pairings/${encodeURIComponent(code)}/approve`, { body: { role } }),
    denyPairing: (code: string) =>
      call<unknown>('POST', `/api/pairings/${encodeURIComponent(code)}/deny`, { body: {} }),
    identities: async () => (await call<{ data: Identity[] }>('GET', '/api/identities')).data,
    revoke: (who: Identity) =>
      call<unknown>('DELETE', `/api/identities/${encodeURIComponent(who.channel)}/${encodeURIComponent(who.user_id)}`),
    settings: async () => (await call<{ data: Setting[] }>('GET', '/api/settings')).data,
    saveSetting: async (key: string, value: string | null) =>
      (await call<{ data: Setting[] }>('PUT', '/api/settings', { body: { [key]: value } })).data,
    tasks: (page: string | null) => call<Page<Task>>('GET', `/api/tasks${query({ page, limit: 30 })}`),
    task: (id: string) => call<Task>('GET', task(id)),
    newTask: async (draft: { repository: string; instruction: string; verify: string[] }, key: string) =>
      (await call<{ task: Task }>('POST', '/api/tasks', { body: draft, key })).task,
    taskDiff: async (id: string) => (await call<{ diff: string }>('GET', `${task(id)}/diff`)).diff,
    taskCheckpoints: async (id: string) =>
      (await call<{ data: TaskCheckpoint[] }>('GET', `${task(id)}/checkpoints`)).data,
    changeTask: (id: string, verb: 'pause' | 'resume' | 'stop') =>
      call<Task>('POST', `${task(id)}/${verb}`, { body: {} }),
    steerTask: (id: string, text: string) => call<Task>('POST', `${task(id)}/steer`, { body: { text } }),
    rollbackTask: (id: string, checkpoint: string) =>
      call<Task>('POST', `${task(id)}/rollback`, { body: { checkpoint_id: checkpoint } }),
    leaveSafeMode: () => call<unknown>('POST', '/api/safe-mode/leave', { body: {} }),
    logout: () => call<unknown>('POST', '/api/logout', { body: {} }),
    custody: async (event: string) =>
      (await call<{ steps: CustodyStep[] }>('GET', `/api/events/${encodeURIComponent(event)}/custody`)).steps,

    memories: (tier: Tier | null, page: string | null) =>
      call<Page<MemoryItem>>(
        'GET',
        `/api/memory${query({ tier, page, order: 'desc', limit: 40, include_retired: tier === 'archive' || null })}`,
      ),
    searchMemory: (words: string, signal?: AbortSignal) =>
      call<MemoryFound>('GET', `/api/memory/search${query({ q: words, limit: 20 })}`, { signal }),
    memory: (id: string) => call<MemoryShown>('GET', memory(id)),
    saveMemory: (draft: MemoryDraft) => call<MemorySaved>('POST', '/api/memory', { body: draft }),
    editMemory: (id: string, draft: MemoryDraft) => call<MemorySaved>('PATCH', memory(id), { body: draft }),
    pinMemory: (id: string, pinned: boolean) => call<MemoryItem>('POST', `${memory(id)}/pin`, { body: { pinned } }),
    retireMemory: (id: string) => call<MemoryItem>('POST', `${memory(id)}/retire`, { body: {} }),
    forgetMemory: (id: string, sources: boolean) =>
      call<MemoryForgotten>('DELETE', `${memory(id)}${query({ sources: sources || null })}`),
    memoryChanges: (page: string | null) =>
      call<Page<MemoryChange>>('GET', `/api/memory/changes${query({ page, limit: 10 })}`),
    memoryChange: (id: string) => call<MemoryChangeShown>('GET', `/api/memory/changes/${encodeURIComponent(id)}`),
    undoMemory: (id: string) =>
      call<MemoryChange>('POST', `/api/memory/changes/${encodeURIComponent(id)}/undo`, { body: {} }),
    memoryQuestions: async () => (await call<{ data: MemoryQuestion[] }>('GET', '/api/memory/questions')).data,
    answerMemory: (id: string, accept: boolean) =>
      call<unknown>('POST', `/api/memory/questions/${encodeURIComponent(id)}/answer`, { body: { accept } }),
    memoryStats: () => call<MemoryStats>('GET', '/api/memory/stats'),

    sessions: (page: string | null, archived: boolean) =>
      call<Page<Session>>(
        'GET',
        `/v1/sessions${query({ limit: 40, order: 'desc', page, include_archived: archived || null })}`,
      ),
    session: (id: string) => call<Session>('GET', session(id)),
    rename: (id: string, title: string) => call<Session>('POST', session(id), { body: { title } }),
    archive: (id: string) => call<Session>('POST', `${session(id)}/archive`, { body: {} }),
    newMain: async (key: string) =>
      (await call<{ session_id: string }>('POST', '/api/main/new', { body: {}, key })).session_id,
    /** Incognito: nothing is kept of it, and it is deleted once archived. */
    newSession: async (key: string, incognito = false) => {
      const [agents, environments] = await Promise.all([
        call<Page<{ id: string }>>('GET', '/v1/agents'),
        call<Page<{ id: string }>>('GET', '/v1/environments'),
      ]);
      const metadata = incognito ? { metadata: { incognito: 'true' } } : {};
      const body = { agent: agents.data[0]?.id, environment_id: environments.data[0]?.id, ...metadata };
      return call<Session>('POST', '/v1/sessions', { body, key });
    },

    /** Newest first; `page` goes back in time. */
    events: (id: string, page: string | null, limit: number, signal?: AbortSignal) =>
      call<Page<SessionEvent>>('GET', `${session(id)}/events${query({ limit, order: 'desc', page })}`, { signal }),
    firstMessage: async (id: string) => {
      const path = `${session(id)}/events${query({ limit: 1, order: 'asc' })}&types[]=user.message`;
      return (await call<Page<SessionEvent>>('GET', path)).data[0] ?? null;
    },
    /** Repeat it with the same key as often as needed: the server stores it once. */
    send: async (id: string, event: OutgoingEvent, key: string) =>
      (await call<{ data: SessionEvent[] }>('POST', `${session(id)}/events`, { body: { events: [event] }, key })).data,
    streamUrl: (id: string, after: number) =>
      `${session(id)}/events/stream?event_deltas[]=agent.message&after_seq=${after}`,
  };
}
