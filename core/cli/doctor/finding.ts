// What a check is given and what it finds.
import type { Config } from '../../config.ts';
import type { Status } from '../shapes.ts';

export interface Finding {
  name: string;
  level: 'ok' | 'warn' | 'fail';
  detail: string;
  /** What to do about it: a command or one sentence. */
  fix?: string;
}

export interface Patient {
  /** Defaults where the real settings cannot be read; that is then a finding of its own. */
  config: Config;
  env: Readonly<Record<string, string | undefined>>;
  projectRoot: string;
  /** Of the running process; null when none answers. */
  status: Status | null;
  fetch: typeof fetch;
}

/** Looks and changes nothing. What it cannot find out is a finding, not a throw. */
export type Check = (patient: Patient) => Promise<Finding>;

/** How a check words what it found: level, detail, and what to do about it. */
export function reporter(name: string) {
  return (level: Finding['level'], detail: string, fix?: string): Finding =>
    fix === undefined ? { name, level, detail } : { name, level, detail, fix };
}
