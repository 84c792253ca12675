// The context of a model request as a pure transform of a slice of the log: same log, same bytes.
import type { ContentBlock, Id, JsonObject, LogEvent, ModelMessage, ModelMessageBlock } from '../types.ts';
import { cutMiddle, tokensOfMessages } from './tokens.ts';

export interface ContextInput {
  /** What the harness has read, in order of position, from the last compaction on. */
  slice: readonly LogEvent[];
  compaction: LogEvent | null;
  budgetTokens: number;
  timeZone: string;
  /** Of the same zone, kept by whoever builds often. */
  wallTime?: WallTime;
  /** Where the turn at work began: what was asked and done since then stays in sight, whatever else has to go. */
  openFrom?: number | null;
}

/** When an event came, as its stamp says. */
export type WallTime = (event: LogEvent) => string;

/** Making the clock is slow, and asking it about each message of a long conversation adds up: an answer is kept while its event is. */
export function createWallTime(timeZone: string): WallTime {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' });
  const known = new WeakMap<LogEvent, string>();
  return (event) => {
    const shown = known.get(event) ?? format.format(event.createdAt);
    known.set(event, shown);
    return shown;
  };
}

export interface Context {
  messages: ModelMessage[];
  /** Estimated tokens before anything was left out: above the budget it is time to compact. */
  estimate: number;
}

/** One answer of the model and everything that came after it, up to the next answer. */
interface Segment {
  answer: LogEvent[];
  after: LogEvent[];
}

/** What stays of an older result of the turn at work when there is no room for more. */
const SHORTENED_TOKENS = 50;

const ANSWER_TYPES = new Set(['agent.message', 'agent.thinking', 'agent.tool_use', 'agent.custom_tool_use']);
const RESULT_KEYS: Record<string, string> = {
  'agent.tool_result': 'tool_use_id',
  'user.custom_tool_result': 'custom_tool_use_id',
};

export const isToolUse = (event: LogEvent): boolean =>
  event.type === 'agent.tool_use' || event.type === 'agent.custom_tool_use';
/** Written for a program that carries the session on in our place: its calls and their results are reports, not wishes. */
export const byProgram = (event: LogEvent): boolean => typeof event.payload.harness === 'string';
/** The tool use that a result event answers, or null for other events. */
export const answeredBy = (event: LogEvent): Id | null => {
  const key = RESULT_KEYS[event.type];
  return key ? (event.payload[key] as Id) : null;
};
export const contentOf = (event: LogEvent): ContentBlock[] =>
  (event.payload.content as unknown as ContentBlock[] | undefined) ?? [];
export const textOf = (event: LogEvent): string =>
  contentOf(event)
    .map((block) => (block.type === 'text' ? block.text : ''))
    .join('\n');

/** Inputs that crashed the process three times: reported, and kept out of every later request. */
export const quarantined = (slice: readonly LogEvent[]): ReadonlySet<Id> => idsIn(slice, 'quarantined_event_ids');

/** Few events name any, and a slice is long. */
function idsIn(slice: readonly LogEvent[], key: string): ReadonlySet<Id> {
  const ids = new Set<Id>();
  for (const { payload } of slice) for (const id of (payload[key] as Id[] | undefined) ?? []) ids.add(id);
  return ids;
}

/** Messages whose pictures the model server refused: their words stay, the pictures would be refused again. */
const imagesRefused = (slice: readonly LogEvent[]): ReadonlySet<Id> => idsIn(slice, 'refused_image_event_ids');

function segments(slice: readonly LogEvent[]): Segment[] {
  const list: Segment[] = [{ answer: [], after: [] }];
  for (const event of slice) {
    const current = list[list.length - 1]!;
    // A call of a program used a tool that the model does not have: shown as a call, it would be made again.
    if (!ANSWER_TYPES.has(event.type) || (isToolUse(event) && byProgram(event))) current.after.push(event);
    else if (current.after.length === 0) current.answer.push(event);
    else list.push({ answer: [event], after: [] });
  }
  return list;
}

const text = (value: string): ModelMessageBlock => ({ type: 'text', text: value });
const filled = (blocks: readonly ContentBlock[]): ContentBlock[] =>
  blocks.filter((block) => block.type !== 'text' || block.text.trim() !== '');

function stampOf(event: LogEvent, wallTime: WallTime): string {
  const parts = [wallTime(event)];
  if (event.origin && event.origin.sender.channel !== 'web') parts.push(`via ${event.origin.sender.channel}`);
  if (event.origin && event.origin.role !== 'owner')
    parts.push(`from ${JSON.stringify(event.origin.sender.name ?? event.origin.sender.userId)}`);
  if (event.tainted) parts.push('not the owner’s own words');
  return `[${parts.join(', ')}]`;
}

/** A name the Messages API takes back; models call tools by names that no server would accept. */
const toolName = (name: string): string => name.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 64) || 'unnamed';

function answerBlocks(event: LogEvent): ModelMessageBlock[] {
  if (event.type === 'agent.thinking')
    return (event.payload.blocks as unknown as ModelMessageBlock[] | undefined) ?? [];
  if (event.type === 'agent.message') return filled(contentOf(event));
  return [
    {
      type: 'tool_use',
      id: event.id,
      name: toolName(String(event.payload.name ?? 'forgotten')),
      input: (event.payload.input as JsonObject) ?? {},
    },
  ];
}

function resultBlock(useId: Id, result: LogEvent | undefined, limit: number): ModelMessageBlock {
  if (!result)
    return {
      type: 'tool_result',
      tool_use_id: useId,
      content: [{ type: 'text', text: 'Not run yet: it waits for the owner. Its result will be told later.' }],
      is_error: false,
    };
  const content = filled(contentOf(result)).map((block) =>
    block.type === 'text' ? { ...block, text: cutMiddle(block.text, limit) } : block,
  );
  return {
    type: 'tool_result',
    tool_use_id: useId,
    content: content.length > 0 ? content : [{ type: 'text', text: '(no output)' }],
    is_error: result.payload.is_error === true,
  };
}

function segmentMessages(
  segment: Segment,
  names: ReadonlyMap<Id, string>,
  standIns: ReadonlyMap<Id, LogEvent>,
  skip: ReadonlySet<Id>,
  limits: { textTokens: number; resultTokens: number; wallTime: WallTime; withoutImages: ReadonlySet<Id> },
): ModelMessage[] {
  const limit = limits.textTokens;
  const answer = segment.answer.flatMap(answerBlocks);
  const uses = segment.answer.filter(isToolUse).map((event) => event.id);
  const results = new Map<Id, LogEvent>();
  const said: ModelMessageBlock[] = [];
  const recalled = new Map(
    segment.after
      .filter((event) => event.type === 'memory.recalled' && event.payload.for !== undefined)
      .map((event) => [(event.payload.for as Id[])[0]!, textOf(event)]),
  );
  for (const event of segment.after) {
    const useId = answeredBy(event);
    if (useId && uses.includes(useId)) results.set(useId, event);
    else if (useId && standIns.get(useId) === event) continue;
    else if (isToolUse(event))
      said.push(
        text(
          `[${String(event.payload.harness)} called ${String(event.payload.name)} (${event.id})]\n${cutMiddle(JSON.stringify(event.payload.input ?? {}), limits.resultTokens)}`,
        ),
      );
    else if (useId)
      // Its call was shown as waiting in an earlier request; a tool_result may stand only right after its call.
      said.push(
        text(
          `[Result of the earlier call ${names.get(useId) ?? useId} (${useId})]\n${cutMiddle(textOf(event), limits.resultTokens)}`,
        ),
      );
    else if (event.type === 'schedule.message' && !event.payload.redacted)
      // Said to the person without the model, wherever its turn just was; it has to know of it, and nothing more. One block
      // with its stamp: nobody asks for an answer to it.
      said.push(
        text(
          `[${limits.wallTime(event)}, sent by the schedule ${JSON.stringify(event.payload.name)}]\n${cutMiddle(textOf(event), limit)}`,
        ),
      );
    else if (event.type === 'user.message' && !skip.has(event.id)) {
      const content = filled(contentOf(event));
      // Before the message it was found for: the last word is the person's.
      const known = recalled.get(event.id);
      if (known) said.push(text(known));
      said.push(text(stampOf(event, limits.wallTime)));
      if (content.length === 0)
        said.push(text(event.payload.redacted ? '(this message was removed)' : '(empty message)'));
      for (const block of content)
        if (block.type === 'text') said.push(text(cutMiddle(block.text, limit)));
        else said.push(limits.withoutImages.has(event.id) ? text('(a picture the model server refused)') : block);
    }
  }
  const user = [
    ...uses.map((id) => resultBlock(id, results.get(id) ?? standIns.get(id), limits.resultTokens)),
    ...said,
  ];
  const messages: ModelMessage[] = [];
  if (answer.length > 0) messages.push({ role: 'assistant', content: answer });
  if (user.length > 0) messages.push({ role: 'user', content: user });
  return messages;
}

/** Joins neighbours of one role and makes the first and last turn the user's, as the Messages API wants it. */
function alternate(messages: readonly ModelMessage[]): ModelMessage[] {
  const list: ModelMessage[] = [];
  for (const message of messages) {
    const last = list[list.length - 1];
    if (last?.role === message.role) last.content.push(...message.content);
    else list.push({ role: message.role, content: [...message.content] });
  }
  if (list[0]?.role === 'assistant') list.unshift({ role: 'user', content: [text('(the conversation goes on)')] });
  if (list.length === 0 || list[list.length - 1]!.role === 'assistant')
    list.push({ role: 'user', content: [text('(go on)')] });
  return list;
}

export function buildContext(input: ContextInput): Context {
  const skip = quarantined(input.slice);
  const names = new Map(input.slice.filter(isToolUse).map((event) => [event.id, String(event.payload.name)]));
  // What stands in for a forgotten result stands where that stood.
  const standIns = new Map(
    input.slice
      .filter(({ payload }) => payload.forgotten === true)
      .map((event) => [answeredBy(event) ?? event.id, event]),
  );
  const wallTime = input.wallTime ?? createWallTime(input.timeZone);
  const limits = {
    textTokens: Math.floor(input.budgetTokens / 4),
    wallTime,
    withoutImages: imagesRefused(input.slice),
  };
  const all = segments(input.slice);
  const render = (segment: Segment, resultTokens = limits.textTokens) =>
    segmentMessages(segment, names, standIns, skip, { ...limits, resultTokens });
  const parts = all.map((segment) => render(segment));
  const summary: ModelMessage[] = input.compaction
    ? [
        {
          role: 'user',
          content: [text(`[Summary of the conversation so far]\n${String(input.compaction.payload.summary)}`)],
        },
      ]
    : [];
  const sizes = parts.map(tokensOfMessages);
  const estimate = tokensOfMessages(summary) + sizes.reduce((a, b) => a + b, 0);
  // The oldest whole segments go first when even compaction left too much; the newest always stays. Of the turn at work only
  // the words of results go: a question out of sight is never answered, and a call out of sight is made again.
  let total = estimate;
  let first = 0;
  while (total > input.budgetTokens && first < parts.length - 1) {
    total -= sizes[first]!;
    first += 1;
  }
  const note: ModelMessage[] =
    first > 0 ? [{ role: 'user', content: [text('[Older messages are left out here.]')] }] : [];
  const openFrom = input.openFrom ?? Number.POSITIVE_INFINITY;
  const atWork = all
    .slice(0, first)
    .filter(({ answer, after }) => [...answer, ...after].some(({ position }) => position! >= openFrom))
    .flatMap((segment) => render(segment, SHORTENED_TOKENS));
  return { messages: alternate([...summary, ...note, ...atWork, ...parts.slice(first).flat()]), estimate };
}
