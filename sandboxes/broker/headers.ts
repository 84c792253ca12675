// Header lines as Node gives them raw (name, value, name, value …): which go on, which are the connection's own. Pure.

export type RawHeaders = readonly string[];

/** RFC 9110 §7.6.1, and what belongs to the proxy itself. */
const HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What programs prove themselves with: on a host that has a credential, theirs must not stand beside ours. */
const PROOFS = new Set([
  'api-key',
  'authorization',
  'cookie',
  'cookie2',
  'job-token',
  'ocp-apim-subscription-key',
  'private-token',
  'x-access-token',
  'x-amz-security-token',
  'x-api-key',
  'x-api-token',
  'x-auth-token',
  'x-goog-api-key',
]);

export const isProof = (lowerName: string): boolean => PROOFS.has(lowerName);

export function headerOf(raw: RawHeaders, lowerName: string): string | undefined {
  for (let at = 0; at + 1 < raw.length; at += 2) if (raw[at]!.toLowerCase() === lowerName) return raw[at + 1];
  return undefined;
}

/** Keeps the lines for which `keep` says so, in their order; its answer may also be another value. */
export function mapHeaders(raw: RawHeaders, keep: (lowerName: string, value: string) => string | null): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const value = keep(raw[at]!.toLowerCase(), raw[at + 1]!);
    if (value !== null) kept.push(raw[at]!, value);
  }
  return kept;
}

/** Without those of one connection: the listed ones and what the `Connection` header names. */
export function endToEnd(raw: RawHeaders, without: readonly string[] = []): string[] {
  const named = new Set(without);
  for (let at = 0; at + 1 < raw.length; at += 2)
    if (raw[at]!.toLowerCase() === 'connection')
      for (const name of raw[at + 1]!.split(',')) named.add(name.trim().toLowerCase());
  // Nobody may have these taken away by naming them.
  named.delete('content-length');
  named.delete('host');
  return mapHeaders(raw, (name, value) => (HOP.has(name) || named.has(name) ? null : value));
}

/** Bytes on the wire, near enough for an account. */
export const sizeOf = (raw: RawHeaders): number => {
  let size = 0;
  for (const text of raw) size += text.length + 2;
  return size;
};
