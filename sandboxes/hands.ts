// The hands of the sessions: a sandbox is made by the first call that needs one, saved at turn ends, put away when idle, replaced when lost.
import type { Agents } from '../core/agents.ts';
import type { Clock } from '../core/clock.ts';
import type { Db } from '../core/db.ts';
import { describeError, StewardError } from '../core/errors.ts';
import type { Events } from '../core/events.ts';
import type { BrainHooks } from '../core/hands.ts';
import type { Log } from '../core/log.ts';
import type { Sessions } from '../core/sessions.ts';
import { type ToolContext, textResult } from '../core/tools/tool.ts';
import type { Id, JsonObject, Millis, Session, ToolResult } from '../core/types.ts';
import { type Audit, type EgressEntry, summarize } from './audit.ts';
import type { RouteName } from './broker/policy.ts';
import { createCheckpoints, type Saveable } from './checkpoints.ts';
import { DEFAULT_LIMITS, type Mount, type ProbeReport, type Sandbox, type SandboxDriver } from './driver.ts';
import type { Egress } from './egress.ts';
import { type Checkpoint, type Ledger, SINGLE_REASON } from './ledger.ts';
import { lossNote } from './loss.ts';
import { CHANGES_FILES, HANDS_TOOLS, type Hand, type HandsForTools } from './tools/index.ts';
import { openShell, type Shell } from './tools/shell.ts';

/** A sandbox nobody used for this long is saved and put away; one that still serves a port, later. */
const IDLE_MS: Millis = 10 * 60_000;
const IDLE_SERVING_MS: Millis = 60 * 60_000;
const SWEEP_MS: Millis = 30_000;

/** What the sandbox of a session gets beside the usual. */
export interface Extras {
  mounts: readonly Mount[];
  env: Record<string, string>;
}

export interface HandsDeps {
  db: Db;
  events: Events;
  sessions: Sessions;
  agents: Agents;
  ledger: Ledger;
  audit: Audit;
  driver: SandboxDriver;
  egress: Egress;
  clock: Clock;
  log: Log;
  newId(prefix: 'sbx' | 'ckpt'): Id;
  /** A host may send back what the broker added: it must not get into the log by way of a result. */
  redact(text: string): string;
  /** Asked whenever a sandbox is made. Rejecting, it is not made. */
  extras?(session: Session): Promise<Extras>;
}

/** A session's sandbox in the hands of a program that works in it for long. */
export interface Lent {
  sandbox: Sandbox;
  /** What to know of the sandbox before this one, said once. */
  note: string | null;
  /** The files hold what was done up to this position of the log; null: everything. */
  upTo: number | null;
  /** That call may have changed files: they are saved beside whatever goes on. */
  changed(callId: Id): void;
}

/** A session's sandbox while it lives. */
interface Held extends Saveable {
  shell: Shell | null;
  /** Said with the result of the next call. */
  note: string | null;
  /** Calls whose changes were lost with the sandbox before; until the note is said. */
  undone: readonly { id: Id; name: string }[];
  usedAt: Millis;
  entries: EgressEntry[];
  /** Programs it is lent to: it is neither idle nor to be restored, and yet it is saved. */
  lent: number;
  /** Until its first use: the position its files stand for. */
  upTo: number | null;
}

export interface Hands extends HandsForTools {
  /**
   * As `use`, for Steward's own work beside the calls of the agent. `by`: on whose behalf, in the audit and in checkpoints.
   * Throws what the work throws, `unavailable` without hands, and `sandbox_lost` when the sandbox went meanwhile. What an agent
   * has to know of a loss is kept for its next call.
   */
  work<T>(
    session: Session,
    wants: { by: Id; hosts?: readonly string[]; reads?: boolean },
    work: (hand: Hand) => Promise<T>,
  ): Promise<T>;
  /** Calls whose changes are in no checkpoint and in no sandbox any more, and that nobody was told of yet. */
  undone(sessionId: Id): readonly { id: Id; name: string }[];
  /** Resolves when what was changed is saved, or could not be. */
  save(sessionId: Id): Promise<void>;
  /**
   * Lends the session's sandbox, with these doors open. Unlike a call it may take hours, and what it changes is saved whenever
   * it says so. Throws what the work throws, `unavailable` without hands, and `sandbox_lost` when the sandbox went meanwhile.
   */
  lend<T>(
    session: Session,
    wants: { by: Id; doors: readonly RouteName[] },
    work: (lent: Lent) => Promise<T>,
  ): Promise<T>;
  hooks: BrainHooks;
  /** Looks around in a real sandbox and removes what earlier lives left behind. Never throws. */
  start(): Promise<void>;
  probe(): Promise<ProbeReport>;
  /** What the last probe said when hands were on, else a new one. */
  ready(): Promise<ProbeReport>;
  /** Removes what no sandbox at work needs; how many leftovers there were. */
  clear(): Promise<number>;
  report(): ProbeReport | null;
  alive(): { sessionId: Id; sandbox: Sandbox }[];
  find(sandboxId: Id): { sessionId: Id; sandbox: Sandbox } | null;
  /** What the broker saw. */
  observe(entry: EgressEntry): void;
  /** Saves, then ends the session's sandbox. One whose files cannot be saved stays, unless it is forced. */
  putAway(sessionId: Id, reason: string, options?: { force: boolean }): Promise<void>;
  /** Ends the session's sandbox as it is: what was not saved is gone, and its next call is told so. */
  discard(sessionId: Id, reason: string): void;
  /** The session's next call works on the files of that checkpoint. */
  restore(sessionId: Id, checkpointId: Id): Promise<Checkpoint>;
  forget(sessionId: Id): Promise<void>;
  stop(): Promise<void>;
}

export function createHands(deps: HandsDeps): Hands {
  const { events, ledger, driver, egress, clock, log } = deps;
  const { now } = clock;
  const held = new Map<Id, Held>();
  const making = new Map<Id, Promise<Held>>();
  let report: ProbeReport | null = null;
  let probing: Promise<ProbeReport> | null = null;
  let clearing: Promise<number> | null = null;
  let stopping = false;

  /** The log of a session tells what its hands did; a record that cannot take it now does not end them. */
  const tell = (sessionId: Id, type: string, payload: JsonObject, write: () => void = () => {}) => {
    try {
      deps.db.tx(() => {
        write();
        events.append(sessionId, [{ type, payload }]);
      });
    } catch (error) {
      log.error({ error, session: sessionId, event: type }, 'what happened to a sandbox could not be recorded');
    }
  };

  const checkpoints = createCheckpoints({ ...deps, tell, alive: (holder) => held.get(holder.session.id) === holder });

  const probe = (): Promise<ProbeReport> => {
    // The sandbox a probe makes is in no ledger: it would be taken for a leftover.
    probing ??= Promise.resolve(clearing)
      .catch(() => {})
      .then(() => driver.probe())
      .then((seen) => {
        report = seen;
        return seen;
      })
      .finally(() => {
        probing = null;
      });
    return probing;
  };

  const clear = async (): Promise<number> => {
    await probing;
    // Made, at work, or being ended: each has an open row until nothing of it is left.
    const { removed } = await driver.gc(new Set(ledger.alive().map(({ id }) => id)));
    return removed.length;
  };

  const requireOn = async (): Promise<void> => {
    // Hands that are off may be mended without a restart: look again.
    const seen = report?.ok ? report : await probe();
    if (seen.ok) return;
    const error = seen.findings.find(({ level }) => level === 'error');
    throw new StewardError('unavailable', `There are no hands here: ${error?.text ?? seen.detail}`, {
      op: 'start a sandbox',
      hint: error?.fix ?? 'steward doctor says what is missing.',
    });
  };

  /** Calls that were begun after the checkpoint and may have changed files. */
  const undoneSince = (sessionId: Id, checkpoint: Checkpoint | null) => {
    const after = checkpoint ? { after: checkpoint.position } : {};
    const later = events.list({ sessionId, types: ['agent.tool_use', 'span.tool_start'], limit: 1_000, ...after });
    const begun = new Set(later.map(({ payload }) => payload.tool_use_id));
    return later
      .filter(({ id, payload }) => begun.has(id) && CHANGES_FILES.has(String(payload.name)))
      .map(({ id, payload }) => ({ id, name: String(payload.name) }));
  };

  const lost = (holder: Held, reason: string) => {
    const { sandbox, session } = holder;
    if (held.get(session.id) !== holder) return;
    held.delete(session.id);
    holder.shell?.close();
    void egress.close(sandbox.id);
    tell(session.id, 'sandbox.lost', { sandbox_id: sandbox.id, reason }, () => ledger.end(sandbox.id, 'lost', reason));
    void sandbox.kill(reason).catch((error) => log.error({ error }, 'a lost sandbox could not be cleared away'));
  };

  const make = async (session: Session, callId: Id | null): Promise<Held> => {
    await requireOn();
    // Those made for one command were nobody's hands.
    const last = ledger.list({ sessionId: session.id, limit: 100 }).find(({ reason }) => reason !== SINGLE_REASON);
    const checkpoint = ledger.latest(session.id);
    // The call for which it is made has begun already: it is not one of those that are gone.
    const undone = last ? undoneSince(session.id, checkpoint).filter(({ id }) => id !== callId) : [];
    const id = deps.newId('sbx');
    const environment = deps.agents.needEnvironment(session.environmentId);
    const began = performance.now();
    const extras = (await deps.extras?.(session)) ?? { mounts: [], env: {} };
    const way = await egress.prepare(session, id, environment.spec.config);
    ledger.begin({ id, sessionId: session.id, driver: driver.name, restoredFrom: checkpoint?.id ?? null });
    let sandbox: Sandbox;
    try {
      sandbox = await driver.create({
        id,
        labels: { session: session.id },
        workspace: checkpoint ? { type: 'snapshot', ref: checkpoint.snapshot } : { type: 'empty' },
        env: { ...way.env, ...extras.env },
        mounts: [...way.mounts, ...extras.mounts],
        limits: DEFAULT_LIMITS,
        profile: 'strict',
        listen: way.listen,
      });
    } catch (error) {
      ledger.end(id, 'ended', `It could not be started: ${describeError(error)}`);
      await egress.close(id);
      throw error;
    }
    const holder: Held = {
      sandbox,
      session,
      shell: null,
      unsaved: [],
      checkpoint,
      note: lossNote({ last: last ?? null, checkpoint, undone }),
      undone,
      usedAt: now(),
      working: 0,
      saving: null,
      entries: [],
      lent: 0,
      upTo: last ? (checkpoint?.position ?? 0) : null,
    };
    held.set(session.id, holder);
    void sandbox.ended.then((reason) => lost(holder, reason));
    tell(session.id, 'sandbox.started', {
      sandbox_id: id,
      driver: driver.name,
      restored_from: checkpoint?.id ?? null,
      took_ms: Math.round(performance.now() - began),
    });
    return holder;
  };

  const hold = (session: Session, callId: Id | null): Promise<Held> => {
    const existing = held.get(session.id);
    if (existing) return Promise.resolve(existing);
    let pending = making.get(session.id);
    if (!pending) {
      pending = make(session, callId).finally(() => making.delete(session.id));
      making.set(session.id, pending);
    }
    return pending;
  };

  const end = async (holder: Held, reason: string): Promise<void> => {
    const { sandbox, session } = holder;
    await holder.saving;
    if (held.get(session.id) !== holder) return;
    held.delete(session.id);
    holder.shell?.close();
    await sandbox.kill(reason);
    await egress.close(sandbox.id);
    tell(session.id, 'sandbox.ended', { sandbox_id: sandbox.id, reason }, () =>
      ledger.end(sandbox.id, 'ended', reason),
    );
  };

  const putAway = async (sessionId: Id, reason: string, { force } = { force: stopping }): Promise<void> => {
    const holder = held.get(sessionId);
    if (!holder) return;
    checkpoints.begin(holder);
    await holder.saving;
    if (holder.unsaved.length > 0 && !force) return;
    await end(holder, reason);
  };

  const sweep = async (): Promise<void> => {
    for (const [sessionId, holder] of held) {
      const quiet = now() - holder.usedAt;
      if (holder.working > 0 || holder.lent > 0 || quiet < IDLE_MS) continue;
      const serving = (await holder.sandbox.processes().catch(() => [])).some(({ ports }) => ports.length > 0);
      if (serving && quiet < IDLE_SERVING_MS) continue;
      const minutes = Math.round(quiet / 60_000);
      await putAway(sessionId, `nobody used it for ${minutes} minutes`).catch((error) =>
        log.error({ error, session: sessionId }, 'an idle sandbox could not be put away'),
      );
    }
  };
  const timer = setInterval(() => void sweep(), SWEEP_MS);
  timer.unref();

  const handOf = (holder: Held): Hand => ({
    sandbox: holder.sandbox,
    shell() {
      if (!holder.shell?.alive()) holder.shell = openShell(holder.sandbox);
      return holder.shell;
    },
    closeShell() {
      holder.shell?.close();
      holder.shell = null;
    },
  });

  const noted = (note: string | null, result: ToolResult): ToolResult => {
    const content = result.content.map((block) =>
      block.type === 'text' ? { ...block, text: deps.redact(block.text) } : block,
    );
    return { ...result, content: note === null ? content : [{ type: 'text', text: `[${note}]` }, ...content] };
  };

  const gone = (holder: Held): boolean => held.get(holder.session.id) !== holder;
  const loss = () => new StewardError('sandbox_lost', 'The sandbox is gone.', { op: 'use a sandbox', retryable: true });

  /** Throws what the work threw, or that the sandbox went meanwhile and why: the next call gets another one. */
  const failed = async (holder: Held, error: unknown): Promise<never> => {
    if (!gone(holder) && !(error instanceof StewardError && error.code === 'sandbox_lost')) throw error;
    const reason = await Promise.race([holder.sandbox.ended, clock.sleep(1_000).then(() => describeError(error))]);
    lost(holder, reason);
    throw new StewardError('sandbox_lost', `The sandbox was lost: ${reason}`, {
      op: 'use a sandbox',
      retryable: true,
      cause: error,
    });
  };

  /** The work is over: requests are nobody's from now on, and what was reached meanwhile is told. */
  const released = ({ sandbox, session, entries }: Held, by: Id): void => {
    egress.attribute(sandbox.id, null);
    const seen = entries.splice(0);
    if (seen.length === 0) return;
    tell(session.id, 'sandbox.egress', { sandbox_id: sandbox.id, tool_use_id: by, hosts: summarize(seen) });
  };

  /** One piece of work in the session's sandbox: nothing is saved meanwhile, and what it may have changed is afterwards. */
  const within = async <T>(
    holder: Held,
    wants: { by: Id; hosts: readonly string[]; reads?: boolean },
    work: (hand: Hand) => Promise<T>,
  ): Promise<T> => {
    const { sandbox } = holder;
    holder.working += 1;
    try {
      if (!wants.reads) holder.unsaved.push(wants.by);
      await egress.grant(sandbox.id, wants.hosts);
      egress.attribute(sandbox.id, wants.by);
      const value = await work(handOf(holder));
      if (gone(holder)) throw loss();
      return value;
    } catch (error) {
      return await failed(holder, error);
    } finally {
      holder.working -= 1;
      holder.usedAt = now();
      released(holder, wants.by);
    }
  };

  const use: Hands['use'] = async (context: ToolContext, wants, work) => {
    const { session, callId } = context;
    let holder: Held;
    try {
      holder = await hold(session, callId);
    } catch (error) {
      return textResult(describeError(error), true);
    }
    await holder.saving;
    const { note } = holder;
    holder.note = null;
    holder.undone = [];
    holder.upTo = null;
    try {
      return noted(note, await within(holder, { ...wants, by: callId }, work));
    } catch (error) {
      if (!(error instanceof StewardError && error.code === 'sandbox_lost'))
        return noted(note, textResult(describeError(error), true));
      return textResult(
        `The sandbox was lost in the middle of this call: ${error.message.replace(/^The sandbox was lost: /, '')} What the call did outside of it may have happened. The next call gets a fresh sandbox with the files of the last checkpoint.`,
        true,
      );
    }
  };

  const work: Hands['work'] = async (session, { by, hosts = [], reads = false }, does) => {
    const holder = await hold(session, null);
    await holder.saving;
    try {
      return await within(holder, { by, hosts, reads }, does);
    } finally {
      await egress.withdraw(holder.sandbox.id, hosts);
    }
  };

  const lend: Hands['lend'] = async (session, { by, doors }, work) => {
    const holder = await hold(session, by);
    await holder.saving;
    const { sandbox, note, upTo } = holder;
    holder.note = null;
    holder.undone = [];
    holder.upTo = null;
    const changed = (callId: Id) => {
      holder.unsaved.push(callId);
      // One that is being made does not hold it.
      void Promise.resolve(holder.saving).then(() => checkpoints.begin(holder));
    };
    holder.lent += 1;
    try {
      await egress.doors(sandbox.id, doors);
      egress.attribute(sandbox.id, by);
      const value = await work({ sandbox, note, upTo, changed });
      if (gone(holder)) throw loss();
      return value;
    } catch (error) {
      return await failed(holder, error);
    } finally {
      holder.lent -= 1;
      holder.usedAt = now();
      if (!gone(holder)) {
        await egress.doors(sandbox.id, []);
        holder.unsaved.push(by);
      }
      released(holder, by);
    }
  };

  return {
    use,
    work,
    undone: (sessionId) => held.get(sessionId)?.undone ?? undoneSince(sessionId, ledger.latest(sessionId)),
    async save(sessionId) {
      const holder = held.get(sessionId);
      checkpoints.begin(holder);
      await holder?.saving;
    },
    lend,
    probe,
    ready: () => (report?.ok ? Promise.resolve(report) : probe()),
    clear() {
      clearing ??= clear().finally(() => {
        clearing = null;
      });
      return clearing;
    },
    putAway,
    discard(sessionId, reason) {
      const holder = held.get(sessionId);
      if (holder) lost(holder, reason);
    },
    isolated: () => driver.name !== 'none',
    report: () => report,
    alive: () => [...held].map(([sessionId, { sandbox }]) => ({ sessionId, sandbox })),
    find(sandboxId) {
      for (const [sessionId, { sandbox }] of held) if (sandbox.id === sandboxId) return { sessionId, sandbox };
      return null;
    },
    observe(entry) {
      const holder = held.get(entry.sessionId);
      if (holder?.sandbox.id === entry.sandboxId && entry.callId !== null) holder.entries.push(entry);
    },
    hooks: {
      toolNamed(session, tool) {
        if (HANDS_TOOLS.has(tool) && !stopping) hold(session, null).catch(() => {});
      },
      asking: (session) => checkpoints.begin(held.get(session.id)),
      rested: (session) => checkpoints.begin(held.get(session.id)),
    },
    async start() {
      // No sandbox outlives the process that made it.
      const reason = 'Steward stopped while it was at work';
      for (const row of ledger.alive())
        tell(row.sessionId, 'sandbox.lost', { sandbox_id: row.id, reason }, () => ledger.end(row.id, 'lost', reason));
      try {
        const { removed } = await driver.gc(new Set());
        if (removed.length > 0) log.info({ removed: removed.length }, 'leftovers of sandboxes were removed');
      } catch (error) {
        log.error({ error }, 'leftovers of sandboxes could not be removed');
      }
      const seen = await probe();
      if (!seen.ok) log.warn({ findings: seen.findings }, 'hands are off');
    },
    async restore(sessionId, checkpointId) {
      const target = ledger.need(sessionId, checkpointId);
      if (held.get(sessionId)?.working || held.get(sessionId)?.lent)
        throw new StewardError('conflict', 'A call is at work in the sandbox of this session.', {
          op: 'restore a checkpoint',
          hint: 'Stop it, or wait for its end.',
        });
      const holder = held.get(sessionId);
      if (holder) await end(holder, `its files go back to ${checkpointId}`);
      const session = deps.sessions.need(sessionId);
      const id = deps.newId('ckpt');
      let saved: Checkpoint | null = null;
      deps.db.tx(() => {
        saved = ledger.save({ ...target, id, position: session.lastSeq, processes: [], label: null });
        events.append(sessionId, [
          { type: 'checkpoint.restored', payload: { checkpoint_id: checkpointId, as_checkpoint_id: id } },
        ]);
      });
      return saved ?? target;
    },
    async forget(sessionId) {
      const holder = held.get(sessionId);
      if (holder) {
        held.delete(sessionId);
        holder.shell?.close();
        await holder.sandbox.kill('the conversation was deleted');
        await egress.close(holder.sandbox.id);
      }
      deps.db.tx(() => {
        if (holder) ledger.end(holder.sandbox.id, 'ended', 'the conversation was deleted');
        ledger.forget(sessionId);
        deps.audit.forget(sessionId);
      });
      await driver.prune(sessionId, new Set());
    },
    async stop() {
      stopping = true;
      clearInterval(timer);
      await Promise.allSettled([...making.values()]);
      await Promise.allSettled([...held.keys()].map((id) => putAway(id, 'Steward stopped')));
      await driver.stop();
      await egress.stop();
    },
  };
}
