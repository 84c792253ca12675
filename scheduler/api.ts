// SchedulesApi: what the API, the command line, chat commands and tools may do with schedules. Checks, and asks the rows.
import type { Agents } from '../core/agents.ts';
import { turnStart } from '../core/brain/step.ts';
import type { Db } from '../core/db.ts';
import { StewardError } from '../core/errors.ts';
import type { Events } from '../core/events.ts';
import type { People } from '../core/people.ts';
import type { Author, Rule, Schedule, ScheduleDraft, SchedulesApi, Slot, Upcoming } from '../core/schedules.ts';
import type { Id, Millis } from '../core/types.ts';
import { nextDay, startOfDay } from '../core/usage.ts';
import type { Almanac } from './almanac.ts';
import { completed, draftOf, draftProblems, type Lookup, refuseProblems } from './draft.ts';
import { formatLocal } from './local.ts';
import { samePlace } from './places.ts';
import { refusal } from './rights.ts';
import { checkRule } from './rules.ts';
import type { Runs } from './runs.ts';
import type { Schedules } from './schedules.ts';
import { nextSlot, slots } from './slots.ts';
import type { Starter } from './start.ts';
import { readWhen } from './when.ts';
import { explain } from './why.ts';

const MOST_UPCOMING = 366;
const MOST_OF_A_DAY = 1_500;
/** Slots that passed while it was paused get a row each, so that the question why has an answer: the last ones. */
const PAUSED_ROWS = 100;

export function createSchedulesApi(deps: {
  db: Db;
  schedules: Schedules;
  runs: Runs;
  starter: Starter;
  people: People;
  agents: Agents;
  events: Events;
  almanac: Almanac;
  timeZone: string;
  now(): Millis;
  awake(): boolean;
}): SchedulesApi {
  const { db, schedules, runs, agents, events, almanac, now } = deps;

  const lookup = (): Lookup => ({
    now: now(),
    knowsPlace: (place) => deps.people.addresses().some(({ address }) => samePlace(address, place)),
    agentProblem(id, version) {
      const agent = agents.get(id, version);
      if (!agent) return `There is no agent ${id} of version ${version}.`;
      return agent.archivedAt === null ? null : `The agent ${id} is archived.`;
    },
    environmentProblem(id) {
      const environment = agents.listEnvironments(true).find((entry) => entry.id === id);
      if (!environment) return `There is no environment ${id}.`;
      return environment.archivedAt === null ? null : `The environment ${id} is archived.`;
    },
  });

  /** The turn in which they ask was begun by a schedule, and the owner said nothing in it. */
  const isScheduled = (sessionId: Id | null): boolean => {
    if (sessionId === null) return false;
    const after = Number(events.lastCompaction(sessionId)?.payload.up_to ?? 0);
    const slice = events.slice(sessionId, after);
    const start = turnStart(slice);
    if (start === null) return false;
    const turn = slice.filter(({ type, position }) => type === 'user.message' && position! >= start);
    if (!turn.some(({ origin }) => origin?.mandate)) return false;
    return !turn.some(({ origin, tainted }) => origin?.role === 'owner' && !tainted);
  };

  /** Guests mean the place they are at when they name none. */
  const placed = (draft: ScheduleDraft, author: Author): ScheduleDraft =>
    draft.target === null && author.trust !== 'owner' ? { ...draft, target: author.here } : draft;

  const allow = (draft: ScheduleDraft, author: Author, known: Schedule | null): void => {
    const foreign = known && author.trust !== 'owner' && known.createdBy !== author.by;
    const counts = known?.createdBy === author.by && (known.state === 'active' || known.state === 'paused');
    const count = schedules.countBy(author.by) - (counts ? 1 : 0);
    const why = foreign
      ? 'Only who made a schedule, and the owner, can change it.'
      : refusal(draft, { author, count, scheduled: isScheduled(author.sessionId) });
    if (why) throw new StewardError('forbidden', why, { op: known ? 'change a schedule' : 'make a schedule' });
  };

  const first = (rule: Rule, endsAt: Millis | null): Slot | null => {
    // What is due this very moment has not passed.
    const slot = nextSlot(rule, rule.kind === 'once' ? now() - 1 : now(), almanac);
    return slot && endsAt !== null && slot.at > endsAt ? null : slot;
  };

  const ahead = (rule: Rule, endsAt: Millis | null, limit: number): Upcoming[] => {
    const to = endsAt === null ? Number.POSITIVE_INFINITY : endsAt + 1;
    const from = rule.kind === 'once' ? now() : now() + 1;
    return slots(rule, from, to, Math.min(limit, MOST_UPCOMING), almanac).map((slot) => ({
      slot,
      local: formatLocal(slot.at, rule.timeZone),
    }));
  };

  const open = (id: Id, op: string): Schedule => {
    const schedule = schedules.need(id);
    if (schedule.state === 'archived')
      throw new StewardError('conflict', `The schedule “${schedule.name}” is archived.`, {
        op,
        hint: 'Make a new one.',
      });
    return schedule;
  };

  const notePaused = ({ id, rule, next, endsAt }: Schedule): void => {
    if (!next) return;
    const passed = slots(rule, next.at, Math.min(now(), endsAt ?? Number.POSITIVE_INFINITY), 10 * PAUSED_ROWS, almanac);
    for (const slot of passed.slice(-PAUSED_ROWS))
      runs.take({ scheduleId: id, slot, trigger: 'schedule', state: 'skipped', reason: 'The schedule was paused.' });
  };

  return {
    create: (wanted, author) =>
      db.tx(() => {
        const draft = placed(completed(wanted), author);
        refuseProblems(draftProblems(draft, lookup()));
        allow(draft, author, null);
        const next = first(draft.rule, draft.endsAt);
        if (!next && draft.rule.kind !== 'manual') refuseProblems(['By this rule it would never run.']);
        const { trust, by: createdBy, sessionId } = author;
        return schedules.create({ draft, trust, createdBy, sessionId, next });
      }),
    update: (id, change, author) =>
      db.tx(() => {
        const known = open(id, 'change a schedule');
        const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
        const draft = placed({ ...draftOf(known), ...given }, author);
        refuseProblems(draftProblems(draft, lookup(), known.rule));
        allow(draft, author, known);
        const same = JSON.stringify(draft.rule) === JSON.stringify(known.rule) && draft.endsAt === known.endsAt;
        const next = same ? known.next : first(draft.rule, draft.endsAt);
        const running = next !== null || draft.rule.kind === 'manual' ? 'active' : 'ended';
        return schedules.change(id, draft, next, known.state === 'paused' ? 'paused' : running);
      }),
    get: schedules.get,
    need: schedules.need,
    list: schedules.list,
    pause: (id, reason) =>
      db.tx(() => {
        const { state } = open(id, 'pause a schedule');
        if (state === 'paused') return schedules.need(id);
        const paused = schedules.pause(id, reason);
        // What waits to begin finds out.
        runs.hurry(id);
        return paused;
      }),
    resume: (id) =>
      db.tx(() => {
        const schedule = open(id, 'resume a schedule');
        if (schedule.state !== 'paused') return schedule;
        notePaused(schedule);
        return schedules.resume(id, first(schedule.rule, schedule.endsAt));
      }),
    archive: (id) =>
      db.tx(() => {
        if (schedules.need(id).state === 'archived') return schedules.need(id);
        const archived = schedules.archive(id);
        runs.hurry(id);
        return archived;
      }),
    runNow: (id, trigger, input) =>
      db.tx(() => {
        open(id, 'run a schedule');
        const at = now();
        // A webhook that comes twice is one run; by hand each is its own.
        const key = input ? `hook:${input.dedupe}` : `${trigger}:${new Date(at).toISOString()}`;
        const slot = { at, key };
        const run = runs.take({ scheduleId: id, slot, trigger, state: 'waiting', reason: null, input: input ?? null });
        if (run && deps.awake()) deps.starter.consider(run);
        return runs.bySlot(id, key)!;
      }),
    upcoming(id, limit) {
      const { rule, endsAt } = schedules.need(id);
      return ahead(rule, endsAt, limit);
    },
    preview(rule, limit) {
      checkRule(rule, now());
      return ahead(rule, null, limit);
    },
    runs: runs.list,
    run: runs.get,
    why(id, day) {
      const schedule = schedules.need(id);
      const { rule } = schedule;
      const from = startOfDay(day, rule.timeZone);
      if (from === null)
        throw new StewardError('invalid', `"${day}" is not a day; write it like 2026-12-01.`, {
          op: 'explain a schedule',
        });
      const to = nextDay(from, rule.timeZone);
      return explain(schedule, {
        ...{ day, from, to, now: now() },
        runs: runs.between(id, from, to, MOST_OF_A_DAY),
        slots: slots(rule, from, Math.min(to, (schedule.endsAt ?? to) + 1), MOST_OF_A_DAY, almanac),
      });
    },
    readWhen: (words, options) =>
      readWhen(words, { timeZone: options?.timeZone ?? deps.timeZone, now: now() }, almanac),
  };
}
