// What a model is told of a tool's arguments: their names and meaning, and none of the bounds that are checked anyway.
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { shownSchema } from '../../../../core/tools/schema.ts';
import { defineTool, textResult } from '../../../../core/tools/tool.ts';

describe('the schema a model is shown', () => {
  it('has names, types, choices and meanings, without bounds at any depth', () => {
    const schema = z.strictObject({
      url: z.string().min(1).max(2_000).regex(/^h/).describe('Where'),
      times: z.number().int().positive().max(9).default(3),
      kinds: z
        .array(z.strictObject({ kind: z.literal('a'), of: z.string().max(3) }))
        .max(4)
        .optional(),
      either: z.union([z.strictObject({ x: z.string().min(2) }), z.enum(['b', 'c'])]).optional(),
    });
    const object = { type: 'object' };
    expect(shownSchema(schema)).toEqual({
      ...object,
      properties: {
        url: { type: 'string', description: 'Where' },
        times: { type: 'integer', default: 3 },
        kinds: {
          type: 'array',
          items: {
            ...object,
            properties: { kind: { type: 'string', const: 'a' }, of: { type: 'string' } },
            required: ['kind', 'of'],
          },
        },
        either: {
          anyOf: [
            { ...object, properties: { x: { type: 'string' } }, required: ['x'] },
            { type: 'string', enum: ['b', 'c'] },
          ],
        },
      },
      required: ['url'],
    });
  });

  it('keeps an argument that is called as a bound is', () => {
    const shown = shownSchema(z.strictObject({ pattern: z.string().min(1), format: z.string(), maximum: z.number() }));
    expect(Object.keys(shown.properties as object)).toEqual(['pattern', 'format', 'maximum']);
  });

  it('refuses by the bounds all the same, in words', () => {
    const tool = defineTool({
      ...{ name: 'look', description: 'Looks.', effect: 'pure', title: () => 'Look' },
      schema: z.strictObject({ path: z.string().max(3) }),
      run: async () => textResult('done'),
    });
    expect(tool.definition.input_schema).toEqual({
      type: 'object',
      properties: { path: { type: 'string' } },
      required: ['path'],
    });
    expect(tool.parse({ path: 'long' })).toMatchObject({ ok: false, why: expect.stringContaining('path') });
    expect(tool.parse({ path: 'a', more: 1 })).toMatchObject({ ok: false, why: expect.stringContaining('more') });
  });
});
