// The room of hands: picks the driver, and puts broker, ledger, tools and views together.
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import type { Config } from '../core/config.ts';
import type { BrainHooks, HandsApi, HandsReport } from '../core/hands.ts';
import type { Log } from '../core/log.ts';
import type { RecordOf } from '../core/record.ts';
import type { Tool } from '../core/tools/tool.ts';
import type { Id, Millis } from '../core/types.ts';
import { createHandsApi, reportView } from './api.ts';
import { createAudit } from './audit.ts';
import { createBroker } from './broker/supervisor.ts';
import type { SandboxDriver } from './driver.ts';

import { createEgress } from './egress.ts';
import { createExposer } from './expose.ts';
import { createHands } from './hands.ts';
import { createLedger } from './ledger.ts';
import { openRoot } from './root.ts';
import { createSingle } from './single.ts';
import { createSnapshots } from './snapshots.ts';
import { createHandsTools } from './tools/index.ts';

export interface Sandboxes {
  tools: Tool[];
  hooks: BrainHooks;
  api: HandsApi;
  report(): HandsReport;
  /** Tries a sandbox and clears away leftovers, beside everything else. Never throws. */
  start(): Promise<void>;
  forget(sessionId: Id): Promise<void>;
  stop(): Promise<void>;
}

export async function createSandboxes(
  deps: RecordOf & { config: Config; clock: Clock; log: Log; redact(text: string): string },
): Promise<Sandboxes> {
  const { config, clock, log, newId } = deps;
  const { now } = clock;
  const root = openRoot(config.home, process.getuid?.() ?? 1);
  const store = (name: string) => createSnapshots({ root, driver: name, now, newId: () => newId('ckpt') });
  // The list of drivers; only the one that is chosen is loaded.
  const drivers: Record<Config['sandbox'], () => Promise<SandboxDriver>> = {
    bwrap: async () => (await import('./drivers/bwrap.ts')).createBwrap({ root, now, log, snapshots: store('bwrap') }),
    docker: async () =>
      (await import('./drivers/docker.ts')).createDocker({
        root,
        now,
        log,
        home: config.home,
        image: config.sandboxImage,
        ...(config.sandboxRuntime && { runtime: config.sandboxRuntime }),
      }),
    none: async () => (await import('./drivers/none.ts')).createNone({ root, now, snapshots: store('none') }),
  };
  const driver = await drivers[config.sandbox]();
  const ledger = createLedger(deps.db, now);
  const audit = createAudit(deps.db);
  const exposer = createExposer();
  let probedAt: Millis | null = null;

  const broker = createBroker({
    now,
    log,
    caDir: join(root, 'broker'),
    options: { reach: config.fetchAllow },
    onAudit(entry) {
      const row = ledger.get(entry.sandbox);
      if (!row) return;
      const { sandbox: sandboxId, ...rest } = entry;
      const seen = { ...rest, sandboxId, sessionId: row.sessionId };
      try {
        audit.record([seen]);
      } catch (error) {
        log.error({ error }, 'a request of a sandbox could not be recorded');
      }
      hands.observe(seen);
    },
  });
  const egress = createEgress(broker, deps.vault, (error) => log.error({ error }, 'the broker did not take the keys'));
  const hands = createHands({ ...deps, ledger, audit, driver, egress });
  const single = createSingle({ ...deps, driver, egress, ledger, probe: hands.ready });

  const report = (): HandsReport =>
    reportView({
      driver: driver.name,
      probe: hands.report(),
      probedAt,
      broker: broker.health(),
      alive: hands.alive().length,
    });
  return {
    tools: createHandsTools(hands),
    hooks: hands.hooks,
    report,
    api: createHandsApi({ hands, ledger, audit, exposer, report, single }),
    async start() {
      await hands.start();
      probedAt = now();
    },
    forget: (sessionId) => hands.forget(sessionId),
    async stop() {
      await exposer.stop();
      await hands.stop();
    },
  };
}
