// A credential in two halves, what may be seen of it and what is secret, and what becomes of them in a request. Pure.
import { StewardError } from './errors.ts';
import type { Id, Millis } from './types.ts';
import type { AuthChange, AuthParams, Networking } from './vault-auth.ts';

/** What may be seen of a credential; stored and served as it is. */
export type Auth =
  | { type: 'static_bearer'; mcp_server_url: string }
  | {
      type: 'environment_variable';
      secret_name: string;
      networking: Networking;
      injection_location: { header: boolean; body: boolean };
    }
  | {
      type: 'mcp_oauth';
      mcp_server_url: string;
      expires_at: string | null;
      refresh: {
        client_id: string;
        token_endpoint: string;
        token_endpoint_auth: { type: 'none' | 'client_secret_basic' | 'client_secret_post' };
        resource: string | null;
        scope: string | null;
      } | null;
    }
  | { type: 'header'; hosts: string[]; header: string; prefix: string }
  | { type: 'basic'; hosts: string[]; username: string };

/** The secret texts of a credential, by the name they came under; sealed together. */
export type Parts = Record<string, string>;

/** A credential in the open: never leaves the process. */
export interface Opened {
  auth: Auth;
  parts: Parts;
}

const refuse = (message: string) => new StewardError('invalid', message, { op: 'keep a credential' });

function future(text: string, now: Millis): string {
  if (Date.parse(text) <= now) throw refuse('auth.expires_at must be in the future.');
  return new Date(text).toISOString();
}

/** Pure. What may be seen, apart from what is secret. Throws `invalid`. */
export function openedFrom(params: AuthParams, now: Millis): Opened {
  switch (params.type) {
    case 'static_bearer': {
      const { token, ...auth } = params;
      return { auth, parts: { token } };
    }
    case 'environment_variable': {
      const { secret_value, ...rest } = params;
      return { auth: { ...rest, injection_location: { header: true, body: false } }, parts: { secret_value } };
    }
    case 'mcp_oauth': {
      const { access_token, expires_at, refresh, mcp_server_url, type } = params;
      const at = expires_at ? future(expires_at, now) : null;
      if (!refresh) return { auth: { type, mcp_server_url, expires_at: at, refresh: null }, parts: { access_token } };
      const { refresh_token, token_endpoint_auth: by, resource = null, scope = null, ...rest } = refresh;
      const kept = { ...rest, token_endpoint_auth: { type: by.type }, resource, scope };
      return {
        auth: { type, mcp_server_url, expires_at: at, refresh: kept },
        parts: { access_token, refresh_token, ...('client_secret' in by && { client_secret: by.client_secret }) },
      };
    }
    case 'header': {
      const { value, ...rest } = params;
      return { auth: { ...rest, prefix: rest.prefix ?? '' }, parts: { value } };
    }
    case 'basic': {
      const { password, ...auth } = params;
      return { auth, parts: { password } };
    }
  }
}

/** Pure. Throws `invalid` for another type than the credential has, and for what it cannot take. */
export function changed(old: Opened, change: AuthChange, now: Millis): Opened {
  const { auth, parts } = old;
  const other = () => refuse(`auth.type must be ${auth.type}, as it was; add a new credential instead.`);
  switch (change.type) {
    case 'static_bearer':
      if (auth.type !== change.type) throw other();
      return { auth, parts: { token: change.token ?? parts.token! } };
    case 'environment_variable':
      if (auth.type !== change.type) throw other();
      return {
        auth: { ...auth, networking: change.networking ?? auth.networking },
        parts: { secret_value: change.secret_value ?? parts.secret_value! },
      };
    case 'mcp_oauth': {
      if (auth.type !== change.type) throw other();
      const next = { ...parts, access_token: change.access_token ?? parts.access_token! };
      const at = change.expires_at ? future(change.expires_at, now) : auth.expires_at;
      if (!change.refresh) return { auth: { ...auth, expires_at: at }, parts: next };
      if (!auth.refresh) throw refuse('auth.refresh cannot be changed: this credential was made without one.');
      const { refresh_token, scope, token_endpoint_auth: by } = change.refresh;
      if (by && auth.refresh.token_endpoint_auth.type === 'none')
        throw refuse(
          'auth.refresh.token_endpoint_auth cannot be changed: this credential was made without a client secret.',
        );
      return {
        auth: { ...auth, expires_at: at, refresh: { ...auth.refresh, scope: (scope ?? auth.refresh.scope) || null } },
        parts: {
          ...next,
          ...(refresh_token && { refresh_token }),
          ...(by?.client_secret && { client_secret: by.client_secret }),
        },
      };
    }
    case 'header':
      if (auth.type !== change.type) throw other();
      return {
        auth: {
          type: auth.type,
          hosts: change.hosts ?? auth.hosts,
          header: change.header ?? auth.header,
          prefix: change.prefix ?? auth.prefix,
        },
        parts: { value: change.value ?? parts.value! },
      };
    case 'basic':
      if (auth.type !== change.type) throw other();
      return {
        auth: { type: auth.type, hosts: change.hosts ?? auth.hosts, username: change.username ?? auth.username },
        parts: { password: change.password ?? parts.password! },
      };
  }
}

/** Pure. What no two credentials in use of one vault may both claim, in words. */
export function claims(auth: Auth): string[] {
  switch (auth.type) {
    case 'static_bearer':
    case 'mcp_oauth':
      return [auth.mcp_server_url];
    case 'environment_variable':
      return [`the variable ${auth.secret_name}`];
    case 'header':
      return auth.hosts.map((name) => `the header ${auth.header.toLowerCase()} on ${name}`);
    case 'basic':
      return auth.hosts.map((name) => `the header authorization on ${name}`);
  }
}

// ---------------------------------------------------------------- what becomes of it

/** A secret in the open, where it may go and how: for the broker alone. */
export interface Secret {
  /** Of the credential. */
  id: Id;
  vaultId: Id;
  /** For audit and people; not secret. */
  name: string;
  /** A name, an IPv4 address, `*.x` (any name below x, not x), each also as `host:port`; `*` is wherever the sandbox may go. */
  hosts: readonly string[];
  /** The header set on every request to these hosts, in place of the program's own; empty: none is. */
  header: string;
  /** The whole value of that header, or what takes the place of the placeholder. */
  value: string;
  /** What the sandbox finds in `variable`; wherever it stands in a header, the value takes its place. */
  placeholder?: string;
  variable?: string;
}

/** Pure. */
export function secretOf(
  { auth, parts }: Opened,
  of: { id: Id; vaultId: Id; name: string; placeholder: string },
): Secret {
  const { placeholder, ...who } = of;
  switch (auth.type) {
    case 'static_bearer':
      return { ...who, hosts: [hostOf(auth)], header: 'authorization', value: `Bearer ${parts.token}` };
    case 'mcp_oauth':
      return { ...who, hosts: [hostOf(auth)], header: 'authorization', value: `Bearer ${parts.access_token}` };
    case 'environment_variable': {
      const hosts = auth.networking.type === 'limited' ? auth.networking.allowed_hosts : ['*'];
      return { ...who, hosts, header: '', value: parts.secret_value!, placeholder, variable: auth.secret_name };
    }
    case 'header':
      return { ...who, hosts: auth.hosts, header: auth.header.toLowerCase(), value: `${auth.prefix}${parts.value}` };
    case 'basic': {
      const value = `Basic ${basic(auth.username, parts.password!)}`;
      return { ...who, hosts: auth.hosts, header: 'authorization', value };
    }
  }
}

function hostOf(auth: { mcp_server_url: string }): string {
  const url = new URL(auth.mcp_server_url);
  return `${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`;
}

const basic = (name: string, password: string) => Buffer.from(`${name}:${password}`).toString('base64');

/** Pure. Every text that gives the secret away, for redaction: as it is, as part of a URL, and as it goes over the wire. */
export function wordsOf({ auth, parts }: Opened): string[] {
  const plain = Object.values(parts);
  return [
    ...plain,
    ...plain.map(encodeURIComponent),
    ...(auth.type === 'basic' ? [basic(auth.username, parts.password!)] : []),
  ];
}
