// The schedules there are from the first start: maintenance is on, the brief is listed and off until the owner wants it.
import type { Cursors } from '../../core/cursors.ts';
import type { Db } from '../../core/db.ts';
import type { Author, ScheduleDraft, SchedulesApi } from '../../core/schedules.ts';

/** How many of the list below were made here. Each is made once ever: an archived one stays so, a changed one as it is. */
const MADE = 'schedules.built_in';
const BUILT_IN: Author = { trust: 'owner', by: 'steward:built-in', sessionId: null, here: null };

type Default = Partial<ScheduleDraft> & Pick<ScheduleDraft, 'name' | 'rule' | 'starts'> & { off?: true };

/** A new one goes to the end. */
const defaults = (timeZone: string): Default[] => {
  const cron = (expression: string) => ({ kind: 'cron', expression, timeZone }) as const;
  return [
    {
      name: 'Backup',
      rule: cron('30 3 * * *'),
      starts: { kind: 'job', job: 'backup' },
      priority: 10,
      description: 'A whole copy of the record in backups/: the last seven days and four weeks are kept.',
    },
    {
      name: 'Tidy sandboxes',
      rule: cron('10 4 * * *'),
      starts: { kind: 'job', job: 'sandbox_sweep' },
      description: 'Clears away what ended sandboxes left behind.',
    },
    {
      name: 'Retention',
      rule: cron('20 4 * * 0'),
      starts: { kind: 'job', job: 'retention' },
      description:
        'Removes what ran out: old sign-ins, surplus backups, an overlong log file. Never what was said or is known.',
    },
    {
      name: 'Memory, put in order',
      rule: { kind: 'manual', timeZone },
      starts: { kind: 'job', job: 'consolidation' },
      description: 'Memory does this every night by itself; here it can be started by hand.',
    },
    {
      name: 'Morning brief',
      rule: cron('30 7 * * *'),
      starts: { kind: 'job', job: 'brief' },
      off: true,
      description: 'What waits, what is open, today, and how the night went. No model is asked. Resume it to get it.',
    },
  ];
};

/** Makes what was not made here before, each exactly once; how many. At every start. */
export function createDefaults(deps: {
  db: Pick<Db, 'tx'>;
  cursors: Cursors;
  schedules: Pick<SchedulesApi, 'create' | 'pause'>;
  timeZone: string;
}): number {
  return deps.db.tx(() => {
    const all = defaults(deps.timeZone);
    const made = deps.cursors.get(MADE) ?? 0;
    const missing = all.slice(made);
    if (missing.length === 0) return 0;
    for (const { off, ...draft } of missing) {
      const { id } = deps.schedules.create(draft, BUILT_IN);
      if (off) deps.schedules.pause(id, { kind: 'manual' });
    }
    deps.cursors.set(MADE, all.length);
    return missing.length;
  });
}
