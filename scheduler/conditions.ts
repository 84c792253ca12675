// The heartbeat that costs no token: looks at what a schedule watches, compares it with the last look, and says what is new.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { Clock } from '../core/clock.ts';
import type { Db } from '../core/db.ts';
import { describeError, StewardError } from '../core/errors.ts';
import type { SingleCommand, SingleResult } from '../core/hands.ts';
import type { MemoryApi } from '../core/memory.ts';
import type { Condition, Schedule } from '../core/schedules.ts';
import { fetchPage } from '../core/tools/fetch-page.ts';
import type { Guard } from '../core/tools/guard.ts';
import type { Id, Millis } from '../core/types.ts';

/** A single look that failed may be the weather; so many in a row are a failure of the schedule. */
const FAILURES = 3;
const COMMAND_MS: Millis = 60_000;
const HTTP = { bytes: 1024 * 1024, ms: 20_000, redirects: 3 };
const FILE_BYTES = 64 * 1024 * 1024;
/** Of what was found, as it is told. */
const TOLD = 2_000;
const FOUND = 10;
/** Ids of earlier answers that are remembered, so that one that comes and goes is told once. */
const REMEMBERED = 500;
/**
 * An open loop is due when it runs out of memory within so long: one with a date from that day on (memory keeps it two days
 * longer), one without before it would silently go.
 */
const DUE_MS: Millis = 2 * 86_400_000;

export interface Look {
  news: boolean;
  /** What is new, for the run that is begun with it; or why it is not begun. */
  text: string;
  /**
   * Remembers what was seen, so that it is not new again. In the transaction that begins the run; without news it is
   * remembered already. A run that is never begun finds it new again.
   */
  seen(): void;
}

export interface Conditions {
  /** Throws `unavailable` when one could not be looked at for the third time in a row, and nothing else is new. */
  look(schedule: Watching): Promise<Look>;
  /** Drops what was seen for schedules that are not among these; how many rows. */
  keepOnly(scheduleIds: ReadonlySet<Id>): number;
  /** Cuts off the looks that are under way; these are taken again in the next life. */
  stop(): void;
}

export type Watching = Pick<Schedule, 'id' | 'conditions' | 'grants' | 'sessionId' | 'trust'>;

export interface ConditionsDeps {
  db: Db;
  clock: Pick<Clock, 'now'>;
  guard: Guard;
  filesDir: string;
  memory: Pick<MemoryApi, 'search' | 'list'>;
  /** A command in a sandbox (core/hands.ts). */
  single(request: SingleCommand): Promise<SingleResult>;
  /** The owner's main conversation: on a copy of its files a command works when its schedule was made in none. */
  mainSession(): Id;
}

/** What one look saw. `isNew` compares it with what was seen before; null: never looked at. */
interface Seen {
  seen: string;
  isNew(before: string | null): boolean;
  text: string;
}

type Kinds = { [K in Condition['kind']]: Extract<Condition, { kind: K }> };
type Looks = { [K in keyof Kinds]: (condition: Kinds[K], schedule: Watching) => Promise<Seen> };

const digest = (...parts: (string | Uint8Array)[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('base64url');
};
const shortened = (text: string): string => (text.length > TOLD ? `${text.slice(0, TOLD)}…` : text);
const failed = (why: string, cause?: unknown) =>
  new StewardError('unavailable', why, { op: 'look at a condition', cause });

/** The first look only remembers: a state is no news, a change of it is. */
const changed = (seen: string) => (before: string | null) => before !== null && before !== seen;

/** Found things have ids: those that were not found before are news. */
function found(ids: readonly Id[], before: string | null): { fresh: Id[]; all: string } {
  const known = before === null ? [] : (JSON.parse(before) as Id[]);
  const fresh = ids.filter((id) => !known.includes(id));
  return { fresh, all: JSON.stringify([...fresh, ...known].slice(0, REMEMBERED)) };
}

/** Guests and groups have memories of their own, under the id of their session. */
const scopeOf = ({ trust, sessionId }: Watching): string => {
  if (trust === 'owner') return 'owner';
  if (sessionId === null) throw failed('There is no conversation whose memory this could be.');
  return sessionId;
};

export function createConditions(deps: ConditionsDeps): Conditions {
  const { db, clock, memory } = deps;
  const life = new AbortController();
  const { signal } = life;
  const one = db.prepare<[string, string], { seen: string | null; failures: number }>(
    'SELECT seen, failures FROM schedule_looks WHERE schedule_id = ? AND condition = ?',
  );
  const put = db.prepare(
    `INSERT INTO schedule_looks (schedule_id, condition, seen, failures, why, looked_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (schedule_id, condition)
     DO UPDATE SET seen = excluded.seen, failures = excluded.failures, why = excluded.why, looked_at = excluded.looked_at`,
  );
  const all = db.prepare<[], { id: string }>('SELECT DISTINCT schedule_id AS id FROM schedule_looks');
  const drop = db.prepare<[string]>('DELETE FROM schedule_looks WHERE schedule_id = ?');

  /** Inside the files folder, whatever links say. Null when there is none. */
  const openFile = async (path: string): Promise<FileHandle | null> => {
    const root = await realpath(deps.filesDir);
    const out = () => failed(`${path} leads out of the files folder.`);
    if (!join(root, path).startsWith(root + sep)) throw out();
    let real: string;
    try {
      real = await realpath(join(root, path));
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
      throw error;
    }
    if (!real.startsWith(root + sep)) throw out();
    return open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  };

  const looks: Looks = {
    async command({ command }, { sessionId: own, trust, grants: { hosts } }) {
      const sessionId = own ?? (trust === 'owner' ? deps.mainSession() : null);
      if (sessionId === null) throw failed('There is no conversation on whose files this command could work.');
      const { code, output, limited } = await deps.single({ sessionId, command, hosts, timeoutMs: COMMAND_MS, signal });
      if (limited === 'time') throw failed(`\`${command}\` took longer than ${COMMAND_MS / 1_000} seconds.`);
      if (limited === 'output') throw failed(`\`${command}\` printed more than can be compared.`);
      const seen = digest(String(code), output);
      const text = `\`${command}\` ended with ${code ?? 'a signal'} and prints other than before:\n${shortened(output)}`;
      return { seen, isNew: changed(seen), text };
    },
    async http({ url }) {
      const { status, body, cut } = await fetchPage(url, deps.guard, HTTP, signal);
      // What is behind a server that is ill is not known.
      if (status >= 500 || status === 429) throw failed(`${url} answered ${status}.`);
      const seen = digest(String(status), body, cut ? 'cut' : '');
      const text = `${url} answers ${status} and says other than before:\n${shortened(body.toString('utf8'))}`;
      return { seen, isNew: changed(seen), text };
    },
    async file({ path }, { trust }) {
      if (trust !== 'owner') throw failed('The files folder is the owner’s alone.');
      const file = await openFile(path);
      if (!file) return { seen: 'gone', isNew: changed('gone'), text: `The file ${path} is gone.` };
      try {
        const stats = await file.stat();
        if (!stats.isFile()) throw failed(`${path} is no file.`);
        const large = stats.size > FILE_BYTES;
        const seen = large ? digest('large', `${stats.size} ${stats.mtimeMs}`) : digest('file', await file.readFile());
        return {
          seen,
          isNew: changed(seen),
          text: `The file ${path} appeared or changed (${stats.size} bytes).`,
        };
      } finally {
        await file.close();
      }
    },
    async memory({ query }, schedule) {
      // Only what is known: what was said is found as soon as a run of the schedule itself says the words.
      const { hits, weak } = await memory.search({ query, kinds: ['item'], limit: FOUND }, scopeOf(schedule));
      const answers = weak ? [] : hits;
      const ids = answers.map(({ id }) => id);
      const lines = answers.map(({ text }) => `- ${shortened(text)}`).join('\n');
      return {
        seen: JSON.stringify(ids),
        isNew: (before) => before !== null && found(ids, before).fresh.length > 0,
        text: `Memory has something new about “${query}”:\n${lines}`,
      };
    },
    async loops(_, schedule) {
      const now = clock.now();
      const due = memory
        .list({ scope: scopeOf(schedule), kind: 'loop', limit: 500 })
        .filter(({ expiresAt }) => expiresAt !== null && expiresAt > now && expiresAt - now <= DUE_MS);
      const ids = due.map(({ id }) => id);
      return {
        seen: JSON.stringify(ids),
        // Also at the first look: what is due is due.
        isNew: (before) => found(ids, before).fresh.length > 0,
        text: `Still open, and due:\n${due.map(({ text }) => `- ${shortened(text)}`).join('\n')}`,
      };
    },
  };

  const listed = (condition: Condition) => condition.kind === 'memory' || condition.kind === 'loops';

  const lookAt = async (condition: Condition, schedule: Watching): Promise<Seen | { why: string }> => {
    try {
      // Each kind with the condition of its kind: TypeScript cannot follow the pairing.
      const look = looks[condition.kind] as (condition: Condition, schedule: Watching) => Promise<Seen>;
      return await look(condition, schedule);
    } catch (error) {
      return { why: describeError(error).split('\n')[0]! };
    }
  };

  return {
    async look(schedule) {
      const results = await Promise.all(
        schedule.conditions.map(async (condition) => ({
          condition,
          key: digest(JSON.stringify(condition)),
          result: await lookAt(condition, schedule),
        })),
      );
      signal.throwIfAborted();
      const at = clock.now();
      const news: { text: string; remember(): void }[] = [];
      const failures: { count: number; why: string }[] = [];
      db.tx(() => {
        for (const { condition, key, result } of results) {
          const before = one.get(schedule.id, key) ?? null;
          if ('why' in result) {
            const count = (before?.failures ?? 0) + 1;
            put.run(schedule.id, key, before?.seen ?? null, count, result.why, at);
            failures.push({ count, why: result.why });
            continue;
          }
          const seen = before?.seen ?? null;
          const next = listed(condition) ? found(JSON.parse(result.seen) as Id[], seen).all : result.seen;
          const remember = (what: string | null) => put.run(schedule.id, key, what, 0, null, at);
          if (!result.isNew(seen)) remember(next);
          else {
            remember(seen);
            news.push({ ...result, remember: () => remember(next) });
          }
        }
      });
      if (news.length === 0 && failures.some(({ count }) => count >= FAILURES)) {
        const worst = failures.toSorted((a, b) => b.count - a.count)[0]!;
        throw failed(`A condition could not be looked at ${worst.count} times in a row: ${worst.why}`);
      }
      const whys = failures.map(({ why }) => `Could not be looked at: ${why}`);
      return {
        news: news.length > 0,
        text: [...news.map(({ text }) => text), ...whys].join('\n\n') || 'Nothing new.',
        seen: () => db.tx(() => news.forEach(({ remember }) => void remember())),
      };
    },
    stop: () => life.abort('shutdown'),
    keepOnly(scheduleIds) {
      return db.tx(() =>
        all
          .all()
          .filter(({ id }) => !scheduleIds.has(id))
          .reduce((sum, { id }) => sum + drop.run(id).changes, 0),
      );
    },
  };
}
