// Which credentials belong on a request, how they get on it, and which texts must not come back. Pure.
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { invalid } from './faults.ts';
import { headerOf, isProof, mapHeaders, type RawHeaders } from './headers.ts';
import { hostMatches, pathMatches } from './policy.ts';
import type { Target } from './target.ts';
import type { Injected } from './wire.ts';

function covers(pattern: string, host: string, port: number): boolean {
  const [, name = pattern, digits] = /^(.*?)(?::(\d+))?$/.exec(pattern) ?? [];
  // An IPv6 address without brackets has colons of its own.
  if (digits === undefined || (name.includes(':') && !name.startsWith('['))) return hostMatches(pattern, host);
  return Number(digits) === port && hostMatches(name, host);
}

/** Every host the sandbox may reach; only for a secret that goes nowhere but where the program put its placeholder. */
const anywhere = ({ hosts, placeholder }: Injected): boolean => placeholder !== undefined && hosts.includes('*');

export const credentialsOf = (list: readonly Injected[], host: string, port: number): Injected[] =>
  list.filter((one) => anywhere(one) || one.hosts.some((pattern) => covers(pattern, host, port)));

const SCHEME = /^(?:bearer|basic|token|apikey)\s+/i;
const bare = (value: string): string => value.replace(SCHEME, '');
const decoded = (value: string): string | null =>
  /^basic\s/i.test(value) ? Buffer.from(bare(value), 'base64').toString('utf8') : null;

/** Every form in which the secret of a credential could stand in an answer; too short ones would hide ordinary words. */
export function secretsOf(value: string): string[] {
  const pair = decoded(value);
  const password = pair?.includes(':') ? pair.slice(pair.indexOf(':') + 1) : null;
  const forms = [bare(value), pair, password].filter((form): form is string => form !== null && form.length >= 8);
  const escaped = forms.flatMap((form) => [JSON.stringify(form).slice(1, -1), encodeURIComponent(form)]);
  return [...new Set([...forms, ...escaped])].sort((a, b) => b.length - a.length);
}

export interface Dressed {
  headers: string[];
  /** Not to be seen in the answer; empty when no credential was added. */
  secrets: string[];
  /** Ids of what was added. */
  used: string[];
}

/** The value with the placeholder replaced, inside a Basic pair too; null when it does not hold it. */
function fill(value: string, placeholder: string, secret: string): string | null {
  if (value.includes(placeholder)) return value.replaceAll(placeholder, () => secret);
  const pair = decoded(value);
  if (!pair?.includes(placeholder)) return null;
  return `Basic ${Buffer.from(pair.replaceAll(placeholder, () => secret)).toString('base64')}`;
}

/**
 * The headers as they go to a host that has credentials: the program's own proofs are taken away, ours are put on.
 * Over plain HTTP nothing is added, and the program's proofs are still taken away.
 */
export function dress(raw: RawHeaders, credentials: readonly Injected[], target: Target): Dressed {
  if (credentials.length === 0) return { headers: [...raw], secrets: [], used: [] };
  // A secret that may go anywhere says nothing about this host: what programs prove themselves with there is theirs.
  const named = credentials.filter((one) => !anywhere(one));
  const ours = new Set(named.map(({ header }) => header.toLowerCase()));
  let headers = [...raw];
  const added = new Map<string, string>();
  const secrets: string[] = [];
  const used: string[] = [];
  const keep = new Set<string>();
  for (const { id, header, value, placeholder, paths } of target.scheme === 'https' ? credentials : []) {
    if (paths && !paths.some((prefix) => pathMatches(prefix, target.path))) continue;
    const name = header.toLowerCase();
    if (placeholder === undefined) {
      if (added.has(name)) continue;
      added.set(name, value);
    } else {
      let found = false;
      headers = mapHeaders(headers, (lower, text) => {
        const filled = fill(text, placeholder, bare(value));
        if (filled === null) return text;
        found = true;
        keep.add(lower);
        return lower === name ? value : filled;
      });
      if (!found) continue;
    }
    used.push(id);
    secrets.push(...secretsOf(value));
  }
  const kept = mapHeaders(headers, (name, text) => {
    if (added.has(name)) return null;
    return named.length > 0 && (isProof(name) || ours.has(name)) && !keep.has(name) ? null : text;
  });
  for (const { header } of credentials) {
    const value = added.get(header.toLowerCase());
    if (value === undefined || headerOf(kept, header.toLowerCase()) !== undefined) continue;
    kept.push(header, value);
  }
  return { headers: kept, secrets: [...new Set(secrets)], used };
}

/** Puts the owner's headers of a configured upstream on a request, in place of the program's proofs. */
export function dressFor(raw: RawHeaders, own: Readonly<Record<string, string>>): Dressed {
  const names = new Set(Object.keys(own).map((name) => name.toLowerCase()));
  const headers = mapHeaders(raw, (name, value) => (isProof(name) || names.has(name) ? null : value));
  const values = Object.entries(own).flat();
  const secrets = Object.entries(own)
    .filter(([name]) => isProof(name.toLowerCase()))
    .flatMap(([, value]) => secretsOf(value));
  return { headers: [...headers, ...values], secrets, used: [] };
}

/** The value with every secret masked by as many stars, so that no length changes. */
export function maskText(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) clean = clean.replaceAll(secret, '*'.repeat(secret.length));
  return clean;
}

/** Throws `invalid` for one that could never be sent. */
export function checkCredential({ id, hosts, header, value, placeholder }: Injected): void {
  if (hosts.length === 0) throw invalid(`The credential ${id} names no host.`);
  if (hosts.includes('*') && placeholder === undefined)
    throw invalid(`The credential ${id} would go to every host; name those that may have it.`);
  try {
    validateHeaderName(header);
    validateHeaderValue(header, value);
  } catch {
    // Without the cause: it may repeat the value.
    throw invalid(`The credential ${id} cannot be sent in a header.`);
  }
}
