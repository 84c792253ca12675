// The list of tools that work on memory; a new one is one file and one line here.
import type { Tool } from '../../core/tools/tool.ts';
import type { MemoryToolsDeps } from './deps.ts';
import { createMemoryForget, type ForgetDeps } from './forget.ts';
import { createMemorySave } from './save.ts';
import { createMemorySearch } from './search.ts';

export const createMemoryTools = (deps: MemoryToolsDeps & ForgetDeps): Tool[] => [
  createMemorySearch(deps),
  createMemorySave(deps),
  createMemoryForget(deps),
];
