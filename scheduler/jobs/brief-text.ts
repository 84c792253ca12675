// The words of the morning brief. Pure: short Markdown, what is empty is left out, what waits for the owner comes first.
import { escapeHidden } from '../../core/approvals.ts';
import type { Millis } from '../../core/types.ts';

export interface BriefFacts {
  now: Millis;
  timeZone: string;
  /** What waits for the owner. */
  approvals: string[];
  questions: string[];
  loops: string[];
  today: { time: string; name: string; times: number }[];
  night: {
    succeeded: number;
    failed: { name: string; why: string; times: number }[];
    missed: { name: string; why: string; times: number }[];
  };
  learnt: string[];
  trouble: string[];
  /** `unpriced`: requests of the two days to models whose price is not known. */
  cost: { yesterdayUsd: number; todayUsd: number; limitUsd: number; unpriced: number };
}

const LINES = 5;
const WIDTH = 140;

function oneLine(text: string): string {
  const flat = escapeHidden(text.replace(/\s+/g, ' ').trim());
  return [...flat].length > WIDTH ? `${[...flat].slice(0, WIDTH - 1).join('')}…` : flat;
}

function section(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  const more = lines.length - LINES;
  return [
    '',
    `**${title}**`,
    ...lines.slice(0, LINES).map((line) => `- ${oneLine(line)}`),
    ...(more > 0 ? [`- and ${more} more`] : []),
  ];
}

const dollars = (amount: number): string => `$${amount.toFixed(2)}`;
const times = (count: number): string => (count > 1 ? ` (${count} times)` : '');
const because = ({ name, why, times: count }: { name: string; why: string; times: number }): string =>
  `${name}${times(count)}${why ? `: ${why}` : ''}`;

function costLine({ yesterdayUsd, todayUsd, limitUsd, unpriced }: BriefFacts['cost']): string[] {
  const unknown = unpriced > 0 ? `, and ${unpriced} request${unpriced === 1 ? '' : 's'} of unknown price` : '';
  if (yesterdayUsd === 0 && todayUsd === 0 && !unknown) return [];
  return [
    '',
    `Cost: ${dollars(yesterdayUsd)} yesterday, ${dollars(todayUsd)} today of ${dollars(limitUsd)}${unknown}.`,
  ];
}

export function briefText(facts: BriefFacts): string {
  const { night } = facts;
  const day = new Intl.DateTimeFormat('en-GB', {
    timeZone: facts.timeZone,
    weekday: 'long',
    day: 'numeric',
    month: 'long',
  }).format(facts.now);
  const ran =
    night.succeeded > 0 ? `${night.succeeded} scheduled run${night.succeeded === 1 ? '' : 's'}, all well` : '';
  const badNight = night.failed.length + night.missed.length + facts.trouble.length > 0;
  const waits = facts.approvals.length + facts.questions.length > 0;
  const quiet = `A quiet night${ran ? `: ${ran}` : ''}${waits ? '.' : `${ran ? ';' : ':'} nothing waits for you.`}`;
  const rest = facts.today.map(
    ({ time, name, times: count }) => `${time} ${name}${count > 1 ? `, ${count} times today` : ''}`,
  );
  return [
    `**Good morning. ${day}.**${badNight ? '' : ` ${quiet}`}`,
    ...section('Waiting for you', [
      ...facts.approvals.map((title) => `to approve: ${title}`),
      ...facts.questions.map((text) => `to decide: ${text}`),
    ]),
    ...section('Went wrong', [
      ...night.failed.map((run) => `failed: ${because(run)}`),
      ...night.missed.map((run) => `missed: ${because(run)}`),
      ...facts.trouble,
    ]),
    ...(badNight && night.succeeded > 0
      ? ['', `${night.succeeded} other run${night.succeeded === 1 ? '' : 's'} went well.`]
      : []),
    ...section('Today', rest),
    ...section('Still open', facts.loops),
    ...section('Learnt', facts.learnt),
    ...costLine(facts.cost),
  ].join('\n');
}
