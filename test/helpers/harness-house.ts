// A Steward with the programs of harnesses on its shelf, and models on loopback that do as they are told.
import { existsSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { rootOf } from '../../sandboxes/root.ts';
import { blocksOf } from '../fakes/messages-api/blocks.ts';
import { lastUserText, type MessagesRequest, startMessagesApi } from '../fakes/messages-api.ts';
import { type ResponsesRequest, type Said, startResponsesApi, userTexts } from '../fakes/responses-api.ts';
import { makeHome, type StewardProcess, startSteward } from './process.ts';
import { showPrograms } from './programs.ts';
import type { WireEvent } from './talk.ts';

export const KEY = 'sk-canary-harness-0123456789';
export const bwrap = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'bwrap')));

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

export interface House {
  /** Requests to the models so far, as they came over the wire. */
  asked(): string[];
  home: string;
  steward: StewardProcess;
  again(): Promise<StewardProcess>;
}

export async function open(): Promise<House> {
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

export const of = (events: readonly WireEvent[], type: string) => events.filter((event) => event.type === type);
export const spans = (events: readonly WireEvent[]) =>
  of(events, 'span.model_request_end').filter((event) => event.purpose === undefined);

/** A process of the machine with these words, as soon as there is one. */
export async function soonProcess(words: string): Promise<string | null> {
  const { execa } = await import('execa');
  for (let tries = 0; tries < 200; tries++) {
    const found = await execa('pgrep', ['-f', `^${words}`], { reject: false });
    if (found.exitCode === 0) return found.stdout;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return null;
}
