// The small process that forks for the daemon: what it starts, what it tells, and that nothing outlives it.
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { treeOf } from '../../../../sandboxes/drivers/bwrap/procfs.ts';
import { createStarter, type StartRequest } from '../../../../sandboxes/drivers/bwrap/starter.ts';

const perl = '/usr/bin/perl';
const folder = mkdtempSync(join(tmpdir(), 'starter-'));
const starter = createStarter({ perl, socketPath: join(folder, 's.sock') });
afterEach(() => starter.stop());
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const start = (argv: string[], over: Partial<StartRequest> = {}) =>
  starter.start({ argv, env: {}, uid: null, streams: [], file: null, info: false, ...over });
const sh = (script: string, over: Partial<StartRequest> = {}) => start(['/bin/sh', '-c', script], over);

async function output(script: string, over: Partial<StartRequest> = {}): Promise<string> {
  const started = await sh(script, { streams: ['stdout'], ...over });
  const stream = await started.stream('stdout');
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  stream.resume();
  await Promise.all([once(stream, 'end'), started.exited]);
  stream.destroy();
  return text;
}

describe.skipIf(process.platform !== 'linux' || !existsSync(perl))('the starter', () => {
  it('tells how a program ended and the last it said', async () => {
    expect(await (await sh('echo oh no >&2; exit 7')).exited).toEqual({ code: 7, signal: null, said: 'oh no\n' });
    expect(await (await sh('kill -TERM $$')).exited).toEqual({ code: null, signal: 15, said: '' });
    const loud = await (await sh('i=0; while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done >&2')).exited;
    expect(loud.said).toHaveLength(16_384);
    expect(loud.said).toMatch(/line 3999\n$/);
  });

  it('loses no start that comes while it rests', async () => {
    for (let round = 0; round < 20; round++) {
      const [one] = await Promise.all([sh('exit 3'), starter.rest()]);
      const [, two] = await Promise.all([one.exited.then(() => starter.rest()), one.exited.then(() => sh('exit 4'))]);
      const resting = two.exited.then(() => starter.rest());
      const three = two.exited.then(() => sh('exit 5'));
      expect([await one.exited, await two.exited, await (await three).exited].map(({ code }) => code)).toEqual([
        3, 4, 5,
      ]);
      await resting;
    }
  });

  it('says so when a program is not there', async () => {
    const { code, said } = await (await start(['/no/such/program'])).exited;
    expect(code).toBeNull();
    expect(said).toContain('could not start /no/such/program: No such file');
  });

  it('gives the environment it was told, the root folder, an ordinary umask and no descriptor but its own', async () => {
    process.umask(0o077);
    expect((await output('env; pwd; umask', { env: { A: 'b c' } })).split('\n').sort()).toEqual(
      ['', '/', '0022', 'A=b c', 'PWD=/'].sort(),
    );
    const open = await output('for f in /proc/$$/fd/*; do readlink $f; done');
    expect(
      open
        .trim()
        .split('\n')
        .filter((line) => !/^(\/dev\/null|socket:.*|pipe:.*)$/.test(line)),
    ).toEqual([]);
    expect(open.trim().split('\n').length).toBeLessThanOrEqual(4);
  });

  it('connects both ways, with half-closing, without losing or adding a byte', async () => {
    const started = await sh('cat', { streams: ['stdin', 'stdout'] });
    const [input, result] = [await started.stream('stdin'), await started.stream('stdout')];
    const data = Buffer.alloc(3_000_000, 'abcdefg');
    const parts: Buffer[] = [];
    result.on('data', (chunk: Buffer) => parts.push(chunk));
    result.resume();
    input.end(data);
    await once(result, 'end');
    expect(Buffer.concat(parts).equals(data)).toBe(true);
    expect((await started.exited).code).toBe(0);
  });

  it('shows a file on fd 5 and tells of the process a program made', async () => {
    const file = join(folder, 'filter');
    writeFileSync(file, 'the filter');
    expect(await output('cat <&5', { file })).toBe('the filter');
    const started = await sh(`sleep 50 & printf '{"child-pid": %s' $! >&3; sleep 0.05; printf '}\\n' >&3; wait`, {
      info: true,
    });
    const { program, inside } = await started.processes;
    expect(readFileSync(`/proc/${inside.pid}/stat`, 'utf8')).toContain(` ${program.pid} `);
    expect(readFileSync(`/proc/${inside.pid}/stat`, 'utf8')).toContain(` ${inside.startTicks} `);
    process.kill(inside.pid, 'SIGKILL');
    await started.exited;
  });

  it('carries many at once', async () => {
    const all = await Promise.all(Array.from({ length: 30 }, (_, n) => output(`echo ${n}`)));
    expect(all).toEqual(Array.from({ length: 30 }, (_, n) => `${n}\n`));
  });

  it('reaps whoever loses its parent', async () => {
    const text = await output('sleep 0.1 & echo $!');
    const pid = Number(text);
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 5_000 }).toBe(false);
  });

  it('ends with the daemon, and what was waited for is told', async () => {
    const started = await sh('echo $$; exec sleep 100', { streams: ['stdout', 'stream'] });
    const stream = await started.stream('stdout');
    stream.resume();
    const [chunk] = await once(stream, 'data');
    const pid = Number(String(chunk));
    const waits = start(['/bin/sleep', '50'], { info: true });
    await waits;
    await starter.stop();
    expect(await started.exited).toMatchObject({ code: null });
    await expect((await waits).processes).rejects.toMatchObject({ code: 'unavailable' });
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(await output('echo again')).toBe('again\n');
  });

  it('ends everything when the daemon has gone, also what hides behind a parent that is killed', async () => {
    const script = 'trap "" TERM HUP; setsid sh -c "sleep 300 & echo $$; wait" & wait';
    const started = await sh(`${script}`, { streams: ['stdout', 'stream'] });
    const stream = await started.stream('stdout');
    stream.resume();
    await once(stream, 'data');
    const daemon = starter.pid()!;
    const below = treeOf(daemon);
    expect(below.length).toBeGreaterThanOrEqual(4);
    await starter.stop();
    expect(below.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
  });

  it.skipIf(process.getuid?.() !== 0)('becomes another user, for good', async () => {
    const status = await output("grep -E '^(Uid|Gid|Groups)' /proc/self/status", { uid: 423_456 });
    expect(status.replaceAll(/\s+/g, ' ').trim()).toBe(`Uid: ${'423456 '.repeat(4)}Gid: ${'423456 '.repeat(4)}Groups:`);
  });
});
