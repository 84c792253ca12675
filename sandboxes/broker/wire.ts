// What daemon and broker say to each other over the IPC channel of the child process. Secrets travel here and nowhere else.
import type { Id, Millis } from '../../core/types.ts';
import type { EgressPolicy, Used } from './policy.ts';

/** A credential, ready to be put on requests. */
export interface Injected {
  id: Id;
  /**
   * As in a rule; `host:port` limits it to one port. `*`, only with a placeholder, is every host the sandbox may reach.
   * It is only ever sent over TLS.
   */
  hosts: readonly string[];
  header: string;
  /** The whole value of the header ("Bearer …", "Basic …"). */
  value: string;
  /** When set, the secret only goes where the program put this text: in its own header, or, without its scheme, in another. */
  placeholder?: string;
  /** Prefixes, as in a rule. */
  paths?: readonly string[];
}

/** What stands behind the reverse routes. A URL the owner named may lead to a private address. */
export interface Upstreams {
  anthropic?: { baseURL: string; headers: Record<string, string> };
  /** The folder that holds `responses`: with its `/v1`. */
  openai?: { baseURL: string; headers: Record<string, string> };
  npm?: string;
  /** The simple index. */
  pip?: string;
}

export interface Timeouts {
  /** From connecting, or from the first byte of a request, to the end of its headers. */
  headersMs: Millis;
  /** No byte either way on something open. */
  idleMs: Millis;
  /** After the last byte from outside a tunnel counts as waiting for nothing. */
  quietMs: Millis;
}

export interface BrokerOptions {
  /** `host`, `host:port` that may lead to private addresses: the owner's configuration. */
  reach: readonly string[];
  /** PEM of certificate authorities that upstream servers may have, beside the usual ones. */
  upstreamCa: string | null;
  /** Answers for names instead of the resolver's: of several lists each question takes the next. */
  names: Record<string, readonly (readonly string[])[]>;
  timeouts: Timeouts;
  /** Open at a time, for one sandbox. */
  connections: number;
}

export const DEFAULT_OPTIONS: BrokerOptions = {
  reach: [],
  upstreamCa: null,
  names: {},
  timeouts: { headersMs: 15_000, idleMs: 10 * 60_000, quietMs: 10_000 },
  connections: 256,
};

/** Certificate and private key, PEM. */
export interface KeyPair {
  cert: string;
  key: string;
}

export interface AuditEntry {
  sandbox: Id;
  callId: Id | null;
  at: Millis;
  /** CONNECT for a tunnel that nobody looked into. */
  method: string;
  host: string;
  port: number;
  /** Without its query; null for a tunnel. */
  path: string | null;
  verdict: 'allowed' | 'denied' | 'failed';
  why: string;
  status: number | null;
  bytesOut: number;
  bytesIn: number;
  tookMs: Millis;
}

export type ToBroker =
  /** First. Without an authority a new one is made. */
  | { type: 'configure'; options: BrokerOptions; authority: KeyPair | null }
  | { type: 'open'; n: number; sandbox: Id; socketPath: string; policy: EgressPolicy; used: Used; callId: Id | null }
  | { type: 'policy'; n: number; sandbox: Id; policy: EgressPolicy }
  | { type: 'credentials'; n: number; list: readonly Injected[] }
  | { type: 'upstreams'; n: number; upstreams: Upstreams }
  | { type: 'attribute'; sandbox: Id; callId: Id | null }
  | { type: 'close'; n: number; sandbox: Id }
  | { type: 'ping'; n: number };

/** A request by its number, while it is open and when it has ended. */
export interface Numbered {
  n: number;
  entry: AuditEntry;
}

export type FromBroker =
  | { type: 'ready'; authority: KeyPair }
  | { type: 'done'; n: number; error: string | null }
  /** `open`: how many requests wait for their end now, of the sandboxes where that changed. */
  | { type: 'report'; began: Numbered[]; ended: Numbered[]; open: Record<Id, number> };
