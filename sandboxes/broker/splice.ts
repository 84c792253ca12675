// Two connections joined until one ends: counted, cut at a cap, closed when nothing moved for long.
import type { Socket } from 'node:net';
import type { Ticket } from './account.ts';
import type { Timeouts } from './wire.ts';

/**
 * Resolves when both are closed, with what ended it. `gate` may look at the first bytes from inside before any of them goes
 * out; false closes both. What comes from outside flows meanwhile: in some protocols the server speaks first.
 */
export function splice(
  inside: Socket,
  outside: Socket,
  ticket: Ticket,
  { idleMs, quietMs }: Pick<Timeouts, 'idleMs' | 'quietMs'>,
  gate?: () => Promise<boolean>,
): Promise<'closed' | 'cap' | 'idle'> {
  return new Promise((resolve) => {
    let outcome: 'closed' | 'cap' | 'idle' = 'closed';
    let asked = true;
    const end = (why: typeof outcome) => {
      if (outcome === 'closed') outcome = why;
      inside.destroy();
      outside.destroy();
    };
    const idle = setTimeout(() => end('idle'), idleMs);
    // What was said last was an answer, some time ago: a kept connection, not a request that hangs.
    const quiet = setTimeout(() => {
      if (!asked) ticket.active(false);
    }, quietMs);
    const flow = () => {
      inside.on('data', (chunk: Buffer) => {
        asked = true;
        ticket.active(true);
        idle.refresh();
        if (!ticket.out(chunk.length)) end('cap');
      });
      inside.pipe(outside);
    };
    outside.on('data', (chunk: Buffer) => {
      asked = false;
      idle.refresh();
      quiet.refresh();
      if (!ticket.in(chunk.length)) end('cap');
    });
    let open = 2;
    for (const side of [inside, outside]) {
      side.on('error', () => end('closed'));
      side.once('close', () => {
        open -= 1;
        if (open > 0) {
          // What was received goes out before the other side closes too.
          if (side === outside) inside.destroySoon();
          else outside.destroySoon();
          return;
        }
        clearTimeout(idle);
        clearTimeout(quiet);
        resolve(outcome);
      });
    }
    outside.pipe(inside);
    if (!gate) return flow();
    void gate().then((open) => {
      if (open) flow();
      else end('closed');
    });
  });
}
