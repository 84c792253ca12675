// The list of tools that work with hands; a new one is one file and one line here.
import type { Tool, ToolContext } from '../../core/tools/tool.ts';
import type { ToolResult } from '../../core/types.ts';
import type { Sandbox } from '../driver.ts';
import { createBash } from './bash.ts';
import { createEdit, createRead, createWrite } from './files.ts';
import { createGlob, createGrep } from './search.ts';
import type { Shell } from './shell.ts';

/** What a call has in hand while it works. */
export interface Hand {
  sandbox: Sandbox;
  /** The session's shell; opened by the first call of it. */
  shell(): Shell;
  closeShell(): void;
}

/** What the tools need of whoever keeps the sandboxes. */
export interface HandsForTools {
  /** False under STEWARD_SANDBOX=none. */
  isolated(): boolean;
  /** Gives the session's sandbox, made or restored when there is none. A sandbox that gets lost becomes an error result. */
  use(
    context: ToolContext,
    wants: { hosts: readonly string[] /** Changes no file: no checkpoint is due after it. */; reads?: boolean },
    work: (hand: Hand) => Promise<ToolResult>,
  ): Promise<ToolResult>;
}

export const createHandsTools = (hands: HandsForTools): Tool[] => [
  createBash(hands),
  createRead(hands),
  createWrite(hands),
  createEdit(hands),
  createGlob(hands),
  createGrep(hands),
];
/** Those that may change files. */
export const CHANGES_FILES: ReadonlySet<string> = new Set(['bash', 'write', 'edit']);
export const HANDS_TOOLS: ReadonlySet<string> = new Set(['bash', 'read', 'write', 'edit', 'glob', 'grep']);
