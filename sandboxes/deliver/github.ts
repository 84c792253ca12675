// The pull requests of one GitHub (or Enterprise) over its REST API: finds the open one of a branch, else opens it. Never merges.
import { z } from 'zod';
import { type ErrorCode, StewardError } from '../../core/errors.ts';
import type { Millis } from '../../core/types.ts';

const TIMEOUT_MS: Millis = 30_000;
const ANSWER_BYTES = 4 * 1024 * 1024;
const OP = 'open a pull request';

export interface PullRequest {
  url: string;
  number: number;
  /** It was there already. */
  updated: boolean;
}

export interface PullDraft {
  owner: string;
  repo: string;
  branch: string;
  /** Null: the repository's default branch. */
  base: string | null;
  title: string;
  body: string;
}

export interface Github {
  /** Null: none is open. */
  find(at: Pick<PullDraft, 'owner' | 'repo' | 'branch'>, signal: AbortSignal): Promise<PullRequest | null>;
  /** Errors: forbidden, not_found, invalid, rate_limited and unavailable (both retryable). */
  open(draft: PullDraft, signal: AbortSignal): Promise<PullRequest>;
}

const pull = z.object({ html_url: z.url(), number: z.number().int(), body: z.string().nullish() });
const repository = z.object({ default_branch: z.string().min(1) });
const problem = z.object({
  message: z.string().optional(),
  errors: z
    .array(z.union([z.string(), z.object({ message: z.string().optional(), code: z.string().optional() })]))
    .optional(),
});

interface Answer {
  status: number;
  headers: Headers;
  body: unknown;
}

export function createGithub(deps: { fetch: typeof fetch; apiUrl: string; token: string }): Github {
  const call = async (method: string, path: string, signal: AbortSignal, body?: object): Promise<Answer> => {
    try {
      const response = await deps.fetch(`${deps.apiUrl}${path}`, {
        method,
        redirect: 'manual',
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
        headers: {
          accept: 'application/vnd.github+json',
          authorization: `Bearer ${deps.token}`,
          'user-agent': 'steward',
          'x-github-api-version': '2022-11-28',
          ...(body && { 'content-type': 'application/json' }),
        },
        ...(body && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (text.length > ANSWER_BYTES) throw new Error('the answer is too large');
      return { status: response.status, headers: response.headers, body: parsed(text) };
    } catch (cause) {
      signal.throwIfAborted();
      const why = cause instanceof Error ? reasonOf(cause) : 'no reason was given';
      throw new StewardError('unavailable', `GitHub could not be reached: ${why}`, {
        op: OP,
        hint: 'It is tried again.',
        retryable: true,
        cause: new Error(why),
      });
    }
  };
  const ok = <T>(schema: z.ZodType<T>, answer: Answer): T => {
    if (answer.status < 200 || answer.status > 299) throw failureOf(answer);
    const read = schema.safeParse(answer.body);
    if (read.success) return read.data;
    throw new StewardError('unavailable', 'GitHub answered with something that is no answer of its API.', {
      op: OP,
      hint: 'Check GITHUB_API_URL.',
      retryable: true,
    });
  };
  const repo = ({ owner, repo: name }: Pick<PullDraft, 'owner' | 'repo'>) =>
    `/repos/${encodeURIComponent(owner)}/${encodeURIComponent(name)}`;

  const findOpen = async (at: Pick<PullDraft, 'owner' | 'repo' | 'branch'>, signal: AbortSignal) => {
    const head = encodeURIComponent(`${at.owner}:${at.branch}`);
    const found = ok(z.array(pull), await call('GET', `${repo(at)}/pulls?state=open&head=${head}&per_page=5`, signal));
    return found[0] ?? null;
  };
  const asUpdated = ({ html_url, number }: z.infer<typeof pull>) => ({ url: html_url, number, updated: true });

  const update = async (draft: PullDraft, found: z.infer<typeof pull>, signal: AbortSignal): Promise<PullRequest> => {
    if (found.body !== draft.body) {
      const change = { body: draft.body };
      ok(pull, await call('PATCH', `${repo(draft)}/pulls/${found.number}`, signal, change));
    }
    return asUpdated(found);
  };

  return {
    async find(at, signal) {
      const found = await findOpen(at, signal);
      return found && asUpdated(found);
    },
    async open(draft, signal) {
      const found = await findOpen(draft, signal);
      if (found) return await update(draft, found, signal);
      const base = draft.base ?? ok(repository, await call('GET', repo(draft), signal)).default_branch;
      const { branch: head, title, body } = draft;
      const made = await call('POST', `${repo(draft)}/pulls`, signal, { title, head, base, body });
      // Somebody was faster: that one is it.
      if (made.status === 422 && /already exists/i.test(messageOf(made.body))) {
        const other = await findOpen(draft, signal);
        if (other) return await update(draft, other, signal);
      }
      const { html_url: url, number } = ok(pull, made);
      return { url, number, updated: false };
    },
  };
}

const parsed = (text: string): unknown => {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    return null;
  }
};

/** Fetch hides why in its cause. */
const reasonOf = (error: Error): string => {
  if (error.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1_000} s`;
  const { cause } = error as { cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? error.message;
};

function messageOf(body: unknown): string {
  const read = problem.safeParse(body);
  if (!read.success) return '';
  const details = (read.data.errors ?? []).map((one) =>
    typeof one === 'string' ? one : (one.message ?? one.code ?? ''),
  );
  return [read.data.message ?? '', ...details].filter(Boolean).join('; ').slice(0, 300);
}

function failureOf({ status, headers, body }: Answer): StewardError {
  const said = messageOf(body) || `status ${status}`;
  const fail = (code: ErrorCode, message: string, hint: string, retryable = false) =>
    new StewardError(code, message, { op: OP, hint, retryable });
  const limited =
    status === 429 ||
    (status === 403 &&
      (headers.has('retry-after') || headers.get('x-ratelimit-remaining') === '0' || /rate limit/i.test(said)));
  if (limited) return fail('rate_limited', `GitHub wants fewer requests: ${said}`, 'It is tried again.', true);
  if (status >= 500) return fail('unavailable', `GitHub is not well: ${said}`, 'It is tried again.', true);
  if (status === 401)
    return fail('forbidden', `GitHub did not take the token: ${said}`, 'Set a GITHUB_TOKEN that is valid.');
  if (status === 403)
    return fail(
      'forbidden',
      `GitHub does not let this token do it: ${said}`,
      'Give it “Pull requests: write” for this repository.',
    );
  if (status === 404)
    return fail(
      'not_found',
      'GitHub knows no such repository, or hides it from this token.',
      'Check the address and the token.',
    );
  if (status >= 300 && status < 400)
    return fail('not_found', 'This repository has moved on GitHub.', 'Use its new address.');
  return fail('invalid', `GitHub refused the pull request: ${said}`, 'The branch was pushed; open it by hand.');
}
