// What a sandbox may reach: rules, caps, and the verdict on one request. Pure.
import { CODE_HOSTS } from './presets.ts';

export { PRESETS } from './presets.ts';

/** A door of the broker that stands for a service and needs no certificate inside. */
export type RouteName = ModelRoute | 'npm' | 'pip' | 'git';
/** Doors to model servers: each request costs the owner, so only a policy that names one opens it. */
export type ModelRoute = 'anthropic' | 'openai';

export interface Rule {
  /** `example.org`, `*.example.org` (every name below it, not itself) or an address. */
  host: string;
  /** 80 and 443 when left out. */
  ports?: readonly number[];
  methods?: readonly string[];
  /** Prefixes by whole segments: `/owner/repo` covers `/owner/repo.git/…`, not `/owner/repository`. */
  paths?: readonly string[];
}

export interface EgressPolicy {
  allow: readonly Rule[];
  /** Allowed whatever `allow` says. `npm`, `pip` and `git` also follow from a rule for the host they stand for; those of models never. */
  routes?: readonly RouteName[];
  /** Any public address, any port. */
  unrestricted: boolean;
  /** Whether the owner's credentials are added to requests of this sandbox. */
  credentials: boolean;
  /** Hosts that git may push to, where the request is seen; reading a host never includes writing to its repositories. */
  push?: readonly string[];
  /** In the life of the sandbox; null: no cap. */
  requests: number | null;
  /** Both directions together. */
  bytes: number | null;
}

/** What a sandbox has used of its caps. */
export interface Used {
  requests: number;
  bytes: number;
}

export interface Ask {
  /** Lower case, no brackets, no dot at its end. */
  host: string;
  port: number;
  /** Both null for a tunnel, whose requests are not seen yet. */
  method: string | null;
  path: string | null;
  route?: RouteName;
}

export type Verdict =
  /** `inspect`: it is only allowed where each request inside it is seen and judged again. */
  { allow: true; why: string; inspect: boolean } | { allow: false; why: string };

export const plainHost = (host: string): string =>
  host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');

/** True for the name itself and, with `*.`, for each name below it. */
export function hostMatches(pattern: string, host: string): boolean {
  const plain = plainHost(pattern);
  if (!plain.startsWith('*.')) return plain === host;
  return plain.length > 2 && host.endsWith(plain.slice(1)) && host.length > plain.length - 1;
}

/** A path that servers read in different ways: encoded slashes beside dots, backslashes, control characters. */
export const ambiguousPath = (path: string): boolean => {
  const [only = ''] = path.split('?', 1);
  return /(?:^|\/|%2f|%5c)(?:\.|%2e){1,2}(?:\/|%2f|%5c|;|$)|\\|%5c|%00|%25(?:2e|2f|5c)/i.test(only);
};

export function pathMatches(prefix: string, path: string): boolean {
  const [only = ''] = path.split('?', 1);
  if (ambiguousPath(only)) return false;
  if (prefix.endsWith('/')) return only.startsWith(prefix);
  return (
    only === prefix || only.startsWith(`${prefix}/`) || only === `${prefix}.git` || only.startsWith(`${prefix}.git/`)
  );
}

/** Git over smart HTTP: the service that takes what is pushed, and the question that comes before it. */
const PUSH = /\/git-receive-pack(?:[/?;]|$)|[?&]service=git-receive-pack(?:&|$)/;
/** However its letters are written: servers read `%67` as `g`. */
const isPush = (path: string): boolean =>
  PUSH.test(path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))));

const USUAL_PORTS: readonly number[] = [80, 443];
const limited = (rule: Rule): boolean => rule.methods !== undefined || rule.paths !== undefined;

export const shown = (host: string, port: number): string => {
  const name = host.includes(':') ? `[${host}]` : host;
  return USUAL_PORTS.includes(port) ? name : `${name}:${port}`;
};

const list = (rule: Rule): string =>
  [
    ...(rule.methods ? [`with ${rule.methods.join(', ')}`] : []),
    ...(rule.paths ? [`under ${rule.paths.join(', ')}`] : []),
  ].join(' ');

export function judge(policy: EgressPolicy, used: Used, ask: Ask): Verdict {
  if (policy.requests !== null && used.requests >= policy.requests)
    return { allow: false, why: `This sandbox has made all of its ${policy.requests} requests.` };
  if (policy.bytes !== null && used.bytes >= policy.bytes)
    return { allow: false, why: `This sandbox has moved all of its ${policy.bytes} bytes.` };
  const mayPush = policy.push?.some((host) => hostMatches(host, ask.host)) ?? false;
  if (ask.path !== null && isPush(ask.path) && !mayPush)
    return {
      allow: false,
      why: `Pushing to ${shown(ask.host, ask.port)} is not allowed in this sandbox. Name push:${ask.host} in the \`hosts\` argument of the bash tool; the owner is asked each time.`,
    };
  if (ask.route !== undefined && policy.routes?.includes(ask.route))
    return { allow: true, why: `route ${ask.route}`, inspect: false };
  if (ask.route === 'anthropic') return { allow: false, why: 'The Messages API is not offered in this sandbox.' };
  if (ask.route === 'openai') return { allow: false, why: 'The Responses API is not offered in this sandbox.' };
  const near = policy.allow.filter(
    (rule) => hostMatches(rule.host, ask.host) && (rule.ports ?? USUAL_PORTS).includes(ask.port),
  );
  // What everybody can push to is not left in a closed tunnel.
  const inspect = ask.path === null && !mayPush && CODE_HOSTS.includes(ask.host);
  const open = near.find((rule) => !limited(rule));
  if (open) return { allow: true, why: `rule ${open.host}`, inspect };
  if (policy.unrestricted) return { allow: true, why: 'unrestricted', inspect };
  const [first] = near;
  const name = shown(ask.host, ask.port);
  if (!first)
    return {
      allow: false,
      why: `${name} is not allowed in this sandbox. Name the host in the \`hosts\` argument of the bash tool; the owner is asked.`,
    };
  const { method, path } = ask;
  // A tunnel hides what a limited rule is about: it has to be opened.
  if (method === null || path === null) return { allow: true, why: `rule ${first.host}`, inspect: true };
  const fits = near.find(
    (rule) =>
      (rule.methods?.some((one) => one.toUpperCase() === method.toUpperCase()) ?? true) &&
      (rule.paths?.some((prefix) => pathMatches(prefix, path)) ?? true),
  );
  if (fits) return { allow: true, why: `rule ${fits.host} ${list(fits)}`, inspect: true };
  return {
    allow: false,
    why: `${method} ${path.split('?', 1)[0]} on ${name} is not allowed in this sandbox: it may be reached ${near.map(list).join(', or ')}.`,
  };
}
