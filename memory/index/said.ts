// What an event says in words, and whose words they are: the part of the log that is searchable. Pure.
import type { Authority } from '../types.ts';

/** Of one event at most so much is searchable, UTF-16 units. */
export const LONGEST_TEXT = 65_536;
/** Who the agent is called here, and the owner where the channel knows no name. */
export const STEWARD = 'steward';
export const SELF = 'owner';

export interface EventRow {
  type: string;
  payload: string;
  origin: string | null;
  tainted: number;
}

export interface Said {
  text: string;
  who: string;
  /** Of an answer of the agent: as long as nothing from outside stood in the context. */
  trust: Authority;
  /** Part of the conversation itself, with neighbours. */
  speech: boolean;
  /** When it was said, if that is not when it was stored. */
  at: number | null;
  /** The call whose result it is: whether it is searchable depends on the tool. */
  toolUseId: string | null;
}

/** Event types that can say something. */
export const SPEAKING = [
  'user.message',
  'agent.message',
  'agent.tool_result',
  'user.custom_tool_result',
  'memory.imported',
  'memory.edited',
] as const;

/** Tools whose results are memory itself: what was recalled is not said again. */
export const isMemoryTool = (name: string): boolean => name === 'memory' || name.startsWith('memory_');

const RECALLED = /\[(?:sevt|mem)_[0-9A-HJKMNP-TV-Z]{26}\]/;

type Loose = Record<string, unknown>;
const isRecord = (value: unknown): value is Loose =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const string = (value: unknown): string => (typeof value === 'string' ? value : '');

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .filter((block): block is Loose => isRecord(block) && block.type === 'text')
    .map((block) => string(block.text))
    .join('\n');
}

function parsed(json: string | null): Loose {
  if (json === null) return {};
  const value: unknown = JSON.parse(json);
  return isRecord(value) ? value : {};
}

/** Null: nothing to search for. */
export function saidIn(row: EventRow): Said | null {
  const payload = parsed(row.payload);
  const said = (
    text: string,
    who: string,
    trust: Authority,
    more: Partial<Pick<Said, 'speech' | 'at' | 'toolUseId'>> = {},
  ): Said | null => {
    const cut = text.slice(0, LONGEST_TEXT).trim();
    return cut === '' ? null : { text: cut, who, trust, speech: true, at: null, toolUseId: null, ...more };
  };
  switch (row.type) {
    case 'user.message': {
      const origin = parsed(row.origin);
      const sender = isRecord(origin.sender) ? origin.sender : {};
      const own = origin.role === 'owner';
      const who = string(sender.name) || (own ? SELF : string(sender.userId) || 'guest');
      return said(textOf(payload.content), who, own && !row.tainted ? 'owner' : 'outside');
    }
    case 'memory.edited':
      return said(textOf(payload.content), SELF, row.tainted ? 'outside' : 'owner', { speech: false });
    case 'agent.message':
      // An answer that quotes memory by its ids repeats what was recalled.
      if (RECALLED.test(row.payload)) return null;
      return said(textOf(payload.content), STEWARD, row.tainted ? 'outside' : 'agent');
    case 'agent.tool_result':
      return said(textOf(payload.content), 'tool', 'outside', {
        speech: false,
        toolUseId: string(payload.tool_use_id) || null,
      });
    case 'user.custom_tool_result':
      return said(textOf(payload.content), 'tool', 'outside', { speech: false });
    case 'memory.imported': {
      const at = typeof payload.at === 'number' ? payload.at : Date.parse(string(payload.at));
      return said(
        string(payload.text),
        string(payload.speaker) || 'unknown',
        payload.own === true ? 'owner' : 'outside',
        {
          at: Number.isFinite(at) ? Math.trunc(at) : null,
        },
      );
    }
    default:
      return null;
  }
}
