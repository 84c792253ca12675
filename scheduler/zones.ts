// Time zones: which names exist, and which one somebody meant who wrote another.

const MOST_SUGGESTIONS = 3;
const LONGEST_NAME = 64;

/** Any IANA name or link that this Node knows, `UTC` too; not the bare offsets (`+02:00`) that Intl takes as well. */
export function isZone(name: string): boolean {
  if (name.length > LONGEST_NAME || !/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** Known names, the likeliest first: the same city, then the fewest differing letters. */
export function nearestZones(name: string): string[] {
  const wanted = plain(name.slice(0, LONGEST_NAME));
  const city = wanted.split('/').at(-1)!;
  return ['UTC', ...Intl.supportedValuesOf('timeZone')]
    .map((zone) => {
      const known = plain(zone);
      const knownCity = known.split('/').at(-1)!;
      return { zone, distance: Math.min(differences(city, knownCity), differences(wanted, known)) };
    })
    .filter(({ distance }) => distance <= Math.max(1, Math.floor(city.length / 2)))
    .sort((a, b) => a.distance - b.distance || (a.zone < b.zone ? -1 : 1))
    .slice(0, MOST_SUGGESTIONS)
    .map(({ zone }) => zone);
}

function plain(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replaceAll(/[ _-]+/g, '_');
}

/** Levenshtein distance. */
function differences(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}
