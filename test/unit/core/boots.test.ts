// Lives of the process: when they form a crash loop, and when safe mode ends.
import { describe, expect, it } from 'vitest';
import { judgeLives, type Life, LOOP_WINDOW_MS, SAFE_MODE_MS } from '../../../core/boots.ts';
import { openTestRecord } from '../../helpers/record.ts';

const NOW = 10_000_000;
const life = (change: Partial<Life> = {}): Life => ({
  startedAt: NOW - 1_000,
  endedAt: null,
  worked: false,
  safeMode: null,
  ...change,
});
const crashes = (count: number, change: Partial<Life> = {}) => Array.from({ length: count }, () => life(change));

describe('a crash loop', () => {
  it.each([
    ['no life before', [], { crashes: 0, safeMode: false }],
    ['four crashes', crashes(4), { crashes: 4, safeMode: false }],
    ['five crashes', crashes(5), { crashes: 5, safeMode: true }],
    ['five, but the newest ended by itself', [life({ endedAt: NOW }), ...crashes(5)], { crashes: 0, safeMode: false }],
    [
      'five, but one of them got work done',
      [...crashes(4), life({ worked: true }), ...crashes(5)],
      { crashes: 4, safeMode: false },
    ],
    [
      'five, the oldest out of the window',
      [...crashes(4), life({ startedAt: NOW - LOOP_WINDOW_MS - 1 })],
      { crashes: 4, safeMode: false },
    ],
    [
      'five, the oldest just inside',
      [...crashes(4), life({ startedAt: NOW - LOOP_WINDOW_MS })],
      { crashes: 5, safeMode: true },
    ],
    ['a restart in safe mode', [life({ safeMode: 'why', endedAt: NOW })], { crashes: 0, safeMode: true }],
    ['a restart after safe mode was left', [life({ safeMode: 'left', endedAt: NOW })], { crashes: 0, safeMode: false }],
    [
      'a restart long after safe mode began',
      [life({ safeMode: 'why', startedAt: NOW - SAFE_MODE_MS, endedAt: NOW })],
      { crashes: 0, safeMode: false },
    ],
  ])('%s', (_, lives, expected) => {
    expect(judgeLives(lives, NOW, 5)).toEqual(expected);
  });

  it('is never found when that is switched off', () => {
    expect(judgeLives(crashes(50), NOW, 0).safeMode).toBe(false);
  });
});

it('lives are counted over restarts, a clean end breaks the chain, and leaving safe mode is remembered', () => {
  let record = openTestRecord({ safeModeAfter: 3 });
  for (let n = 0; n < 3; n++) {
    expect(record.boots.safeMode()).toBeNull();
    record = record.reopen();
  }
  expect(record.boots.safeMode()?.why).toContain('3 times');
  record = record.reopen();
  expect(record.boots.safeMode()).not.toBeNull();
  record.boots.leaveSafeMode();
  expect(record.boots.safeMode()).toBeNull();
  const { id } = record.sessions.create({ trust: 'owner', agentId: 'a', agentVersion: 1, environmentId: 'e' });
  record.runs.progress(record.runs.claim(id, 'native', null).id);
  record = record.reopen();
  expect(record.boots.safeMode()).toBeNull();
  record.boots.end();
  record = record.reopen();
  expect(record.boots.safeMode()).toBeNull();
});
