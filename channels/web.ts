// The web channel: one HTTP server on loopback for the console, the Managed Agents API and Steward's own resources.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import type { Server } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { serve } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import type { Backups } from '../core/backup.ts';
import { describeError, type ErrorCode, StewardError } from '../core/errors.ts';
import type { HandsApi } from '../core/hands.ts';
import type { Log } from '../core/log.ts';
import type { Channel, JsonObject, Millis } from '../core/types.ts';
import { type ApiDeps, createApi } from './web/api.ts';
import { allowedHosts, hookHostFits, isHookPath, judgeOrigin } from './web/auth.ts';
import { createBackupRoutes } from './web/backups.ts';
import { createHookRoutes, type HookRoutesDeps } from './web/hooks.ts';
import { createHooksApi, type HooksApiDeps } from './web/hooks-api.ts';
import { createManaged, type ManagedDeps } from './web/managed.ts';
import { createMemoryRoutes, type MemoryRoutesDeps } from './web/memory.ts';
import { createSandboxRoutes } from './web/sandboxes.ts';
import { createScheduleRoutes } from './web/schedules.ts';
import { createTaskRoutes, type TaskRoutesDeps } from './web/tasks.ts';

const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "font-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

const ERRORS: Record<ErrorCode, { status: number; type: string }> = {
  bad_config: { status: 400, type: 'invalid_request_error' },
  conflict: { status: 409, type: 'conflict_error' },
  database_newer: { status: 500, type: 'api_error' },
  disk_full: { status: 507, type: 'api_error' },
  forbidden: { status: 403, type: 'permission_error' },
  internal: { status: 500, type: 'api_error' },
  invalid: { status: 400, type: 'invalid_request_error' },
  not_found: { status: 404, type: 'not_found_error' },
  other_instance: { status: 500, type: 'api_error' },
  port_taken: { status: 500, type: 'api_error' },
  rate_limited: { status: 429, type: 'rate_limit_error' },
  read_only: { status: 507, type: 'api_error' },
  sandbox_lost: { status: 503, type: 'api_error' },
  stale_run: { status: 409, type: 'conflict_error' },
  too_large: { status: 413, type: 'request_too_large' },
  unauthenticated: { status: 401, type: 'authentication_error' },
  unavailable: { status: 503, type: 'overloaded_error' },
};

const MEDIA: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
};

export interface WebDeps
  extends Omit<ManagedDeps, 'closing' | 'signedIn'>,
    Omit<ApiDeps, 'baseUrl'>,
    MemoryRoutesDeps,
    HookRoutesDeps,
    TaskRoutesDeps,
    Omit<HooksApiDeps, 'mainSession'> {
  host: string;
  port: number;
  hands: HandsApi;
  backups: Backups;
  /** Names of this server that hold for /hooks alone. */
  hookHosts(): readonly string[];
  /** The built console. */
  assets: string;
  log: Log;
  /** Takes known secrets out of a text. */
  redact(text: string): string;
  now(): Millis;
  newId(prefix: 'req'): string;
  check(): {
    ready: boolean;
    checks: { name: string; ok: boolean; detail: string; age_ms: number | null; critical: boolean }[];
  };
  metrics(): string;
}

export interface Web extends Channel {
  /** The address in use; the port is known once `start` has resolved. */
  url(): string;
}

type Env = { Variables: { by: 'token' | 'cookie'; requestId: string } };

export function createWeb(deps: WebDeps): Web {
  let server: Server | null = null;
  let port = deps.port;
  let lastRequestAt: Millis | null = null;
  const closing = new AbortController();
  const shownHost = deps.host === '0.0.0.0' || deps.host === '::' ? '127.0.0.1' : deps.host;
  const url = () => `http://${shownHost.includes(':') ? `[${shownHost}]` : shownHost}:${port}`;
  const cookieName = () => `steward_${port}`;

  const app = new Hono<Env>();

  const presented = (c: Context) => ({
    apiKey: c.req.header('x-api-key') ?? /^Bearer (.+)$/i.exec(c.req.header('authorization') ?? '')?.[1],
    cookie: getCookie(c, cookieName()),
  });

  const fail = (c: Context<Env>, error: unknown) => {
    const known =
      error instanceof StewardError
        ? error
        : new StewardError('internal', 'Something failed inside Steward.', {
            op: 'answer a request',
            hint: 'See `steward logs` for the reason.',
            cause: error,
          });
    const { status, type } = ERRORS[known.code];
    if (status >= 500) deps.log.error({ error, path: c.req.path }, 'a request failed');
    if (known.retryable) c.header('Retry-After', '5');
    const body: JsonObject = {
      type: 'error',
      // A path or a field may have held a secret by mistake; the answer goes where the request came from, and further.
      error: { type, message: deps.redact(known.message), ...(known.hint && { hint: deps.redact(known.hint) }) },
      request_id: c.get('requestId') ?? null,
    };
    return c.json(body, status as 400);
  };
  app.onError((error, c) => fail(c, error));
  app.notFound((c) =>
    fail(c, new StewardError('not_found', `There is nothing at ${c.req.method} ${c.req.path}.`, { op: 'find a page' })),
  );

  app.use(async (c, next) => {
    const requestId = deps.newId('req');
    c.set('requestId', requestId);
    c.header('request-id', requestId);
    c.header('Content-Security-Policy', CSP);
    c.header('X-Content-Type-Options', 'nosniff');
    c.header('X-Frame-Options', 'DENY');
    c.header('Referrer-Policy', 'no-referrer');
    c.header('Cross-Origin-Opener-Policy', 'same-origin');
    c.header('Cross-Origin-Resource-Policy', 'same-origin');
    if (!c.req.path.startsWith('/assets/')) c.header('Cache-Control', 'no-store');
    lastRequestAt = deps.now();
    const { apiKey, cookie } = presented(c);
    const hosts = allowedHosts(deps.host, port);
    const given = c.req.header('host');
    const hooked = isHookPath(c.req.path) && hookHostFits(given, deps.hookHosts());
    const verdict = judgeOrigin(
      {
        // A public name of /hooks counts as ours; a page under that name does not: programs send no Origin.
        host: hooked ? [...hosts][0] : given,
        origin: c.req.header('origin'),
        fetchSite: c.req.header('sec-fetch-site'),
        method: c.req.method,
        byCookie: apiKey === undefined && cookie !== undefined,
      },
      hosts,
    );
    if (verdict.kind === 'refused')
      throw new StewardError('forbidden', verdict.why, {
        op: 'answer a request',
        hint: `Open the console at ${url()}.`,
      });
    await next();
  });

  const authenticate = async (c: Context<Env>, next: () => Promise<void>) => {
    const { apiKey, cookie } = presented(c);
    const by = deps.auth.check({ apiKey, cookie });
    if (!by) {
      if (apiKey !== undefined || cookie !== undefined) {
        if (deps.auth.throttled())
          throw new StewardError('rate_limited', 'Too many wrong credentials.', {
            op: 'sign in',
            hint: 'Wait five minutes.',
            retryable: true,
          });
        deps.auth.noteFailure();
      }
      throw new StewardError('unauthenticated', apiKey ? 'The API token is wrong.' : 'You are not signed in.', {
        op: 'sign in',
        hint: 'Programs send x-api-key with the token in $STEWARD_HOME/token; in a browser open the link that `npx steward login` prints.',
      });
    }
    c.set('by', by);
    await next();
  };

  app.get('/healthz', (c) => c.json({ ok: true }));
  app.get('/readyz', (c) => {
    const { ready, checks } = deps.check();
    // 503 also when a channel has gone deaf: a watcher must not take that for health. `ready` tells the two apart.
    return c.json(
      { ready, checks: checks as unknown as JsonObject[] },
      checks.some((check) => !check.ok && (check.critical || check.name.startsWith('channel '))) ? 503 : 200,
    );
  });
  app.get('/login', (c) => {
    // A link looked at by a mail or chat program is not followed by a person yet.
    if (c.req.method === 'HEAD') return c.body(null, 204);
    if (deps.auth.throttled())
      throw new StewardError('rate_limited', 'Too many wrong login links.', {
        op: 'sign in',
        hint: 'Wait five minutes.',
        retryable: true,
      });
    const session = deps.auth.redeem(c.req.query('code') ?? '');
    if (!session) {
      deps.auth.noteFailure();
      return c.redirect('/#/login-failed', 303);
    }
    setCookie(c, cookieName(), session.value, {
      httpOnly: true,
      sameSite: 'Strict',
      path: '/',
      maxAge: session.maxAgeMs / 1_000,
    });
    return c.redirect('/', 303);
  });
  // Before any body is read: who is not known here gets none read.
  app.use('/v1/*', authenticate);
  app.use('/api/*', authenticate);
  app.use('/metrics', authenticate);
  app.get('/metrics', (c) => c.text(deps.metrics()));
  app.post('/api/logout', (c) => {
    const cookie = getCookie(c, cookieName());
    if (cookie) deps.auth.logout(cookie);
    deleteCookie(c, cookieName(), { path: '/' });
    return c.json({ signed_out: true });
  });
  app.route(
    '/v1',
    createManaged({ ...deps, closing: closing.signal, signedIn: (c) => deps.auth.check(presented(c)) !== null }),
  );
  app.route('/api', createApi({ ...deps, baseUrl: url }));
  app.route('/api', createSandboxRoutes(deps.hands));
  app.route('/api', createBackupRoutes(deps.backups));
  app.route('/api/memory', createMemoryRoutes(deps));
  app.route('/api/schedules', createScheduleRoutes(deps));
  app.route('/api/tasks', createTaskRoutes(deps));

  app.route('/api', createHooksApi({ ...deps, mainSession: () => deps.intake.mainSession().id }));
  app.route('/hooks', createHookRoutes(deps));

  app.get('/*', (c) => {
    const missing = new StewardError('not_found', `There is nothing at ${c.req.path}.`, { op: 'find a page' });
    const path = c.req.path === '/' ? '/index.html' : c.req.path;
    if (path.includes('%')) throw missing;
    const file = join(deps.assets, normalize(path));
    if (!file.startsWith(deps.assets + sep) || !existsSync(file) || !statSync(file).isFile()) {
      if (path !== '/index.html') throw missing;
      return c.text('The console is not built yet. Run `npm run build` (npm start does it).', 503);
    }
    const body = readFileSync(file);
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    c.header('ETag', etag);
    // Names under /assets carry a hash of their content.
    if (c.req.path.startsWith('/assets/')) c.header('Cache-Control', 'public, max-age=31536000, immutable');
    if (c.req.header('if-none-match') === etag) return c.body(null, 304);
    c.header('Content-Type', MEDIA[extname(file)] ?? 'application/octet-stream');
    return c.body(body);
  });

  return {
    name: 'web',
    url,
    start: () =>
      new Promise((resolve, reject) => {
        const listening = serve({ fetch: app.fetch, hostname: deps.host, port: deps.port }, (info) => {
          port = info.port;
          resolve();
        }) as Server;
        server = listening;
        listening.on('error', (error: NodeJS.ErrnoException) => {
          const taken = error.code === 'EADDRINUSE';
          reject(
            new StewardError(
              taken ? 'port_taken' : 'bad_config',
              taken
                ? `Port ${deps.port} on ${deps.host} is in use by another program.`
                : `Steward cannot listen on ${deps.host}:${deps.port}: ${describeError(error)}`,
              {
                op: 'start the web channel',
                hint: 'Stop that program, or set STEWARD_PORT (and STEWARD_HOST) to a free one.',
                cause: error,
              },
            ),
          );
        });
      }),
    async stop() {
      closing.abort();
      const open = server;
      if (!open) return;
      await new Promise<void>((resolve) => {
        open.close(() => resolve());
        // Requests in flight get a moment; idle keep-alive connections and streams are cut.
        open.closeIdleConnections();
        setTimeout(() => open.closeAllConnections(), 500).unref();
      });
      server = null;
    },
    // The console reads the log itself: nothing is sent here.
    deliver: async () => ({ kind: 'sent', externalId: null }),
    progress() {},
    health: () => ({
      name: 'web',
      state: server?.listening ? 'ok' : 'starting',
      detail: url(),
      lastSuccessAt: lastRequestAt,
    }),
  };
}
