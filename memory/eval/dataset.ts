// What an evaluation needs of a data set, whatever its file looks like. Types, and reading JSON of unknown origin.
import type { z } from 'zod';
import { StewardError } from '../../core/errors.ts';
import type { Millis } from '../../core/types.ts';

export interface Turn {
  /** Unique within its conversation. */
  id: string;
  speaker: string;
  text: string;
  at: Millis;
  /** The sitting it was said in: the unit of scores by session. */
  session: string;
  /** Turns of one log follow each other as neighbours. */
  log: string;
}

export interface Question {
  text: string;
  category: string;
  /** The conversation does not answer it: reported apart. */
  apart: boolean;
  /** Turns that hold the evidence; empty when nobody said which. */
  gold: string[];
  goldSessions: string[];
  /** When it is asked. */
  at: Millis;
}

export interface Conversation {
  turns: Turn[];
  questions: Question[];
  /** Questions left out: no evidence. */
  skipped: number;
}

/** Throws `invalid` for what is no JSON, and as `fitting` does. */
export function readDataset<T>(text: string, shape: z.ZodType<T>, name: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new StewardError('invalid', `The file is not JSON: ${(cause as Error).message}.`, {
      op: `read ${name}`,
      hint: 'Was it downloaded to its end?',
      cause,
    });
  }
  return fitting(value, shape, name);
}

/** Throws `invalid` with the first thing that does not fit. */
export function fitting<T>(value: unknown, shape: z.ZodType<T>, name: string): T {
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new StewardError('invalid', `The file is not ${name}: ${issue.path.join('.') || 'it'}: ${issue.message}.`, {
    op: `read ${name}`,
  });
}
