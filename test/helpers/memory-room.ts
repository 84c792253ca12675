// The whole room of memory over a real record, as the process wires it, with calls of its tools as the brain makes them.
import { onTestFinished } from 'vitest';
import type { MemoryApi } from '../../core/memory.ts';
import type { Tool } from '../../core/tools/tool.ts';
import type { Id, JsonObject, LogEvent, Origin, Trust } from '../../core/types.ts';
import { createMemory } from '../../memory/index.ts';
import { draftSession, openTestRecord, type TestRecord } from './record.ts';

export interface MemoryRoom {
  record: TestRecord;
  api: MemoryApi;
  /** The owner's main conversation. */
  main: Id;
  tool(name: string): Tool;
  session(trust: Trust, metadata?: Record<string, string>): Id;
  say(text: string, options?: { to?: Id; who?: string; role?: Origin['role']; tainted?: boolean }): LogEvent;
  /** Text from outside that a tool brought in. */
  fetched(text: string, into?: Id): void;
  /** A recorded call, carried out. `id`: the same call once more. */
  call(
    name: string,
    input: JsonObject,
    options?: { in?: Id; approved?: boolean; id?: Id },
  ): Promise<{ id: Id; text: string; isError: boolean; tainted: boolean }>;
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export function openRoom(record = openTestRecord()): MemoryRoom {
  const main = record.intake.mainSession().id;
  const memory = createMemory({
    ...record,
    log: quiet,
    timeZone: 'UTC',
    settings: { embeddings: 'none', embeddingsModel: null, embeddingsUrl: null, embeddingsKey: null },
    consult: async () => ({ kind: 'none' }),
    mainSession: () => record.intake.mainSession().id,
  });
  onTestFinished(() => memory.stop());
  const { events, sessions } = record;
  const origin = (who: string, role: Origin['role']): Origin => ({
    sender: { channel: 'telegram', userId: who, name: who },
    address: { channel: 'telegram', chat: who },
    role,
  });
  const room: MemoryRoom = {
    record,
    api: memory.api,
    main,
    tool: (name) => memory.tools.find(({ definition }) => definition.name === name)!,
    session: (trust, metadata = {}) => sessions.create({ ...draftSession(trust), metadata }).id,
    say(text, { to = main, who = 'Ada', role = 'owner', tainted = false } = {}) {
      const payload = { content: [{ type: 'text', text }] };
      const [event] = events.append(to, [{ type: 'user.message', payload, origin: origin(who, role), tainted }]);
      return event!;
    },
    fetched(text, into = main) {
      const [call] = events.append(into, [{ type: 'agent.tool_use', payload: { name: 'web_fetch', input: {} } }]);
      const payload = { tool_use_id: call!.id, content: [{ type: 'text', text }], is_error: false };
      events.append(into, [{ type: 'agent.tool_result', payload, tainted: true }]);
    },
    async call(name, input, options = {}) {
      const to = options.in ?? main;
      const permission = options.approved ? 'ask' : 'allow';
      const payload = { name, input, evaluated_permission: permission };
      const id = options.id ?? events.append(to, [{ type: 'agent.tool_use', payload }])[0]!.id;
      const tool = room.tool(name);
      const parsed = tool.parse(input);
      if (!parsed.ok) throw new Error(parsed.why);
      const signal = new AbortController().signal;
      const result = await tool.run(parsed.args, { callId: id, session: sessions.need(to), replyTo: [], signal });
      const text = result.content.map((block) => (block.type === 'text' ? block.text : '')).join('\n');
      return { id, text, isError: result.isError ?? false, tainted: result.tainted ?? false };
    },
  };
  return room;
}
