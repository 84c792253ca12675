// The conformance suite: every promise of sandboxes/driver.ts, topic by topic.
import { dial } from './dial.ts';
import { exec } from './exec.ts';
import { files } from './files.ts';
import { flow } from './flow.ts';
import { input } from './input.ts';
import { kill } from './kill.ts';
import { limits } from './limits.ts';
import { lives } from './lives.ts';
import { pause } from './pause.ts';
import { probe } from './probe.ts';
import { snapshots } from './snapshots.ts';
import type { SandboxCase } from './stage.ts';
import { stats } from './stats.ts';
import { tars } from './tars.ts';
import { walls } from './walls.ts';

export const TOPICS: Record<string, SandboxCase[]> = {
  commands: exec,
  'input and signals': input,
  'back-pressure and caps': flow,
  files,
  archives: tars,
  snapshots,
  pause,
  'stats and processes': stats,
  connections: dial,
  limits,
  walls,
  'the end': kill,
  lives,
  probe,
};

/** All of them under one name each, for a process that reports by name. */
export const ALL: SandboxCase[] = Object.entries(TOPICS).flatMap(([topic, cases]) =>
  cases.map((one) => ({ ...one, name: `${topic}: ${one.name}` })),
);
