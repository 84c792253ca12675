// The list of tools offered to the model; a new tool is one file and one line here.
import type { Guard } from './guard.ts';
import { createSendFile, createSendMessage, type SendDeps } from './send.ts';
import type { Tool } from './tool.ts';
import { createWebFetch } from './web-fetch.ts';

export function createTools(deps: SendDeps & { guard: Guard }): Tool[] {
  return [createSendMessage(deps), createSendFile(deps), createWebFetch(deps)];
}
