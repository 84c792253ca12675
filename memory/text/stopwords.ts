// Words that say nothing about what is looked for: English ones, and the commonest of German, French and Spanish.

const ENGLISH = `a about above after again against all also am an and any anything are arent as at be because been before being
below between both but by can cannot cant could couldnt did didnt do does doesnt doing dont down during each ever every few for
from further had hadnt has hasnt have havent having he hed hell her here hers herself hes him himself his how i id if ill im in
into is isnt it its itself ive just let lets like me more most my myself no nor not now of off oh ok okay on once one only or
other our ours ourselves out over own please really s same say says said she shed shes should shouldnt so some something
such tell t than that thats the their theirs them themselves then there theres these they theyd theyll theyre theyve this those
through to too under until up upon us very was wasnt we wed well were werent weve what whats when where wheres whether which
while who whom whos whose why will with wont would wouldnt yeah yes yet you youd youll your youre yours yourself youve
according many much might may could would should shall must toward towards around between among across along within without
another else also too since though although however whether rather quite perhaps maybe likely mention mentioned kind kinds sort type types recently currently`;

const GERMAN = `aber als am an auch auf aus bei bin bis da das dass dein dem den der des die dir doch du durch ein eine einem einen
einer er es fur habe haben hat hatte ich ihr im in ist ja kann man mein meine mich mir mit nach nicht noch nur oder schon sein seine
sich sie sind so uber um und uns unser vom von vor war waren warum was wann wenn wer wie wieder wir wird wo zu zum zur`;

const FRENCH = `ai au aux avec ce ces cette dans de des du elle en est et etait il ils je la le les leur ma mais mes moi mon ne nous
on ou par pas pour quand que quel quelle qui quoi sa se ses son sont sur ta te tes toi ton tu un une vos votre vous`;

const SPANISH = `al como con cual cuando de del donde el ella en era es esta este fue ha han hay la las lo los mas mi mis muy no nos
o para pero por que quien se si sin sobre su sus te tu tus un una y ya yo`;

/**
 * Words that ask more than they tell: verbs that go with anything, and what questions call their object. They count for a part
 * of what their rarity would give them.
 */
const LIGHT_WORDS = `get got take took make made go went come came happen happened occur occurred feel felt think thought know knew
want wanted like liked give gave use used using tell told show showed share shared describe described discuss discussed talk talked
speak participate participated plan planned planning try tried start started begin began keep kept find found see saw look looked
become became seem need needed decide decided choose chose chosen consider considered receive received involve involved include
significant important particular specific certain different new recent thing things stuff way ways time times activity activities
event events item items place places experience experienced person people someone anyone face faced pursue pursued address
addressed express expressed reason reasons name named call called day days lot good great nice own`;

/** Real words of English: a German or Spanish sentence can do with them. */
const KEPT = new Set(['die', 'war', 'son', 'hat', 'par', 'pour', 'man', 'on', 'sin', 'era', 'te', 'ton', 'see']);

const split = (text: string): string[] => text.split(/\s+/);

const STOP: ReadonlySet<string> = new Set([
  ...split(ENGLISH),
  ...[GERMAN, FRENCH, SPANISH].flatMap(split).filter((word) => !KEPT.has(word)),
]);

export const isStop = (word: string): boolean => STOP.has(word);

const LIGHT: ReadonlySet<string> = new Set(split(LIGHT_WORDS));

export const isLight = (word: string): boolean => LIGHT.has(word);
