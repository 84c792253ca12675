// All attempts to get out, topic by topic.
import type { AbuseCase } from './ground.ts';
import { kernel } from './kernel.ts';
import { network } from './network.ts';
import { places } from './places.ts';
import { processes } from './processes.ts';

export const ESCAPES: Record<string, AbuseCase[]> = {
  'the kernel': kernel,
  processes,
  'the network': network,
  files: places,
};
