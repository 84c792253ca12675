// The plain words the offline responder obeys, and the tool call each of them becomes.
import type { Json, JsonObject, ToolDefinition } from '../types.ts';

export interface Command {
  tool: string;
  /** The arguments, under the names the offered tool gives them. */
  input(tool: ToolDefinition): JsonObject;
}

interface Pattern {
  tool: string;
  example: string;
  pattern: RegExp;
  /** From the named groups of the pattern: each value under the names a tool may know it by, the likeliest first. */
  values(groups: Record<string, string>): [names: string[], value: Json][];
}

const TEXT = ['text', 'content', 'statement', 'message'];
const QUERY = ['query', 'text', 'question'];
const WITH_SOURCES: [names: string[], value: Json] = [['sources'], true];
const WHEN = ['when', 'schedule', 'at', 'time'];
const AS_PROMPT: [names: string[], value: Json] = [['what'], 'prompt'];
const WHAT = ['text', 'prompt', 'message', 'what', 'task', 'title'];

const DAYS = '(?:mon|tues|wednes|thurs|fri|satur|sun)day';
const UNIT = `(?:minute|hour|day|night|morning|noon|afternoon|evening|week|weekday|weekend|month|year|${DAYS})s?`;
const CLOCK = '\\d{1,2}(?::\\d\\d)?(?:\\s*[ap]m)?';
const HOUR = `(?:${CLOCK}|noon|midnight)`;
const EVERY = `(?:daily|every\\s+(?:other\\s+|\\d+\\s+)?${UNIT}(?:(?:\\s+and|\\s*,)\\s+${DAYS}s?){0,6})`;
const MONTHS =
  '(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec|january|february|march|april|june|july|august|september|october|november|december)';
/** Words that times at the end of a sentence are made of, and those one of them can begin with. What they mean is not known here. */
const OPENS = `(?:in|at|on|every|each|next|this|daily|today|tonight|tomorrow|\\d{4}-\\d\\d-\\d\\d)`;
const WORD = `(?:${OPENS}|${UNIT}|${HOUR}|${MONTHS}|\\d+(?:st|nd|rd|th)?|(?:a|an|the|of|and|other|half|quarter|one|two|three|four|five|six|ten)|[ap]m|o’clock|o'clock)`;

// No two neighbouring parts of a pattern can match the same white space: a long run of it would take for ever.
export const COMMANDS: Pattern[] = [
  {
    tool: 'web_fetch',
    example: 'fetch <url>',
    pattern: /^fetch\s+(?<url>\S+)$/i,
    values: ({ url = '' }) => [[['url'], /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : `https://${url}`]],
  },
  {
    tool: 'send_message',
    example: 'send <text> to <channel>:<chat>',
    pattern: /^send\s+(?<text>\S|\S.*\S)\s+to\s+(?<channel>[a-z]+):(?<chat>\S+)$/is,
    values: ({ text = '', channel = '', chat = '' }) => [
      [TEXT, unquote(text)],
      [['to'], `${channel.toLowerCase()}:${chat}`],
    ],
  },
  {
    tool: 'memory_save',
    example: 'remember <something>',
    pattern: /^remember\s+(?:that\s+)?(?<text>.+)$/is,
    values: ({ text = '' }) => [[TEXT, text]],
  },
  {
    tool: 'memory_search',
    example: 'what do you know about <something>',
    pattern: /^(?:recall|what do you know about)\s+(?<query>.+)$/is,
    values: ({ query = '' }) => [[QUERY, query.replace(/\?$/, '').trimEnd()]],
  },
  {
    tool: 'memory_search',
    example: 'what did I say about <something>',
    pattern: /^what (?:did|have) I (?:say|said|tell you|told you|mention|mentioned) about\s+(?<query>.+)$/is,
    values: ({ query = '' }) => [
      [QUERY, query.replace(/\?$/, '').trimEnd()],
      [['actor'], 'owner'],
      [['kinds'], ['event']],
    ],
  },
  {
    tool: 'memory_forget',
    example: 'forget <id>',
    pattern: /^forget\s+(?<id>(?:mem|sevt)_\w{1,60})(?<sources>\s+with (?:its |the )?sources)?$/i,
    values: ({ id = '', sources }) => [[['id'], id], ...(sources ? [WITH_SOURCES] : [])],
  },
  {
    tool: 'memory_forget',
    example: 'forget <something>',
    pattern: /^forget\s+(?:about\s+)?(?<query>.+)$/is,
    values: ({ query = '' }) => {
      const [, what = query] = /^(.*\S)\s+with (?:its |the )?sources$/is.exec(query) ?? [];
      return [[['query', 'text', 'id'], what], ...(what === query ? [] : [WITH_SOURCES])];
    },
  },
  {
    tool: 'schedule_create',
    example: 'remind me to <something> tomorrow at 9',
    // The earliest words from which on everything is about a time: “be at home in 20 minutes” is due in 20 minutes.
    // Looked for near the end alone, or a long text would take long.
    pattern: new RegExp(
      `^remind me\\s+(?:to|that|about)\\s+(?<what>\\S|\\S.*?\\S)\\s+(?<when>${OPENS}(?=.{0,100}$)(?:\\s+${WORD}){0,10})[.!]?$`,
      'is',
    ),
    values: ({ when = '', what = '' }) => [
      [WHEN, when],
      [WHAT, what],
    ],
  },
  {
    tool: 'schedule_create',
    example: 'remind me in 20 minutes to <something>',
    pattern: /^remind me\s+(?!(?:to|that|about)\s)(?<when>\S.*?\S)\s+(?:to|that|about)\s+(?<what>.+)$/is,
    values: ({ when = '', what = '' }) => [
      [WHEN, when],
      [WHAT, what],
    ],
  },
  {
    tool: 'schedule_create',
    example: 'every day at 8 <something>',
    // A time alone is not something to be said.
    pattern: new RegExp(
      `^(?<when>${EVERY}(?:\\s+on\\s+the\\s+\\d{1,2}(?:st|nd|rd|th))?(?:\\s+at\\s+${HOUR})?)[:,]?\\s+(?!(?:at\\s+\\d|and\\s+\\S+day)\\b)(?:to\\s+)?(?<what>.+)$`,
      'is',
    ),
    values: ({ when = '', what = '' }) => [
      [WHEN, when],
      [WHAT, what],
      // What this responder can do is done then; anything else is only said again.
      ...(readCommand(what) ? [AS_PROMPT] : []),
    ],
  },
  {
    tool: 'schedule_list',
    example: 'what is scheduled',
    pattern: /^(?:what(?: is|’s|'s) (?:scheduled|due)|(?:list|show)(?: my| the)? (?:schedules|reminders))\s?\??$/i,
    values: () => [],
  },
  {
    tool: 'schedule_cancel',
    example: 'cancel schedule <id>',
    pattern: /^(?:cancel|remove|delete)(?: the)? (?:schedule|reminder)\s+(?<id>\S|\S.*\S)$/i,
    values: ({ id = '' }) => [[['id', 'name'], id]],
  },
  {
    tool: 'task_create',
    example: 'task <repository>: <what is to be done>',
    // Without a model the lines of what is to be done are what a shell carries out.
    pattern:
      /^(?:(?:run|begin|start)\s+(?:a\s+)?)?task(?:\s+(?:in|on))?\s+(?<repository>[^\s:]\S*?):\s+(?<instruction>.+)$/is,
    values: ({ repository = '', instruction = '' }) => [
      [['repository'], repository],
      [['instruction', 'text'], instruction],
      [['harness'], 'script'],
    ],
  },
  {
    tool: 'task_status',
    example: 'how are the tasks',
    pattern: /^(?:how (?:are|go) the tasks|(?:list|show)(?: my| the)? tasks)\s?\??$/i,
    values: () => [],
  },
  {
    tool: 'task_cancel',
    example: 'cancel task <id>',
    pattern: /^(?:cancel|stop|end)(?: the)? task\s+(?<id>\S|\S.*\S)$/i,
    values: ({ id = '' }) => [[['id'], id]],
  },
  {
    tool: 'bash',
    example: 'run <command>',
    pattern: /^run\s+(?<command>.+)$/is,
    // The hosts that stand in the command as addresses are those the person wants to be reached.
    values: ({ command = '' }) => [[['command', 'cmd'], command], ...hostsOf(command)],
  },
];

function hostsOf(command: string): [names: string[], value: Json][] {
  const hosts = [...command.matchAll(/https?:\/\/([a-z0-9.-]{1,253}(?::\d{1,5})?)/gi)].map(([, host]) =>
    host!.toLowerCase(),
  );
  return hosts.length > 0 ? [[['hosts'], [...new Set(hosts)]]] : [];
}

/** The command a message is; undefined when it is none. */
export function readCommand(text: string): Command | undefined {
  const said = text.trim().replace(/^please\s+/i, '');
  for (const { tool, pattern, values } of COMMANDS) {
    const match = pattern.exec(said);
    if (match) return { tool, input: (offered) => named(offered, values(match.groups ?? {})) };
  }
  return undefined;
}

/** Each value under the first of its names that the tool's schema has; under its likeliest when it has none of them. */
function named(tool: ToolDefinition, values: [names: string[], value: Json][]): JsonObject {
  const { properties } = tool.input_schema;
  const known = typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
  const input: JsonObject = {};
  for (const [names, value] of values) {
    const free = names.filter((name) => !(name in input));
    input[free.find((name) => known.includes(name)) ?? free[0] ?? names[0]!] = value;
  }
  return input;
}

function unquote(text: string): string {
  return /^["'“‘](.*)["'”’]$/s.exec(text)?.[1] ?? text;
}
