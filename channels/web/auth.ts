// Who may talk to the HTTP port: Host and Origin on every request, the token for programs, one-time links and cookies for browsers.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Db } from '../../core/db.ts';
import type { Millis } from '../../core/types.ts';
import { createThrottle } from './throttle.ts';

export const LOGIN_CODE_MS: Millis = 15 * 60_000;
export const WEB_SESSION_MS: Millis = 30 * 24 * 60 * 60_000;

const digest = (text: string) => createHash('sha256').update(text).digest();
const hashOf = (text: string) => digest(text).toString('hex');

export interface Presented {
  apiKey: string | undefined;
  cookie: string | undefined;
}

export interface Auth {
  check(presented: Presented): 'token' | 'cookie' | null;
  /** A code for one login within 15 minutes. */
  mintLoginCode(): { code: string; expiresAt: Millis };
  /** The cookie's value, or null for a wrong, used or expired code. */
  redeem(code: string): { value: string; maxAgeMs: Millis } | null;
  logout(cookie: string): void;
  /** Too many wrong credentials of late; right ones still pass. */
  throttled(): boolean;
  noteFailure(): void;
  /** Removes what ran out; how many rows. */
  sweep(): number;
}

export function createAuth(db: Db, deps: { token: string; now(): Millis }): Auth {
  const { now } = deps;
  const token = digest(deps.token);
  const addCode = db.prepare<[string, Millis]>('INSERT INTO login_codes (hash, expires_at) VALUES (?, ?)');
  const useCode = db.prepare<[Millis, string, Millis]>(
    'UPDATE login_codes SET used_at = ? WHERE hash = ? AND used_at IS NULL AND expires_at > ?',
  );
  const dropCodes = db.prepare<[Millis]>('DELETE FROM login_codes WHERE expires_at <= ?');
  const addSession = db.prepare<[string, Millis, Millis, Millis]>(
    'INSERT INTO web_sessions (hash, created_at, expires_at, last_seen_at) VALUES (?, ?, ?, ?)',
  );
  const session = db.prepare<[string, Millis], { hash: string }>(
    'SELECT hash FROM web_sessions WHERE hash = ? AND expires_at > ?',
  );
  const dropSession = db.prepare<[string]>('DELETE FROM web_sessions WHERE hash = ?');
  const dropSessions = db.prepare<[Millis]>('DELETE FROM web_sessions WHERE expires_at <= ?');
  return {
    ...createThrottle(now),
    check({ apiKey, cookie }) {
      if (apiKey && timingSafeEqual(digest(apiKey), token)) return 'token';
      if (cookie && session.get(hashOf(cookie), now())) return 'cookie';
      return null;
    },
    mintLoginCode() {
      const code = randomBytes(24).toString('base64url');
      const expiresAt = now() + LOGIN_CODE_MS;
      db.tx(() => {
        dropCodes.run(now());
        addCode.run(hashOf(code), expiresAt);
      });
      return { code, expiresAt };
    },
    redeem: (code) =>
      db.tx(() => {
        if (useCode.run(now(), hashOf(code), now()).changes !== 1) return null;
        const value = randomBytes(32).toString('base64url');
        dropSessions.run(now());
        addSession.run(hashOf(value), now(), now() + WEB_SESSION_MS, now());
        return { value, maxAgeMs: WEB_SESSION_MS };
      }),
    logout: (cookie) => void db.tx(() => dropSession.run(hashOf(cookie))),
    sweep: () => db.tx(() => dropCodes.run(now()).changes + dropSessions.run(now()).changes),
  };
}

/**
 * Names under which others may call `/hooks` (through a proxy or tunnel), and nothing else: a public name for the console
 * would hand its cookie to whoever can point that name elsewhere. Given with a port they mean that port alone. Pure.
 */
export function hookHostFits(host: string | undefined, names: readonly string[]): boolean {
  const given = host?.toLowerCase();
  return given !== undefined && names.some((name) => given === name || given === `${name}:443`);
}

/** One segment below /hooks, so that no other route can be meant. */
export const isHookPath = (path: string): boolean => /^\/hooks\/[^/]+$/.test(path);

/** The names this server answers to; anything else is a rebound DNS name or a mistake. Pure. */
export function allowedHosts(host: string, port: number): ReadonlySet<string> {
  const names = new Set(['127.0.0.1', 'localhost', '[::1]']);
  if (host !== '0.0.0.0' && host !== '::') names.add(host.includes(':') ? `[${host}]` : host);
  return new Set([...names].flatMap((name) => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`])));
}

export type OriginVerdict = { kind: 'ok' } | { kind: 'refused'; why: string };

/**
 * Pure. `Host` must be ours; a foreign `Origin` is refused whatever it asks for; a change made by cookie needs proof that
 * our own page sent it (Origin, or Sec-Fetch-Site from browsers that leave Origin out).
 */
export function judgeOrigin(
  request: {
    host: string | undefined;
    origin: string | undefined;
    fetchSite: string | undefined;
    method: string;
    byCookie: boolean;
  },
  hosts: ReadonlySet<string>,
): OriginVerdict {
  if (!request.host || !hosts.has(request.host.toLowerCase()))
    return { kind: 'refused', why: `This server does not answer to the name ${request.host ?? '(none)'}.` };
  if (request.origin !== undefined) {
    const ours =
      URL.canParse(request.origin) && hosts.has(new URL(request.origin).host) && request.origin.startsWith('http://');
    return ours ? { kind: 'ok' } : { kind: 'refused', why: 'Requests from other web pages are refused.' };
  }
  const safe = request.method === 'GET' || request.method === 'HEAD';
  if (request.byCookie && !safe && request.fetchSite !== 'same-origin')
    return { kind: 'refused', why: 'A change by cookie needs an Origin header.' };
  return { kind: 'ok' };
}
