// The list of tools that work on code tasks; a new one is one file and one line here.
import type { Tool } from '../../../core/tools/tool.ts';
import { createTaskCancel } from './cancel.ts';
import { createTaskCreate, type TaskToolsDeps } from './create.ts';
import { createTaskStatus } from './status.ts';
import { createTaskSteer } from './steer.ts';

export const createTaskTools = (deps: TaskToolsDeps): Tool[] => [
  createTaskCreate(deps),
  createTaskStatus(deps),
  createTaskSteer(deps),
  createTaskCancel(deps),
];
