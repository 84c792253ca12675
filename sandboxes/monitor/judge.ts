// Is a run alive? One pure function of the run, the signs it gives and the time: a verdict, why, and what helps.
import type { TaskLimits } from '../../core/tasks.ts';
import type { Id, Millis } from '../../core/types.ts';
import type { Sandbox } from '../driver.ts';
import type { Repeat } from './repeats.ts';

/** A harness at work on a task, as whoever started it lists it. */
export interface Run {
  taskId: Id;
  sessionId: Id;
  /** Null: none has been made yet, or the work goes on without one. */
  sandbox: Sandbox | null;
  /** Of this attempt. */
  startedAt: Millis;
  limits: TaskLimits;
  /** Counted before this one began, itself included. */
  attempts: number;
  harness: string;
  /** What the task has used of its limits, pauses and waiting for the owner not counted. */
  used: { activeMs: Millis; turns: number; costUsd: number };
}

/** What can be seen of a run. Times are of the last sign of that kind; null: none was seen. */
export interface Signs {
  sandbox: 'none' | 'running' | 'paused' | 'gone';
  /** Its process is under the eyes of the monitor since then. */
  since: Millis;
  /** The log grew by something the run did. */
  lastEventAt: Millis | null;
  lastOutputAt: Millis | null;
  /** Its files changed, or much was read or written. */
  lastChangeAt: Millis | null;
  /** Processor time between two looks, in cores; null: there has been one look only. */
  cores: number | null;
  /** A process stood in line for a processor: on a busy machine it gets little and is at work all the same. */
  runnable: boolean;
  /** Since then more than nine tenths of a core, or as much as it could get, at every look. */
  hotSince: Millis | null;
  /** Since then all looks found a request open at the broker. */
  requestSince: Millis | null;
  /** Since then the log has a request to the model without an end. */
  modelSince: Millis | null;
  /** The log says that the owner has to answer before anything goes on. */
  asksOwner: boolean;
  /** Looks in a row at which the inside of the sandbox did not answer. */
  unanswered: number;
  /** Since then everything in it waits in the kernel. */
  blockedSince: Millis | null;
  /** Since then nothing at all runs in there, though a program in there should carry the turn on. */
  emptySince: Millis | null;
  /** What is running, for people; empty when it was not asked. */
  running: readonly string[];
  repeat: Repeat | null;
}

/** How long each kind of silence is borne. */
export interface Patience {
  /** Any sign younger than this: all is well. */
  freshMs: Millis;
  /** Silence that means nothing yet. */
  softMs: Millis;
  /** A core at full use that changes nothing. */
  spinMs: Millis;
  /** Words or a trickle of work, but neither an event of the log nor a changed file; nobody is waited for. */
  talkMs: Millis;
  /** Work without an event of the log or a changed file. */
  busyMs: Millis;
  /** A request at the broker; it gives up itself after ten minutes without a byte. */
  requestMs: Millis;
  /** A request to the model, tries again included. */
  modelMs: Millis;
  /** Everything waits in the kernel. */
  blockedMs: Millis;
  /** Nothing runs inside. */
  emptyMs: Millis;
  /** Looks without an answer from inside. */
  unanswered: number;
  /** Less of a core than this is none: a loop that sleeps. */
  idleCores: number;
}

const MINUTE: Millis = 60_000;
export const PATIENCE: Readonly<Patience> = {
  freshMs: 15_000,
  softMs: 2 * MINUTE,
  spinMs: 10 * MINUTE,
  talkMs: 15 * MINUTE,
  busyMs: 60 * MINUTE,
  requestMs: 11 * MINUTE,
  modelMs: 20 * MINUTE,
  blockedMs: 2 * MINUTE,
  emptyMs: MINUTE,
  unanswered: 3,
  idleCores: 0.02,
};

/** What helps, in the order in which the ladder tries it: `wait` nothing, `unstick` words first, `replace` a new sandbox, `end` nobody's. */
export type Remedy = 'wait' | 'unstick' | 'replace' | 'end';

export type Verdict =
  | { kind: 'healthy' | 'quiet' | 'busy' | 'waiting'; why: string; next: 'wait' }
  | { kind: 'stuck' | 'spinning' | 'looping'; why: string; next: 'unstick' }
  | { kind: 'lost'; why: string; next: 'replace' }
  | { kind: 'over_limit'; why: string; next: 'end' };
export type VerdictKind = Verdict['kind'];

const wait = (kind: 'healthy' | 'quiet' | 'busy' | 'waiting', why: string): Verdict => ({ kind, why, next: 'wait' });
const unstick = (kind: 'stuck' | 'spinning' | 'looping', why: string): Verdict => ({ kind, why, next: 'unstick' });
const replace = (why: string): Verdict => ({ kind: 'lost', why, next: 'replace' });
const end = (why: string): Verdict => ({ kind: 'over_limit', why, next: 'end' });

/** For people: "40 seconds", "12 minutes". */
export function span(ms: Millis): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 100) return seconds === 1 ? '1 second' : `${seconds} seconds`;
  return `${Math.round(seconds / 60)} minutes`;
}

function overLimit({ limits, used, attempts }: Run): string | null {
  if (used.activeMs >= limits.wallMs) return `Its time is used up: ${span(limits.wallMs)} at work.`;
  if (used.turns >= limits.turns) return `Its turns are used up: ${limits.turns} answers of the model.`;
  if (limits.costUsd !== null && used.costUsd >= limits.costUsd)
    return `Its budget is used up: $${used.costUsd.toFixed(2)} of $${limits.costUsd.toFixed(2)}.`;
  if (attempts > limits.attempts) return `It was begun ${attempts} times, and ${limits.attempts} were allowed.`;
  return null;
}

/** It, or the sandbox it is in, is not there any more; or no signal reaches it. */
function isLost(signs: Signs, now: Millis, patience: Patience): string | null {
  const forMs = (since: Millis | null) => (since === null ? Number.NEGATIVE_INFINITY : now - since);
  if (signs.sandbox === 'gone') return 'Its sandbox is gone.';
  if (signs.sandbox === 'paused') return 'Its sandbox is frozen, and nobody asked for that.';
  if (signs.unanswered >= patience.unanswered)
    return `The inside of its sandbox did not answer ${signs.unanswered} times in a row.`;
  if (forMs(signs.blockedSince) >= patience.blockedMs)
    return `Everything in its sandbox has waited in the kernel for ${span(forMs(signs.blockedSince))}.`;
  if (forMs(signs.emptySince) >= patience.emptyMs)
    return `Nothing has run in its sandbox for ${span(forMs(signs.emptySince))}: the harness ended without a word.`;
  return null;
}

/**
 * The first row that fits. More signs of life never make it worse, but for a core in full use, which may be a loop. Never
 * throws.
 */
export function judge(run: Run, signs: Signs, now: Millis, patience: Patience = PATIENCE): Verdict {
  const over = overLimit(run);
  if (over) return end(over);
  if (signs.asksOwner) return wait('waiting', 'It waits for the owner to answer.');
  const gone = isLost(signs, now, patience);
  if (gone) return replace(gone);
  if (signs.repeat) return unstick('looping', signs.repeat.why);

  const last = (...times: (Millis | null)[]) => Math.max(signs.since, ...times.map((at) => at ?? signs.since));
  const silence = now - last(signs.lastEventAt, signs.lastOutputAt);
  const progress = now - last(signs.lastEventAt, signs.lastChangeAt);
  const open = (since: Millis | null, forMs: Millis) => since !== null && now - since < forMs;
  const waits = open(signs.modelSince, patience.modelMs)
    ? `It has waited for the model for ${span(now - signs.modelSince!)}.`
    : open(signs.requestSince, patience.requestMs)
      ? `It has waited for the network for ${span(now - signs.requestSince!)}: a request is open.`
      : null;
  const works = signs.runnable || (signs.cores ?? 0) >= patience.idleCores;
  // What was last seen moving counts as work until it has been still for as long as words may be out.
  const moves = signs.lastChangeAt !== null && now - signs.lastChangeAt < patience.softMs;
  const doing = signs.running.length > 0 ? ` Running: ${signs.running.join(', ')}.` : '';

  if (!waits && !works && !moves && progress >= patience.talkMs && silence < patience.softMs)
    return unstick('stuck', `It has only talked for ${span(progress)}: no step in the log, no file changed.${doing}`);
  if (!waits && progress >= patience.busyMs)
    return unstick('stuck', `It has worked for ${span(progress)} without a step in the log or a changed file.${doing}`);
  if (silence < patience.freshMs) return wait('healthy', 'It is at work.');
  if (silence < patience.softMs) return wait('quiet', `It has said nothing for ${span(silence)}.`);
  if (waits) return wait('waiting', waits);
  if (signs.cores === null) return wait('quiet', `It has said nothing for ${span(silence)}; a second look will tell.`);
  const hot = signs.hotSince === null ? 0 : now - last(signs.hotSince, signs.lastChangeAt, signs.lastOutputAt);
  if (hot >= patience.spinMs)
    return unstick('spinning', `It has used a whole core for ${span(hot)}, with no word and nothing changed.${doing}`);
  if (works || moves) return wait('busy', `It has said nothing for ${span(silence)}, and is computing.`);
  return unstick(
    'stuck',
    `It has said nothing for ${span(silence)}, computes nothing and waits for nobody; perhaps for input that never comes.${doing}`,
  );
}
