// What the log says about a session that policy and delivery need: taint, named hosts, where the question came from.

import type { Agent } from '../agents.ts';
import { CONFIGURED_MODEL } from '../agents.ts';
import type { Facts } from '../policy.ts';
import type { Mandate } from '../schedules.ts';
import type { Address, Id, JsonObject, LogEvent, Session } from '../types.ts';
import { answeredBy, byProgram, textOf } from './context.ts';
import { mandateOf } from './mandate.ts';

/** Labels are bounded as in DNS: without that, one long word (a pasted file) would take quadratic time. */
const HOST =
  /(?:[a-z0-9][a-z0-9-]{0,62}\.){1,10}[a-z0-9-]{2,63}|(?:\d{1,3}\.){3}\d{1,3}|localhost|\[[0-9a-f:]{2,45}\]/gi;

/** Host names that stand in a text, lower case. */
export function hostsIn(text: string): string[] {
  return [...text.matchAll(HOST)].map(([host]) => host.toLowerCase());
}

export function hostOf(url: unknown): string | null {
  try {
    return new URL(String(url)).hostname.toLowerCase();
  } catch {
    return null;
  }
}

/** Outside text, or a summary of it, stands in the context. */
export const isTainted = (slice: readonly LogEvent[], compaction: LogEvent | null): boolean =>
  (compaction?.tainted ?? false) || slice.some((event) => event.tainted);

const key = (address: Address) => `${address.channel}:${address.chat}:${address.thread ?? ''}`;

/** The places whose questions this turn answers: of the inputs since the last rest, else of the last one before. */
export function replyTo(slice: readonly LogEvent[]): Address[] {
  const rest = slice.findLastIndex(
    (event) =>
      event.type === 'session.status_idle' && (event.payload.stop_reason as JsonObject).type !== 'requires_action',
  );
  const placesOf = (event: LogEvent): Address[] => {
    // What was forgotten while it waits for its answer has lost where it came from; the redaction knows.
    if (event.type === 'session.redacted') return (event.payload.reply_to as unknown as Address[] | undefined) ?? [];
    return event.type === 'user.message' && event.origin !== null ? [event.origin.address] : [];
  };
  const recent = slice.slice(rest + 1).flatMap(placesOf);
  const last = slice.findLast((event) => placesOf(event).length > 0);
  const addresses = recent.length > 0 ? recent : last ? placesOf(last) : [];
  return [...new Map(addresses.map((address) => [key(address), address])).values()];
}

function toolPermission(agent: Agent, tool: string): Facts['configured'] {
  const toolset = agent.spec.tools.find((entry) => entry.type === 'agent_toolset_20260401');
  const configs = (toolset?.configs as { name: string; permission_policy?: { type: string } }[] | undefined) ?? [];
  const own = configs.find((config) => config.name === tool)?.permission_policy?.type;
  const fallback = (toolset?.default_config as { permission_policy?: { type: string } } | undefined)?.permission_policy
    ?.type;
  const policy = own ?? fallback;
  return policy === 'always_ask' || policy === 'always_allow' ? policy : null;
}

const grantedBy = (mandate: Mandate | null, tool: string): Facts['granted'] =>
  mandate && {
    hosts: new Set(mandate.grants.hosts.map((host) => host.toLowerCase())),
    recipients: mandate.grants.recipients,
    tool: mandate.grants.tools.includes(tool),
    unattended: mandate.unattended,
    name: mandate.name,
  };

export function factsOf(input: {
  session: Session;
  agent: Agent;
  slice: readonly LogEvent[];
  compaction: LogEvent | null;
  tool: string;
}): Facts {
  const { slice } = input;
  const failed = new Set(
    slice
      .filter((event) => event.payload.is_error === true)
      .map(answeredBy)
      .filter((id): id is Id => id !== null),
  );
  const answered = new Set(slice.map(answeredBy));
  // What a program says it called opens no door for calls of ours.
  const carriedOut = (event: LogEvent) => !byProgram(event) && answered.has(event.id) && !failed.has(event.id);
  const fetched = slice
    .filter((event) => event.type === 'agent.tool_use' && event.payload.name === 'web_fetch')
    .filter(carriedOut)
    .map((event) => hostOf((event.payload.input as JsonObject).url))
    .filter((host) => host !== null);
  const reached = slice
    .filter((event) => event.type === 'agent.tool_use' && event.payload.name === 'bash' && carriedOut(event))
    .flatMap((event) => (event.payload.input as JsonObject).hosts ?? [])
    .map(String);
  const owner = slice.filter(
    (event) => event.type === 'user.message' && !event.tainted && event.origin?.role === 'owner',
  );
  return {
    trust: input.session.trust,
    tainted: isTainted(slice, input.compaction),
    replyTo: replyTo(slice),
    namedHosts: new Set(owner.flatMap((event) => hostsIn(textOf(event)))),
    knownHosts: new Set([...fetched, ...reached]),
    said: owner.map((event) => ({ id: event.id, text: textOf(event) })),
    configured: toolPermission(input.agent, input.tool),
    granted: grantedBy(mandateOf(slice), input.tool),
  };
}

/** The models to try, in order: the one a schedule names or the agent's own first, then the configured failover list. */
export function modelsFor<M extends { name: string }>(
  agent: Agent,
  configured: readonly M[],
  named: (name: string) => M,
  wanted: string | null = null,
): M[] {
  const own = wanted ?? agent.spec.model.id;
  if (own === CONFIGURED_MODEL || configured.some((model) => model.name === 'offline')) return [...configured];
  return [named(own), ...configured.filter((model) => model.name !== own)];
}
