// Where a request wants to go, read from its authority or URL and written in one way only. Pure.
import { plainHost } from './policy.ts';

export interface Target {
  scheme: 'http' | 'https';
  /** Lower case ASCII, no brackets, no dot at its end; an address in its usual form. */
  host: string;
  port: number;
  /** With its query. */
  path: string;
}

/** The URL parser resolves dot segments and every spelling of an IPv4 address, so what is judged is what is sent. */
export function targetOf(url: URL): Target | null {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return null;
  const host = plainHost(url.hostname);
  if (host === '') return null;
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  return { scheme, host, port: Number(url.port) || (scheme === 'https' ? 443 : 80), path: url.pathname + url.search };
}

export function parseTarget(text: string): Target | null {
  return URL.canParse(text) ? targetOf(new URL(text)) : null;
}

/** `host:port` of a CONNECT; null for anything else, a user in front of it included. */
export function parseAuthority(text: string): { host: string; port: number } | null {
  const [, host, digits] = /^(\[[0-9a-f:.]+\]|[^\s@/:?#[\]\\]+):(\d{1,5})$/i.exec(text) ?? [];
  const port = Number(digits);
  if (host === undefined || port < 1 || port > 65_535) return null;
  const target = parseTarget(`https://${host}:${port}/`);
  return target && { host: target.host, port };
}

/** As it stands in a URL. */
export const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

export const hostHeader = ({ scheme, host, port }: Pick<Target, 'scheme' | 'host' | 'port'>): string =>
  port === (scheme === 'https' ? 443 : 80) ? bracketed(host) : `${bracketed(host)}:${port}`;
