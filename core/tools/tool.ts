// The shape of a tool, and the one wrapper that checks its input before policy or anyone else sees it.
import type { z } from 'zod';
import type { Action, Address, Effect, Id, JsonObject, Millis, Session, ToolDefinition, ToolResult } from '../types.ts';
import { shownSchema } from './schema.ts';

export interface ToolContext {
  /** Stable over retries of one call: the key of a keyed effect. */
  callId: Id;
  session: Session;
  /** Where the question came from. */
  replyTo: readonly Address[];
  signal: AbortSignal;
}

export interface Tool {
  definition: ToolDefinition;
  /** What a repeat after a crash may do; `unsafe` unless the author knows better. */
  effect: Effect;
  /** The checked arguments, or one sentence that tells the model what is wrong with them. */
  parse(input: JsonObject): { ok: true; args: JsonObject } | { ok: false; why: string };
  /** What the call would do, for policy. */
  action(args: JsonObject): Action;
  /** One line for the person who is asked: "Fetch example.org". */
  title(args: JsonObject): string;
  /** How long this call may take; TOOL_LIMIT_MS when left out. */
  limitMs?(args: JsonObject): Millis;
  /** False: no model is offered it; only Steward itself asks for it. */
  offered?: false;
  /** Should not throw for an expected failure: an error result tells the model more. */
  run(args: JsonObject, context: ToolContext): Promise<ToolResult>;
  /** For `verifiable` tools: the result when the effect has already happened, else null. */
  verify?(args: JsonObject, context: ToolContext): Promise<ToolResult | null>;
}

export function defineTool<A extends JsonObject>(spec: {
  name: string;
  description: string;
  schema: z.ZodType<A>;
  effect: Effect;
  action?(args: A): Action;
  title(args: A): string;
  limitMs?(args: A): Millis;
  offered?: false;
  run(args: A, context: ToolContext): Promise<ToolResult>;
  verify?(args: A, context: ToolContext): Promise<ToolResult | null>;
}): Tool {
  const tool: Tool = {
    definition: { name: spec.name, description: spec.description, input_schema: shownSchema(spec.schema) },
    effect: spec.effect,
    parse(input) {
      const parsed = spec.schema.safeParse(input);
      if (parsed.success) return { ok: true, args: parsed.data };
      const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'input'}: ${issue.message}`);
      return { ok: false, why: problems.join('; ') };
    },
    action: (args) => spec.action?.(args as A) ?? { type: 'tool', name: spec.name },
    title: (args) => spec.title(args as A),
    run: (args, context) => spec.run(args as A, context),
  };
  if (spec.offered === false) tool.offered = false;
  const { verify, limitMs } = spec;
  if (limitMs) tool.limitMs = (args) => limitMs(args as A);
  if (verify) tool.verify = (args, context) => verify(args as A, context);
  return tool;
}

export const textResult = (text: string, isError = false): ToolResult =>
  isError ? { content: [{ type: 'text', text }], isError } : { content: [{ type: 'text', text }] };
