// Time zones: which names exist, and which one somebody meant who wrote another.

const MOST_SUGGESTIONS = 3;
const LONGEST_NAME = 64;
/** Large cities whose zone bears another city's name. */
const CITIES: Record<string, string> = {
  beijing: 'Asia/Shanghai',
  shenzhen: 'Asia/Shanghai',
  guangzhou: 'Asia/Shanghai',
  delhi: 'Asia/Kolkata',
  new_delhi: 'Asia/Kolkata',
  mumbai: 'Asia/Kolkata',
  bangalore: 'Asia/Kolkata',
  osaka: 'Asia/Tokyo',
  munich: 'Europe/Berlin',
  münchen: 'Europe/Berlin',
  hamburg: 'Europe/Berlin',
  frankfurt: 'Europe/Berlin',
  geneva: 'Europe/Zurich',
  barcelona: 'Europe/Madrid',
  milan: 'Europe/Rome',
  edinburgh: 'Europe/London',
  st_petersburg: 'Europe/Moscow',
  washington: 'America/New_York',
  boston: 'America/New_York',
  miami: 'America/New_York',
  dallas: 'America/Chicago',
  houston: 'America/Chicago',
  san_francisco: 'America/Los_Angeles',
  seattle: 'America/Los_Angeles',
  montreal: 'America/Toronto',
  rio_de_janeiro: 'America/Sao_Paulo',
  cape_town: 'Africa/Johannesburg',
  abu_dhabi: 'Asia/Dubai',
  hanoi: 'Asia/Ho_Chi_Minh',
};

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

/** Known names, the likeliest first: a city that lies in it, then the fewest differing letters. */
export function nearestZones(name: string): string[] {
  const wanted = plain(name.slice(0, LONGEST_NAME));
  const city = wanted.split('/').at(-1)!;
  const known = Object.hasOwn(CITIES, city) ? CITIES[city] : undefined;
  if (known) return [known];
  const candidates = Intl.supportedValuesOf('timeZone')
    .map((zone) => ({ zone, distance: distanceOf(plain(zone), wanted, city) }))
    .filter(({ distance }) => distance <= Math.max(1, Math.floor(city.length / 3)))
    .sort((a, b) => a.distance - b.distance || (a.zone < b.zone ? -1 : 1));
  return candidates
    .filter(
      ({ distance }) => distance <= candidates[0]!.distance + 1 && (candidates[0]!.distance > 0 || distance === 0),
    )
    .slice(0, MOST_SUGGESTIONS)
    .map(({ zone }) => zone);
}

function distanceOf(zone: string, wanted: string, city: string): number {
  return Math.min(differences(city, zone.split('/').at(-1)!), differences(wanted, zone));
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
