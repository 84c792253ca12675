// The state machine of tasks: only legal steps, every state reaches an end, nothing leaves an end but the owner's words.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TaskState } from '../../../../core/tasks.ts';
import { ENDS, isAtWork, isEnd, mayFollow, STATES, TRANSITIONS, wordsGo } from '../../../../sandboxes/tasks/states.ts';

const state = fc.constantFrom(...STATES);

/** Everything that can come after, in any number of steps. */
function reachable(from: TaskState): Set<TaskState> {
  const seen = new Set<TaskState>();
  const look = [from];
  for (let next = look.pop(); next; next = look.pop())
    for (const to of TRANSITIONS[next])
      if (!seen.has(to)) {
        seen.add(to);
        look.push(to);
      }
  return seen;
}

describe('the states of a task', () => {
  it('each one that is not an end reaches every end, by legal steps alone', () => {
    for (const from of STATES.filter((one) => !isEnd(one)))
      for (const end of ENDS) expect([...reachable(from)], from).toContain(end);
  });

  it('each one can be stopped at once, and what was stopped stays so', () => {
    for (const from of STATES.filter((one) => !isEnd(one))) expect(mayFollow(from, 'cancelled'), from).toBe(true);
    expect(TRANSITIONS.cancelled).toEqual([]);
  });

  it('an end is left only to queue again, and nothing is delivered that was not approved', () => {
    for (const end of ENDS) expect(TRANSITIONS[end].filter((to) => to !== 'queued')).toEqual([]);
    for (const from of STATES) if (mayFollow(from, 'delivering')) expect(from).toBe('awaiting_approval');
    // Without a delivery it is done only when there was nothing to deliver, which is seen after the checks.
    expect(STATES.filter((from) => mayFollow(from, 'done'))).toEqual(['verifying', 'delivering']);
  });

  it('any walk: never two steps that the table does not have, and no work before its turn', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(6), { maxLength: 60 }), (choices) => {
        let at: TaskState = 'queued';
        const way: TaskState[] = [at];
        for (const choice of choices) {
          const steps: readonly TaskState[] = TRANSITIONS[at];
          if (steps.length === 0) break;
          const to: TaskState = steps[choice % steps.length]!;
          expect(mayFollow(at, to)).toBe(true);
          at = to;
          way.push(at);
        }
        const delivered = way.lastIndexOf('delivering');
        if (delivered > 0) expect(way[delivered - 1]).toBe('awaiting_approval');
        const asked = way.indexOf('awaiting_approval');
        if (asked > 0) expect(way[asked - 1]).toBe('verifying');
      }),
    );
  });

  it('words go somewhere, or the state says that they cannot', () => {
    fc.assert(
      fc.property(state, (one) => {
        const way = wordsGo(one);
        if (way === 'reopen') expect(isEnd(one) && mayFollow(one, 'queued')).toBe(true);
        if (way === 'withdraw') expect(mayFollow(one, 'working')).toBe(true);
        if (isEnd(one)) expect(isAtWork(one)).toBe(false);
      }),
    );
  });
});
