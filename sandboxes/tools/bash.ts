// bash: a command in the session's persistent shell, with the hosts it may reach.
import { z } from 'zod';
import { StewardError } from '../../core/errors.ts';
import { defineTool, type Tool, textResult } from '../../core/tools/tool.ts';
import type { Millis } from '../../core/types.ts';
import type { HandsForTools } from './index.ts';
import { type CommandResult, OUTPUT_LIMIT } from './shell.ts';

const DEFAULT_TIMEOUT_MS: Millis = 120_000;
/** What takes longer is a background process, or a task. */
const MAX_TIMEOUT_MS: Millis = 600_000;
/** Provisioning, a restore and the kill of a command that does not end. */
const MARGIN_MS: Millis = 20_000;

const HOST =
  /^(?:push:)?(?:(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,62})\.)+[a-z0-9-]{2,63}|\d{1,3}(?:\.\d{1,3}){3})(?::\d{1,5})?$|^(?:registries|git|docs)$/;

export const describeCommand = (
  { output, dropped, end }: CommandResult,
  timeoutMs: Millis,
): { text: string; failed: boolean } => {
  const notes: string[] = [];
  if (dropped > 0)
    notes.push(`[only the last ${OUTPUT_LIMIT} of ${dropped + Buffer.byteLength(output)} bytes are kept]\n`);
  notes.push(output.replace(/\n$/, ''));
  switch (end.kind) {
    case 'done':
      if (end.code !== 0) notes.push(`\n[exit code ${end.code}]`);
      break;
    case 'exited':
      notes.push(
        `\n[the shell ended with code ${end.code ?? 'unknown'}; the next command gets a fresh one in /workspace]`,
      );
      break;
    case 'timeout':
      notes.push(
        `\n[no end within ${timeoutMs / 1_000} s: the command was killed, and with it the shell, its variables and its background jobs. Start what runs for long with "setsid … >log 2>&1 &".]`,
      );
      break;
    case 'stopped':
      notes.push('\n[stopped]');
  }
  const text = notes.join('').trim();
  return {
    text: text || '(no output)',
    failed: end.kind === 'timeout' || end.kind === 'stopped',
  };
};

export function createBash(hands: HandsForTools): Tool {
  return defineTool({
    name: 'bash',
    description:
      'Run a bash command in the sandbox of this conversation: a disposable Linux with /workspace, whose files stay between calls. The shell is persistent (folder, variables, background jobs). There is no network unless the hosts a command needs are named in `hosts`; the owner is asked about hosts they did not name. Package registries together are "registries". Long output is cut to its last 100 KiB.',
    schema: z.strictObject({
      command: z.string().min(1).max(200_000).optional().describe('The command to run'),
      restart: z.boolean().optional().describe('Begin a fresh shell first'),
      timeout_ms: z
        .number()
        .int()
        .min(1)
        .max(MAX_TIMEOUT_MS)
        .optional()
        .describe(`Milliseconds until it is killed; ${DEFAULT_TIMEOUT_MS} if left out`),
      hosts: z
        .array(z.string().regex(HOST, 'must be a host name such as example.org, or registries, git or docs'))
        .max(16)
        .optional()
        .describe(
          'Hosts the command has to reach, such as ["github.com"], or a preset: registries, git, docs. push:github.com lets git push there',
        ),
    }),
    effect: 'unsafe',
    action: ({ hosts }) => ({ type: 'hands', hosts: hosts ?? [], isolated: hands.isolated() }),
    title: ({ command, hosts }) =>
      `Run ${(command ?? 'a fresh shell').slice(0, 200)}${hosts?.length ? ` (reaching ${hosts.join(', ')})` : ''}`,
    limitMs: ({ timeout_ms }) => (timeout_ms ?? DEFAULT_TIMEOUT_MS) + MARGIN_MS,
    run: ({ command, restart, timeout_ms, hosts }, context) =>
      hands.use(context, { hosts: hosts ?? [] }, async (hand) => {
        if (restart) hand.closeShell();
        if (command === undefined) {
          return restart
            ? textResult('A fresh shell is ready.')
            : textResult('Give a command, or restart: true for a fresh shell.', true);
        }
        const timeoutMs = timeout_ms ?? DEFAULT_TIMEOUT_MS;
        const result = await hand.shell().run(command, { timeoutMs, signal: context.signal });
        if (result.end.kind === 'lost')
          throw new StewardError('sandbox_lost', 'The sandbox is gone.', { op: 'run a command' });
        if (result.end.kind !== 'done') hand.closeShell();
        const { text, failed } = describeCommand(result, timeoutMs);
        return {
          ...textResult(text, failed || (result.end.kind === 'done' && result.end.code !== 0)),
          tainted: hands.isolated(),
        };
      }),
  });
}
