// The runner over its real wire: commands, input, signals, ports, the way to the broker, and ends on both sides.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, duplexPair } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { ExecEvent, ExecOptions, Execution } from '../../../sandboxes/driver.ts';
import {
  connectRunner,
  type Runner,
  type RunnerStart,
  runnerArguments,
  runnerScript,
} from '../../../sandboxes/runner/client.ts';
import { createFrameReader, encodeFrame, encodeStrings, type Frame } from '../../../sandboxes/runner/frames.ts';
import { FRAME, MAX_FRAME, VERSION, WINDOW } from '../../../sandboxes/runner/protocol.ts';

const ENV = { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8' };
const ends: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'runner-'));
  ends.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

interface World {
  runner: Runner;
  pid: number;
  cwd: string;
  exited: Promise<unknown>;
  exec(argv: string[], options?: ExecOptions): Execution;
}

async function start(options: RunnerStart = {}): Promise<World> {
  const cwd = folder();
  const stdio = options.fds ? 'pipe' : 'ignore';
  const child = spawn('perl', [runnerScript(), ...runnerArguments(options)], {
    cwd,
    env: {},
    stdio: [stdio, stdio, 'inherit', 'ignore', 'ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit');
  const stream = options.fds
    ? Duplex.from({ readable: child.stdout!, writable: child.stdin! })
    : (child.stdio.at(6) as Duplex);
  const runner = await connectRunner(stream, { now: Date.now });
  ends.push(async () => {
    runner.close();
    await exited;
  });
  const exec: World['exec'] = (argv, more = {}) => runner.exec(argv, { cwd, ...more }, ENV);
  return { runner, pid: child.pid!, cwd, exited, exec };
}

async function read(execution: Execution) {
  const text = { stdout: '', stderr: '' };
  const events: ExecEvent['type'][] = [];
  let exit: ExecEvent | undefined;
  for await (const event of execution) {
    events.push(event.type);
    if (event.type === 'stdout' || event.type === 'stderr')
      text[event.type] += Buffer.from(event.data).toString('latin1');
    if (event.type === 'exit') exit = event;
  }
  return { ...text, events, exit };
}

async function until<T>(look: () => T | false | Promise<T | false>): Promise<T> {
  for (let tries = 0; ; tries++) {
    const value = await look();
    if (value) return value;
    if (tries > 400) throw new Error('it did not come');
    await delay(10);
  }
}

const alive = (pid: number) =>
  existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
const rss = (pid: number) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * 1024;

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;
/** What this process holds on to, without what is only waiting to be collected. */
function held(): number {
  gc();
  const { external, heapUsed } = process.memoryUsage();
  return external + heapUsed;
}

describe('the program', () => {
  it('is what strict and warnings approve of, with the part that is compiled late', () => {
    const text = readFileSync(runnerScript(), 'utf8').replace(/^__END__$/m, '');
    const { stderr } = { stderr: execFileSync('sh', ['-c', 'perl -Mstrict -Mwarnings -c - 2>&1'], { input: text }) };
    const complaints = stderr
      .toString()
      .split('\n')
      .filter((line) => !/^(- syntax OK)?$/.test(line));
    // The one after exec is about the case that exec fails.
    expect(complaints.filter((line) => !/unlikely to be reached|system\(\) when you said exec/.test(line))).toEqual([]);
  });

  it('uses no module', () => {
    expect(readFileSync(runnerScript(), 'utf8')).not.toMatch(/^\s*(use|require) /m);
  });
});

describe('a command', () => {
  it('gets its words, its folder, its environment and nothing else of the runner', async () => {
    const { exec, cwd } = await start();
    const words = ['', 'a b', '$HOME', '-x', 'line\nbreak', 'ü漢'];
    const said = await read(exec(['perl', '-e', 'print join "|", @ARGV', '--', ...words]));
    expect(Buffer.from(said.stdout, 'latin1').toString()).toBe(words.join('|'));
    const env = await read(exec(['env', '-0'], { env: { A: 'x=y\nz', LANG: 'C' } }));
    expect(env.stdout.split('\0').filter(Boolean).sort()).toEqual(['A=x=y\nz', 'LANG=C', `PATH=${ENV.PATH}`]);
    expect((await read(exec(['pwd']))).stdout).toBe(`${cwd}\n`);
    // 3 is the folder that ls itself reads.
    expect((await read(exec(['ls', '/proc/self/fd']))).stdout).toBe('0\n1\n2\n3\n');
    const status = (await read(exec(['cat', '/proc/self/status']))).stdout;
    for (const mask of ['SigIgn', 'SigBlk', 'SigPnd']) expect(status).toMatch(new RegExp(`${mask}:\\s+0+\n`));
    expect((await read(exec(['cat']))).events).toEqual(['exit']);
  });

  it('ends with its code, or with the signal that ended it', async () => {
    const { exec } = await start();
    for (const code of [0, 1, 255])
      expect(await exec(['sh', '-c', `exit ${code}`]).result).toEqual({ code, signal: null, limited: null });
    for (const signal of ['KILL', 'SEGV', 'TERM'])
      expect(await exec(['sh', '-c', `kill -${signal} $$`]).result).toEqual({ code: null, signal, limited: null });
  });

  it('that cannot be started says why, with the code a shell would give', async () => {
    const { exec, cwd } = await start();
    writeFileSync(join(cwd, 'plain'), 'no program');
    const cases: [string[], ExecOptions, number, RegExp][] = [
      [['no-such-program'], {}, 127, /^could not start no-such-program: No such file or directory\n$/],
      [['./plain'], {}, 126, /^could not start \.\/plain: Permission denied\n$/],
      [['true'], { cwd: '/nowhere' }, 126, /^could not enter the folder \/nowhere: No such file/],
      [['true', 'a\0b'], {}, 126, /NUL byte/],
      [['true', 'x'.repeat(300_000)], {}, 126, /Argument list too long/],
      [['true', 'x'.repeat(MAX_FRAME)], {}, 126, /longer than 1 MiB/],
    ];
    for (const [argv, options, code, why] of cases) {
      const { stderr, exit, events } = await read(exec(argv, options));
      expect(exit).toEqual({ type: 'exit', code, signal: null, limited: null });
      expect(stderr).toMatch(why);
      expect(events).toEqual(['stderr', 'exit']);
    }
    expect((await read(exec(['echo', 'still here']))).stdout).toBe('still here\n');
  });

  it('has its last words read to the end before the exit is told, also beside a child that never stops writing', async () => {
    const { exec } = await start();
    const size = 700_000;
    const script = `$| = 1; if (!fork) { setpgrp; 1 while syswrite STDERR, "noise\\n" x 1000 } print "x" x ${size}; exit 7`;
    const { stdout, exit } = await read(exec(['perl', '-e', script]));
    expect(exit).toMatchObject({ code: 7 });
    expect(stdout.length).toBe(size);
  });

  it('is over when it is over; a child in the background keeps the pipe and is neither stopped nor killed', async () => {
    const { exec, cwd, runner } = await start();
    const child = `$SIG{PIPE} = 'DEFAULT'; for (1..200) { syswrite STDOUT, "x" x 10_000; } open my $f, '>', 'done'; sleep 60`;
    const began = performance.now();
    expect((await read(exec(['sh', '-c', `perl -e "$1" & echo first`, 'sh', child]))).stdout).toMatch(
      /^[x]*first\n[x]*$/,
    );
    expect(performance.now() - began).toBeLessThan(2_000);
    await until(() => existsSync(join(cwd, 'done')));
    expect((await runner.processes()).map(({ argv }) => argv[0])).toContain('perl');
  });

  it('forty at once keep apart', async () => {
    const { exec } = await start();
    const all = await Promise.all(
      Array.from({ length: 40 }, (_, n) => read(exec(['perl', '-e', `print "${n} " x 30_000; exit ${n}`]))),
    );
    all.forEach(({ stdout, exit }, n) => {
      expect(stdout).toBe(`${n} `.repeat(30_000));
      expect(exit).toMatchObject({ code: n });
    });
  });
});

describe('output', () => {
  it('100 MB to a slow reader: every byte, and nothing piles up on either side', async () => {
    const { exec, pid } = await start();
    const execution = exec(['head', '-c', '100000000', '/dev/zero'], { outputBytes: 200_000_000 });
    const before = held();
    let [size, most, pieces] = [0, 0, 0];
    for await (const event of execution) {
      if (event.type !== 'stdout') continue;
      size += event.data.length;
      if (++pieces % 100 > 0) continue;
      await delay(2);
      most = Math.max(most, held() - before);
      expect(rss(pid)).toBeLessThan(24_000_000);
    }
    expect(size).toBe(100_000_000);
    expect(most).toBeLessThan(32_000_000);
  });

  it('that nobody takes stays in the command, beyond the window', async () => {
    const { exec, cwd } = await start();
    const script = `open my $f, '>', 'written'; $| = 1; for (1..1000) { syswrite STDOUT, "x" x 4096; syswrite $f, "x" }`;
    const execution = exec(['perl', '-e', script]);
    const written = () => (existsSync(join(cwd, 'written')) ? readFileSync(join(cwd, 'written')).length * 4096 : 0);
    let last = -1;
    await until(async () => {
      const now = written();
      await delay(30);
      const still = now > 0 && now === last;
      last = now;
      return still;
    });
    // The window and what a pipe holds.
    expect(last).toBeLessThanOrEqual(WINDOW + 65_536 + 4096);
    expect((await read(execution)).stdout.length).toBe(4_096_000);
  });

  it('is thrown away where somebody waits for the result alone', async () => {
    const { exec } = await start();
    expect(await exec(['head', '-c', '20000000', '/dev/zero']).result).toMatchObject({ code: 0 });
    const execution = exec(['sh', '-c', 'echo short']);
    await execution.result;
    expect((await read(execution)).stdout).toBe('short\n');
  });

  it('misses nothing when the iteration begins before the result is asked for', async () => {
    const { exec } = await start();
    const execution = exec(['perl', '-e', 'print "x" x 3_000_000']);
    const reading = read(execution);
    const result = await execution.result;
    expect(result.code).toBe(0);
    expect((await reading).stdout.length).toBe(3_000_000);
    expect(() => execution[Symbol.asyncIterator]()).toThrow(/read once/);
  });

  it('ends at its cap, with the group', async () => {
    const { exec, runner } = await start();
    const { stdout, stderr, events, exit } = await read(
      exec(['sh', '-c', 'yes & yes 1>&2 & wait'], { outputBytes: 300_000 }),
    );
    expect(stdout.length + stderr.length).toBe(300_000);
    expect(events.slice(-2)).toEqual(['limit', 'exit']);
    expect(exit).toEqual({ type: 'exit', code: null, signal: 'KILL', limited: 'output' });
    await until(async () => (await runner.processes()).length === 0);
  });

  it('a loop that ends early kills the group', async () => {
    const { exec, runner } = await start();
    for await (const event of exec(['sh', '-c', 'sleep 100 & echo ready; wait'])) if (event.type === 'stdout') break;
    await until(async () => (await runner.processes()).length === 0);
  });
});

describe('input', () => {
  it('10 MB to a slow reader: the writer waits for it, and every byte arrives', async () => {
    const { exec, pid } = await start();
    const script =
      'my $n = 0; while (my $r = sysread STDIN, my $d, 65536) { $n += $r; select undef, undef, undef, 0.002 } print $n';
    const execution = exec(['perl', '-e', script], { stdin: 'open' });
    const reading = read(execution);
    const piece = Buffer.alloc(1_000_000, 'x');
    let written = 0;
    const writing = (async () => {
      for (let i = 0; i < 10; i++) {
        await execution.write(piece);
        written++;
      }
      execution.end();
    })();
    await delay(20);
    expect(written).toBeLessThan(5);
    expect(rss(pid)).toBeLessThan(24_000_000);
    await writing;
    expect((await reading).stdout).toBe('10000000');
  });

  it('that nobody reads any more does not hold the writer for ever', async () => {
    const { exec } = await start();
    const execution = exec(['sh', '-c', 'exec <&-; sleep 100'], { stdin: 'open' });
    await execution.write(Buffer.alloc(3_000_000));
    execution.signal('KILL');
    expect(await execution.result).toMatchObject({ signal: 'KILL' });
    await execution.write('to nobody');
  });

  it('ends where it is ended, and is refused where there is none', async () => {
    const { exec } = await start();
    const cat = exec(['cat'], { stdin: 'open' });
    await cat.write('ü');
    cat.end();
    await expect(cat.write('more')).rejects.toMatchObject({ code: 'invalid' });
    expect((await read(cat)).stdout).toBe(Buffer.from('ü').toString('latin1'));
    await expect(exec(['cat']).write('x')).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('signals and limits', () => {
  it('reach the whole group, and stop and continue it', async () => {
    const { exec, cwd } = await start();
    const execution = exec(['sh', '-c', 'sh -c "while :; do echo x >> ticks; sleep 0.01; done" & wait']);
    const ticks = () => (existsSync(join(cwd, 'ticks')) ? readFileSync(join(cwd, 'ticks')).length : 0);
    await until(ticks);
    execution.signal('STOP');
    await delay(50);
    const stopped = ticks();
    await delay(80);
    expect(ticks()).toBe(stopped);
    execution.signal('CONT');
    await until(() => ticks() > stopped);
    execution.signal('TERM');
    expect(await execution.result).toMatchObject({ signal: 'TERM' });
    const over = ticks();
    await delay(60);
    expect(ticks()).toBe(over);
  });

  it('sent at once are not lost between fork and exec', async () => {
    const { exec } = await start();
    for (let i = 0; i < 30; i++) {
      const execution = exec(['sleep', '100']);
      execution.signal('TERM');
      expect(await execution.result).toMatchObject({ signal: 'TERM' });
    }
  });

  it('a command past its time gets TERM, and KILL two seconds later when it does not care', async () => {
    const { exec } = await start();
    const polite = await read(exec(['sleep', '100'], { timeoutMs: 100 }));
    expect(polite.events).toEqual(['limit', 'exit']);
    expect(polite.exit).toMatchObject({ signal: 'TERM', limited: 'time' });
    const began = performance.now();
    const rude = await exec(['sh', '-c', "trap '' TERM; while :; do sleep 1; done"], { timeoutMs: 100 }).result;
    expect(rude).toEqual({ code: null, signal: 'KILL', limited: 'time' });
    expect(performance.now() - began).toBeGreaterThan(2_000);
  });

  it('an abort ends the command; one before the start lets nothing run', async () => {
    const { exec, cwd } = await start();
    const stop = new AbortController();
    const execution = exec(['sleep', '100'], { signal: stop.signal });
    stop.abort();
    expect(await execution.result).toEqual({ code: null, signal: 'TERM', limited: null });
    expect(await exec(['touch', 'ran'], { signal: stop.signal }).result).toMatchObject({ code: null, signal: 'KILL' });
    await exec(['true']).result;
    expect(existsSync(join(cwd, 'ran'))).toBe(false);
  });

  it('what a command signals at everything it sees does not end the runner', async () => {
    const { exec, runner, pid } = await start();
    const signals = 'TERM INT HUP QUIT USR1 USR2 PIPE ALRM TSTP TTIN TTOU VTALRM PROF IO CHLD';
    await exec(['sh', '-c', `for s in ${signals}; do kill -$s ${pid}; done`]).result;
    expect(await runner.ping(2_000)).toBe(true);
    expect((await read(exec(['echo', 'here']))).stdout).toBe('here\n');
  });
});

const SERVER = `use strict; use Socket; socket(my $s, $ARGV[0] eq '6' ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
  bind($s, $ARGV[0] eq '6' ? pack_sockaddr_in6(0, Socket::inet_pton(AF_INET6, '::1')) : pack_sockaddr_in(0, INADDR_LOOPBACK)) or die; listen($s, 9);
  my ($port) = $ARGV[0] eq '6' ? unpack_sockaddr_in6(getsockname $s) : unpack_sockaddr_in(getsockname $s);
  open my $f, '>', 'port.tmp'; print $f $port; close $f; rename 'port.tmp', 'port';
  while (accept(my $c, $s)) { next if fork; while (sysread($c, my $d, 65536)) { my $o = 0; while ($o < length $d) { $o += syswrite $c, $d, length($d) - $o, $o } } syswrite $c, 'over'; exit }`;

describe('what stays', () => {
  const serve = async ({ exec, cwd }: World, family = '4') => {
    rmSync(join(cwd, 'port'), { force: true });
    const result = await exec([
      'sh',
      '-c',
      'setsid perl -e "$1" "$2" </dev/null >/dev/null 2>&1 &',
      'sh',
      SERVER,
      family,
    ]).result;
    expect(result.code).toBe(0);
    return Number(await until(() => existsSync(join(cwd, 'port')) && readFileSync(join(cwd, 'port'), 'latin1')));
  };

  it('a daemonised server outlives its command, is listed with its port, and can be dialled', async () => {
    const world = await start();
    const port = await serve(world);
    const [server, ...others] = await world.runner.processes();
    expect(others).toEqual([]);
    expect(server).toMatchObject({ ports: [port] });
    expect(server!.argv.slice(0, 2)).toEqual(['perl', '-e']);
    expect(Math.abs(Date.now() - server!.startedAt)).toBeLessThan(10_000);
    expect(await world.runner.processes()).toEqual([server]);

    const connection = await world.runner.dial(port);
    const sent = Buffer.alloc(5_000_000, 'abcdefg');
    connection.end(sent);
    const got: Buffer[] = [];
    for await (const data of connection) got.push(data);
    const all = Buffer.concat(got);
    // Half-closed: the server still answers after the end of what it was sent.
    expect(all.length).toBe(sent.length + 4);
    expect(all.subarray(0, sent.length).equals(sent)).toBe(true);
    expect(all.subarray(-4).toString()).toBe('over');
  });

  it('a server on ::1 alone is found too', async () => {
    const world = await start();
    const connection = await world.runner.dial(await serve(world, '6'));
    connection.end('x');
    expect(Buffer.concat(await connection.toArray()).toString()).toBe('xover');
  });

  it('where nothing listens is refused; a connection dropped here is dropped there', async () => {
    const world = await start();
    await expect(world.runner.dial(1)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(world.runner.dial(0)).rejects.toMatchObject({ code: 'invalid' });
    const connection = await world.runner.dial(await serve(world));
    connection.write('x');
    await once(connection, 'data');
    expect(await world.runner.processes()).toHaveLength(2);
    connection.destroy();
    await until(async () => (await world.runner.processes()).length === 1);
  });

  it('a connection that is not read holds the server, and only it', async () => {
    const world = await start();
    const port = await serve(world);
    const slow = await world.runner.dial(port);
    let taken = false;
    slow.write(Buffer.alloc(20_000_000), () => {
      taken = true;
    });
    await delay(100);
    expect(taken).toBe(false);
    expect(rss(world.pid)).toBeLessThan(24_000_000);
    const quick = await world.runner.dial(port);
    quick.end('y');
    expect(Buffer.concat(await quick.toArray()).toString()).toBe('yover');
    slow.destroy();
  });
});

describe('ends', () => {
  it('a lost runner ends everything that was open, as lost', async () => {
    const { exec, runner, pid } = await start();
    const execution = exec(['sh', '-c', 'echo here; sleep 100'], { stdin: 'open' });
    const reading = read(execution);
    const waiting = execution.write(Buffer.alloc(5_000_000));
    const started = await until(async () => {
      const all = await runner.processes();
      return all.length === 2 && all;
    });
    process.kill(pid, 'SIGKILL');
    expect(await reading).toMatchObject({ exit: { type: 'exit', code: null, signal: null } });
    await expect(execution.result).rejects.toMatchObject({ code: 'sandbox_lost' });
    await expect(waiting).rejects.toMatchObject({ code: 'sandbox_lost' });
    await runner.ended;
    expect(() => exec(['true'])).toThrow(expect.objectContaining({ code: 'sandbox_lost' }));
    await expect(runner.dial(80)).rejects.toMatchObject({ code: 'sandbox_lost' });
    await expect(runner.processes()).rejects.toMatchObject({ code: 'sandbox_lost' });
    expect(await runner.ping(100)).toBe(false);
    process.kill(-started[0]!.pid, 'SIGKILL');
  });

  it('when the host goes everything that was started goes, whatever it calls itself and wherever it moved', async () => {
    const { exec, runner, exited, cwd } = await start();
    const script = `for name in a b; do setsid sh -c 'trap "" TERM HUP; echo $$ >> pids; cd /; sleep 100; :' & done
      perl -e 'open my $f, ">>", "pids"; fork and exit; setpgrp; fork and exit; print $f "$$\\n"; close $f; $0 = "x"; kill "STOP", $$' & sleep 0.1`;
    await exec(['sh', '-c', script]).result;
    const pids = await until(() => {
      const lines = readFileSync(join(cwd, 'pids'), 'latin1').trim().split('\n').map(Number);
      return lines.length === 3 && lines;
    });
    expect(pids.every(alive)).toBe(true);
    runner.close();
    await exited;
    expect(pids.filter(alive)).toEqual([]);
  });

  it('ping tells a stopped runner', async () => {
    const { runner, pid } = await start();
    expect(await runner.ping(2_000)).toBe(true);
    process.kill(pid, 'SIGSTOP');
    expect(await runner.ping(60)).toBe(false);
    process.kill(pid, 'SIGCONT');
    expect(await runner.ping(2_000)).toBe(true);
  });

  it('as process 1 of a stream over standard input and output it does the same', async () => {
    const { exec, runner } = await start({ fds: { in: 0, out: 1 } });
    expect((await read(exec(['sh', '-c', 'cat; echo out; echo err >&2']))).stdout).toBe('out\n');
    expect(await runner.ping(1_000)).toBe(true);
  });
});

describe('the way to the broker', () => {
  const listen = async (path: string, handle: (socket: Socket) => void): Promise<Server> => {
    const server = createServer({ allowHalfOpen: true }, handle).listen(path);
    await once(server, 'listening');
    ends.push(() => void server.close());
    return server;
  };
  const open = async (port: number) => {
    const socket = netConnect({ port, host: '127.0.0.1', allowHalfOpen: true });
    ends.push(() => void socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  const all = async (socket: Socket) => Buffer.concat(await socket.toArray());

  it('carries bytes both ways with each end kept, many connections at once', async () => {
    const path = join(folder(), 'broker.sock');
    await listen(path, (socket) => {
      const got: Buffer[] = [];
      socket.on('data', (data) => got.push(data));
      socket.on('end', () => socket.end(Buffer.concat([Buffer.from('got '), ...got])));
    });
    const { runner } = await start({ relay: { port: 0, socket: path } });
    expect(runner.relayPort).toBeGreaterThan(0);
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const socket = await open(runner.relayPort);
        socket.end(Buffer.alloc(300_000 + n, `${n}`));
        return (await all(socket)).length;
      }),
    );
    expect(answers).toEqual(Array.from({ length: 20 }, (_, n) => 300_004 + n));
  });

  it('closes at once while the broker is away, and works again when it is back', async () => {
    const path = join(folder(), 'broker.sock');
    const { runner } = await start({ relay: { port: 0, socket: path } });
    const closed = await open(runner.relayPort);
    await Promise.race([once(closed, 'close'), once(closed, 'end'), once(closed, 'error')]);
    await listen(path, (socket) => socket.end('here'));
    expect((await all(await open(runner.relayPort))).toString()).toBe('here');
  });

  it('a broker that breaks off breaks off the connection; a relay killed from inside is back for the next', async () => {
    const path = join(folder(), 'broker.sock');
    await listen(path, (socket) => socket.on('data', () => socket.destroy()));
    const { runner, pid } = await start({ relay: { port: 0, socket: path } });
    const broken = await open(runner.relayPort);
    broken.write('x');
    await Promise.race([once(broken, 'close'), once(broken, 'end')]);
    const relay = execFileSync('pgrep', ['-P', String(pid)])
      .toString()
      .trim();
    process.kill(Number(relay), 'SIGKILL');
    await until(
      () =>
        execFileSync('sh', ['-c', `pgrep -P ${pid} || true`])
          .toString()
          .trim() !== relay,
    );
    const again = await open(runner.relayPort);
    again.write('x');
    await Promise.race([once(again, 'close'), once(again, 'end')]);
    // The relay is none of the sandbox's processes.
    expect(await runner.processes()).toEqual([]);
  });

  it('ends with the runner', async () => {
    const path = join(folder(), 'broker.sock');
    const { runner, pid, exited } = await start({ relay: { port: 0, socket: path } });
    const relay = Number(execFileSync('pgrep', ['-P', String(pid)]).toString());
    process.kill(pid, 'SIGKILL');
    await exited;
    await until(() => !alive(relay));
    await expect(open(runner.relayPort)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

describe('a runner that cannot be trusted', () => {
  const fake = async () => {
    const [host, inside] = duplexPair();
    const got: Frame[] = [];
    inside.on(
      'data',
      createFrameReader((frame) => got.push(frame)),
    );
    inside.write(encodeFrame(FRAME.READY, 0, Buffer.from([VERSION, 0, 0])));
    const runner = await connectRunner(host, { now: Date.now });
    const say = (type: number, id: number, payload?: Uint8Array) => inside.write(encodeFrame(type, id, payload));
    return { runner, inside, say, got };
  };

  it('ends the sandbox, and nothing else, with what the wire does not allow', async () => {
    const cases: ((say: (type: number, id: number, payload?: Uint8Array) => void, inside: Duplex) => void)[] = [
      (_, inside) => inside.write(Buffer.from([FRAME.STDOUT, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff])),
      (say) => say(99, 1),
      (say) => say(FRAME.PONG, 1),
      (say) => say(FRAME.EXIT, 1),
      (say) => say(FRAME.CREDIT, 1, Buffer.from([1])),
      (say) => {
        for (let i = 0; i <= WINDOW / 65_536; i++) say(FRAME.STDOUT, 1, Buffer.alloc(65_536));
      },
    ];
    for (const misbehave of cases) {
      const { runner, say, inside } = await fake();
      const execution = runner.exec(['x'], {}, {});
      misbehave(say, inside);
      await runner.ended;
      await expect(execution.result).rejects.toMatchObject({ code: 'sandbox_lost' });
    }
  });

  it('is no runner before it says READY in the right version, and in time', async () => {
    for (const first of [
      encodeFrame(FRAME.PONG, 0),
      encodeFrame(FRAME.READY, 0, Buffer.from([99, 0, 0])),
      Buffer.alloc(64, 0xee),
    ]) {
      const [host, inside] = duplexPair();
      inside.write(first);
      await expect(connectRunner(host, { now: Date.now })).rejects.toMatchObject({ code: 'sandbox_lost' });
    }
    const [silent] = duplexPair();
    await expect(connectRunner(silent, { now: Date.now, readyWithinMs: 20 })).rejects.toMatchObject({
      code: 'sandbox_lost',
    });
  });

  it('is not believed about processes, credit or streams that are over', async () => {
    const { runner, say, got } = await fake();
    const execution = runner.exec(['x'], { stdin: 'open' }, {});
    for (let i = 0; i < 50; i++) say(FRAME.CREDIT, 1, Buffer.from([0xff, 0xff, 0xff, 0xff]));
    await delay(10);
    let done = false;
    void execution.write(Buffer.alloc(4 * WINDOW)).then(() => {
      done = true;
    });
    await until(() => got.filter(({ type }) => type === FRAME.INPUT).length >= 4);
    await delay(10);
    expect(done).toBe(false);
    say(FRAME.EXIT, 1, Buffer.from([0, 5]));
    say(FRAME.STDOUT, 1, Buffer.alloc(900_000));
    say(FRAME.EXIT, 1, Buffer.from([0, 6]));
    expect(await execution.result).toMatchObject({ code: 5 });
    const listing = runner.processes();
    await until(() => got.some(({ type }) => type === FRAME.PROCS));
    say(FRAME.PROCS, 2, encodeStrings(['100', '7', '1', '50', '80,x', '99999999', 'a']));
    expect(await listing).toEqual([]);
    const opened = runner.dial(80);
    say(FRAME.OPENED, 3);
    say(FRAME.OPENED, 3);
    say(FRAME.CLOSED, 3, Buffer.from([1]));
    expect(await (await opened).toArray()).toEqual([]);
  });

  it('any bytes at all end in a loss or in nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 }),
        fc.boolean(),
        async (pieces, framed) => {
          const { runner, inside, say } = await fake();
          const execution = runner.exec(['x'], {}, {});
          for (const [n, piece] of pieces.entries()) {
            if (framed) say(piece[0] ?? 0, n % 3, piece.subarray(1));
            else inside.write(piece);
          }
          inside.end();
          await runner.ended;
          await execution.result.catch((error) => expect(error).toMatchObject({ code: 'sandbox_lost' }));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('a frame in a thousand pieces is one frame', () => {
    const got: Frame[] = [];
    const reader = createFrameReader((frame) => got.push(frame));
    const bytes = Buffer.concat([encodeFrame(FRAME.STDOUT, 7, Buffer.alloc(200_000, 'a')), encodeFrame(FRAME.EXIT, 8)]);
    for (let at = 0; at < bytes.length; at += 211) reader(bytes.subarray(at, at + 211));
    expect(got.map(({ type, id, payload }) => [type, id, payload.length])).toEqual([
      [FRAME.STDOUT, 7, 200_000],
      [FRAME.EXIT, 8, 0],
    ]);
  });
});

describe('a host that cannot be understood', () => {
  it('is left: the runner ends', async () => {
    for (const bytes of [Buffer.from([FRAME.EXEC, 0, 0, 0, 1, 0x7f, 0, 0, 0]), encodeFrame(200, 1)]) {
      const child = spawn('perl', [runnerScript()], {
        stdio: ['ignore', 'ignore', 'inherit', 'ignore', 'ignore', 'ignore', 'pipe'],
      });
      const stream = child.stdio.at(6) as Duplex;
      stream.resume().write(bytes);
      const [code] = await once(child, 'exit');
      expect(code).toBe(0);
    }
  });
});
