// `steward backup` and `steward restore` with real processes: while it works, killed in the middle, into an empty folder, and what is refused.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { examine } from '../../core/backup-check.ts';
import { systemClock } from '../../core/clock.ts';
import { openRecord } from '../../core/record.ts';
import { openSqlite } from '../../core/sqlite.ts';
import { rootOf } from '../../sandboxes/root.ts';
import { makeHome, runSteward, type StewardOptions, type StewardProcess, startSteward } from '../helpers/process.ts';

const homes: string[] = [];
const processes: StewardProcess[] = [];
const newHome = () => {
  const home = makeHome();
  homes.push(home);
  return home;
};
const start = async (home: string, options: StewardOptions = {}) => {
  const steward = await startSteward({ home, ...options });
  processes.push(steward);
  return steward;
};
const cli = (home: string, args: string[], env: Record<string, string> = {}) =>
  runSteward({ home, env, args: ['core/cli.ts', ...args] });
const portOf = (steward: StewardProcess) => ({ STEWARD_PORT: new URL(steward.url).port });

afterEach(async () => {
  await Promise.all(processes.splice(0).map((one) => one.kill()));
  for (const home of homes.splice(0)) {
    rmSync(home, { recursive: true, force: true });
    rmSync(rootOf(home, process.getuid!()), { recursive: true, force: true });
  }
});

const backups = (home: string) => readdirSync(join(home, 'backups')).sort();

/** A record of some size, so that copying it takes a while. */
function fill(home: string, megabytes: number): void {
  mkdirSync(join(home, 'files'), { recursive: true });
  writeFileSync(join(home, 'ballast'), '');
  const deps = { clock: systemClock, timeZone: 'UTC', safeModeAfter: 5, wakeDelivery() {} };
  const record = openRecord(home, { ...deps, split: (_, text) => [text] });
  for (let count = 0; count < megabytes; count++)
    record.db.tx(() => record.blobs.put(Buffer.alloc(1024 * 1024, `${count} ${Math.sqrt(count + 2)}`)));
  record.db.close();
}

/** Once a file appears in there. */
function appears(folder: string, test: (name: string) => boolean): Promise<void> {
  mkdirSync(folder, { recursive: true });
  return new Promise((resolve) => {
    const watcher = watch(folder, (_, name) => {
      if (name === null || !test(name)) return;
      watcher.close();
      resolve();
    });
  });
}

const said = (home: string): string => {
  const db = openSqlite(join(home, 'steward.db'), { readonly: true });
  try {
    const rows = db.prepare<[], { payload: string }>("SELECT payload FROM events WHERE type = 'user.message'").all();
    return rows.map(({ payload }) => payload).join('\n');
  } finally {
    db.close();
  }
};

describe('steward backup', () => {
  it('prints the path of a whole copy, and brings it back in another place', async () => {
    const home = newHome();
    const steward = await start(home);
    const env = portOf(steward);
    await cli(home, ['chat', 'remember that the cake is in the oven'], env);
    const made = await runSteward({ home, env, args: ['core/cli.ts', 'backup', '--json'] });
    expect(made.code).toBe(0);
    const { path } = JSON.parse(made.output) as { path: string };
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(examine(path).problems).toEqual([]);
    const plain = await cli(home, ['backup'], env);
    expect(plain.output.split('\n')[0]).toMatch(/backups\/steward-\d{8}T\d{6}Z\.db$/);
    expect(plain.output).toContain('vault.key');
    const listed = await cli(home, ['backup', '--list', '--json']);
    expect(JSON.parse(listed.output)).toHaveLength(2);
    const response = await fetch(`${steward.url}/api/backups`, { headers: { 'x-api-key': steward.token } });
    expect(await response.json()).toMatchObject({ data: [{ kind: 'backup' }, { kind: 'backup', path }] });

    const elsewhere = newHome();
    const restored = await cli(elsewhere, ['restore', path]);
    expect([restored.code, restored.output]).toEqual([0, expect.stringContaining('Next: npm start')]);
    expect(said(elsewhere)).toContain('cake is in the oven');
    const second = await start(elsewhere);
    const asked = await cli(elsewhere, ['memory', 'list'], portOf(second));
    expect(asked.output).toContain('oven');
  });

  it('asked of nobody says so', async () => {
    const exit = await cli(newHome(), ['backup'], { STEWARD_PORT: '64999' });
    expect([exit.code, exit.output]).toEqual([1, expect.stringContaining('not running')]);
  });

  it('killed in the middle leaves nothing that looks whole, and the next one clears up', async () => {
    const home = newHome();
    fill(home, 96);
    const steward = await start(home);
    const begun = appears(join(home, 'backups'), () => true);
    const asking = fetch(`${steward.url}/api/backup`, { method: 'POST', headers: { 'x-api-key': steward.token } });
    asking.catch(() => {});
    await begun;
    await steward.kill('SIGKILL');
    expect(backups(home).length).toBeGreaterThan(0);
    expect(backups(home).filter((name) => !name.startsWith('.unfinished-'))).toEqual([]);
    const next = await start(home);
    const response = await fetch(`${next.url}/api/backup`, { method: 'POST', headers: { 'x-api-key': next.token } });
    const { name } = (await response.json()) as { name: string };
    expect([response.status, backups(home)]).toEqual([201, [name]]);
    expect(examine(join(home, 'backups', name)).problems).toEqual([]);
  });

  it('the known-bad variant, written under its own name, is caught', async () => {
    const home = newHome();
    fill(home, 96);
    const steward = await start(home, {
      env: { KNOWN_BAD: 'backup_in_place' },
      args: ['--import', './test/fixtures/known-bad.ts', 'core/cli.ts', 'run'],
    });
    const begun = appears(join(home, 'backups'), () => true);
    const asking = fetch(`${steward.url}/api/backup`, { method: 'POST', headers: { 'x-api-key': steward.token } });
    asking.catch(() => {});
    await begun;
    await steward.kill('SIGKILL');
    const whole = backups(home).filter((name) => !name.startsWith('.unfinished-'));
    expect(whole).toHaveLength(1);
  });
});

describe('steward restore', () => {
  it('is refused while a process runs, and changes nothing', async () => {
    const home = newHome();
    const steward = await start(home);
    const made = await cli(home, ['backup'], portOf(steward));
    const path = made.output.split('\n')[0]!;
    const exit = await cli(home, ['restore', path]);
    expect([exit.code, exit.output]).toEqual([75, expect.stringContaining('Another Steward')]);
    expect(existsSync(join(home, '.restoring.db'))).toBe(false);
    expect((await fetch(`${steward.url}/healthz`)).status).toBe(200);
  });

  it('goes back in time, keeps what was there, also after a kill, and can be taken back', async () => {
    const home = newHome();
    let steward = await start(home);
    await cli(home, ['chat', 'first'], portOf(steward));
    const name = (await cli(home, ['backup'], portOf(steward))).output.split('\n')[0]!.split('/').at(-1)!;
    await cli(home, ['chat', 'second'], portOf(steward));
    // Its words are still in the write-ahead log.
    await steward.kill('SIGKILL');
    const exit = await cli(home, ['restore', name, '--json']);
    expect(exit.code).toBe(0);
    const { replaced } = JSON.parse(exit.output) as { replaced: string };
    expect(said(home)).toContain('first');
    expect(said(home)).not.toContain('second');
    expect(readFileSync(replaced).includes('second')).toBe(true);
    steward = await start(home);
    expect((await cli(home, ['backup', '--list'], {})).output).toContain('replaced');
    await steward.kill('SIGKILL');
    expect((await cli(home, ['restore', replaced])).code).toBe(0);
    expect(said(home)).toContain('second');
  });

  it('a file that is not whole is refused, and nothing changes', async () => {
    const home = newHome();
    const steward = await start(home);
    await cli(home, ['chat', 'here'], portOf(steward));
    const path = (await cli(home, ['backup'], portOf(steward))).output.split('\n')[0]!;
    await steward.kill('SIGTERM');
    const bytes = readFileSync(path);
    const before = readdirSync(home).sort();
    const bad: [string, Buffer, RegExp][] = [
      ['half.db', bytes.subarray(0, bytes.length / 2), /cannot be restored/],
      ['torn.db', Buffer.from(bytes).fill(0x5a, 4_096 * 4, 4_096 * 12), /cannot be restored/],
      ['text.db', Buffer.from('hello'), /no SQLite database/],
    ];
    for (const [file, content, says] of bad) {
      writeFileSync(join(home, 'backups', file), content);
      const exit = await cli(home, ['restore', join(home, 'backups', file)]);
      expect([file, exit.code, exit.output]).toEqual([file, 1, expect.stringMatching(says)]);
    }
    const newer = openSqlite(path);
    newer.pragma('user_version = 999');
    newer.close();
    expect((await cli(home, ['restore', path])).output).toContain('newer Steward');
    expect((await cli(home, ['restore', 'nothing.db'])).code).toBe(1);
    expect((await cli(home, ['restore'])).code).toBe(2);
    expect(readdirSync(home).sort()).toEqual(before);
    expect(said(home)).toContain('here');
  });

  it('says when the key of the vault is missing', async () => {
    const home = newHome();
    const steward = await start(home);
    const headers = { 'x-api-key': steward.token, 'content-type': 'application/json' };
    const vault = (await (
      await fetch(`${steward.url}/v1/vaults`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ display_name: 'mine' }),
      })
    ).json()) as { id: string };
    const auth = { type: 'static_bearer', mcp_server_url: 'https://x.example/', token: 'sk-secret-1234567890' };
    const put = await fetch(`${steward.url}/v1/vaults/${vault.id}/credentials`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ display_name: 'x', auth }),
    });
    expect([put.status, await put.text()]).toEqual([200, expect.stringContaining('x.example')]);
    const path = (await cli(home, ['backup'], portOf(steward))).output.split('\n')[0]!;
    const elsewhere = newHome();
    const exit = await cli(elsewhere, ['restore', path]);
    expect([exit.code, exit.output]).toEqual([0, expect.stringContaining('vault reset')]);
    writeFileSync(join(elsewhere, 'vault.key'), readFileSync(join(home, 'vault.key')), { mode: 0o600 });
    expect((await cli(elsewhere, ['restore', path])).output).not.toContain('vault reset');
    await start(elsewhere);
  });
});
