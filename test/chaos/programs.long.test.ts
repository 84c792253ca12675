// Harnesses from the outside: the real programs in real sandboxes, their models on loopback, everything they do in the log.
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ProgramName } from '../../sandboxes/harnesses/programs.ts';
import { bwrap, KEY, of, open, soonProcess, spans } from '../helpers/harness-house.ts';
import { soonNothingLeft } from '../helpers/leftovers.ts';
import { program } from '../helpers/programs.ts';
import { ask, eventsOf, newSession, say, send, textOf, until, untilIdle } from '../helpers/talk.ts';

/** What every program that speaks the Messages API has to do. */
describe
  .skipIf(!bwrap)
  .each<{ name: ProgramName; shell: string; said: string[]; priced: boolean; more: Record<string, string> }>([
    { name: 'claude-code', shell: 'Bash', said: ['I will do that.', 'It is done.'], priced: true, more: {} },
    { name: 'opencode', shell: 'bash', said: ['I will do that.', 'It is done.'], priced: true, more: {} },
    { name: 'codex', shell: 'shell', said: ['It is done.'], priced: false, more: { model: 'scripted' } },
  ])('$name (bubblewrap is needed)', { timeout: 150_000 }, ({ name, shell, said, priced, more }) => {
  const work = async (context: { skip(note: string): void }) => {
    const why = await program(name);
    if (why) context.skip(why);
    return open();
  };

  it('makes a file by its tool and answers; the log has it in our words, with what it cost, and no key is inside', async (context) => {
    const house = await work(context);
    const id = await newSession(house.steward, { metadata: { harness: name, ...more } });
    const look =
      'echo made > f.txt; env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" "\\n"; grep -rs canary /home/agent /workspace; true';
    const { texts, sent } = await ask(house.steward, id, `run: ${look}`, 60_000);
    const events = (await eventsOf(house.steward, id)).filter(({ seq }) => seq >= sent.seq);
    expect(
      texts,
      JSON.stringify(events.map((event) => [event.type, event.error, textOf(event).slice(0, 200)])),
    ).toEqual(said);
    const [use] = of(events, 'agent.tool_use');
    const [result] = of(events, 'agent.tool_result');
    expect(use).toMatchObject({ name: shell, harness: name, evaluated_permission: 'allow' });
    expect(result).toMatchObject({ tool_use_id: use!.id, is_error: false, harness: name });
    expect(textOf(result!)).toContain('added-outside-the-sandbox');
    expect(textOf(result!)).not.toContain(KEY);
    expect(JSON.stringify(events)).not.toContain(KEY);
    const ends = of(events, 'span.model_request_end');
    expect(spans(events)).toMatchObject([{ is_error: false, harness: name }]);
    const tokens = ends
      .flatMap((event) => Object.values(event.model_usage as Record<string, number>))
      .reduce((a, b) => a + b, 0);
    expect(tokens).toBeGreaterThan(0);
    const cost = ends.map((event) => event.cost_usd as number | null);
    // Of a model whose price nobody knows the cost is unknown, not nothing.
    if (priced) expect(cost.reduce<number>((sum, usd) => sum + (usd ?? 0), 0)).toBeGreaterThan(0);
    else expect(cost).toContain(null);
    expect(JSON.stringify(use!.input)).toContain('echo made > f.txt');
    expect(of(events, 'harness.session')).toHaveLength(1);
    // Its conversation is gone on with.
    await ask(house.steward, id, 'and a second question', 60_000);
    const request = house.asked().find((raw) => raw.includes('and a second question'));
    expect(request).toContain('run: echo made');
  });

  it('an interrupt ends it and all it started; a killed Steward goes on', async (context) => {
    const house = await work(context);
    const id = await newSession(house.steward, { metadata: { harness: name, ...more } });
    const first = await say(house.steward, id, 'run: sleep 297');
    await until(house.steward, id, 'its model', ({ type }) => type === 'harness.session', { ms: 30_000 });
    const sleeping = async () => (await soonProcess('sleep 297')) !== null;
    expect(await sleeping()).toBe(true);
    await send(house.steward, id, { type: 'user.interrupt' });
    await untilIdle(house.steward, id, first.seq, 30_000);
    await soonNothingLeft({ marks: ['sleep\u0000297'] }, 5_000);

    const second = await say(house.steward, id, 'run: test -e once || { touch once; sync; sleep 296; }; echo again');
    expect((await soonProcess('sleep 296')) !== null).toBe(true);
    await house.steward.kill('SIGKILL');
    house.steward = await house.again();
    onTestFinished(() => house.steward.stop());
    await until(
      house.steward,
      id,
      'its run',
      (event) => event.type === 'harness.session' && event.seq > second.seq + 3,
      { after: second.seq, ms: 30_000 },
    );
    await send(house.steward, id, { type: 'user.interrupt' });
    await untilIdle(house.steward, id, second.seq, 30_000);
  });
});
