// schedule_create: a reminder, or a prompt for later. Keyed by the call, so that a repeat after a crash makes no second one.
import { z } from 'zod';
import { describeError } from '../../core/errors.ts';
import type { Schedule, ScheduleDraft, SchedulesApi } from '../../core/schedules.ts';
import { everySchedule } from '../../core/schedules-find.ts';
import * as shapes from '../../core/schedules-shapes.ts';
import { grantsText, madeText } from '../../core/schedules-text.ts';
import { authorOf, expected } from '../../core/tools/author.ts';
import { defineTool, type Tool, textResult } from '../../core/tools/tool.ts';
import type { Address, Id, Millis } from '../../core/types.ts';
import { ruleOf, WAYS } from './rule.ts';

export interface ScheduleToolsDeps {
  /** Asked for by each call: tools are made before the room is. */
  schedules(): SchedulesApi;
  timeZone(): string;
  now(): Millis;
}

/** Where the call that made a schedule is noted. */
const CALL_KEY = 'call_id';

const schema = z
  .strictObject({
    text: z.string().min(1).max(20_000).describe('What is said (message), or asked of you then (prompt)'),
    what: z
      .enum(['message', 'prompt'])
      .optional()
      .describe(
        'message (the default): the text itself is sent, no model needed. prompt: you are asked the text then.',
      ),
    name: z.string().min(1).max(120).optional().describe('A short name; made from the text when left out'),
    when: z
      .string()
      .min(1)
      .max(300)
      .optional()
      .describe(
        'In words: "in 20 minutes", "tomorrow at 9", "every weekday at 7:30". Exactly one of when, cron, every_minutes, at, in_minutes',
      ),
    cron: z.string().min(1).max(200).optional().describe('Five fields, on the wall clock of time_zone'),
    every_minutes: z.number().positive().max(5_270_400).optional().describe('Elapsed minutes between runs'),
    at: z.string().min(1).max(60).optional().describe('Once: 2026-12-24 18:00 in time_zone, or RFC 3339'),
    in_minutes: z.number().positive().max(5_270_400).optional().describe('Once, so many minutes from now'),
    time_zone: z.string().min(1).max(60).optional().describe('IANA name; the owner’s when left out'),
    session: z
      .enum(['main', 'own'])
      .optional()
      .describe('For a prompt: in the ongoing conversation (main), or a fresh one each time (own, the default)'),
    deliver_to: shapes.place
      .optional()
      .describe('Another place for the results, as telegram:12345; here when left out'),
    hosts: z.array(z.string().min(1).max(253)).max(50).optional().describe('Hosts its runs may reach without asking'),
    tools: z.array(z.string().min(1).max(64)).max(50).optional().describe('Tools its runs may use without asking'),
    recipients: z.array(shapes.place).max(20).optional().describe('Places its runs may write to without asking'),
    conditions: z.array(shapes.condition).max(10).optional().describe('Run only when one of them has something new'),
    quiet: shapes.quiet.optional().describe('Hours in which a run waits, as {from: "22:00", to: "07:00"}'),
    catch_up: shapes.catchUp.optional().describe('Runs missed while Steward was off: the latest, none or all'),
    end: z.string().max(40).optional().describe('No run after this day (2026-12-31) or time'),
  })
  .refine((fields) => WAYS.filter((way) => fields[way] !== undefined).length === 1, {
    message: `say when with exactly one of ${WAYS.join(', ')}`,
  });
type Fields = z.infer<typeof schema>;

const hostOf = (url: string) => new URL(url).host.toLowerCase();

/** What a person has to agree to: the hosts of conditions are reached again and again as well. */
function grantsOf(fields: Fields) {
  const asked = (fields.conditions ?? []).flatMap((entry) => (entry.kind === 'http' ? [hostOf(entry.url)] : []));
  return {
    hosts: [...new Set([...(fields.hosts ?? []).map((host) => host.toLowerCase()), ...asked])],
    tools: [...new Set(fields.tools ?? [])],
    recipients: (fields.recipients ?? []).map(shapes.placeOf),
  };
}

function whenText(fields: Fields): string {
  if (fields.every_minutes !== undefined) return `every ${fields.every_minutes} minutes`;
  if (fields.in_minutes !== undefined) return `in ${fields.in_minutes} minutes`;
  return fields.when ?? fields.at ?? `cron ${fields.cron ?? ''}`;
}

function titleOf(fields: Fields): string {
  const may = grantsText(grantsOf(fields));
  const does = fields.what === 'prompt' ? 'run a prompt' : 'send a message';
  return [
    `Schedule “${fields.name ?? shapes.nameFrom(fields.text)}”: ${does}, ${whenText(fields)}`,
    ...(fields.deliver_to ? [`results to ${fields.deliver_to}`] : []),
    ...(may ? [`without asking it may ${may}`] : []),
  ].join('; ');
}

/** The schedule an earlier try of this call has made. */
function madeBy(schedules: SchedulesApi, callId: Id): Schedule | null {
  for (const schedule of everySchedule(schedules, { includeArchived: true }))
    if (schedule.metadata[CALL_KEY] === callId) return schedule;
  return null;
}

export function createScheduleCreate({ schedules: room, timeZone, now }: ScheduleToolsDeps): Tool {
  return defineTool({
    name: 'schedule_create',
    description:
      'Schedule something for later, once or again and again: a reminder (what: message) or work for yourself (what: prompt). Tell the person the next runs that come back, in local time.',
    schema,
    effect: 'keyed',
    action: (fields) => ({
      ...{ type: 'schedule', what: 'create', starts: fields.what ?? 'message', grants: grantsOf(fields) },
      to: fields.deliver_to === undefined ? 'here' : shapes.placeOf(fields.deliver_to),
    }),
    title: titleOf,
    async run(fields, context) {
      const schedules = room();
      const known = madeBy(schedules, context.callId);
      if (known) return textResult(madeText(known, schedules));
      const author = authorOf(context);
      try {
        const rule = ruleOf(fields, { readWhen: schedules.readWhen, timeZone: timeZone(), now: now() });
        const end = fields.end === undefined ? undefined : shapes.endOf(fields.end, rule.timeZone);
        if (end === null)
          return textResult(`end: "${fields.end}" is no day (2026-12-31) and no time in RFC 3339.`, true);
        // What no channel carries stands in the log of the conversation alone.
        const here: Address | null = author.here && author.here.channel !== 'web' ? author.here : null;
        const session = fields.session ?? (author.trust === 'owner' ? 'own' : 'main');
        const draft: Partial<ScheduleDraft> & Pick<ScheduleDraft, 'name' | 'rule' | 'starts'> = {
          name: fields.name ?? shapes.nameFrom(fields.text),
          rule,
          starts:
            fields.what === 'prompt'
              ? { kind: 'prompt', text: fields.text, session }
              : { kind: 'message', text: fields.text },
          target: fields.deliver_to === undefined ? here : shapes.placeOf(fields.deliver_to),
          grants: grantsOf(fields),
          metadata: { [CALL_KEY]: context.callId },
          ...(fields.conditions && { conditions: fields.conditions }),
          ...(fields.quiet && { quiet: fields.quiet }),
          ...(fields.catch_up && { catchUp: fields.catch_up }),
          ...(end !== undefined && { endsAt: end }),
        };
        return textResult(madeText(schedules.create(draft, author), schedules));
      } catch (error) {
        return textResult(`Nothing was scheduled: ${describeError(expected(error))}`, true);
      }
    },
  });
}
