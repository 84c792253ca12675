// One sandbox in reserve: prepared like the last one that was asked for, so that the next is there at once. None before the first.
import type { Id, Millis } from '../../../core/types.ts';
import { unwind } from './end.ts';
import { startTicksOf } from './launch.ts';
import type { Fit, Prepared } from './prepare.ts';
import { spareName } from './state.ts';

/** Nobody asked for a sandbox for so long: the one in reserve goes. */
const KEPT_MS: Millis = 120_000;

export interface Spares {
  /** The one in reserve, when it fits; it is the caller's then. */
  take(fit: Fit): Promise<Prepared | null>;
  /** Prepares one for the next call, beside whatever happens now. */
  refill(fit: Fit): void;
  owns(name: Id): boolean;
  /** Takes back the one in reserve. Resolves false when there was none. */
  drop(): Promise<boolean>;
}

interface Reserve {
  name: Id;
  key: string;
  /** Null when it could not be prepared, or ended meanwhile. */
  prepared: Promise<Prepared | null>;
}

export function createSpares(deps: {
  prepare(name: Id, fit: Fit): Promise<Prepared>;
  warn(facts: object, message: string): void;
}): Spares {
  let reserve: Reserve | null = null;
  let timer: NodeJS.Timeout | undefined;

  const discard = async (prepared: Prepared | null): Promise<void> => {
    if (!prepared) return;
    prepared.launched.hold(true);
    try {
      await unwind(prepared.undo);
    } catch (error) {
      deps.warn({ error }, 'a sandbox in reserve left something behind');
    }
  };
  /** Given away and perhaps not renamed yet, or on the way out. */
  const taken = new Set<Id>();
  const drop = async (): Promise<boolean> => {
    clearTimeout(timer);
    const dropped = reserve;
    if (!dropped) return false;
    reserve = null;
    taken.add(dropped.name);
    await discard(await dropped.prepared);
    taken.delete(dropped.name);
    return true;
  };

  return {
    drop,
    owns: (name) => reserve?.name === name || taken.has(name),
    async take(fit) {
      const found = reserve;
      if (found?.key !== JSON.stringify(fit)) return null;
      reserve = null;
      clearTimeout(timer);
      taken.add(found.name);
      const prepared = await found.prepared;
      if (!prepared) return null;
      const { exited, hold, inside, bwrap } = prepared.launched;
      hold(true);
      void exited.then(() => taken.delete(found.name));
      if ([inside, bwrap].every(({ pid, startTicks }) => startTicksOf(pid) === startTicks)) return prepared;
      await discard(prepared);
      return null;
    },
    refill(fit) {
      const key = JSON.stringify(fit);
      clearTimeout(timer);
      timer = setTimeout(() => void drop(), KEPT_MS).unref();
      if (reserve?.key === key) return;
      const before = reserve;
      const name = spareName();
      const prepared = deps.prepare(name, fit).then(
        async (made) => {
          try {
            // Renamed earlier, bwrap would not find its folders.
            await made.launched.waiting;
          } catch {
            await discard(made);
            return null;
          }
          made.launched.hold(false);
          return made;
        },
        // Whoever needs one is told when it is tried for them.
        () => null,
      );
      const made: Reserve = { name, key, prepared };
      reserve = made;
      if (before) {
        taken.add(before.name);
        void before.prepared.then(discard).then(() => taken.delete(before.name));
      }
      void prepared.then(async (one) => {
        await one?.launched.exited;
        if (reserve !== made) return;
        reserve = null;
        await discard(one);
      });
    },
  };
}
