// The account of one sandbox: what is open, what it has used, and an audit entry for each request's end.
import type { Id, Millis } from '../../core/types.ts';
import { type EgressPolicy, shown, type Used } from './policy.ts';
import type { AuditEntry, Numbered } from './wire.ts';

export interface Report {
  began(one: Numbered): void;
  ended(one: Numbered): void;
  open(sandbox: Id, count: number): void;
  nextNumber(): number;
}

export interface What {
  method: string;
  host: string;
  port: number;
  path: string | null;
}

/** One request from the verdict that let it through to its end. */
export interface Ticket {
  /** Counts bytes towards the host / from it. False: the cap is reached and it has to end. */
  out(bytes: number): boolean;
  in(bytes: number): boolean;
  /** Whether it waits for something; a tunnel that lies idle does not. */
  active(is: boolean): void;
  /** The first call counts. */
  settle(verdict: 'allowed' | 'failed' | 'denied', why: string, status: number | null): void;
  readonly settled: boolean;
}

export interface Account {
  readonly used: Readonly<Used>;
  begin(what: What, why: string): Ticket;
  deny(what: What, why: string): void;
  attribute(callId: Id | null): void;
  /** What ends from here on ends because the sandbox does. */
  end(): void;
}

/** A program that is refused and tries again in a loop: so many refusals are written down, later ones are counted. */
const DENIALS_AT_ONCE = 50;
const DENIALS_PER_SECOND = 5;
const LONGEST_PATH = 512;

export const capSentence = (policy: EgressPolicy): string => `This sandbox has moved all of its ${policy.bytes} bytes.`;

export function createAccount(deps: {
  sandbox: Id;
  used: Used;
  callId: Id | null;
  policy(): EgressPolicy;
  now(): Millis;
  report: Report;
}): Account {
  const { sandbox, now, report } = deps;
  const used = { ...deps.used };
  let { callId } = deps;
  let waiting = 0;
  let allowance = DENIALS_AT_ONCE;
  let refilledAt = now();
  let unsaid = 0;
  let over = false;

  const change = (by: 1 | -1) => {
    waiting += by;
    report.open(sandbox, waiting);
  };
  const entryOf = (what: What, why: string): AuditEntry => ({
    sandbox,
    callId,
    at: now(),
    method: what.method.slice(0, 32),
    host: what.host,
    port: what.port,
    path: what.path === null ? null : what.path.split('?', 1)[0]!.slice(0, LONGEST_PATH),
    verdict: 'allowed',
    why,
    status: null,
    bytesOut: 0,
    bytesIn: 0,
    tookMs: 0,
  });
  const fits = () => {
    const { bytes } = deps.policy();
    return bytes === null || used.bytes <= bytes;
  };

  return {
    used,
    attribute(id) {
      callId = id;
    },
    end() {
      over = true;
    },
    begin(what, why) {
      const n = report.nextNumber();
      const entry = entryOf(what, why);
      const began = performance.now();
      let active = true;
      let settled = false;
      used.requests += 1;
      change(1);
      report.began({ n, entry });
      const count = (field: 'bytesOut' | 'bytesIn') => (bytes: number) => {
        entry[field] += bytes;
        used.bytes += bytes;
        return fits();
      };
      return {
        out: count('bytesOut'),
        in: count('bytesIn'),
        active(is) {
          if (settled || is === active) return;
          active = is;
          change(is ? 1 : -1);
        },
        settle(verdict, reason, status) {
          if (settled) return;
          settled = true;
          if (active) change(-1);
          const tookMs = Math.round(performance.now() - began);
          const how = over
            ? ({ verdict: 'allowed', why: `${entry.why}; the sandbox ended` } as const)
            : { verdict, why: reason };
          report.ended({ n, entry: { ...entry, ...how, status, tookMs } });
        },
        get settled() {
          return settled;
        },
      };
    },
    deny(what, why) {
      const at = now();
      allowance = Math.min(DENIALS_AT_ONCE, allowance + ((at - refilledAt) / 1_000) * DENIALS_PER_SECOND);
      refilledAt = at;
      if (allowance < 1) {
        unsaid += 1;
        return;
      }
      allowance -= 1;
      const more =
        unsaid > 0 ? ` (${unsaid} more were refused before this one, since the last that is written down)` : '';
      unsaid = 0;
      report.ended({
        n: report.nextNumber(),
        entry: { ...entryOf(what, why + more), verdict: 'denied', status: 403 },
      });
    },
  };
}

export const reached = (host: string, port: number, why: string): string =>
  `${shown(host, port)} could not be reached: ${why}`;
