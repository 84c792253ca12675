// The harness `script` from the outside: lines of the instruction in a real sandbox, everything they do in the log.
import { describe, expect, it, onTestFinished } from 'vitest';
import { bwrap, of, open, spans } from '../helpers/harness-house.ts';
import { ask, eventsOf, newSession, say, send, textOf, until, untilIdle } from '../helpers/talk.ts';

describe.skipIf(!bwrap)('script (bubblewrap is needed)', () => {
  it('runs each line of the instruction, stops at the first that fails and says so', async () => {
    const house = await open();
    const id = await newSession(house.steward, { metadata: { harness: 'script' } });
    expect((await ask(house.steward, id, 'echo one > a\n# a comment\n\ncat a', 30_000)).texts).toEqual([
      'All 2 commands ended with 0.',
    ]);
    const { texts } = await ask(house.steward, id, 'test -f a\nfalse\necho never', 30_000);
    expect(texts).toEqual(['Line 2 of 3 ended with 1: false The line after it was not run.']);
    const events = await eventsOf(house.steward, id);
    expect(of(events, 'agent.tool_use').map((event) => (event.input as { command: string }).command)).toEqual([
      'echo one > a',
      'cat a',
      'test -f a',
      'false',
    ]);
    expect(of(events, 'agent.tool_use').every((event) => event.harness === 'script')).toBe(true);
    expect(of(events, 'agent.tool_result').map(textOf)).toEqual(['', 'one', '', '[it ended with 1]']);
    expect(spans(events)).toHaveLength(2);
    expect(house.asked()).toHaveLength(0);
  });

  it('an interrupt ends the line at work; a killed Steward goes on with the first line that is not done', async () => {
    const house = await open();
    const id = await newSession(house.steward, { metadata: { harness: 'script' } });
    const first = await say(house.steward, id, 'sleep 300\necho never');
    await until(house.steward, id, 'the line', ({ type }) => type === 'agent.tool_use', { ms: 20_000 });
    await send(house.steward, id, { type: 'user.interrupt' });
    await untilIdle(house.steward, id, first.seq, 20_000);
    expect(textOf(of(await eventsOf(house.steward, id), 'agent.tool_result').at(-1)!)).toContain(
      'Stopped by the owner',
    );

    const second = await say(house.steward, id, 'echo x >> count\nsleep 300\ncat count');
    const one = await until(house.steward, id, 'the first line', ({ type }) => type === 'agent.tool_use', {
      after: second.seq,
      ms: 20_000,
    });
    await until(
      house.steward,
      id,
      'the second line',
      (event) => event.type === 'agent.tool_use' && (event.input as { line: number }).line === 2,
      { after: second.seq, ms: 20_000 },
    );
    await until(
      house.steward,
      id,
      'a checkpoint',
      (event) => event.type === 'checkpoint.created' && (event.tool_use_ids as string[]).includes(one.id),
      { after: second.seq, ms: 20_000 },
    );
    await house.steward.kill('SIGKILL');
    house.steward = await house.again();
    onTestFinished(() => house.steward.stop());
    await until(
      house.steward,
      id,
      'the line again',
      (event) => event.type === 'agent.tool_use' && (event.input as { line: number }).line === 2,
      { after: second.seq + 8, ms: 20_000 },
    );
    const commands = of(await eventsOf(house.steward, id), 'agent.tool_use').map(
      (event) => (event.input as { line: number }).line,
    );
    expect(commands.filter((line) => line === 1)).toHaveLength(2);
    await send(house.steward, id, { type: 'user.interrupt' });
  });

  it('a harness that is not there is named, with those that are', async () => {
    const house = await open();
    const id = await newSession(house.steward, { metadata: { harness: 'nobody' } });
    await ask(house.steward, id, 'hello', 30_000);
    const [error] = of(await eventsOf(house.steward, id), 'session.error');
    expect((error!.error as { message: string }).message).toBe(
      'There is no harness named "nobody". There are: native, script, claude-code, codex, opencode.',
    );
  });
});
