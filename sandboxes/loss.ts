// What a conversation is told when its sandbox is not the one it worked in before. Pure.
import type { Id } from '../core/types.ts';
import type { Checkpoint, SandboxRow } from './ledger.ts';

export interface Loss {
  /** The sandbox before this one; null for the first of a session. */
  last: Pick<SandboxRow, 'state' | 'reason'> | null;
  checkpoint: Pick<Checkpoint, 'id' | 'createdAt' | 'processes'> | null;
  /** Calls that changed files after the checkpoint. */
  undone: readonly { id: Id; name: string }[];
}

/** Null when nothing that anybody did is gone. */
export function lossNote({ last, checkpoint, undone }: Loss): string | null {
  if (!last) return null;
  const processes = checkpoint?.processes ?? [];
  const shown = processes.slice(0, 5).map(({ argv, ports }) => {
    const on = ports.length > 0 ? ` (port ${ports.join(', ')})` : '';
    return `\`${argv.join(' ').slice(0, 80)}\`${on}`;
  });
  if (last.state === 'ended' && undone.length === 0 && shown.length === 0) return null;
  const parts = [
    last.state === 'lost'
      ? `The sandbox was lost (${last.reason ?? 'no reason is known'}) and a fresh one was made.`
      : `This is a fresh sandbox: the one before was put away (${last.reason ?? 'no reason is known'}).`,
    checkpoint
      ? `Its files are those of ${new Date(checkpoint.createdAt).toISOString()} (${checkpoint.id}).`
      : 'It begins empty: nothing had been saved.',
  ];
  if (undone.length > 0) {
    const names = undone.slice(-5).map(({ id, name }) => `${name} ${id}`);
    const calls = undone.length === 1 ? 'one later call' : `${undone.length} later calls`;
    parts.push(`The changes of ${calls} are gone: ${names.join(', ')}${undone.length > 5 ? ' and earlier ones' : ''}.`);
  }
  if (shown.length > 0) parts.push(`These processes no longer run: ${shown.join(', ')}. Start again what you need.`);
  return parts.join(' ');
}
