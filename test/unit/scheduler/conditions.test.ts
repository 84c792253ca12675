// The heartbeat over real rows, files, HTTP and a real sandbox: what is new, what is not, and what could not be looked at.
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../../core/config.ts';
import { StewardError } from '../../../core/errors.ts';
import { noFailpoint } from '../../../core/failpoint.ts';
import type { SingleResult } from '../../../core/hands.ts';
import type { MemoryApi, MemoryHit, MemoryItem } from '../../../core/memory.ts';
import type { Condition } from '../../../core/schedules.ts';
import { createGuard } from '../../../core/tools/guard.ts';
import { createSandboxes } from '../../../sandboxes/index.ts';
import { rootOf } from '../../../sandboxes/root.ts';
import { type Conditions, createConditions } from '../../../scheduler/conditions.ts';
import { openTestRecord, type TestRecord } from '../../helpers/record.ts';

const HOUR = 3_600_000;
const signal = new AbortController().signal;

interface World {
  record: TestRecord;
  conditions: Conditions;
  hits: MemoryHit[];
  loops: MemoryItem[];
  command: () => Promise<SingleResult>;
  look(conditions: Condition[], id?: string): ReturnType<Conditions['look']>;
}

function open(options: { allow?: string[]; record?: TestRecord } = {}): World {
  const record = options.record ?? openTestRecord();
  const filesDir = join(record.home, 'files');
  mkdirSync(filesDir, { recursive: true });
  const world: World = {
    record,
    hits: [],
    loops: [],
    command: async () => ({ code: 0, output: 'ok', limited: null }),
    conditions: createConditions({
      ...{ db: record.db, clock: record.clock, filesDir, guard: createGuard(options.allow ?? []) },
      memory: {
        search: async () => ({ hits: world.hits, weak: false, degraded: null, tookMs: 1 }),
        list: () => world.loops,
      } satisfies Pick<MemoryApi, 'search' | 'list'>,
      single: () => world.command(),
      mainSession: () => record.newSession(),
    }),
    look: (conditions, id = 'sched_1') =>
      world.conditions.look({
        ...{ id, conditions, sessionId: null, trust: 'owner' },
        grants: { hosts: [], tools: [], recipients: [] },
      }),
  };
  return world;
}

/** A look, and the run that tells of it. */
const news = async (world: World, ...conditions: Condition[]) => {
  const look = await world.look(conditions);
  look.seen();
  return look.news;
};

async function serve(answer: () => { status: number; body: string }): Promise<string> {
  const server: Server = createServer((_, response) => {
    const { status, body } = answer();
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a file', () => {
  const watched: Condition = { kind: 'file', path: 'inbox/list.txt' };

  it('is news when it appears, changes and goes; never at the first look', async () => {
    const world = open();
    const file = join(world.record.home, 'files', 'inbox', 'list.txt');
    expect(await news(world, watched)).toBe(false);
    mkdirSync(join(world.record.home, 'files', 'inbox'));
    writeFileSync(file, 'one');
    expect(await news(world, watched)).toBe(true);
    expect(await news(world, watched)).toBe(false);
    writeFileSync(file, 'one');
    expect(await news(world, watched)).toBe(false);
    writeFileSync(file, 'two');
    expect(await news(world, watched)).toBe(true);
    rmSync(file);
    expect(await news(world, watched)).toBe(true);
    expect(await news(world, watched)).toBe(false);
  });

  it('stays news until a run has told it, also over a restart', async () => {
    const world = open();
    await news(world, watched);
    mkdirSync(join(world.record.home, 'files', 'inbox'));
    writeFileSync(join(world.record.home, 'files', 'inbox', 'list.txt'), 'one');
    expect((await world.look([watched])).news).toBe(true);
    const again = open({ record: world.record.reopen() });
    expect(await news(again, watched)).toBe(true);
    expect(await news(again, watched)).toBe(false);
  });

  it('out of the folder is refused, by dots and by links', async () => {
    const world = open();
    const files = join(world.record.home, 'files');
    writeFileSync(join(world.record.home, 'token'), 'secret');
    symlinkSync(join(world.record.home, 'token'), join(files, 'link'));
    symlinkSync(world.record.home, join(files, 'folder'));
    for (const path of ['../token', 'link', 'folder/token', '.']) {
      const look = await world.look([{ kind: 'file', path }]);
      expect([path, look.news, look.text]).toEqual([path, false, expect.stringMatching(/leads out of/)]);
    }
  });
});

describe('a guest', () => {
  it('looks at nothing of the owner', async () => {
    const world = open();
    const conditions: Condition[] = [
      { kind: 'file', path: 'a' },
      { kind: 'loops' },
      { kind: 'memory', query: 'x' },
      { kind: 'command', command: 'id' },
    ];
    const grants = { hosts: [], tools: [], recipients: [] };
    const { news, text } = await world.conditions.look({
      ...{ id: 'sched_1', conditions, sessionId: null, trust: 'guest', grants },
    });
    expect([news, text.match(/Could not be looked at/g)?.length]).toEqual([false, 4]);
  });
});

describe('a page', () => {
  it('is news when status or body differ', async () => {
    let answer = { status: 200, body: 'one' };
    const host = await serve(() => answer);
    const world = open({ allow: [host] });
    const page: Condition = { kind: 'http', url: `http://${host}/x` };
    expect(await news(world, page)).toBe(false);
    expect(await news(world, page)).toBe(false);
    answer = { status: 200, body: 'two' };
    const look = await world.look([page]);
    expect(look).toMatchObject({ news: true, text: expect.stringContaining('two') });
    look.seen();
    answer = { status: 404, body: 'two' };
    expect(await news(world, page)).toBe(true);
    // A server that is ill is no news, and neither is that it is well again.
    answer = { status: 503, body: 'sorry' };
    expect(await news(world, page)).toBe(false);
    answer = { status: 404, body: 'two' };
    expect(await news(world, page)).toBe(false);
  });

  it('at a private address is not fetched', async () => {
    let asked = 0;
    const host = await serve(() => {
      asked += 1;
      return { status: 200, body: '' };
    });
    const world = open();
    const look = await world.look([{ kind: 'http', url: `http://${host}/` }]);
    expect([look.news, asked, look.text]).toEqual([false, 0, expect.stringContaining('private')]);
  });
});

describe('what fails', () => {
  it('is a failure the third time in a row, not before, and not after a look that worked', async () => {
    const world = open();
    const command: Condition = { kind: 'command', command: 'false' };
    const fail = async () => {
      throw new StewardError('unavailable', 'There is no isolation here.', { op: 'x' });
    };
    const work = world.command;
    await news(world, command);
    world.command = fail;
    expect(await news(world, command)).toBe(false);
    expect(await news(world, command)).toBe(false);
    await expect(world.look([command])).rejects.toMatchObject({
      code: 'unavailable',
      message: 'A condition could not be looked at 3 times in a row: There is no isolation here.',
    });
    await expect(world.look([command])).rejects.toThrow('4 times');
    world.command = work;
    expect(await news(world, command)).toBe(false);
    world.command = fail;
    expect(await news(world, command)).toBe(false);
  });

  it('does not hide the news of another condition', async () => {
    const world = open();
    const both: Condition[] = [
      { kind: 'file', path: 'a' },
      { kind: 'command', command: 'x' },
    ];
    world.command = async () => ({ code: null, output: '', limited: 'time' });
    for (let tries = 0; tries < 2; tries++) await news(world, ...both);
    writeFileSync(join(world.record.home, 'files', 'a'), '1');
    const look = await world.look(both);
    expect([look.news, look.text]).toEqual([true, expect.stringContaining('longer than 60 seconds')]);
  });

  it('schedules do not see for each other, and a changed condition begins anew', async () => {
    const world = open();
    const path = join(world.record.home, 'files', 'a');
    await news(world, { kind: 'file', path: 'a' });
    writeFileSync(path, '1');
    expect((await world.look([{ kind: 'file', path: 'a' }], 'sched_2')).news).toBe(false);
    expect(await news(world, { kind: 'file', path: './a' })).toBe(false);
    expect(await news(world, { kind: 'file', path: 'a' })).toBe(true);
    expect(world.conditions.keepOnly(new Set(['sched_2']))).toBe(2);
    expect(world.conditions.keepOnly(new Set(['sched_2']))).toBe(0);
  });
});

describe('memory', () => {
  const hit = (id: string): MemoryHit => ({
    ...{ kind: 'item', id, text: id, score: 1, at: 0, who: 'owner', trust: 'owner', sessionId: null, channel: null },
    ...{ tier: 'reference', why: {} },
  });
  it('has news when there is an answer that was never there', async () => {
    const world = open();
    const query: Condition = { kind: 'memory', query: 'cake' };
    world.hits = [hit('a')];
    expect(await news(world, query)).toBe(false);
    world.hits = [hit('b'), hit('a')];
    expect(await news(world, query)).toBe(true);
    // One that goes and comes back is not new.
    world.hits = [];
    expect(await news(world, query)).toBe(false);
    world.hits = [hit('a')];
    expect(await news(world, query)).toBe(false);
  });

  it('loops are told once when they are due, the first time, too', async () => {
    const world = open();
    const at = world.record.clock.now();
    const loop = (id: string, expiresAt: number | null) =>
      ({ id, text: `do ${id}`, kind: 'loop', expiresAt, authority: 'owner' }) as MemoryItem;
    const due: Condition = { kind: 'loops' };
    world.loops = [loop('far', at + 240 * HOUR), loop('never', null)];
    expect(await news(world, due)).toBe(false);
    world.loops.push(loop('soon', at + 40 * HOUR));
    const look = await world.look([due]);
    expect([look.news, look.text]).toEqual([true, 'Still open, and due:\n- do soon']);
    look.seen();
    expect(await news(world, due)).toBe(false);
    const fresh = open();
    fresh.loops = [loop('soon', fresh.record.clock.now() + HOUR)];
    expect(await news(fresh, due)).toBe(true);
  });
});

/** A start of a sandbox that hangs is given up after twenty seconds and made again. */
const PATIENCE_MS = 180_000;

describe('a command, in a real sandbox', { timeout: PATIENCE_MS }, () => {
  it('is news when its output differs, changes nothing, and leaves nothing behind', async () => {
    const record = openTestRecord();
    onTestFinished(() => rmSync(rootOf(record.home, process.getuid!()), { recursive: true, force: true }));
    const { config } = loadConfig({ STEWARD_HOME: record.home });
    const log = { info() {}, warn() {}, error() {}, debug() {} } as never;
    const { systemClock } = await import('../../../core/clock.ts');
    const sandboxes = await createSandboxes({
      ...{ ...record, config, clock: systemClock, log, crash: noFailpoint },
      ...{ redact: (text: string) => text, wake() {}, interrupt() {} },
    });
    onTestFinished(() => sandboxes.stop());
    await sandboxes.start();
    if (sandboxes.report().state !== 'on') return expect(sandboxes.report().findings).not.toEqual([]);
    const session = record.newSession();
    const world = open({ record });
    const conditions = createConditions({
      ...{ db: record.db, clock: record.clock, guard: createGuard([]), filesDir: join(record.home, 'files') },
      memory: { search: async () => ({ hits: [], weak: true, degraded: null, tookMs: 1 }), list: () => world.loops },
      single: sandboxes.api.single,
      mainSession: () => session,
    });
    const look = async (command: string) => {
      const grants = { hosts: [], tools: [], recipients: [] };
      const looked = await conditions.look({
        ...{ id: 'sched_1', conditions: [{ kind: 'command', command }], sessionId: session, trust: 'owner', grants },
      });
      looked.seen();
      return looked;
    };
    const same = 'ls /workspace; touch /workspace/trace; echo same';
    expect((await look(same)).news).toBe(false);
    expect((await look(same)).news).toBe(false);
    expect((await look('cat /proc/sys/kernel/random/uuid')).news).toBe(false);
    const differs = await look('cat /proc/sys/kernel/random/uuid');
    expect(differs).toMatchObject({ news: true, text: expect.stringContaining('ended with 0') });
    expect(sandboxes.report().alive).toBe(0);
    expect(await sandboxes.api.sweep()).toEqual({ removed: 0 });
    const rows = (await sandboxes.api.list({ sessionId: session, limit: 10 })).map(({ state }) => state);
    expect(rows).toEqual(['ended', 'ended', 'ended', 'ended']);
  });

  it('without isolation says why', async () => {
    const record = openTestRecord();
    onTestFinished(() => rmSync(rootOf(record.home, process.getuid!()), { recursive: true, force: true }));
    const { config } = loadConfig({ STEWARD_HOME: record.home, STEWARD_SANDBOX: 'none' });
    const log = { info() {}, warn() {}, error() {}, debug() {} } as never;
    const { systemClock } = await import('../../../core/clock.ts');
    const sandboxes = await createSandboxes({
      ...{ ...record, config, clock: systemClock, log, crash: noFailpoint },
      ...{ redact: (text: string) => text, wake() {}, interrupt() {} },
    });
    onTestFinished(() => sandboxes.stop());
    const world = open({ record });
    world.command = () =>
      sandboxes.api.single({ sessionId: record.newSession(), command: 'id', hosts: [], timeoutMs: 1_000, signal });
    const look = await world.look([{ kind: 'command', command: 'id' }]);
    expect([look.news, look.text]).toEqual([false, expect.stringContaining('no isolation')]);
  });
});
