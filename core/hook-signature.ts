// Who sent a webhook: what each scheme signs, and the check of it in constant time before anybody reads the body. Pure.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { HookScheme } from './hooks.ts';
import type { Millis } from './types.ts';

/** How far the time of a signature may be from ours, either way; beyond it a captured request is worth nothing. */
export const SIGNATURE_WINDOW_MS: Millis = 5 * 60_000;
/** More than a sender in the middle of a rotation needs. */
const SIGNATURES = 4;

export interface Presented {
  /** `Steward-Signature: t=<unix seconds>,v1=<hex>`. */
  steward: string | undefined;
  /** `X-Hub-Signature-256: sha256=<hex>`. */
  github: string | undefined;
}

export type SignatureVerdict = { kind: 'right'; proof: string } | { kind: 'wrong' };

const hmac = (secret: string, ...parts: (string | Uint8Array)[]): Buffer => {
  const mac = createHmac('sha256', secret);
  for (const part of parts) mac.update(part);
  return mac.digest();
};

/** The value of `Steward-Signature` for this body now. The key is the whole secret as it was shown, prefix and all. */
export function stewardSignature(secret: string, body: string | Uint8Array, now: Millis): string {
  const t = String(Math.floor(now / 1_000));
  return `t=${t},v1=${hmac(secret, `${t}.`, body).toString('hex')}`;
}

export const githubSignature = (secret: string, body: string | Uint8Array): string =>
  `sha256=${hmac(secret, body).toString('hex')}`;

/**
 * One HMAC over the whole body whatever was presented, also for a name that is not there (with a secret nobody has):
 * the time it takes says nothing about which names exist.
 */
export function judgeSignature(
  scheme: HookScheme,
  secret: string,
  presented: Presented,
  body: Uint8Array,
  now: Millis,
): SignatureVerdict {
  const given = scheme === 'steward' ? readSteward(presented.steward) : readGithub(presented.github);
  const expected = scheme === 'steward' ? hmac(secret, `${given.t}.`, body) : hmac(secret, body);
  let right = false;
  for (const signature of given.signatures) if (timingSafeEqual(signature, expected)) right = true;
  if (scheme === 'steward' && Math.abs(now - Number(given.t) * 1_000) > SIGNATURE_WINDOW_MS) right = false;
  return right ? { kind: 'right', proof: createHash('sha256').update(expected).digest('hex') } : { kind: 'wrong' };
}

interface Given {
  t: string;
  signatures: Buffer[];
}

function readSteward(header: string | undefined): Given {
  const parts = (header ?? '').split(',').map((part) => part.trim());
  const t = parts.map((part) => /^t=(\d{1,12})$/.exec(part)?.[1]).find((found) => found !== undefined) ?? '0';
  return { t, signatures: parts.flatMap((part) => bytesOf(/^v1=(.*)$/.exec(part)?.[1])).slice(0, SIGNATURES) };
}

const readGithub = (header: string | undefined): Given => ({
  t: '0',
  signatures: bytesOf(/^sha256=(.*)$/.exec(header ?? '')?.[1]),
});

const bytesOf = (hex: string | undefined): Buffer[] =>
  hex !== undefined && /^[0-9a-f]{64}$/i.test(hex) ? [Buffer.from(hex, 'hex')] : [];
