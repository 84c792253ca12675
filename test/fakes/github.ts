// A strict fake of GitHub's pull requests on loopback: wrong tokens, missing fields, unknown branches and second pull requests are refused as there.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Pull {
  number: number;
  title: string;
  body: string;
  head: string;
  base: string;
  state: 'open' | 'closed';
}

export type GithubFault = 'none' | 'unwell' | 'secondary_limit' | 'lose_answer' | 'nonsense';

export interface FakeGithub {
  /** For GITHUB_API_URL. */
  apiUrl: string;
  pulls: Pull[];
  /** `METHOD path` of every request, whatever became of it. */
  seen: string[];
  /** What a request that writes meets from now on; `lose_answer` once. */
  faults(next: GithubFault): void;
  close(): Promise<void>;
}

export async function startGithub(options: {
  token: string;
  owner: string;
  repo: string;
  defaultBranch: string;
  /** Whether the repository has this branch. */
  has(branch: string): boolean;
}): Promise<FakeGithub> {
  const { owner, repo } = options;
  const pulls: Pull[] = [];
  const seen: string[] = [];
  let fault: GithubFault = 'none';
  const root = `/api/v3/repos/${owner}/${repo}`;

  const view = (pull: Pull) => ({
    ...pull,
    html_url: `http://github.invalid/${owner}/${repo}/pull/${pull.number}`,
    head: { ref: pull.head },
    base: { ref: pull.base },
  });
  const answer = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
  const invalid = (response: ServerResponse, message: string) =>
    answer(response, 422, {
      message: 'Validation Failed',
      errors: [{ resource: 'PullRequest', code: 'custom', message }],
    });

  const create = (response: ServerResponse, given: Record<string, unknown>) => {
    for (const name of ['title', 'head', 'base'])
      if (typeof given[name] !== 'string' || given[name] === '') return invalid(response, `${name} is missing`);
    const head = String(given.head).replace(`${owner}:`, '');
    if (!options.has(head)) return invalid(response, 'head is invalid');
    if (!options.has(String(given.base))) return invalid(response, 'base is invalid');
    if (pulls.some((pull) => pull.state === 'open' && pull.head === head))
      return invalid(response, `A pull request already exists for ${owner}:${head}.`);
    const { title, base, body = '' } = given as Record<string, string>;
    const pull: Pull = { number: pulls.length + 1, title: title!, body, head, base: base!, state: 'open' };
    pulls.push(pull);
    answer(response, 201, view(pull));
  };

  const onRequest = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString('utf8');
    const { method = '' } = request;
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x');
    seen.push(`${method} ${pathname}`);
    if (request.headers.authorization !== `Bearer ${options.token}`)
      return answer(response, 401, { message: 'Bad credentials' });
    if (!request.headers['user-agent']) return answer(response, 403, { message: 'User-Agent is required' });
    if (pathname !== root && !pathname.startsWith(`${root}/pulls`))
      return answer(response, 404, { message: 'Not Found' });
    const writes = method !== 'GET';
    if (writes && fault === 'unwell') return answer(response, 502, { message: 'Server Error' });
    if (writes && fault === 'secondary_limit')
      return answer(response, 403, { message: 'You have exceeded a secondary rate limit.' }, { 'retry-after': '60' });
    if (writes && fault === 'nonsense') {
      response.end('<html>');
      return undefined;
    }
    const number = Number(/\/pulls\/(\d+)$/.exec(pathname)?.[1]);
    if (method === 'GET' && pathname === root) return answer(response, 200, { default_branch: options.defaultBranch });
    if (method === 'GET' && pathname === `${root}/pulls`) {
      const head = searchParams.get('head');
      // As there: a head without its owner filters nothing.
      const wanted = pulls.filter(
        (pull) => pull.state === 'open' && (!head?.includes(':') || head === `${owner}:${pull.head}`),
      );
      return answer(response, 200, wanted.map(view));
    }
    const given = JSON.parse(text || '{}') as Record<string, unknown>;
    const lost = fault === 'lose_answer';
    if (lost) {
      fault = 'none';
      response.end = (() => response.destroy()) as never;
    }
    if (method === 'POST' && pathname === `${root}/pulls`) return create(response, given);
    const pull = pulls.find((one) => one.number === number);
    if (method === 'PATCH' && pull) {
      if (typeof given.body === 'string') pull.body = given.body;
      if (typeof given.title === 'string') pull.title = given.title;
      return answer(response, 200, view(pull));
    }
    answer(response, 404, { message: 'Not Found' });
  };

  const server = createServer((request, response) => void onRequest(request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v3`,
    pulls,
    seen,
    faults(next) {
      fault = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
