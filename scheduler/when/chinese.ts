// Puts the common Chinese ways to say a time into the English words that are read. What it does not know it leaves.

const DIGITS = '零一二三四五六七八九';
const WEEKDAYS: Record<string, string> = {
  一: 'monday',
  二: 'tuesday',
  三: 'wednesday',
  四: 'thursday',
  五: 'friday',
  六: 'saturday',
  日: 'sunday',
  天: 'sunday',
};
const UNITS: Record<string, string> = {
  分钟: 'minutes',
  小时: 'hours',
  钟头: 'hours',
  天: 'days',
  周: 'weeks',
  星期: 'weeks',
};
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/每个?(?:工作日)|工作日/g, ' every weekday '],
  [/每个?周末/g, ' every weekend '],
  [/每[天日]/g, ' every day '],
  [/每(?:天)?早上|每天早晨/g, ' every morning '],
  [/每晚/g, ' every evening '],
  [/今晚/g, ' today evening '],
  [/明早/g, ' tomorrow morning '],
  [/明晚/g, ' tomorrow evening '],
  [/今[天日]/g, ' today '],
  [/明[天日]/g, ' tomorrow '],
  [/后天/g, ' day after tomorrow '],
  [/早上|早晨|上午|凌晨/g, ' morning '],
  [/中午/g, ' noon '],
  [/下午/g, ' afternoon '],
  [/晚上|夜里/g, ' evening '],
];

export function fromChinese(text: string): string {
  if (!/[\u4e00-\u9fff]/.test(text)) return text;
  return (
    WORDS.reduce((rest, [chinese, english]) => rest.replaceAll(chinese, english), text)
      // 每周一和周四, 周五
      .replaceAll(
        /(每个?)?(?:周|星期|礼拜)([一二三四五六日天])/g,
        (_, every, day) => ` ${every ? 'every ' : ''}${WEEKDAYS[day]} `,
      )
      .replaceAll(
        /每个?月([\d一二三四五六七八九十]{1,3})[号日]/g,
        (_, date) => ` every month on the ${figure(date)}th `,
      )
      .replaceAll(
        /([\d一二三四五六七八九十]{1,3})月([\d一二三四五六七八九十]{1,3})[号日]/g,
        (_, month, date) => ` ${monthWord(figure(month))} ${figure(date)} `,
      )
      // 每15分钟, 每两个小时
      .replaceAll(
        /每隔?(\d{1,6}|[一二两三四五六七八九十半]{1,3})?个?(分钟|小时|钟头|天|周|星期)/g,
        (_, count, unit) => ` every ${count ? amount(count) : '1'} ${UNITS[unit]} `,
      )
      // 20分钟后, 半小时后, 一个半小时后
      .replaceAll(
        /(\d{1,6}|[一二两三四五六七八九十半]{1,3})个?(半)?(分钟|小时|钟头|天|周|星期)(?:之后|以后|后)/g,
        (_, count, half, unit) => ` in ${amount(count)}${half ? '.5' : ''} ${UNITS[unit]} `,
      )
      // 9点, 9点半, 九点三十分
      .replaceAll(
        /([\d一二两三四五六七八九十]{1,3})[点时](半|一刻|[\d一二三四五六七八九十]{1,3})?分?/g,
        (_, hour, minute) => ` ${figure(hour)}:${minuteWord(minute)} `,
      )
      .replaceAll(/[和、，与及]/g, ' and ')
      .replaceAll(/[的在]/g, ' ')
  );
}

function amount(text: string): string {
  return text === '半' ? '0.5' : String(figure(text));
}

function minuteWord(text: string | undefined): string {
  const minute = text === undefined ? 0 : text === '半' ? 30 : text === '一刻' ? 15 : figure(text);
  return String(minute).padStart(2, '0');
}

function monthWord(month: number): string {
  return 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ')[month - 1] ?? String(month);
}

/** `12`, `十二`, `二十`, `两`. */
function figure(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const digit = (char: string | undefined) => (char === '两' ? 2 : Math.max(0, DIGITS.indexOf(char ?? '零')));
  const ten = text.indexOf('十');
  if (ten < 0) return digit(text[0]);
  return (ten === 0 ? 1 : digit(text[0])) * 10 + digit(text[ten + 1]);
}
