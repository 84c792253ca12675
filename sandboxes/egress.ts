// The way out of each sandbox: which policy it starts with, what a call adds to it, and the broker that holds it to that.
import type { Id, JsonObject, Session } from '../core/types.ts';
import type { Vault } from '../core/vault.ts';
import type { Secret } from '../core/vault-secret.ts';
import type { EgressPolicy, RouteName, Rule } from './broker/policy.ts';
import { PRESETS } from './broker/policy.ts';
import type { Broker, Injected } from './broker/supervisor.ts';
import type { Mount, SandboxSpec } from './driver.ts';

export interface Egress {
  /** What a sandbox has to be started with so that its only way out is the broker. */
  prepare(
    session: Session,
    sandboxId: Id,
    environment: JsonObject,
  ): Promise<{ env: Record<string, string>; mounts: readonly Mount[]; listen: SandboxSpec['listen'] }>;
  /** Hosts that policy, or the owner, let a call reach; they stay open for the rest of the sandbox's life. */
  grant(sandboxId: Id, hosts: readonly string[]): Promise<void>;
  /** Takes back hosts that were granted: for a phase that is over. */
  withdraw(sandboxId: Id, hosts: readonly string[]): Promise<void>;
  /** The doors to model servers that are open in this sandbox from now on; the key is added behind them. */
  doors(sandboxId: Id, routes: readonly RouteName[]): Promise<void>;
  /** Whose requests these are from now on. */
  attribute(sandboxId: Id, callId: Id | null): void;
  openRequests(sandboxId: Id): number;
  close(sandboxId: Id): Promise<void>;
  stop(): Promise<void>;
}

/** Pure. The networking of an environment (as in the Managed Agents API) as a policy; anything unknown is closed. */
export function policyOf(
  environment: JsonObject,
  granted: readonly string[],
  withKeys: boolean,
  routes: readonly RouteName[] = [],
): EgressPolicy {
  const networking = (environment.networking ?? {}) as {
    type?: string;
    allowed_hosts?: string[];
    allow_package_managers?: boolean;
  };
  const [push, reach] = [granted.filter(isPush), granted.filter((host) => !isPush(host))];
  const allow: Rule[] = [
    ...(networking.type === 'limited' ? (networking.allowed_hosts ?? []).map(ruleOf) : []),
    ...(networking.type === 'limited' && networking.allow_package_managers ? PRESETS.registries : []),
    ...[...reach, ...push.map(withoutPush)].flatMap((host) =>
      host in PRESETS ? PRESETS[host as keyof typeof PRESETS] : [ruleOf(host)],
    ),
  ];
  return {
    allow,
    ...(routes.length > 0 && { routes }),
    unrestricted: networking.type === 'unrestricted',
    credentials: withKeys,
    push: push.map((host) => withoutPush(host).replace(/:\d+$/, '')),
    requests: 50_000,
    bytes: 8 * 1024 * 1024 * 1024,
  };
}

/** `push:github.com`: git may also write there. */
const isPush = (host: string) => host.startsWith('push:');
const withoutPush = (host: string) => host.slice('push:'.length);

function ruleOf(text: string): Rule {
  const [, host = text, port] = /^(.*?)(?::(\d+))?$/.exec(text) ?? [];
  return port === undefined ? { host: host.toLowerCase() } : { host: host.toLowerCase(), ports: [Number(port)] };
}

/** Pure. A credential of the vault as the broker puts it on requests; one with a placeholder only goes where that stands. */
export const injectedOf = ({ id, hosts, header, value, placeholder }: Secret): Injected => ({
  id,
  hosts,
  header: header || 'x-steward-placeholder',
  value,
  ...(placeholder !== undefined && { placeholder }),
});

export function createEgress(
  broker: Broker,
  vault: Pick<Vault, 'secretsFor' | 'onChange'>,
  failed: (error: unknown) => void,
): Egress {
  const hand = () => broker.setCredentials(vault.secretsFor('all').map(injectedOf));
  // A rotation counts from the next request on, in sandboxes that are at work too.
  const deaf = vault.onChange(() => void hand().catch(failed));
  const open = new Map<
    Id,
    { environment: JsonObject; granted: Set<string>; withKeys: boolean; routes: readonly RouteName[] }
  >();
  const policyFor = (sandboxId: Id): EgressPolicy => {
    const way = open.get(sandboxId);
    return policyOf(way?.environment ?? {}, [...(way?.granted ?? [])], way?.withKeys ?? false, way?.routes);
  };
  /** What programs that insist on a secret find in its variable. */
  const placeholders = () =>
    Object.fromEntries(
      vault
        .secretsFor('all')
        // Of two for one variable the first is meant.
        .reverse()
        .flatMap(({ variable, placeholder }) => (variable && placeholder ? [[variable, placeholder]] : [])),
    );
  return {
    async prepare(session, sandboxId, environment) {
      await broker.start();
      await hand();
      // Keys are the owner's: what others ask for is done without them.
      open.set(sandboxId, { environment, granted: new Set(), withKeys: session.trust === 'owner', routes: [] });
      return {
        env: { ...broker.environment(policyFor(sandboxId)), ...(session.trust === 'owner' ? placeholders() : {}) },
        mounts: broker.mounts(),
        listen: (socketPath) => broker.open(sandboxId, socketPath, policyFor(sandboxId)),
      };
    },
    async grant(sandboxId, hosts) {
      const way = open.get(sandboxId);
      const fresh = hosts.filter((host) => !way?.granted.has(host));
      if (!way || fresh.length === 0) return;
      for (const host of fresh) way.granted.add(host);
      await broker.setPolicy(sandboxId, policyFor(sandboxId));
    },
    async withdraw(sandboxId, hosts) {
      const way = open.get(sandboxId);
      const known = hosts.filter((host) => way?.granted.delete(host));
      if (known.length > 0) await broker.setPolicy(sandboxId, policyFor(sandboxId));
    },
    async doors(sandboxId, routes) {
      const way = open.get(sandboxId);
      if (!way) return;
      way.routes = routes;
      await broker.setPolicy(sandboxId, policyFor(sandboxId));
    },
    attribute: (sandboxId, callId) => broker.attribute(sandboxId, callId),
    openRequests: (sandboxId) => broker.openRequests(sandboxId),
    async close(sandboxId) {
      if (!open.delete(sandboxId)) return;
      await broker.close(sandboxId);
    },
    stop() {
      deaf();
      return broker.stop();
    },
  };
}
