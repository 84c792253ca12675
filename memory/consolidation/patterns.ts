// What the owner's own words say plainly enough to be kept without asking a model: few forms, each of which means one thing. Pure.
// A form that could mean something else is not here: better nothing than nonsense.
import type { ItemKind, Tier } from '../../core/memory.ts';

/** A sentence that states something; what is kept is the sentence as it was said. */
export interface Plain {
  tier: Extract<Tier, 'identity' | 'state' | 'reference'>;
  kind: ItemKind;
  /** With a slot, the subject is the owner. */
  slot: string | null;
  /** Letter by letter out of the message. */
  quote: string;
  /** The statement in the sentence: without "remember that". */
  text: string;
  /** Of an open loop: the words of its date, if it has one. */
  due: string | null;
}

/** A pasted text is not what somebody says of themselves. */
const LONGEST_MESSAGE = 1_000;
const LONGEST_SENTENCE = 400;

/** The message wants something done with the words in it. */
const ABOUT_TEXT =
  /^\W*(?:(?:please|can you|could you|bitte|kannst du|请|帮我)\W+)?(?:translate|rewrite|rephrase|proofread|correct|summari[sz]e|write|draft|compose|reply|answer|say|repeat|spell|pretend|imagine|suppose|role ?play|übersetz|schreib|formulier|korrigier|fass|antworte|stell dir vor|wiederhol|翻译|改写|润色|写|总结|回复|假装|想象)/iu;

const GREETING = String.raw`(?:(?:please|ok|okay|hey|hi|hello|btw|by the way|fyi|also|and|so|oh|yes|no|hallo|übrigens|also|und|bitte|你好|对了|另外)[,:，：!]?\s*)*(?:steward[,:，]?\s*)?`;
const begins = (source: string): RegExp => new RegExp(`^${GREETING}${source}$`, 'iu');

/** A name as people write it: each word begins with a capital, or it is written in a script without them. */
const NAME =
  /^(?:\p{Lu}[\p{L}'’.-]*(?:\s+(?:(?:van|von|de|der|da|di|la|le|bin|al)\s+)?\p{Lu}[\p{L}'’.-]*){0,3}|\p{Script=Han}{2,6})$/u;
const NO_NAME =
  /^(?:back|when|if|tomorrow|later|today|now|crazy|maybe|a|an|the|on|at|in|any|asap|please|monday|tuesday|wednesday|thursday|friday|saturday|sunday|not|never|again|bitte|morgen|später|heute)\b|^[他她它你您了人起床去来吃做走回别不没什外车有要在]/iu;
const PLACE =
  /^(?:\p{Lu}[\p{L}'’.-]*(?:[ ,]+(?:(?:am|an|der|upon|de|la|the|im|of)\s+)?\p{Lu}[\p{L}'’.-]*){0,4}|\p{Script=Han}{2,12})$/u;
const EMAIL = /^[\w.+-]+@[\w-]+(?:\.[\w-]+)+$/;
const PHONE = /^\+?\d[\d ()/.-]{4,20}\d$/;
const DATE =
  /^(?=.*\d)(?:on |the |am |den )?(?:\d{1,2}(?:st|nd|rd|th|\.)?(?: of)?[ /.-]*)?(?:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez|\d)[\p{L}]*[ ,./-]*(?:\d{1,2}(?:st|nd|rd|th)?)?(?:[ ,./-]*(?:19|20)\d\d)?$|^(?:\d{4}年)?\d{1,2}月\d{1,2}[日号]?$/iu;
/** What is said of a thing, not which thing it is. */
const NO_VALUE =
  /^(?:not|no|never|so|too|very|really|being|getting|coming|going|gone|closed|open|broken|lost|missing|dead|ill|sick|full|empty|out|over|back|here|there|on|off|now|also|still|just|currently|always|probably|sold|better|worse|good|bad|great|awful|at|in|to|when|if|that|this|these|those|the (?:one|first|second|third|last|same|former|latter)|one|my|your|nicht|kein|sehr|so|weg|kaputt|zu|这|那|很|不|太|没)(?![\p{L}])|^[这那很不太没]/iu;
const anything = (value: string): boolean => !NO_VALUE.test(value) && value.split(/\s+/).length <= 8;

const THINGS =
  'colou?r|food|dish|drink|movie|film|book|song|band|singer|author|writer|music|genre|game|sport|team|animal|season|flower|fruit|cuisine|city|country|language|number|show|series|tea|coffee|wine|beer|cheese|cake|dessert|ice cream';

interface Form {
  pattern: RegExp;
  tier: Plain['tier'];
  kind: ItemKind;
  /** The name of the slot, or the group of the pattern that names it. */
  slot: string | { group: number } | null;
  /** What the group `value` must look like. */
  value?: (value: string) => boolean;
}

const name = (value: string): boolean => NAME.test(value) && !NO_NAME.test(value);
const place = (value: string): boolean => PLACE.test(value) && !NO_NAME.test(value);
const date = (value: string): boolean => DATE.test(value);
const contact = (value: string): boolean => EMAIL.test(value) || PHONE.test(value);
const owner = (
  source: string,
  slot: Form['slot'],
  value: Form['value'],
  tier: Plain['tier'] = 'reference',
  kind: ItemKind = 'fact',
): Form => ({
  pattern: begins(source),
  tier,
  kind,
  slot,
  ...(value && { value }),
});
const NOW = '(?:,? (?:now|please|from now on|instead|these days|jetzt|bitte|ab jetzt))?';

const FORMS: readonly Form[] = [
  // Who the owner is.
  owner(`my (?:full )?name is (?<value>.{2,60}?)${NOW}`, 'name', name, 'identity', 'person'),
  owner(`(?:you can |just )?call me (?<value>.{2,40}?)${NOW}`, 'called', name, 'identity', 'person'),
  owner('(?:ich heiße|mein name ist) (?<value>.{2,60}?)', 'name', name, 'identity', 'person'),
  owner(`(?:nenne? mich|du kannst mich) (?<value>.{2,40}?)(?: nennen)?${NOW}`, 'called', name, 'identity', 'person'),
  owner(
    '(?:我的名字是|我叫)(?<value>.{2,12})',
    'name',
    (v) => name(v) && !/[了来去起着过]/.test(v),
    'identity',
    'person',
  ),
  owner(
    '(?:请|以后|以后请|你可以|可以)叫我(?<value>.{1,12}?)(?:吧|就好|就行|就可以)?',
    'called',
    (v) => name(v) && !/[了来去起着过]/.test(v),
    'identity',
    'person',
  ),
  owner(
    String.raw`my pronouns are (?<value>\p{L}{1,6}/\p{L}{1,6}(?:/\p{L}{1,6})?)`,
    'pronouns',
    undefined,
    'identity',
    'person',
  ),

  // The one X of the owner.
  owner(`my (?:birthday|date of birth) is (?<value>.{3,40}?)`, 'birthday', date),
  owner(`i was born on (?<value>.{3,40}?)`, 'birthday', date),
  owner(`mein geburtstag ist (?<value>.{3,40}?)`, 'birthday', date),
  owner('我的?生日是(?<value>.{3,20})', 'birthday', date),
  owner(`my (?:wedding )?anniversary is (?<value>.{3,40}?)`, 'anniversary', date),
  owner('my (?:work |private |personal )?e-?mail(?: address)? is (?<value>\\S{5,80}?)', 'email', contact),
  owner('my (?:mobile |cell )?(?:phone|mobile|cell)(?: number)? is (?<value>.{5,30}?)', 'phone', contact),
  owner('meine (?:e-?mail(?:-?adresse)?) (?:ist|lautet) (?<value>\\S{5,80}?)', 'email', contact),
  owner('meine (?:telefon|handy)nummer (?:ist|lautet) (?<value>.{5,30}?)', 'phone', contact),
  owner('我的?(?:邮箱|电子邮件)是(?<value>\\S{5,80})', 'email', contact),
  owner('我的?(?:电话|手机)(?:号码?)?是(?<value>.{5,30})', 'phone', contact),
  owner(`i live in (?<value>.{2,60}?)${NOW}`, 'home', place),
  owner(`ich (?:wohne|lebe) in (?<value>.{2,60}?)${NOW}`, 'home', place),
  owner('我(?:现在)?住在(?<value>.{2,20})', 'home', (v) => place(v) && !/[这那里哪]/.test(v)),
  owner(`i work (?:at|for) (?<value>.{2,60}?)${NOW}`, 'employer', place),
  owner(`ich arbeite bei (?<value>.{2,60}?)${NOW}`, 'employer', place),
  owner(
    `my (wife|husband|partner|girlfriend|boyfriend|mother|father|mum|mom|dad|boss|manager|dentist|doctor|gp|landlord|accountant|lawyer|therapist)(?:['’]s name)? (?:is called|is named|is) (?<value>.{2,60}?)`,
    { group: 1 },
    name,
    'reference',
    'person',
  ),
  owner(
    'meine? (frau|mann|partnerin|partner|mutter|vater|chefin|chef|zahnärztin|zahnarzt|hausärztin|hausarzt|vermieter) (?:ist|heißt) (?<value>.{2,60}?)',
    { group: 1 },
    name,
    'reference',
    'person',
  ),
  owner(`my (favou?rite (?:${THINGS})) is (?<value>.{2,60}?)`, { group: 1 }, anything, 'reference', 'preference'),
  owner(
    String.raw`meine? (lieblings\p{L}{2,20}) ist (?<value>.{2,60}?)`,
    { group: 1 },
    anything,
    'reference',
    'preference',
  ),
  owner('我(最喜欢的.{1,6})是(?<value>.{1,30})', { group: 1 }, anything, 'reference', 'preference'),
  owner(`my (?:native language|mother tongue) is (?<value>.{3,30}?)`, 'native language', name),
  owner(`my time ?zone is (?<value>[A-Za-z_/+0-9:-]{2,40})`, 'time zone', undefined),
  owner('my blood type is (?<value>(?:A|B|AB|O|0) ?[+-])', 'blood type', undefined),

  // Of which there may be many.
  owner(
    'i(?: generally| usually| always)? prefer (?<value>.{3,120}?)',
    null,
    (v) => !/^(?:the|this|that|these|those|it|your|option|a different|another|not|you)\b|\?/i.test(v),
    'reference',
    'preference',
  ),
  owner(
    'ich bevorzuge (?<value>.{3,120}?)',
    null,
    (v) => !/^(?:den|die|das|dies|diese\w*|jene\w*|option|nicht)\b/i.test(v),
    'reference',
    'preference',
  ),
  owner(
    '我更?(?:喜欢|偏好)(?<value>.{2,40})',
    null,
    (v) => !/^[这那第你他她它]/.test(v) && !/吗|么/.test(v),
    'reference',
    'preference',
  ),
  owner(`i(?:['’]m| am) (?:also )?allergic to (?<value>.{3,60}?)`, null, anything),
  owner(
    `i(?:['’]m| am) (?:an? )?(?<value>vegetarian|vegan|pescatarian|left-handed|colou?r-?blind|lactose intolerant|gluten intolerant|diabetic|coeliac|celiac)`,
    null,
    undefined,
  ),
  owner('ich bin (?:auch )?allergisch gegen (?<value>.{3,60}?)', null, anything),
  owner('ich bin (?<value>vegetarier(?:in)?|veganer(?:in)?|linkshänder(?:in)?|diabetiker(?:in)?)', null, undefined),
  owner('我对(?<value>.{1,12})过敏', null, undefined),
];

const ASKED = [
  begins(`(?:please )?(?:remember|keep in mind|don['’]t forget|note) that[,:]? (?<clause>.{4,}?)`),
  begins('(?:please )?remember: ?(?<clause>.{4,}?)'),
  begins('(?:merke? dir|denke? daran|vergiss nicht|behalte im kopf)(?: bitte)?,? dass (?<clause>.{4,}?)'),
  begins('(?:merke? dir)(?: bitte)?: ?(?<clause>.{4,}?)'),
  begins('(?:请|帮我|请帮我)?(?:记住|记一下)[：:，,]?\\s*(?<clause>.{3,}?)'),
];
/** "Remember that time we …" tells a story. */
const STORY =
  /^(?:time|day|night|evening|one|guy|film|movie|song|place|old|thing|when|i asked|we (?:talked|spoke|said))\b|^[了吗没]/i;
/** There is something it says: a word that states. */
const STATES =
  /\b(?:is|are|was|were|am|has|have|had|likes?|loves?|hates?|prefers?|needs?|wants?|works?|lives?|uses?|takes?|starts?|ends?|means|costs?|must|should|can|cannot|will|never|always|got|moved|bought|called|born|eats?|drinks?|speaks?|owns?|plays?|does|do|goes|comes|arrives?|leaves?|closes?|opens?|expires?)\b|n['’]t\b|['’](?:m|s|re|ve|ll)\b|\b(?:ist|sind|war|hat|haben|bin|mag|heißt|wohnt|braucht|muss|will|kann|soll|wird|arbeitet|isst|trinkt|kommt|geht|hasst|liebt)\b|[是有在要会喜不住爱用需叫]/iu;

const LOOPS = [
  begins('(?:please )?remind me to (?<what>.{3,200}?)'),
  begins('i (?:have|need) to (?<what>.{3,200}? (?:by|before|until) (?<due>.{3,40}?))'),
  begins('(?:bitte )?erinnere? mich daran,? (?<what>.{3,200}?)'),
  begins(String.raw`ich muss (?<what>bis (?:spätestens )?(?<due>\S+(?: \S+)?) .{3,200}?)`),
  begins('(?:请)?提醒我(?<what>.{2,80})'),
];

/** Where a full stop ends no sentence. */
const ABBREVIATION =
  /(?:^|[\s(])(?:\p{L}|dr|mr|mrs|ms|prof|st|no|nr|vs|jr|sr|inc|ltd|ca|e\.g|i\.e|z\.b|approx|\d{1,2})\.$/iu;

/** Sentences of a line, each letter by letter, with its mark at the end. */
export function sentencesOf(line: string): string[] {
  const sentences: string[] = [];
  let from = 0;
  for (const match of line.matchAll(/[.!?](?=\s)|[。！？；]/gu)) {
    const end = match.index + match[0].length;
    const sentence = line.slice(from, end);
    if (match[0] === '.' && ABBREVIATION.test(sentence)) continue;
    sentences.push(sentence.trim());
    from = end;
  }
  sentences.push(line.slice(from).trim());
  return sentences.filter((sentence) => sentence !== '');
}

/** One name for what is called by several. */
const SAME: Record<string, string> = {
  mum: 'mother',
  mom: 'mother',
  dad: 'father',
  gp: 'doctor',
  frau: 'wife',
  mann: 'husband',
  mutter: 'mother',
  vater: 'father',
  partnerin: 'partner',
  chef: 'boss',
  chefin: 'boss',
  zahnarzt: 'dentist',
  zahnärztin: 'dentist',
  hausarzt: 'doctor',
  hausärztin: 'doctor',
  vermieter: 'landlord',
};
const slotName = (words: string): string => {
  const low = words
    .toLowerCase()
    .replace('favorite', 'favourite')
    .replace(/color\b/, 'colour');
  return SAME[low] ?? low;
};

const capital = (text: string): string => text.replace(/^\p{Ll}/u, (letter) => letter.toUpperCase());

function formOf(sentence: string): Omit<Plain, 'quote' | 'text' | 'due'> | null {
  for (const form of FORMS) {
    const match = form.pattern.exec(sentence);
    if (!match) continue;
    const value = match.groups?.value?.trim() ?? '';
    if (form.value && !form.value(value)) continue;
    const slot = typeof form.slot === 'object' && form.slot !== null ? slotName(match[form.slot.group]!) : form.slot;
    return { tier: form.tier, kind: form.kind, slot };
  }
  return null;
}

function read(sentence: string): Plain | null {
  const bare = sentence.replace(/[.!。！；\s]+$/u, '');
  if (/[?？]\s*$|吗$|^["'“„«『「>]/u.test(sentence) || bare.length > LONGEST_SENTENCE) return null;
  const due = null;
  const form = formOf(bare);
  if (form) return { ...form, quote: bare, text: capital(bare), due };
  for (const asked of ASKED) {
    const clause = asked.exec(bare)?.groups?.clause?.trim();
    if (!clause || STORY.test(clause) || !STATES.test(clause)) continue;
    const inner = formOf(clause);
    return { ...(inner ?? { tier: 'reference', kind: 'fact', slot: null }), quote: bare, text: capital(clause), due };
  }
  for (const loop of LOOPS) {
    const match = loop.exec(bare);
    if (match)
      return {
        tier: 'state',
        kind: 'loop',
        slot: null,
        quote: bare,
        text: capital(bare),
        due: match.groups?.due ?? null,
      };
  }
  return null;
}

/** Each plain statement of a message. Never throws. */
export function plainStatements(message: string): Plain[] {
  if (message.length > LONGEST_MESSAGE || message.includes('```') || ABOUT_TEXT.test(message)) return [];
  return message
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('>'))
    .flatMap(sentencesOf)
    .map(read)
    .filter((plain) => plain !== null);
}
