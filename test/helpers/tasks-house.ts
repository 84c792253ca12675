// A household for code tasks: a real Steward, a model that follows a script in the instruction, and a real repository.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { onTestFinished } from 'vitest';
import type { FailpointName } from '../../core/failpoint.ts';
import type { TaskDraft } from '../../core/tasks.ts';
import { rootOf } from '../../sandboxes/root.ts';
import type { TaskRow } from '../../sandboxes/tasks/rows.ts';
import { blocksOf, type MessagesRequest } from '../fakes/messages-api/blocks.ts';
import { type MessagesApi, startMessagesApi } from '../fakes/messages-api.ts';
import { makeHome, type StewardProcess, startSteward } from './process.ts';
import { call, confirm, eventsOf, until, type WireEvent } from './talk.ts';

/** As the process sends it: with what only its own loop needs to know. */
type Task = TaskRow;

const KEY = 'sk-canary-0123456789abcdef';
const OWNER: unknown = { trust: 'owner', by: 'web:console', sessionId: null, here: null };

/**
 * Calls what the newest text says, one `call name {json}` after the other, and then says that it is done. When Steward gives
 * back what the checks said, the lines are those that begin with `mend`, in any text before.
 */
function follow(request: MessagesRequest) {
  const blocks = request.messages.flatMap((message) =>
    blocksOf(message).map((block) => ({ ...block, role: message.role })),
  );
  const said = blocks.flatMap((block, index) =>
    block.type === 'text' && block.role === 'user' ? [{ text: block.text ?? '', index }] : [],
  );
  const scripts = said.filter(({ text }) => /^ *call |^Steward ran the checks/m.test(text));
  const script = scripts.at(-1);
  if (!script) return 'Nothing to do.';
  const mending = script.text.startsWith('Steward ran the checks');
  const source = mending ? said.map(({ text }) => text).join('\n') : script.text;
  const lines = [...source.matchAll(mending ? /^ *mend (\S+) (.+)$/gm : /^ *call (\S+) (.+)$/gm)];
  const made = blocks.slice(script.index).filter(({ type }) => type === 'tool_use').length;
  const line = lines[made];
  return line ? { content: [{ type: 'tool_use' as const, name: line[1]!, raw: line[2]! }] } : 'I am done.';
}

export const write = (file_path: string, content: string, verb: 'call' | 'mend' = 'call') =>
  `${verb} write ${JSON.stringify({ file_path, content })}`;
export const bash = (command: string, verb: 'call' | 'mend' = 'call') => `${verb} bash ${JSON.stringify({ command })}`;

/** A repository with these files and one commit on `main`. */
export async function repository(files: Record<string, string> = { 'README.md': 'A project.\n' }): Promise<string> {
  const folder = makeHome();
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const git = gitIn(folder);
  await git('init', '--quiet', '--initial-branch=main');
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  if (Object.keys(files).length > 0) {
    await git('add', '--all');
    await git('commit', '--quiet', '-m', 'first');
  }
  return folder;
}

export const gitIn =
  (folder: string) =>
  async (...args: string[]): Promise<string> => {
    const identity = ['-c', 'user.name=Owner', '-c', 'user.email=owner@example.org'];
    const env = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
    return (await execa('git', [...identity, '-C', folder, ...args], { env })).stdout;
  };

export interface TasksHouse {
  home: string;
  model: MessagesApi;
  steward: StewardProcess;
  arm(point: FailpointName, nth?: number): void;
  armed(): boolean;
  /** Begins again over the same home. */
  restart(): Promise<void>;
  rpc<T>(method: string, ...args: unknown[]): Promise<T>;
  create(draft: Partial<TaskDraft> & { repository: string; instruction: string }, key?: string): Promise<Task>;
  task(id: string): Promise<Task>;
  events(task: Task): Promise<WireEvent[]>;
  /** The task once it is in one of these states (and, at an end, has its result). */
  reached(id: string, ...states: Task['state'][]): Promise<Task>;
  /** Everything there is to do for this task: its process begun again when it died, its question answered. Resolves with its end. */
  carry(key: string): Promise<Task>;
  /** Allows, or refuses, what the task waits for. */
  answer(id: string, result: 'allow' | 'deny', why?: string): Promise<void>;
  file(path: string): string;
}

const ENDS = new Set<string>(['done', 'handed_off', 'cancelled', 'failed']);

export async function openTasksHouse(env: Record<string, string> = {}): Promise<TasksHouse> {
  const home = makeHome();
  const crashFile = join(home, 'crash-at');
  const model = await startMessagesApi({ handler: follow });
  const start = () =>
    startSteward({
      home,
      env: {
        ...{
          ANTHROPIC_API_KEY: KEY,
          ANTHROPIC_BASE_URL: model.url,
          CRASH_FILE: crashFile,
          STEWARD_SAFE_MODE_AFTER: '0',
        },
        ...env,
      },
      args: ['test/fixtures/steward-with-tasks.ts'],
      timeoutMs: 30_000,
    });
  let dead = false;
  const watched = async () => {
    const steward = await start();
    dead = false;
    void steward.exited.then(() => {
      dead = true;
    });
    return steward;
  };
  const house: TasksHouse = {
    home,
    model,
    steward: await watched(),
    arm: (point, nth = 1) => writeFileSync(crashFile, `${point}:${nth}`),
    armed: () => existsSync(crashFile),
    async restart() {
      rmSync(join(home, 'tasks-url'), { force: true });
      house.steward = await watched();
    },
    async rpc<T>(method: string, ...args: unknown[]) {
      const file = join(home, 'tasks-url');
      for (let tries = 0; !existsSync(file) && !dead && tries < 200; tries++)
        await new Promise((done) => setTimeout(done, 20));
      const response = await fetch(readFileSync(file, 'utf8') + method, { method: 'POST', body: JSON.stringify(args) });
      const answer = (await response.json()) as { value?: T; error?: { code: string; message: string } };
      if (answer.error) throw new Error(`${answer.error.code}: ${answer.error.message}`);
      return answer.value as T;
    },
    async create(draft, key) {
      const options = key === undefined ? {} : { idempotencyKey: key };
      return (await house.rpc<{ task: Task }>('create', { delivery: 'patch', ...draft }, OWNER, options)).task;
    },
    task: (id) => house.rpc<Task>('need', id),
    events: (task) => eventsOf(house.steward, task.sessionId),
    async reached(id, ...states) {
      const end = performance.now() + 45_000;
      let last: Task | null = null;
      for (;;) {
        last = await house.task(id).catch(() => last);
        const there = last !== null && states.includes(last.state);
        if (last && there && (!ENDS.has(last.state) || last.result)) return last;
        if (performance.now() > end || (last && ENDS.has(last.state) && last.result && !there)) {
          const log = last
            ? (await house.events(last)).map(({ type, reason, to }) => `${type} ${to ?? ''} ${reason ?? ''}`)
            : [];
          throw new Error(
            `Not ${states.join(' or ')} but ${last?.state} (${last?.reason}; ${last?.paused})\n${log.join('\n')}\n${house.steward.output()}`,
          );
        }
        await new Promise((done) => setTimeout(done, 25));
      }
    },
    async carry(key) {
      const answered = new Set<string>();
      for (const end = performance.now() + 50_000; performance.now() < end; ) {
        try {
          if (dead) await house.restart();
          const [task] = (await house.rpc<Task[]>('list', { limit: 50 })).filter(({ instruction }) =>
            instruction.includes(key),
          );
          if (task?.result) return task;
          if (task?.state === 'awaiting_approval') {
            const asked = (await house.events(task)).filter((event) => event.name === 'task_deliver').at(-1);
            if (asked && !answered.has(asked.id)) await confirm(house.steward, task.sessionId, asked.id, 'allow');
            if (asked) answered.add(asked.id);
          }
        } catch (error) {
          if (!dead) await Promise.race([house.steward.exited, new Promise((done) => setTimeout(done, 15_000))]);
          if (!dead) throw error;
        }
        await new Promise((done) => setTimeout(done, 25));
      }
      throw new Error(`The task ${key} came to no end.\n${house.steward.output()}`);
    },
    async answer(id, result, why) {
      const task = await house.reached(id, 'awaiting_approval');
      const asked = (event: WireEvent) => event.type === 'agent.tool_use' && event.name === 'task_deliver';
      await until(house.steward, task.sessionId, 'the question', asked);
      const open = (await house.events(task)).filter(asked).at(-1)!;
      await confirm(house.steward, task.sessionId, open.id, result, why);
    },
    file: (path) => readFileSync(join(home, 'files', path), 'utf8'),
  };
  onTestFinished(async () => {
    await house.steward.kill();
    await model.close();
    for (const folder of [home, rootOf(home, process.getuid!())]) rmSync(folder, { recursive: true, force: true });
  });
  // Hands have to be looked at first.
  for (let tries = 0; tries < 500; tries++) {
    const { hands } = await call<{ hands: { state: string } }>(house.steward, '/api/status');
    if (hands.state !== 'starting') break;
    await new Promise((done) => setTimeout(done, 20));
  }
  return house;
}

export const author = OWNER;
