// `steward start`, `stop` and `restart`: one process under PM2, and the reason in its own words when it does not come up.
import { appendFileSync, chmodSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { systemClock } from '../clock.ts';
import { loadConfig, recordEnvironment } from '../config.ts';
import { files } from '../config-sources.ts';
import { EXIT, StewardError } from '../errors.ts';
import { readFileIfAny, writePrivateFile } from '../files.ts';
import { type Client, createClient, isUnavailable } from './client.ts';
import { fingerprint } from './fingerprint.ts';
import { forPerson, logFile, readFrom } from './logs.ts';
import { createPm2, isAlive, type Pm2, pm2HomeProblem, projectRoot, type Supervised, startedByPm2 } from './pm2.ts';
import { loginLink, type Status, status } from './shapes.ts';
import { say, type Terminal } from './terminal.ts';

/** After PM2 said "ready": for checks that need their first success, such as a channel's first poll. Milliseconds. */
const readyPatience = 15_000;
/** A start that takes longer is given up. Milliseconds. */
const longestStart = 300_000;
/** A graceful end may take this long, as PM2 allows it too. Milliseconds. */
const longestGoodbye = 15_000;
/** A log that long is set aside when the process starts. Bytes. */
const longLog = 20 * 1024 * 1024;

interface Setup {
  home: string;
  client: Client;
  pm2: Pm2;
}

/**
 * Settings are judged before anything is touched: a mistake in them starts and stops nothing.
 * What this shell says replaces what an earlier start kept, so that one is not read.
 */
function prepare(terminal: Terminal): Setup {
  const { config } = loadConfig(terminal.env, {
    readFile: (path) => (basename(path) === files.start ? null : readFileIfAny(path)),
  });
  const problem =
    config.port === 0 ? 'STEWARD_PORT is 0, which only steward run can use.' : pm2HomeProblem(config.home);
  if (problem) throw new StewardError('bad_config', problem, { op: 'start' });
  const client = createClient(config, { fetch: terminal.fetch });
  return { home: config.home, client, pm2: createPm2(config.home, terminal.env) };
}

/** Idempotent: with the same code and settings it changes nothing and shows the way in again. */
export async function start(terminal: Terminal, options: { restart?: boolean } = {}): Promise<number> {
  const setup = prepare(terminal);
  let running = await statusIfAny(setup.client);
  const supervised = await setup.pm2.find();
  if (running && !supervised?.pid) {
    if (!(await endOrphan(setup, running))) return foreign(terminal, setup, running);
    running = null;
  }

  recordEnvironment(setup.home, terminal.env);
  const stamp = join(setup.home, 'started.json');
  const wanted = `${JSON.stringify({ fingerprint: fingerprint(projectRoot, setup.home) })}\n`;
  const unchanged = readFileIfAny(stamp) === wanted;
  if (running && unchanged && !options.restart) {
    say(terminal, `Steward ${running.version} is running.`);
    return welcome(terminal, setup);
  }

  say(terminal, announcement(running !== null, supervised !== null, options.restart === true));
  await setup.pm2.stop();
  const logEnd = prepareLog(setup.home);
  rmSync(stamp, { force: true });
  const failure = await launch(terminal, setup, logEnd);
  if (failure) {
    terminal.stderr.write(`${failure.words}\n`);
    return failure.exitCode;
  }
  writePrivateFile(stamp, wanted);
  return welcome(terminal, setup);
}

function announcement(running: boolean, known: boolean, asked: boolean): string {
  if (asked) return known ? 'Restarting Steward …' : 'Steward was not running. Starting it …';
  return running ? 'Restarting Steward: its code or its settings changed …' : 'Starting Steward …';
}

export async function stop(terminal: Terminal): Promise<number> {
  const { config } = loadConfig(terminal.env);
  const pm2 = createPm2(config.home, terminal.env);
  const supervised = await pm2.find();
  await pm2.stop();
  const running = await statusIfAny(createClient(config, { fetch: terminal.fetch }));
  const orphan = running !== null && (await endOrphan(config, running));
  if (supervised?.pid || orphan) say(terminal, 'Steward is stopped.');
  if (running && !orphan) {
    terminal.stderr.write(
      `Steward runs in the foreground${running.pid ? ` (process ${running.pid})` : ''}: end it there, with Ctrl-C.\n`,
    );
    return EXIT.failed;
  }
  if (!supervised?.pid && !running) say(terminal, 'Steward was not running.');
  return EXIT.ok;
}

/** Someone started it with `steward run`: that is theirs to end, and the link works all the same. */
async function foreign(terminal: Terminal, setup: Setup, running: Status): Promise<number> {
  say(
    terminal,
    `Steward ${running.version} is already running in the foreground${running.pid ? ` (process ${running.pid})` : ''}, not under PM2.`,
  );
  return welcome(terminal, setup);
}

/** When PM2 was killed its child lives on and nobody would restart it: it is ended to be started anew. */
async function endOrphan({ home }: { home: string }, { pid }: Status): Promise<boolean> {
  if (!pid || !startedByPm2(home, pid)) return false;
  process.kill(pid, 'SIGINT');
  for (let waited = 0; waited < longestGoodbye; waited += 50) {
    if (!isAlive(pid)) return true;
    await systemClock.sleep(50);
  }
  throw new StewardError('conflict', `Steward (process ${pid}) lost its PM2 and does not end.`, {
    op: 'start',
    hint: `kill -9 ${pid} and try again; nothing is lost by it.`,
  });
}

async function welcome(terminal: Terminal, { client }: Setup): Promise<number> {
  const deadline = terminal.now() + readyPatience;
  let found = await client.get('/api/status', status);
  while (!found.ready && terminal.now() < deadline) {
    await systemClock.sleep(100);
    found = await client.get('/api/status', status);
  }
  if (!found.ready) say(terminal, 'Not everything is ready yet; steward doctor looks closer.');
  if (found.safe_mode) say(terminal, `Safe mode: ${found.safe_mode.why}`);
  for (const { text } of found.notices) say(terminal, `Note: ${text}`);
  say(terminal, `Model: ${found.model.configured.join(', ')}`);
  const link = await client.send('POST', '/api/login-links', {}, loginLink);
  say(terminal, `\nOpen the console (this link signs in once):\n  ${link.url}`);
  return EXIT.ok;
}

async function statusIfAny(client: Client): Promise<Status | null> {
  try {
    return await client.get('/api/status', status);
  } catch (error) {
    if (isUnavailable(error)) return null;
    throw error;
  }
}

/** Null once it answers; else what the process itself said before it went. Then nothing is left half-started. */
async function launch(
  terminal: Terminal,
  setup: Setup,
  logEnd: number,
): Promise<{ words: string; exitCode: number } | null> {
  let found: Supervised | null = null;
  try {
    await setup.pm2.start();
    const deadline = terminal.now() + longestStart;
    for (let looks = 0; terminal.now() < deadline; looks++) {
      found = await setup.pm2.find();
      if (!found?.pid || found.restarts > 0) break;
      if (await statusIfAny(setup.client)) return null;
      // PM2 has waited 20 s by now. Bringing a large database to a new schema takes longer and must not be cut off.
      if (looks === 0) say(terminal, 'Still starting …');
      await systemClock.sleep(1000);
    }
  } catch (error) {
    await setup.pm2.stop();
    throw error;
  }
  await setup.pm2.stop();
  const words = lastWords(readFrom(logFile(setup.home), logEnd).text);
  return { words: words || `Steward did not start (${describe(found)}).`, exitCode: found?.exitCode || EXIT.failed };
}

function describe(supervised: Supervised | null): string {
  if (!supervised) return 'PM2 lost it';
  return supervised.pid ? 'it runs and does not answer' : `exit code ${supervised.exitCode ?? 'unknown'}`;
}

/** The process tells a person why it ends in plain lines; only when there are none do its log entries have to serve. */
export function lastWords(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const plain = lines.filter((line) => !line.startsWith('{'));
  return (plain.length > 0 ? plain : lines).slice(-12).map(forPerson).join('\n');
}

/** PM2 would create the file for everyone to read. Returns its length. */
function prepareLog(home: string): number {
  const file = logFile(home);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  chmodSync(dirname(file), 0o700);
  appendFileSync(file, '', { mode: 0o600 });
  if (statSync(file).size > longLog) {
    renameSync(file, `${file}.1`);
    appendFileSync(file, '', { mode: 0o600 });
  }
  chmodSync(file, 0o600);
  return statSync(file).size;
}
