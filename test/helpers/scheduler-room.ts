// The scheduler room over a real record, with a clock that moves only when told to and a tick that runs when asked.
import type { Failpoint } from '../../core/failpoint.ts';
import type { Author, Schedule, ScheduleDraft } from '../../core/schedules.ts';
import type { Address, Id, JsonObject, LogEvent, StopReason } from '../../core/types.ts';
import { createScheduler, type Scheduler, type SchedulerDeps } from '../../scheduler/index.ts';
import { createManualClock } from './clock.ts';
import { openTestRecord, type TestRecord } from './record.ts';

export const CHAT: Address = { channel: 'telegram', chat: '42' };
export const OWNER: Author = { trust: 'owner', by: 'web:console', sessionId: null, here: null };
/** A Monday. */
export const MONDAY = Date.UTC(2026, 10, 23, 7);
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

export const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export type Draft = Parameters<Scheduler['api']['create']>[0];

export interface Room {
  record: TestRecord;
  scheduler: Scheduler;
  api: Scheduler['api'];
  /** Moves the clock and looks at what is due. */
  later(ms: number): Promise<void>;
  make(draft: Partial<ScheduleDraft>, author?: Author): Schedule;
  /** Ends this life as a crash would; the next one begins over the same file. */
  reborn(options?: Options): Room;
  /** What the harness does: reads what waits, answers, and rests. */
  answer(
    sessionId: Id,
    text: string,
    reason?: StopReason,
    more?: readonly { type: string; payload: JsonObject }[],
  ): void;
  events(sessionId: Id, type?: string): LogEvent[];
  outbox(): { to: string; text: string }[];
  states(scheduleId: Id): string[];
}

export type Options = Partial<Omit<SchedulerDeps, keyof TestRecord>> & { crash?: Failpoint };

export function openRoom(options: Options = {}, record: TestRecord = atMonday()): Room {
  const scheduler = createScheduler({
    ...record,
    log: quiet,
    crash() {},
    timeZone: 'UTC',
    awake: () => true,
    wake: (id) => void record.woken.push(id),
    interrupt: (id) => void record.interrupted.push(id),
    ...options,
  });
  const { clock, events, db } = record;
  return {
    record,
    scheduler,
    api: scheduler.api,
    async later(ms) {
      await clock.advance(ms);
      await scheduler.tick();
    },
    make: (draft, author = OWNER) =>
      scheduler.api.create(
        {
          name: 'Brief',
          rule: { kind: 'cron', expression: '30 7 * * *', timeZone: 'UTC' },
          starts: { kind: 'message', text: 'Good morning' },
          ...draft,
        },
        author,
      ),
    reborn: (next = options) => openRoom(next, record.reopen()),
    answer(sessionId, text, reason = { type: 'end_turn' }, more = []) {
      db.tx(() => {
        events.process(
          sessionId,
          events.queued(sessionId).map(({ id }) => id),
        );
        events.append(sessionId, [...more]);
        if (text) events.append(sessionId, [{ type: 'agent.message', payload: { content: [{ type: 'text', text }] } }]);
        const payload = { stop_reason: reason as unknown as JsonObject };
        events.append(sessionId, [{ type: 'session.status_idle', payload }]);
      });
    },
    events: (sessionId, type) =>
      [...events.slice(sessionId, 0), ...events.queued(sessionId)].filter((event) => !type || event.type === type),
    outbox: () =>
      db
        .prepare<[], { channel: string; chat: string; body: string }>(
          'SELECT channel, chat, body FROM outbox ORDER BY row',
        )
        .all()
        .map(({ channel, chat, body }) => ({
          to: `${channel}:${chat}`,
          text: String((JSON.parse(body) as JsonObject).markdown),
        })),
    states: (scheduleId) => scheduler.api.runs({ scheduleId, limit: 100 }).map(({ state }) => state),
  };
}

function atMonday(): TestRecord {
  const record = openTestRecord({ clock: createManualClock(MONDAY) });
  record.people.seen(CHAT, 'owner', 'Ada');
  return record;
}
