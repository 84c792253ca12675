// Everything that is rows: opens the database and puts the writing modules together.
import { type Agents, createAgents } from './agents.ts';
import { type Approvals, createApprovals } from './approvals.ts';
import { type Blobs, createBlobs } from './blobs.ts';
import { type Boots, createBoots } from './boots.ts';
import { type Calls, createCalls } from './brain/calls.ts';
import { type Bus, createBus } from './bus.ts';
import type { Clock } from './clock.ts';
import { type Cursors, createCursors } from './cursors.ts';
import { type Db, openDb } from './db.ts';
import { createEvents, type Events } from './events.ts';
import { createHooks, type Hooks } from './hooks.ts';
import { createIds } from './ids.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import { createPeople, type People } from './people.ts';
import { createRuns, type Runs } from './runs.ts';
import { createSessions, type Sessions } from './sessions.ts';
import { createUsage, type Usage } from './usage.ts';
import { createVault, type Vault } from './vault.ts';
import { createBox, sharedKey } from './vault-box.ts';
import { keySource } from './vault-key.ts';
import { createWebhooks, type Webhooks } from './webhooks.ts';

export interface RecordOf {
  db: Db;
  bus: Bus;
  newId: ReturnType<typeof createIds>;
  agents: Agents;
  approvals: Approvals;
  blobs: Blobs;
  boots: Boots;
  calls: Calls;
  cursors: Cursors;
  events: Events;
  hooks: Hooks;
  outbox: Outbox;
  people: People;
  runs: Runs;
  sessions: Sessions;
  usage: Usage;
  vault: Vault;
  webhooks: Webhooks;
  /** Secrets of webhooks known in this life, for redaction. */
  hookSecrets(): readonly string[];
}

export function openRecord(
  home: string,
  deps: {
    clock: Clock;
    timeZone: string;
    safeModeAfter: number;
    /** STEWARD_VAULT_KEY; without it the key is in a file of its own. */
    vaultKey?: string | null;
    split(channel: string, markdown: string): string[];
    wakeDelivery(): void;
  },
): RecordOf {
  const now = deps.clock.now;
  const db = openDb(home, { now });
  const newId = createIds(now);
  const bus = createBus();
  const blobs = createBlobs(db, now);
  const sessions = createSessions(db, { now, newId });
  const outbox = createOutbox(db, { now, newId, split: deps.split, wake: deps.wakeDelivery });
  const key = sharedKey(keySource(home, deps.vaultKey ?? null));
  const box = createBox(key);
  const boots = createBoots(db, { now, newId, safeModeAfter: deps.safeModeAfter });
  return {
    db,
    bus,
    newId,
    blobs,
    boots,
    sessions,
    agents: createAgents(db, { now, newId }),
    approvals: createApprovals(db, now),
    calls: createCalls(db, now),
    cursors: createCursors(db),
    events: createEvents(db, { blobs, bus, now, newId, takeSeq: sessions.takeSeq }),
    hooks: createHooks(db, { box, now, newId }),
    hookSecrets: box.words,
    outbox,
    people: createPeople(db, now),
    runs: createRuns(db, { now, newId, bootId: boots.id, nextGeneration: sessions.nextGeneration }),
    usage: createUsage(db, { now, timeZone: deps.timeZone }),
    vault: createVault(db, { key, now, newId }),
    webhooks: createWebhooks(db, { box, outbox, now, newId }),
  };
}
