// Two looks at the clocks, and what happened between them.
import { describe, expect, it } from 'vitest';
import { type ClockChange, watchClock } from '../../../scheduler/clock-watch.ts';

const EVERY = 15_000;
const HOUR = 3_600_000;

interface Case {
  name: string;
  wall: number;
  monotonic: number;
  uptime?: number;
  is: ClockChange;
}

const cases: Case[] = [
  { name: 'as it should be', wall: EVERY, monotonic: EVERY, is: { kind: 'none' } },
  { name: 'a little slow', wall: EVERY + 4_000, monotonic: EVERY + 4_000, is: { kind: 'none' } },
  { name: 'corrected by seconds', wall: EVERY - 5_000, monotonic: EVERY, is: { kind: 'none' } },
  { name: 'set back', wall: EVERY - HOUR, monotonic: EVERY, is: { kind: 'jump', byMs: -HOUR } },
  { name: 'ahead, nobody knows why', wall: EVERY + HOUR, monotonic: EVERY, is: { kind: 'slept', forMs: HOUR } },
  { name: 'held still', wall: HOUR, monotonic: HOUR, is: { kind: 'slept', forMs: HOUR - EVERY } },
  {
    name: 'set forward, known by the uptime',
    wall: EVERY + HOUR,
    monotonic: EVERY,
    uptime: EVERY,
    is: { kind: 'jump', byMs: HOUR },
  },
  {
    name: 'slept, known by the uptime',
    wall: EVERY + HOUR,
    monotonic: EVERY,
    uptime: EVERY + HOUR,
    is: { kind: 'slept', forMs: HOUR },
  },
  {
    name: 'woke up to a clock set back',
    wall: EVERY - HOUR,
    monotonic: EVERY,
    uptime: EVERY + HOUR,
    is: { kind: 'jump', byMs: -2 * HOUR },
  },
  { name: 'as it should be, with uptime', wall: EVERY, monotonic: EVERY, uptime: EVERY + 900, is: { kind: 'none' } },
];

describe('watchClock', () => {
  it.each(cases)('$name', ({ wall, monotonic, uptime, is }) => {
    const last = { wall: 1_800_000_000_000, monotonic: 5_000, uptime: uptime === undefined ? null : 100_000 };
    const current = {
      wall: last.wall + wall,
      monotonic: last.monotonic + monotonic,
      uptime: uptime === undefined ? null : 100_000 + uptime,
    };
    expect(watchClock(last, current, EVERY)).toEqual(is);
  });
});
