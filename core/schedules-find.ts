// A schedule by its id or its name, as people say it.
import { StewardError } from './errors.ts';
import type { Schedule, SchedulesApi } from './schedules.ts';

const PAGE = 200;

/** All of them, the newest first, page by page; behind the one of the id `begin` when it is given. */
export function* everySchedule(
  schedules: Pick<SchedulesApi, 'list'>,
  query: { includeArchived?: boolean; state?: Schedule['state'] } = {},
  begin?: string,
): Generator<Schedule> {
  let after = begin;
  while (true) {
    const rows = schedules.list({ ...query, limit: PAGE, ...(after !== undefined && { after }) });
    yield* rows;
    if (rows.length < PAGE) return;
    after = rows.at(-1)!.id;
  }
}

/** Throws `not_found`, and `conflict` for a name that several have. `seen`: those that may be named at all. */
export function findSchedule(
  schedules: Pick<SchedulesApi, 'list' | 'get'>,
  reference: string,
  seen: (schedule: Schedule) => boolean = () => true,
): Schedule {
  const wanted = reference.trim();
  const known = schedules.get(wanted);
  if (known && seen(known)) return known;
  const name = wanted.replace(/^[“"'](.*)[”"']$/s, '$1').toLowerCase();
  const found = [...everySchedule(schedules)].filter(
    (schedule) => schedule.name.toLowerCase() === name && seen(schedule),
  );
  if (found.length === 1) return found[0]!;
  const op = 'find a schedule';
  if (found.length > 1)
    throw new StewardError('conflict', `Several schedules are called “${found[0]!.name}”.`, {
      op,
      hint: `Say the id: ${found.map(({ id }) => id).join(', ')}.`,
    });
  throw new StewardError('not_found', `There is no schedule ${wanted.slice(0, 100)}.`, {
    op,
    hint: '/schedules, or steward schedule list, shows them with their ids.',
  });
}
