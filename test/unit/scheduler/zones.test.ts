// Names of zones, right and wrong.
import { describe, expect, it } from 'vitest';
import { isZone, nearestZones } from '../../../scheduler/zones.ts';

describe('isZone', () => {
  it('knows every zone Intl has, old names and UTC', () => {
    for (const zone of [...Intl.supportedValuesOf('timeZone'), 'UTC', 'Asia/Calcutta', 'US/Pacific', 'Etc/GMT+2']) {
      expect(isZone(zone), zone).toBe(true);
    }
  });

  it.each(['', ' ', 'Berlin', '+02:00', '-0500', 'Europe/Berlin ', 'Europe/../Berlin', 'x'.repeat(100_000)])(
    'not %j',
    (name) => {
      expect(isZone(name)).toBe(false);
    },
  );
});

describe('nearestZones', () => {
  it.each([
    ['Berlin', 'Europe/Berlin'],
    ['europe/berln', 'Europe/Berlin'],
    ['new york', 'America/New_York'],
    ['America/NewYork', 'America/New_York'],
    ['München', 'Europe/Berlin'],
    ['Asia/Beijing', 'Asia/Shanghai'],
    ['San Francisco', 'America/Los_Angeles'],
    ['Amerika/Santiago', 'America/Santiago'],
  ])('%s is %s', (wrong, right) => {
    expect(nearestZones(wrong)[0]).toBe(right);
    expect(nearestZones(wrong).every(isZone)).toBe(true);
  });

  it('has nothing to say about nonsense', () => {
    expect(nearestZones('Qqqqq/Xxxxxx')).toEqual([]);
    expect(nearestZones('constructor')).toEqual([]);
    expect(nearestZones('')).toEqual([]);
  });
});
