// Collects the signs of life of each run: from its log, its sandbox and the broker. Two looks make a rate.
import type { Clock } from '../../core/clock.ts';
import type { Events } from '../../core/events.ts';
import type { Sessions } from '../../core/sessions.ts';
import type { Id, Millis } from '../../core/types.ts';
import type { ProcessEntry, Stats } from '../driver.ts';
import type { Egress } from '../egress.ts';
import { PATIENCE, type Patience, type Run, type Signs } from './judge.ts';
import { type LogSigns, NOTHING_SEEN, seeEvent } from './log.ts';
import { repeats } from './repeats.ts';

/** What is read of a log that the monitor has not seen before, and at a time. */
const EVENTS = 300;
/** Files that grew by this much, or so much read and written in a second, are work; less is what a loop that sleeps costs. */
const CHANGED_BYTES = 64 * 1024;
const HOT_CORES = 0.9;
/** A sandbox that has not answered by then did not answer. */
const ANSWER_MS: Millis = 5_000;
/** Two looks closer together make no rate. */
const SHORTEST_MS: Millis = 20;

export interface SignsDeps {
  clock: Clock;
  events: Pick<Events, 'list' | 'since'>;
  sessions: Pick<Sessions, 'get'>;
  egress: Pick<Egress, 'openRequests'>;
  patience?: Patience;
}

export interface Looked extends Signs {
  /** Where in its work it is. */
  point: string;
}

export interface SignsOf {
  /** Never rejects, and takes little longer than `ANSWER_MS` whatever the sandbox does. */
  look(run: Run): Promise<Looked>;
  /** Of runs that are not in the list nothing is kept. */
  keep(taskIds: ReadonlySet<Id>): void;
}

interface Sample {
  at: Millis;
  cpuMicros: number;
  ioBytes: number | null;
}

type Body = Pick<
  Signs,
  | 'lastOutputAt'
  | 'lastChangeAt'
  | 'cores'
  | 'runnable'
  | 'hotSince'
  | 'requestSince'
  | 'unanswered'
  | 'blockedSince'
  | 'emptySince'
  | 'running'
>;

/** What is remembered of a run between two looks. */
interface Track {
  /** Another attempt or another sandbox begins anew. */
  key: string;
  since: Millis;
  sample: Sample | null;
  /** Looks in a row that were not hot; one alone may be a hiccup of the machine. */
  cold: number;
  diskBytes: number | null;
  body: Body;
  log: LogSigns;
  seq: number;
}

const STILL: Body = {
  lastOutputAt: null,
  lastChangeAt: null,
  cores: null,
  runnable: false,
  hotSince: null,
  requestSince: null,
  unanswered: 0,
  blockedSince: null,
  emptySince: null,
  running: [],
};

/** The leaves of the tree: what the others wait for. */
function inWords(processes: readonly ProcessEntry[]): string[] {
  const parents = new Set(processes.map(({ parent }) => parent));
  const leaves = processes.filter(({ pid }) => !parents.has(pid));
  return leaves.slice(0, 3).map(({ argv }) => `\`${argv.join(' ').slice(0, 80)}\``);
}

export function createSigns({ clock, events, sessions, egress, patience = PATIENCE }: SignsDeps): SignsOf {
  const tracks = new Map<Id, Track>();

  const within = async <T>(work: Promise<T>): Promise<T | null> => {
    const late = new AbortController();
    const answered = await Promise.race([work.catch(() => null), clock.sleep(ANSWER_MS, late.signal).then(() => null)]);
    late.abort();
    return answered;
  };

  const trackOf = (run: Run): Track => {
    const key = `${run.attempts} ${run.sandbox?.id ?? ''}`;
    const known = tracks.get(run.taskId);
    if (known?.key === key) return known;
    const [log, seq] = known ? [known.log, known.seq] : [NOTHING_SEEN, -1];
    const track: Track = { key, since: clock.now(), sample: null, cold: 0, diskBytes: null, body: STILL, log, seq };
    tracks.set(run.taskId, track);
    return track;
  };

  const readLog = (run: Run, track: Track): void => {
    const lastSeq = sessions.get(run.sessionId)?.lastSeq ?? 0;
    if (track.seq < 0) {
      const newest = events.list({ sessionId: run.sessionId, order: 'desc', limit: EVENTS });
      track.log = newest.reverse().reduce(seeEvent, track.log);
      track.seq = lastSeq;
    }
    while (track.seq < lastSeq) {
      const grown = events.since(run.sessionId, track.seq, EVENTS);
      if (grown.length === 0) break;
      for (const { event } of grown) track.log = seeEvent(track.log, event);
      track.seq = grown.at(-1)!.at;
    }
  };

  const sampleOf = (stats: Stats): Sample => ({
    at: clock.elapsed(),
    cpuMicros: stats.cpuMicros,
    ioBytes: stats.ioBytes ?? null,
  });

  /** What is new since the last look at the same sandbox. */
  const compare = (track: Track, stats: Stats): Body => {
    const now = clock.now();
    const { sample: last, body } = track;
    const sample = sampleOf(stats);
    const took = last ? sample.at - last.at : 0;
    const common = { lastOutputAt: stats.lastOutputAt, runnable: (stats.runnable ?? 0) > 0, unanswered: 0 };
    // Beside the first process and the runner, whose looks are short.
    const blocked = (stats.blocked ?? 0) > 0 && stats.blocked! >= stats.pids - 2 && !common.runnable;
    const blockedSince = blocked ? (body.blockedSince ?? now) : null;
    if (last && took < SHORTEST_MS) return { ...body, ...common, blockedSince };
    const diskBytes = track.diskBytes ?? stats.diskBytes;
    const grew = Math.abs(stats.diskBytes - diskBytes) >= CHANGED_BYTES;
    const moved = last?.ioBytes != null && sample.ioBytes !== null ? sample.ioBytes - last.ioBytes : 0;
    const changed = grew || (took > 0 && moved >= (CHANGED_BYTES * took) / 1_000);
    const cores = last ? Math.max(0, sample.cpuMicros - last.cpuMicros) / 1_000 / took : null;
    // Always in line for a processor is as much as it could get.
    const hot = cores !== null && (cores >= HOT_CORES || (common.runnable && cores >= patience.idleCores));
    track.sample = sample;
    track.cold = hot ? 0 : track.cold + 1;
    const hotSince = track.cold < 2 ? body.hotSince : null;
    track.diskBytes = grew ? stats.diskBytes : diskBytes;
    return {
      ...body,
      ...common,
      blockedSince,
      cores,
      hotSince: hot ? (body.hotSince ?? now) : hotSince,
      lastChangeAt: changed ? now : body.lastChangeAt,
      running: [],
    };
  };

  /** A silent sandbox in which nothing computes: does it answer, and what is there? */
  const knock = async (run: Run, track: Track): Promise<Body> => {
    const { body } = track;
    const processes = await within(run.sandbox!.processes());
    if (processes === null) return { ...body, unanswered: body.unanswered + 1 };
    // Asking cost the sandbox some work: that is not its own.
    const after = await within(run.sandbox!.stats({ disk: 'known' }));
    if (after) track.sample = sampleOf(after);
    // The native harness is at work out here, and between two turns nobody has to be.
    const mayBeEmpty = run.harness === 'native' || track.log.rested;
    const empty = processes.length === 0 && !mayBeEmpty;
    return { ...body, running: inWords(processes), emptySince: empty ? (body.emptySince ?? clock.now()) : null };
  };

  const lookInside = async (run: Run, track: Track): Promise<void> => {
    const { sandbox } = run;
    if (!sandbox || sandbox.info.state === 'gone') return;
    const requestSince = egress.openRequests(sandbox.id) > 0 ? (track.body.requestSince ?? clock.now()) : null;
    track.body = { ...track.body, requestSince };
    const silentFor = (at: Millis | null) => clock.now() - Math.max(track.since, at ?? 0);
    // A log that grows says enough, and looking costs.
    if (track.sample && track.log.lastEventAt !== null && silentFor(track.log.lastEventAt) < patience.freshMs) {
      track.body = { ...track.body, unanswered: 0, hotSince: null, blockedSince: null, emptySince: null };
      return;
    }
    const stats = await within(sandbox.stats({ disk: 'known' }));
    if (!stats) {
      track.body = { ...track.body, unanswered: track.body.unanswered + 1 };
      return;
    }
    const { unanswered } = track.body;
    track.body = { ...compare(track, stats), unanswered };
    const { runnable, cores } = track.body;
    const still = Math.min(silentFor(track.log.lastEventAt), silentFor(stats.lastOutputAt)) >= patience.freshMs;
    if (still && !runnable && (cores ?? 0) < patience.idleCores) {
      const seen = await knock(run, track);
      track.body = seen.unanswered > unanswered ? seen : { ...seen, unanswered: 0 };
    } else track.body = { ...track.body, unanswered: 0, emptySince: null };
  };

  return {
    async look(run) {
      const track = trackOf(run);
      readLog(run, track);
      await lookInside(run, track);
      const { lastEventAt, modelSince, asksOwner, calls, point } = track.log;
      return {
        sandbox: run.sandbox?.info.state ?? 'none',
        since: track.since,
        ...track.body,
        lastEventAt,
        modelSince,
        asksOwner,
        repeat: repeats(calls),
        point,
      };
    },
    keep(taskIds) {
      for (const id of tracks.keys()) if (!taskIds.has(id)) tracks.delete(id);
    },
  };
}
