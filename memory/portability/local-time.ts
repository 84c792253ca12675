// Days and times as files say them (2026-02-08, 14:30), in the owner's time zone. Pure.
import type { Millis } from '../../core/types.ts';

function offsetAt(at: Millis, timeZone: string): Millis {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(at);
  const part = (type: string) => Number(parts.find((entry) => entry.type === type)!.value);
  const local = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
  return local - Math.floor(at / 1000) * 1000;
}

/** Null for a day there is not. Noon when no time is given: the day is right in every zone nearby. */
export function localTime(day: string, time: string | null, timeZone: string): Millis | null {
  const [, year, month, date] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(day) ?? [];
  const [, hour = '12', minute = '00', second = '00'] = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/.exec(time ?? '') ?? [];
  if (!year || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null;
  const naive = Date.UTC(Number(year), Number(month) - 1, Number(date), Number(hour), Number(minute), Number(second));
  if (Number.isNaN(naive) || new Date(naive).toISOString().slice(0, 10) !== day) return null;
  // Twice: the first guess may lie on the other side of a change of the clocks.
  const guess = naive - offsetAt(naive, timeZone);
  return naive - offsetAt(guess, timeZone);
}
