// From a request on a sandbox's socket to the plan by which it is carried out: what it asks for, the verdict, keys, links.
import type { IncomingMessage } from 'node:http';
import { type Account, capSentence, type Ticket, type What } from './account.ts';
import { credentialsOf, dress, dressFor } from './credentials.ts';
import type { Plan } from './forward.ts';
import type { Shared } from './gateway.ts';
import { type EgressPolicy, judge, shown } from './policy.ts';
import { simplePage, tarballPairs } from './registries.ts';
import type { Routed } from './routes.ts';
import { bracketed, parseTarget, type Target, targetOf } from './target.ts';
import type { Way } from './way.ts';

/** Where requests go on a connection whose tunnel was opened. */
export interface Origin {
  scheme: 'http' | 'https';
  host: string;
  port: number;
}

export interface Wanted {
  target: Target;
  routed: Routed | null;
}

export interface Refused {
  status: number;
  why: string;
}

export interface Admission {
  /** Reads the request line and its host; `origin` when it came through an opened tunnel. */
  wanted(request: IncomingMessage, origin: Origin | null): Wanted | Refused;
  /** Judges it, writes a refusal down, or begins a ticket. */
  admit(request: IncomingMessage, wanted: Wanted): { plan: Plan; ticket: Ticket } | Refused;
  /** The same for a tunnel; `look`: its requests have to be seen. */
  admitTunnel(host: string, port: number): { look: boolean; why: string; way: Way } | Refused;
  privately(host: string, port: number, why: string): string;
}

const NO_ROUTE = 'There is no such route. This is the way out of the sandbox: an HTTP proxy.';

export function createAdmission(deps: {
  shared: Shared;
  account: Account;
  policy(): EgressPolicy;
  /** `named` may also reach the upstreams the owner configured. */
  ways(): { outside: Way; named: Way };
}): Admission {
  const { shared, account, policy } = deps;

  const privately = (host: string, port: number, why: string) =>
    `${shown(host, port)} is not reached from a sandbox: ${why} Only the owner can open it, in Steward's configuration.`;
  const deny = (what: What, why: string): Refused => {
    account.deny(what, why);
    return { status: 403, why };
  };

  /** How the sandbox calls us: its relay's address, with which links have to begin. */
  const selfOf = ({ headers }: IncomingMessage): string =>
    `http://${/^[a-z0-9.-]+(?::\d{1,5})?$/i.test(headers.host ?? '') ? headers.host : '127.0.0.1:3128'}`;

  const linksOf = (request: IncomingMessage, routed: Routed | null, self: string): Partial<Plan['changes']> => {
    if (routed?.links === 'tarballs') {
      const userAgent = request.headers['user-agent'] ?? '';
      return { pairs: tarballPairs({ upstream: shared.routes.npm, route: `${self}/npm/`, userAgent }) };
    }
    if (routed?.links === 'simple') {
      const base = new URL(routed.target.path, shared.routes.index).href;
      const place = (url: URL) => {
        const found = shared.routes.placeOf(url, false);
        return found && self + found.path;
      };
      return { edit: (text, json) => simplePage(text, base, json, place) };
    }
    return {};
  };

  /** A redirect is the program's to follow. From a route it leads to a route where there is one that is allowed. */
  const placeOf = (location: string, target: Target, routed: Routed | null, self: string): string => {
    const base = `${target.scheme}://${bracketed(target.host)}:${target.port}${target.path}`;
    if (!routed || !URL.canParse(location, base)) return location;
    const url = new URL(location, base);
    const found = shared.routes.placeOf(url, routed.route === 'git');
    if (!found) return url.href;
    const { host, port } = found.stands;
    const ask = { host, port, method: 'GET', path: url.pathname, route: found.route };
    return judge(policy(), { requests: 0, bytes: 0 }, ask).allow ? self + found.path : url.href;
  };

  const within = ({ scheme, host, port }: Origin, path: string): Target | null =>
    parseTarget(`${scheme}://${bracketed(host)}:${port}${path}`);

  return {
    privately,
    wanted(request, origin) {
      const url = request.url ?? '';
      if (origin) {
        const target = url.startsWith('/') ? within(origin, url) : parseTarget(url);
        if (!target) return { status: 400, why: 'This is not a URL.' };
        const same = ({ host, port }: { host: string; port: number }) => host === origin.host && port === origin.port;
        const named = request.headers.host;
        const header = named === undefined ? target : parseTarget(`${origin.scheme}://${named}/`);
        // Else a tunnel to one host would be a way to another one on the same server.
        if (!same(target) || !header || !same(header)) {
          const why = `This connection is to ${shown(origin.host, origin.port)}, and only to it.`;
          deny({ method: request.method ?? 'GET', host: origin.host, port: origin.port, path: target.path }, why);
          return { status: 421, why };
        }
        return { target, routed: null };
      }
      if (!url.startsWith('/')) {
        const target = parseTarget(url);
        return target ? { target, routed: null } : { status: 400, why: 'Only http and https go out of a sandbox.' };
      }
      const path = URL.canParse(`http://self${url}`) ? targetOf(new URL(`http://self${url}`))?.path : undefined;
      const routed = path === undefined ? null : shared.routes.find(path);
      return routed ? { target: routed.target, routed } : { status: 404, why: NO_ROUTE };
    },
    admit(request, { target, routed }) {
      const method = request.method ?? 'GET';
      const what: What = { method, host: target.host, port: target.port, path: target.path };
      const stands = routed?.stands ?? target;
      const route = routed ? { route: routed.route } : {};
      const { host, port } = stands;
      const { outside, named } = deps.ways();
      const way = routed?.configured ? named : outside;
      // First: nobody has to be asked for what would not be reached then either.
      const literal = way.refusal(target.host, target.port);
      if (literal !== null) return deny(what, privately(target.host, target.port, literal));
      const verdict = judge(policy(), account.used, { host, port, method, path: target.path, ...route });
      if (!verdict.allow) return deny({ ...what, host, port }, verdict.why);

      const { credentials } = policy();
      const owners = routed?.configured === true;
      const extra = routed && (credentials || !owners) ? routed.headers : {};
      const first = Object.keys(extra).length > 0 ? dressFor(request.rawHeaders, extra) : null;
      const kept = credentials ? credentialsOf(shared.credentials, target.host, target.port) : [];
      const dressed = dress(first?.headers ?? request.rawHeaders, kept, target);
      const why = verdict.why + (dressed.used.length > 0 ? `; credential ${dressed.used.join(', ')}` : '');
      const self = selfOf(request);
      const plan: Plan = {
        target,
        way,
        headers: dressed.headers,
        changes: {
          secrets: [...(owners && first ? first.secrets : []), ...dressed.secrets],
          ...linksOf(request, routed, self),
        },
        place: (location) => placeOf(location, target, routed, self),
        cap: capSentence(policy()),
        privately: (reason) => privately(target.host, target.port, reason),
        why,
        timeouts: shared.options.timeouts,
      };
      return { plan, ticket: account.begin(what, why) };
    },
    admitTunnel(host, port) {
      const what: What = { method: 'CONNECT', host, port, path: null };
      const { outside: way } = deps.ways();
      const literal = way.refusal(host, port);
      if (literal !== null) return deny(what, privately(host, port, literal));
      const verdict = judge(policy(), account.used, { host, port, method: null, path: null });
      if (!verdict.allow) return deny(what, verdict.why);
      const kept = policy().credentials ? credentialsOf(shared.credentials, host, port) : [];
      return { look: verdict.inspect || kept.length > 0, why: verdict.why, way };
    },
  };
}
