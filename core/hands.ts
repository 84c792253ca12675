// What the rest of Steward needs to know about hands (sandboxes): hooks the brain calls, and views for health, API and console.
import type { Id, JsonObject, Millis, Session } from './types.ts';

/** What the brain tells whoever provides hands. Must return at once and never throw; the work goes on beside the turn. */
export interface BrainHooks {
  /** The model began to write a call of this tool: time to have things ready when it ends. */
  toolNamed(session: Session, tool: string): void;
  /** A request to the model goes out: everything the log holds so far has been carried out. */
  asking(session: Session): void;
  /** The session rests. */
  rested(session: Session): void;
}

export interface LimitReport {
  /** By what means it holds, or null: it does not. */
  means: string | null;
}

/** Seen by a sandbox that was really started; shown by /readyz, doctor and the console. */
export interface HandsReport {
  driver: string;
  /** `starting` until the first probe is done. */
  state: 'starting' | 'on' | 'off';
  isolation: string;
  egressLocked: boolean;
  limits: Record<string, LimitReport>;
  findings: { level: 'error' | 'warn'; text: string; fix: string }[];
  detail: string;
  /** The process that lets requests out and adds keys to them. */
  broker: { state: string; detail: string };
  probedAt: Millis | null;
  alive: number;
}

/** A command beside a session's own hands, on a copy of its files as they were saved last. */
export interface SingleCommand {
  sessionId: Id;
  /** For `sh -c`. */
  command: string;
  /** Reached beside those of the session's environment. */
  hosts: readonly string[];
  timeoutMs: Millis;
  signal: AbortSignal;
}
export interface SingleResult {
  /** Null when a signal ended it. */
  code: number | null;
  /** Both streams, as they came. */
  output: string;
  limited: 'output' | 'time' | null;
}

/** What the API offers of hands. Every method throws StewardError. */
export interface HandsApi {
  report(): HandsReport;
  list(options: { sessionId?: Id; limit: number }): Promise<JsonObject[]>;
  get(id: Id): Promise<JsonObject>;
  kill(id: Id): Promise<void>;
  /** A link on which the console shows what listens on that port inside; null when nothing answers there. */
  expose(id: Id, port: number): Promise<{ url: string }>;
  egress(options: { sessionId?: Id; sandboxId?: Id; limit: number }): JsonObject[];
  checkpoints(sessionId: Id): JsonObject[];
  /** The session's next call works on the files of that checkpoint. */
  restore(sessionId: Id, checkpointId: Id): Promise<JsonObject>;
  label(sessionId: Id, checkpointId: Id, label: string | null): JsonObject;
  /** Clears away what ended sandboxes left behind; how many there were. */
  sweep(): Promise<{ removed: number }>;
  /** Throws `unavailable` without isolation. What it changes is thrown away. */
  single(request: SingleCommand): Promise<SingleResult>;
}

/** As the API shows it. */
export const handsView = (report: HandsReport): JsonObject => ({
  driver: report.driver,
  state: report.state,
  isolation: report.isolation,
  egress_locked: report.egressLocked,
  limits: Object.fromEntries(Object.entries(report.limits).map(([name, { means }]) => [name, means])),
  findings: report.findings.map(({ level, text, fix }) => ({ level, text, fix })),
  detail: report.detail,
  broker: { ...report.broker },
  probed_at: report.probedAt === null ? null : new Date(report.probedAt).toISOString(),
  alive: report.alive,
});
