// The reverse routes: which service a path of the broker stands for, and back from a URL to that path. Pure.
import { invalid } from './faults.ts';
import { ambiguousPath, type RouteName } from './policy.ts';
import { NPM, PYPI, PYPI_FILES } from './registries.ts';
import { parseTarget, type Target, targetOf } from './target.ts';
import type { Upstreams } from './wire.ts';

export interface Routed {
  route: RouteName;
  target: Target;
  /** The host a policy names when it means this service, wherever the owner has it served from. */
  stands: { host: string; port: number };
  /** The owner named this upstream: it may be a private address, and these headers belong on the request. */
  configured: boolean;
  headers: Readonly<Record<string, string>>;
  /** How links in its answers have to be changed. */
  links: 'tarballs' | 'simple' | null;
}

/** A base URL with the slash at its end and without user and password, which become a header. */
export function baseOf(text: string): { url: URL; headers: Record<string, string> } {
  const url = new URL(text);
  const headers: Record<string, string> = {};
  if (url.username !== '' || url.password !== '') {
    const pair = `${safeDecode(url.username)}:${safeDecode(url.password)}`;
    headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
    url.username = '';
    url.password = '';
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  url.search = '';
  url.hash = '';
  return { url, headers };
}

interface Service {
  base: URL;
  headers: Readonly<Record<string, string>>;
  configured: boolean;
}

export interface Routes {
  /** Null: no route has this path, or it could be read in two ways. The path is as the URL parser writes it. */
  find(path: string): Routed | null;
  /** The path under which the sandbox finds this URL, or null. `git` is for links in answers of the git route. */
  placeOf(url: URL, git: boolean): { path: string; stands: { host: string; port: number }; route: RouteName } | null;
  /** `host:port` of the upstreams the owner named. */
  named: readonly string[];
  npm: string;
  index: string;
}

/** pacote drops the path of the registry's URL: `/left-pad/-/left-pad-1.3.0.tgz`. */
const BARE_TARBALL = /^\/(?:@[^/]+\/)?[^/]+\/-\/[^/]+\.tgz(?:\?|$)/;

export function createRoutes(upstreams: Upstreams): Routes {
  const service = (text: string, usual: string | null, extra: Record<string, string> = {}): Service => {
    const { url, headers } = baseOf(text);
    return { base: url, headers: { ...headers, ...extra }, configured: url.href !== usual };
  };
  const npm = service(upstreams.npm ?? NPM, NPM);
  const pip = service(upstreams.pip ?? PYPI, PYPI);
  const anthropic = upstreams.anthropic
    ? service(upstreams.anthropic.baseURL, null, upstreams.anthropic.headers)
    : null;
  const openai = upstreams.openai ? service(upstreams.openai.baseURL, null, upstreams.openai.headers) : null;
  const STANDS = {
    anthropic: { host: 'api.anthropic.com', port: 443 },
    openai: { host: 'api.openai.com', port: 443 },
    npm: { host: 'registry.npmjs.org', port: 443 },
    pip: { host: 'pypi.org', port: 443 },
    files: { host: PYPI_FILES, port: 443 },
  };

  const below = (
    { base, headers, configured }: Service,
    rest: string,
    more: Pick<Routed, 'route' | 'stands' | 'links'>,
  ): Routed | null => {
    const target = targetOf(new URL(base.origin + base.pathname + rest));
    return target && { ...more, target, configured, headers };
  };
  const pipFile = (rest: string): Routed | null => {
    const [, found, path = ''] = /^([^/@]+)(\/.*)$/.exec(rest) ?? [];
    if (found === undefined) return null;
    const authority = withColon(found);
    const stands = authority === PYPI_FILES ? STANDS.files : STANDS.pip;
    const own = authority === pip.base.host;
    if (!own && authority !== PYPI_FILES) return null;
    const target = parseTarget(`${own ? pip.base.protocol : 'https:'}//${authority}${path}`);
    if (!target) return null;
    const { headers, configured } = own ? pip : { headers: {}, configured: false };
    return { route: 'pip', target, stands, configured, headers, links: null };
  };
  const gitHost = (rest: string): Routed | null => {
    const [, user, authority, path = ''] = /^(?:([^/]*)@)?([^/@]+)(\/.*)$/.exec(rest) ?? [];
    const target = authority === undefined ? null : parseTarget(`https://${withColon(authority)}${path}`);
    if (!target) return null;
    // What stood before the host in the program's own URL; on a host with a credential it is taken away again.
    const pair = user === undefined ? null : safeDecode(user);
    const headers: Record<string, string> =
      pair === null
        ? {}
        : { authorization: `Basic ${Buffer.from(pair.includes(':') ? pair : `${pair}:`).toString('base64')}` };
    const stands = { host: target.host, port: target.port };
    return { route: 'git', target, stands, configured: false, headers, links: null };
  };

  return {
    named: [npm, pip, ...(anthropic ? [anthropic] : []), ...(openai ? [openai] : [])]
      .filter(({ configured }) => configured)
      .map(({ base }) => `${base.hostname}:${base.port || (base.protocol === 'https:' ? 443 : 80)}`),
    npm: npm.base.href,
    index: pip.base.href,
    find(path) {
      if (ambiguousPath(path) && !path.startsWith('/git/')) return null;
      if (path.startsWith('/anthropic/'))
        return (
          anthropic && below(anthropic, path.slice(11), { route: 'anthropic', stands: STANDS.anthropic, links: null })
        );
      if (path.startsWith('/openai/'))
        return openai && below(openai, path.slice(8), { route: 'openai', stands: STANDS.openai, links: null });
      if (BARE_TARBALL.test(path)) return below(npm, path.slice(1), { route: 'npm', stands: STANDS.npm, links: null });
      if (path.startsWith('/npm/'))
        return below(npm, path.slice(5), { route: 'npm', stands: STANDS.npm, links: 'tarballs' });
      if (path.startsWith('/pip/simple/'))
        return below(pip, path.slice(12), { route: 'pip', stands: STANDS.pip, links: 'simple' });
      if (path.startsWith('/pip/files/')) return pipFile(path.slice(11));
      if (path.startsWith('/git/')) return gitHost(path.slice(5));
      return null;
    },
    placeOf(url, git) {
      const rest = (base: URL) =>
        url.origin === base.origin && url.pathname.startsWith(base.pathname)
          ? url.pathname.slice(base.pathname.length) + url.search + url.hash
          : null;
      const tail = url.pathname + url.search + url.hash;
      if (git && url.protocol === 'https:') {
        const target = targetOf(url);
        return target && { path: `/git/${url.host}${tail}`, stands: target, route: 'git' };
      }
      const messages = anthropic && rest(anthropic.base);
      if (messages !== null) return { path: `/anthropic/${messages}`, stands: STANDS.anthropic, route: 'anthropic' };
      const responses = openai && rest(openai.base);
      if (responses !== null) return { path: `/openai/${responses}`, stands: STANDS.openai, route: 'openai' };
      const tarball = rest(npm.base);
      if (tarball !== null) return { path: `/npm/${tarball}`, stands: STANDS.npm, route: 'npm' };
      const page = rest(pip.base);
      if (page !== null) return { path: `/pip/simple/${page}`, stands: STANDS.pip, route: 'pip' };
      if (url.origin === pip.base.origin)
        return { path: `/pip/files/${url.host}${tail}`, stands: STANDS.pip, route: 'pip' };
      if (url.origin === `https://${PYPI_FILES}`)
        return { path: `/pip/files/${url.host}${tail}`, stands: STANDS.files, route: 'pip' };
      return null;
    },
  };
}

/** Some programs (pip) encode the colon before a port inside of a path. */
const withColon = (authority: string): string => authority.replace(/%3a/i, ':');

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Throws `invalid` for a URL that cannot be one. */
export function checkUpstreams({ anthropic, openai, npm, pip }: Upstreams): void {
  for (const url of [anthropic?.baseURL, openai?.baseURL, npm, pip])
    if (url !== undefined && !(URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)))
      throw invalid('An upstream of the egress broker has to be a http or https URL.');
}
