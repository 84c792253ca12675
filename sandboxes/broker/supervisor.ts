// The daemon's side of the broker: starts its process, watches it, and after a death gives the next one everything again.
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Log } from '../../core/log.ts';
import type { Id, Millis } from '../../core/types.ts';
import type { Mount } from '../driver.ts';
import { certificatesFor, writeCertificates } from './certificates.ts';
import { checkCredential } from './credentials.ts';
import { CERTIFICATES, environment } from './environment.ts';
import { invalid, unavailable } from './faults.ts';
import { type Life, type Request, startLife } from './life.ts';
import { type Machine, registriesOf, thisMachine } from './machine.ts';
import type { EgressPolicy, Used } from './policy.ts';
import { checkUpstreams } from './routes.ts';
import {
  type AuditEntry,
  type BrokerOptions,
  DEFAULT_OPTIONS,
  type Injected,
  type KeyPair,
  type Upstreams,
} from './wire.ts';

export type { AuditEntry, Injected, Upstreams } from './wire.ts';

export interface BrokerHealth {
  state: 'ok' | 'starting' | 'failing';
  /** One sentence. */
  detail: string;
  pid: number | null;
  restarts: number;
}

/** Every method but the plain reads may throw StewardError: `invalid`, or `unavailable` after `stop`. */
export interface Broker {
  /** Resolves when it is ready; again and again the same. */
  start(): Promise<void>;
  /** From here on the socket is that sandbox's way out. */
  open(sandbox: Id, socketPath: string, policy: EgressPolicy): Promise<void>;
  setPolicy(sandbox: Id, policy: EgressPolicy): Promise<void>;
  /** Replaces all; from the next request on. */
  setCredentials(list: readonly Injected[]): Promise<void>;
  /** What is left out is the machine's own registry, or the public one. */
  setUpstreams(upstreams: Upstreams): Promise<void>;
  /** Whose requests of this sandbox are from now on. */
  attribute(sandbox: Id, callId: Id | null): void;
  openRequests(sandbox: Id): number;
  close(sandbox: Id): Promise<void>;
  environment(policy: EgressPolicy): Record<string, string>;
  mounts(): Mount[];
  health(): BrokerHealth;
  stop(): Promise<void>;
}

export interface BrokerDeps {
  now(): Millis;
  log: Log;
  /** A folder of ours for the certificates that sandboxes are shown. Any uid has to be able to walk into it. */
  caDir: string;
  onAudit(entry: AuditEntry): void;
  /** The program of the process. */
  entry?: string;
  options?: Partial<BrokerOptions>;
  machine?: Machine;
  /** How often the process has to answer; two missed answers in a row and it is replaced. */
  heartbeatMs?: Millis;
}

const FIRST_PAUSE: Millis = 100;
const LONGEST_PAUSE: Millis = 5_000;
/** A life of this length was a good one: the next death is forgiven as the first. */
const GOOD_LIFE: Millis = 30_000;
const HEARTBEAT: Millis = 5_000;
const START_MS: Millis = 15_000;
const STOP_MS: Millis = 2_000;
/** Room for the path of a socket (sun_path), without the byte at its end. */
const LONGEST_PATH = 107;

/** What a sandbox is to have, whichever process gives it to it. */
interface Held {
  socketPath: string;
  policy: EgressPolicy;
  callId: Id | null;
  used: Used;
  open: number;
}

/** The next pause after `deaths` short lives in a row. Pure. */
export const pauseAfter = (deaths: number): Millis =>
  Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(Math.max(deaths - 1, 0), 10));

/** What the process needs of our environment; nothing in it is secret. */
const PASSED = ['PATH', 'TZ', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'];

const openRequest = (sandbox: Id, { socketPath, policy, used, callId }: Held): Request => ({
  type: 'open',
  sandbox,
  socketPath,
  policy,
  used,
  callId,
});

export function createBroker(deps: BrokerDeps): Broker {
  const { now, log, caDir, onAudit } = deps;
  const machine = deps.machine ?? thisMachine();
  const entry = deps.entry ?? fileURLToPath(new URL('./main.ts', import.meta.url));
  const options: BrokerOptions = { ...DEFAULT_OPTIONS, ...deps.options };
  const registries = registriesOf(machine);
  const cache = getCompileCacheDir();
  const env = {
    ...Object.fromEntries(PASSED.flatMap((name) => (machine.env[name] ? [[name, machine.env[name]]] : []))),
    // Ours, where it has one: 30 MB less, and half the time to start.
    ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: dirname(cache) }),
  };
  const sandboxes = new Map<Id, Held>();
  let credentials: readonly Injected[] = [];
  let upstreams: Upstreams = {};
  let authority: KeyPair | null = null;
  /** The process, from its start to its end. */
  let life: Life | null = null;
  let ready = false;
  let startedAt: Millis = 0;
  /** Pings it has not answered. */
  let missed = 0;
  let restarts = 0;
  let deaths = 0;
  let detail = 'nothing has needed it yet';
  let pausing: NodeJS.Timeout | null = null;
  let stopped = false;
  /** Pending while somebody may wait for a life that is ready. */
  let awaited: PromiseWithResolvers<void> | null = null;

  const upstreamsNow = (): Upstreams => ({
    ...(registries.npm === null ? {} : { npm: registries.npm }),
    ...(registries.pip === null ? {} : { pip: registries.pip }),
    ...upstreams,
  });

  const onEnded = (seen: AuditEntry) => {
    const held = sandboxes.get(seen.sandbox);
    if (held && seen.verdict !== 'denied') {
      held.used.requests += 1;
      held.used.bytes += seen.bytesIn + seen.bytesOut;
    }
    onAudit(seen);
  };

  /** Gives a new life everything; then it counts as ready. */
  const equip = async (to: Life): Promise<void> => {
    try {
      writeCertificates(caDir, certificatesFor(authority!.cert, options.upstreamCa, machine));
      await to.ask({ type: 'credentials', list: credentials });
      await to.ask({ type: 'upstreams', upstreams: upstreamsNow() });
      for (const [sandbox, held] of [...sandboxes]) {
        // Closed meanwhile.
        if (sandboxes.get(sandbox) !== held) continue;
        try {
          await to.ask(openRequest(sandbox, held));
        } catch (error) {
          // One whose folder is gone keeps nobody else from the way out.
          log.error({ error, sandbox }, 'the way out of a sandbox could not be opened again');
        }
      }
    } catch (error) {
      detail = (error as Error).message;
      log.error({ error }, 'the egress broker could not be set up');
      return to.kill();
    }
    if (life !== to) return;
    ready = true;
    missed = 0;
    awaited?.resolve();
    awaited = null;
  };

  const onGone = (how: string, lost: AuditEntry[]) => {
    life = null;
    for (const held of sandboxes.values()) held.open = 0;
    for (const open of lost) {
      const tookMs = Math.max(0, now() - open.at);
      onEnded({ ...open, verdict: 'failed', why: 'The egress broker ended in the middle of it.', tookMs });
    }
    deaths = ready && now() - startedAt > GOOD_LIFE ? 1 : deaths + 1;
    ready = false;
    if (stopped) return;
    restarts += 1;
    const pauseMs = pauseAfter(deaths);
    detail = `its process ended (${how}) and is started again`;
    log.warn({ how, pauseMs, restarts }, 'the egress broker ended');
    waiters();
    pausing = setTimeout(launch, pauseMs);
  };

  const waiters = (): PromiseWithResolvers<void> => {
    if (awaited) return awaited;
    awaited = Promise.withResolvers();
    // Who waits hears of a stop; nobody has to wait.
    awaited.promise.catch(() => {});
    return awaited;
  };

  const launch = () => {
    pausing = null;
    startedAt = now();
    const born: Life = startLife(entry, env, {
      ready(pair) {
        authority = pair;
        void equip(born);
      },
      ended: onEnded,
      open(sandbox, count) {
        const held = sandboxes.get(sandbox);
        if (held) held.open = count;
      },
      said: (text) => log.warn({ text }, 'the egress broker says'),
      gone: onGone,
    });
    life = born;
    born.post({ type: 'configure', options, authority });
  };

  const beat = setInterval(() => {
    const current = life;
    if (!current) return;
    if (ready ? missed >= 2 : now() - startedAt > START_MS) {
      log.error({ pid: current.pid }, 'the egress broker does not answer and is ended');
      return current.kill();
    }
    if (!ready) return;
    missed += 1;
    void current.ask({ type: 'ping' }).then((answered) => {
      if (answered && life === current) missed = 0;
    });
  }, deps.heartbeatMs ?? HEARTBEAT);
  beat.unref();

  const start = (): Promise<void> => {
    if (stopped) return Promise.reject(unavailable('Steward is stopping.'));
    if (ready) return Promise.resolve();
    const { promise } = waiters();
    if (!life && !pausing) launch();
    return promise;
  };

  /** Resolves when the broker has taken it over: this life, or the next, which gets everything that is noted by then. */
  const reach = async (message: Request): Promise<void> => {
    await start();
    if (!(await life?.ask(message))) await start();
  };
  const wasStarted = () => life !== null || pausing !== null;

  return {
    start,
    async open(sandbox, socketPath, policy) {
      if (Buffer.byteLength(socketPath) > LONGEST_PATH)
        throw invalid(`${socketPath} is longer than the path of a socket may be.`);
      const held: Held = { socketPath, policy, callId: null, used: { requests: 0, bytes: 0 }, open: 0 };
      await start();
      sandboxes.set(sandbox, held);
      try {
        await reach(openRequest(sandbox, held));
      } catch (error) {
        sandboxes.delete(sandbox);
        throw error;
      }
    },
    async setPolicy(sandbox, policy) {
      const held = sandboxes.get(sandbox);
      if (!held) throw invalid(`No way out is open for the sandbox ${sandbox}.`);
      held.policy = policy;
      await reach({ type: 'policy', sandbox, policy });
    },
    async setCredentials(list) {
      for (const credential of list) checkCredential(credential);
      credentials = list;
      if (wasStarted()) await reach({ type: 'credentials', list });
    },
    async setUpstreams(next) {
      checkUpstreams(next);
      upstreams = next;
      if (wasStarted()) await reach({ type: 'upstreams', upstreams: upstreamsNow() });
    },
    attribute(sandbox, callId) {
      const held = sandboxes.get(sandbox);
      if (!held) return;
      held.callId = callId;
      life?.post({ type: 'attribute', sandbox, callId });
    },
    openRequests: (sandbox) => sandboxes.get(sandbox)?.open ?? 0,
    async close(sandbox) {
      if (sandboxes.delete(sandbox)) await life?.ask({ type: 'close', sandbox });
    },
    environment: (policy) => environment(policy),
    mounts: () => [{ from: caDir, to: CERTIFICATES }],
    health() {
      const pid = life?.pid ?? null;
      const again = restarts > 0 ? `, started again ${restarts} times` : '';
      if (ready) return { state: 'ok', detail: `process ${pid}, ${sandboxes.size} open${again}`, pid, restarts };
      return { state: deaths > 0 ? 'failing' : 'starting', detail, pid, restarts };
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      clearInterval(beat);
      if (pausing) clearTimeout(pausing);
      awaited?.reject(unavailable('Steward is stopping.'));
      awaited = null;
      const current = life;
      if (!current) return;
      current.dismiss();
      const timer = setTimeout(() => current.kill(), STOP_MS);
      await current.ended;
      clearTimeout(timer);
    },
  };
}
