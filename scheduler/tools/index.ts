// The list of tools that work on schedules; a new one is one file and one line here.
import type { Tool } from '../../core/tools/tool.ts';
import { createScheduleCancel } from './cancel.ts';
import { createScheduleCreate, type ScheduleToolsDeps } from './create.ts';
import { createScheduleList } from './list.ts';

export const createScheduleTools = (deps: ScheduleToolsDeps): Tool[] => [
  createScheduleCreate(deps),
  createScheduleList(deps),
  createScheduleCancel(deps),
];
