// Words that mean the same although no stemmer sees it: irregular English forms, and the headings of everyday words.
import { EVERYDAY } from './everyday.ts';
import { stem } from './stem.ts';

/** The forms of one word, the base first. */
const IRREGULAR = `be|become became|begin began begun|bite bit bitten|break broke broken|bring brought|build built|buy bought|catch caught|
choose chose chosen|come came|deal dealt|dig dug|do|draw drew drawn|drink drank drunk|drive drove driven|eat ate eaten|fall fell fallen|
feed fed|feel felt|fight fought|find found|fly flew flown|forget forgot forgotten|forgive forgave forgiven|freeze froze frozen|
get got gotten|give gave given|go went gone|grow grew grown|hang hung|hear heard|hide hid hidden|hold held|keep kept|know knew known|
lead led|leave left|lend lent|lie lay lain|light lit|lose lost|make made|meet met|pay paid|ride rode ridden|ring rang rung|rise rose risen|
run ran|say said|see saw seen|seek sought|sell sold|send sent|shake shook shaken|shoot shot|sing sang sung|sink sank sunk|sit sat|
sleep slept|speak spoke spoken|spend spent|spin spun|stand stood|steal stole stolen|stick stuck|strike struck|swear swore sworn|
sweep swept|swim swam swum|take took taken|teach taught|tear tore torn|tell told|think thought|throw threw thrown|
understand understood|wake woke woken|wear wore worn|win won|write wrote written|
child children|man men|woman women|foot feet|tooth teeth|mouse mice|goose geese|person people|wife wives|life lives|knife knives|
leaf leaves|shelf shelves|half halves|wolf wolves|good better best|bad worse worst|die died death dying dead|marry married marriage wedding|
choice choose|loss lose|gift give|sale sell|thought think|speech speak|flight fly|birth born|proof prove|growth grow|
advice advise|belief believe|success succeed|analysis analyses|strong strength|long length|hot heat|young youth|
health healthy|anger angry|hunger hungry|depth deep|width wide|height high|true truth|free freedom|
sick ill illness|paint painting painter|swim swimming|`;

/** What else a stem can be said as, and how much such a word is worth beside the one asked for. */
export type Related = readonly Form[];
interface Form {
  stem: string;
  word: string;
  weight: number;
}

const FORM_WEIGHT = 0.9;
const SYNONYM_WEIGHT = 0.5;

function build(): ReadonlyMap<string, Related> {
  const table = new Map<string, Form[]>();
  const stems = new Map<string, string>();
  const stemOf = (word: string): string => {
    const known = stems.get(word) ?? stem(word);
    stems.set(word, known);
    return known;
  };
  const link = (from: string, to: string, weight: number) => {
    const [a, b] = [stemOf(from), stemOf(to)];
    if (a === b) return;
    const known = table.get(a);
    const same = known?.find((form) => form.stem === b);
    if (!known) table.set(a, [{ stem: b, word: to, weight }]);
    else if (!same) known.push({ stem: b, word: to, weight });
    else if (same.weight < weight) Object.assign(same, { word: to, weight });
  };
  const groups = (text: string) => text.split('|').map((group) => group.trim().split(/\s+/).filter(Boolean));
  for (const forms of groups(IRREGULAR)) for (const a of forms) for (const b of forms) link(a, b, FORM_WEIGHT);
  // From the head to the others and back, but not between the others: `meal` is not a way to say `lunch` and `dinner`.
  for (const [head, ...others] of groups(EVERYDAY))
    for (const other of others) {
      link(head!, other, SYNONYM_WEIGHT);
      link(other, head!, SYNONYM_WEIGHT);
    }
  return table;
}

/** Made when it is first asked for: a start does not wait for it. */
const once = <T>(make: () => T): (() => T) => {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
};
const table = once(build);

export const relatedTo = (stemmed: string): Related => table().get(stemmed) ?? [];
