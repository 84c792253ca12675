// Harnesses from the outside: the real programs in real sandboxes, their models on loopback, everything they do in the log.
import { existsSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ProgramName } from '../../sandboxes/harnesses/programs.ts';
import { rootOf } from '../../sandboxes/root.ts';
import { blocksOf } from '../fakes/messages-api/blocks.ts';
import { lastUserText, type MessagesRequest, startMessagesApi } from '../fakes/messages-api.ts';
import { type ResponsesRequest, type Said, startResponsesApi, userTexts } from '../fakes/responses-api.ts';
import { soonNothingLeft } from '../helpers/leftovers.ts';
import { makeHome, type StewardProcess, startSteward } from '../helpers/process.ts';
import { program, showPrograms } from '../helpers/programs.ts';
import { ask, eventsOf, newSession, say, send, textOf, until, untilIdle, type WireEvent } from '../helpers/talk.ts';

const KEY = 'sk-canary-harness-0123456789';
const bwrap = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'bwrap')));

/** Which words a model hears that is asked by a program: its own notes stand in tags. */
const asked = (request: MessagesRequest): string =>
  request.messages
    .filter(({ role }) => role === 'user')
    .flatMap(blocksOf)
    .flatMap((block) => (block.type === 'text' ? [block.text ?? ''] : []))
    .filter((text) => /\brun:/.test(text))
    .at(-1) ?? '';

/** `run: COMMAND` calls the shell tool once, whatever its name; then, and otherwise, it answers in words. */
function brain(request: MessagesRequest) {
  const last = request.messages.at(-1);
  const results = blocksOf(last).filter(({ type }) => type === 'tool_result');
  const wish = /run: (.+)/.exec(asked(request))?.[1];
  const shell = request.tools?.find(({ name }) => /^(?:bash|shell)$/i.test(name));
  // A call that was cut off may come with the next question: then that is what was asked last.
  if (wish && shell && asked(request) === lastAsked(request))
    return {
      content: [
        { type: 'text' as const, text: 'I will do that.' },
        { type: 'tool_use' as const, name: shell.name, input: { command: wish, description: 'as asked' } },
      ],
    };
  return results.length > 0 ? 'It is done.' : `You said: ${lastUserText(request)}`;
}
const lastAsked = (request: MessagesRequest): string =>
  blocksOf(request.messages.at(-1))
    .flatMap((block) => (block.type === 'text' && /\brun:/.test(block.text ?? '') ? [block.text ?? ''] : []))
    .at(-1) ?? '';

/** The same brain behind the Responses API. */
function responsesBrain(request: ResponsesRequest): Said {
  const last = request.input.at(-1)!;
  if (last.type === 'function_call_output') return { text: 'It is done.' };
  const wish = /run: (.+)/.exec(userTexts(request).at(-1) ?? '')?.[1];
  const tool = request.tools?.find(({ name }) => /^(?:exec_command|shell_command|shell)$/.test(name ?? ''))?.name;
  if (!wish || !tool) return { text: `You said: ${userTexts(request).at(-1)}` };
  return { call: tool, arguments: tool === 'exec_command' ? { cmd: wish, yield_time_ms: 30_000 } : { command: wish } };
}

interface House {
  /** Requests to the models so far, as they came over the wire. */
  asked(): string[];
  home: string;
  steward: StewardProcess;
  again(): Promise<StewardProcess>;
}

async function open(): Promise<House> {
  const home = makeHome();
  onTestFinished(() => {
    for (const folder of [home, rootOf(home, process.getuid!())]) rmSync(folder, { recursive: true, force: true });
  });
  await showPrograms(home);
  const messages = await startMessagesApi({ handler: brain, key: KEY });
  const responses = await startResponsesApi({ handler: responsesBrain, key: KEY });
  onTestFinished(async () => void (await Promise.all([messages.close(), responses.close()])));
  const env = {
    ANTHROPIC_API_KEY: KEY,
    ANTHROPIC_BASE_URL: messages.url,
    OPENAI_API_KEY: KEY,
    OPENAI_BASE_URL: responses.url,
    STEWARD_MODEL: 'claude-sonnet-5-5',
  };
  const start = () => startSteward({ home, env });
  const asked = () =>
    [...messages.requests, ...responses.requests].filter(({ status }) => status === 200).map(({ raw }) => raw);
  const house: House = { asked, home, steward: await start(), again: start };
  onTestFinished(() => house.steward.stop());
  return house;
}

const of = (events: readonly WireEvent[], type: string) => events.filter((event) => event.type === type);
const spans = (events: readonly WireEvent[]) =>
  of(events, 'span.model_request_end').filter((event) => event.purpose === undefined);

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

/** A process of the machine with these words, as soon as there is one. */
async function soonProcess(words: string): Promise<string | null> {
  const { execa } = await import('execa');
  for (let tries = 0; tries < 200; tries++) {
    const found = await execa('pgrep', ['-f', `^${words}`], { reject: false });
    if (found.exitCode === 0) return found.stdout;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return null;
}
