// The broker's process: one gateway for each sandbox, told what to do by the daemon and ended with it.
// Secrets reach it over the IPC channel, never by argument or environment.
import { lookup } from 'node:dns';
import { flushCompileCache } from 'node:module';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { Id } from '../../core/types.ts';
import type { Report } from './account.ts';
import { createAuthority } from './authority.ts';
import { type Gateway, openGateway, type Shared } from './gateway.ts';
import { createRoutes } from './routes.ts';
import { resolverWith } from './way.ts';
import type { BrokerOptions, FromBroker, KeyPair, Numbered, ToBroker } from './wire.ts';

const tell = (message: FromBroker) => {
  if (process.connected) process.send!(message, undefined, undefined, () => {});
};

/** Most requests are over by then, and are told once. */
const TELL_MS = 20;

/** Collects what happens into few messages: an end is told in the same turn of the event loop, a beginning a little later. */
function createReport(): Report {
  let began: Numbered[] = [];
  let ended: Numbered[] = [];
  let open: Record<Id, number> = {};
  let last = 0;
  let urgent = false;
  let timer: NodeJS.Timeout | null = null;
  const flush = () => {
    if (timer) clearTimeout(timer);
    timer = null;
    urgent = false;
    const over = new Set(ended.map(({ n }) => n));
    tell({ type: 'report', began: began.filter(({ n }) => !over.has(n)), ended, open });
    began = [];
    ended = [];
    open = {};
  };
  const soon = () => {
    timer ??= setTimeout(flush, TELL_MS);
  };
  return {
    began(one) {
      began.push(one);
      soon();
    },
    ended(one) {
      ended.push(one);
      if (urgent) return;
      urgent = true;
      setImmediate(flush);
    },
    open(sandbox, count) {
      open[sandbox] = count;
      soon();
    },
    nextNumber: () => ++last,
  };
}

/** The usual authorities, the machine's own, and those the owner named. */
function trust(extra: string | null): void {
  const named = extra?.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  setDefaultCACertificates([...new Set([...getCACertificates('default'), ...getCACertificates('system'), ...named])]);
}

function configure(options: BrokerOptions, pair: KeyPair | null): Shared {
  trust(options.upstreamCa);
  const now = () => Date.now();
  return {
    options,
    now,
    authority: createAuthority(pair, now),
    credentials: [],
    routes: createRoutes({}),
    resolve: resolverWith(options.names, lookup),
    report: createReport(),
  };
}

async function act(
  message: Exclude<ToBroker, { type: 'configure' | 'attribute' }>,
  shared: Shared,
  gateways: Map<Id, Gateway>,
): Promise<void> {
  switch (message.type) {
    case 'open': {
      await gateways.get(message.sandbox)?.close();
      gateways.set(message.sandbox, await openGateway(shared, message));
      return;
    }
    case 'policy':
      return gateways.get(message.sandbox)?.setPolicy(message.policy);
    case 'credentials':
      shared.credentials = message.list;
      return;
    case 'upstreams':
      shared.routes = createRoutes(message.upstreams);
      for (const gateway of gateways.values()) gateway.refresh();
      return;
    case 'close': {
      const gateway = gateways.get(message.sandbox);
      gateways.delete(message.sandbox);
      return gateway?.close();
    }
    case 'ping':
      return;
  }
}

function main(): void {
  process.title = 'steward broker';
  // A terminal's Ctrl-C reaches us too; it is the daemon that decides when we end, by closing the channel.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  process.on('disconnect', () => process.exit(0));
  const gateways = new Map<Id, Gateway>();
  let shared: Shared | null = null;
  process.on('message', (message: ToBroker) => {
    if (message.type === 'configure') {
      shared = configure(message.options, message.authority);
      tell({ type: 'ready', authority: shared.authority.pair });
      // Now, because the end may be a kill.
      setImmediate(flushCompileCache);
      return;
    }
    if (!shared) return;
    if (message.type === 'attribute') return gateways.get(message.sandbox)?.attribute(message.callId);
    const { n } = message;
    act(message, shared, gateways).then(
      () => tell({ type: 'done', n, error: null }),
      (error: Error) => tell({ type: 'done', n, error: error.message }),
    );
  });
}

main();
