// The arguments of a tool as the model is told of them: which there are and what they mean, without the bounds that are checked anyway.
import { z } from 'zod';
import type { Json, JsonObject } from '../types.ts';

/** Each of them stands in every request; a call that breaks one is answered with a sentence that says which. */
const BOUNDS: ReadonlySet<string> = new Set([
  ...['minLength', 'maxLength', 'pattern', 'format', 'minItems', 'maxItems', 'additionalProperties'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
]);
const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Pure. */
export function withoutBounds(schema: JsonObject): JsonObject {
  const each = (value: Json): Json => (isObject(value) ? withoutBounds(value) : value);
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key]) => !BOUNDS.has(key))
      .map(([key, value]): [string, Json] => {
        // These are names of arguments, whatever they are called.
        if (key === 'properties' && isObject(value))
          return [key, Object.fromEntries(Object.entries(value).map(([name, of]): [string, Json] => [name, each(of)]))];
        if (Array.isArray(value)) return [key, value.map(each)];
        return [key, key === 'default' || key === 'const' ? value : each(value)];
      }),
  );
}

/** What goes in: a default need not be said, and what becomes of an argument is nothing to the model. */
export function shownSchema(schema: z.ZodType): JsonObject {
  const { $schema: _, ...whole } = z.toJSONSchema(schema, { io: 'input' }) as JsonObject;
  return withoutBounds(whole);
}
