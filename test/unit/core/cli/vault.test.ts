// `steward vault`: what it sends, what it shows, and that a secret is read in hiding and never said.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeLock } from '../../../../core/lock.ts';
import { DEFAULT_VAULT } from '../../../../core/vault.ts';
import { authParams } from '../../../../core/vault-auth.ts';
import { openTestRecord } from '../../../helpers/record.ts';
import { command, fail, openStage, type Person, type Stage } from './stage.ts';

const SECRET = 'canary-9d3a1f secret';
const NOW = new Date().toISOString();
const LIST = 'GET /v1/vaults/vlt_steward/credentials';

const credential = (id: string, more: object) => ({
  id,
  type: 'vault_credential',
  vault_id: 'vlt_steward',
  display_name: id.slice(5),
  metadata: {},
  created_at: NOW,
  updated_at: NOW,
  archived_at: null,
  ...more,
});
const header = { type: 'header', hosts: ['api.example.com'], header: 'Authorization', prefix: 'Bearer ' };
const limited = { type: 'limited', allowed_hosts: ['a.example.com', '*.b.example.com'] };

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
  stage.routes['GET /v1/vaults'] = () => ({ data: [{ id: 'vlt_steward', display_name: 'Default' }], next_page: null });
  stage.routes[LIST] = () => ({ data: [credential('vcrd_github', { auth: header })], next_page: null });
  stage.routes['POST /v1/vaults/vlt_steward/credentials'] = (call) => {
    const { auth, display_name } = call.body as { auth: Record<string, unknown>; display_name: string };
    const { value: _v, password: _p, secret_value: _s, ...seen } = auth;
    return credential('vcrd_new', { display_name, auth: seen });
  };
  stage.routes['POST /v1/vaults/vlt_steward/credentials/vcrd_github'] = () =>
    credential('vcrd_github', { auth: header });
  stage.routes['DELETE /v1/vaults/vlt_steward/credentials/vcrd_github'] = () => ({
    id: 'vcrd_github',
    type: 'vault_credential_deleted',
  });
});
afterEach(() => stage.end());
const run = (args: string[], person?: Person) => command(stage.env(), ['vault', ...args], person);
const sent = () => stage.calls.findLast(({ method }) => method === 'POST')?.body;

describe('list', () => {
  it('shows how each is used and where it may go', async () => {
    stage.routes[LIST] = (call) =>
      call.path.includes('page=two')
        ? { data: [credential('vcrd_odd\u001b', { auth: { type: 'ssh_key' } })], next_page: null }
        : {
            data: [
              credential('vcrd_github', { auth: header }),
              credential('vcrd_git', { auth: { type: 'basic', username: 'ada', hosts: ['git.example.com'] } }),
              credential('vcrd_env', {
                auth: { type: 'environment_variable', secret_name: 'API_KEY', networking: limited },
              }),
              credential('vcrd_mcp', { auth: { type: 'static_bearer', mcp_server_url: 'https://mcp.example.com/x' } }),
              credential('vcrd_bad', { auth: header, readable: false }),
            ],
            next_page: 'two',
          };
    const { code, out } = await run(['list']);
    expect(code).toBe(0);
    expect(out.split('\n').map((line) => line.replace(/ {2,}/g, ' | '))).toEqual([
      'CREDENTIAL | NAME | USED AS | HOSTS | CHANGED',
      'vcrd_github | github | Authorization: Bearer … | api.example.com | 0 s ago',
      'vcrd_git | git | Authorization: Basic ada:… | git.example.com | 0 s ago',
      'vcrd_env | env | $API_KEY | a.example.com *.b.example.com | 0 s ago',
      'vcrd_mcp | mcp | Authorization: Bearer … | mcp.example.com | 0 s ago',
      'vcrd_bad | bad | does not open: add it again | api.example.com | 0 s ago',
      expect.stringMatching(/^vcrd_odd/),
      '',
    ]);
    expect(out).not.toContain('\u001b');
    expect(JSON.parse((await run(['list', '--json'])).out)).toHaveLength(6);
  });

  it('says what to do when there is nothing', async () => {
    stage.routes[LIST] = () => ({ data: [], next_page: null });
    expect((await run(['list'])).out).toContain('steward vault add NAME --host HOST');
    expect((await run(['list', '--json'])).out).toBe('[]\n');
  });
});

describe('add', () => {
  it.each([
    [[], { ...header, value: SECRET }],
    [
      ['--header', 'x-api-key'],
      { type: 'header', hosts: ['api.example.com'], header: 'x-api-key', prefix: '', value: SECRET },
    ],
    [['--prefix', 'token '], { ...header, prefix: 'token ', value: SECRET }],
    [['--basic', 'ada'], { type: 'basic', hosts: ['api.example.com'], username: 'ada', password: SECRET }],
    [
      ['--env', 'API_KEY', '--host', 'b.example.com'],
      {
        type: 'environment_variable',
        secret_name: 'API_KEY',
        secret_value: SECRET,
        networking: { type: 'limited', allowed_hosts: ['api.example.com', 'b.example.com'] },
      },
    ],
  ])('%j', async (args, auth) => {
    const heard = await run(['add', 'github', '--host', 'api.example.com', ...args], { types: `${SECRET}\n` });
    expect(heard).toMatchObject({ code: 0, err: '' });
    expect(heard.out).toMatch(/^vcrd_new is kept: .* on api\.example\.com/);
    expect(heard.out).not.toContain(SECRET);
    expect(sent()).toEqual({ display_name: 'github', auth });
    // What is sent is what the API takes.
    expect(authParams.safeParse(auth).success).toBe(true);
  });

  it('asks a person, and shows nothing of what they type', async () => {
    const person: Person = { present: true, replies: [['Secret of github (not shown): ', `${SECRET}\n`]] };
    const heard = await run(['add', 'github', '--host', 'api.example.com'], person);
    expect(heard).toMatchObject({ code: 0, err: 'Secret of github (not shown): \n' });
    expect(heard.out).not.toContain(SECRET);
    expect(sent()).toEqual({ display_name: 'github', auth: { ...header, value: SECRET } });
  });

  it('corrections at the prompt count, and Ctrl-C sends nothing', async () => {
    const prompt = 'Secret of github (not shown): ';
    const corrected: Person = { present: true, replies: [[prompt, `wrong\u0015rigth\u007f\u007fht\n`]] };
    expect((await run(['add', 'github', '--host', 'api.example.com'], corrected)).code).toBe(0);
    expect(sent()).toMatchObject({ auth: { value: 'right' } });
    stage.calls.length = 0;
    const gone = await run(['add', 'x', '--host', 'a.b'], { present: true, replies: [['(not shown): ', 'abc\u0003']] });
    expect(gone).toMatchObject({ code: 1, out: '' });
    expect(gone.err).toContain('Nothing was changed.');
    expect(stage.calls).toEqual([]);
  });

  it('takes only the line break at the end of a pipe away, and nothing at all is no secret', async () => {
    await run(['add', 'x', '--host', 'a.b'], { types: ' two words \r\n' });
    expect(sent()).toMatchObject({ auth: { value: ' two words ' } });
    stage.calls.length = 0;
    const empty = await run(['add', 'x', '--host', 'a.b']);
    expect([empty.code, empty.err]).toEqual([1, expect.stringContaining('There is no secret.')]);
    expect(stage.calls).toEqual([]);
  });

  it.each([
    [['add', 'x'], "required option '--host <host>' not specified"],
    [['add', 'x', SECRET, '--host', 'a.b'], 'too many arguments'],
    [['add', 'x', '--host', 'a.b', '--basic', 'u', '--env', 'V'], 'cannot be used with'],
    [['add', 'x', '--host', 'a.b', '--env', 'V', '--header', 'H'], 'cannot be used with'],
    [['rotate', 'github', SECRET], 'too many arguments'],
    [['nonsense'], "unknown command 'nonsense'"],
  ])('%j is a usage error that repeats no secret', async (args, says) => {
    const { code, err, out } = await run(args);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(says);
    expect(err).not.toContain(SECRET);
  });

  it("passes the server's sentence on", async () => {
    stage.routes['POST /v1/vaults/vlt_steward/credentials'] = (_, response) =>
      fail(response, 400, 'auth.hosts.0: must be a bare host name', 'See the API.');
    const heard = await run(['add', 'x', '--host', 'http://a.b'], { types: SECRET });
    expect(heard).toEqual({ code: 1, out: '', err: 'auth.hosts.0: must be a bare host name\nSee the API.\n' });
  });
});

describe('rotate and remove', () => {
  it.each(['vcrd_github', 'github'])('finds %s', async (id) => {
    const rotated = await run(['rotate', id], { types: SECRET });
    expect(rotated).toMatchObject({ code: 0, out: expect.stringContaining('github has its new secret') });
    expect(sent()).toEqual({ auth: { type: 'header', value: SECRET } });
    expect(await run(['remove', id])).toEqual({ code: 0, out: 'github is removed.\n', err: '' });
    expect(stage.calls.at(-1)).toMatchObject({
      method: 'DELETE',
      path: '/v1/vaults/vlt_steward/credentials/vcrd_github',
    });
  });

  it('does not guess', async () => {
    expect((await run(['remove', 'gitlab'])).err).toContain('There is no credential gitlab in the vault.');
    stage.routes[LIST] = () => ({
      data: ['vcrd_1', 'vcrd_2'].map((id) => credential(id, { display_name: 'github', auth: header })),
      next_page: null,
    });
    const { code, err } = await run(['remove', 'github']);
    expect([code, err]).toEqual([1, expect.stringContaining('vcrd_1, vcrd_2')]);
    expect(stage.calls.some(({ method }) => method === 'DELETE')).toBe(false);
  });
});

describe('reset', () => {
  const keep = (record: ReturnType<typeof openTestRecord>) =>
    record.vault.createCredential(DEFAULT_VAULT, {
      displayName: 'x',
      metadata: {},
      auth: authParams.parse({ type: 'header', hosts: ['a.b'], header: 'X-Key', value: SECRET }),
    });

  it('empties a vault whose key is lost, after asking', async () => {
    const record = openTestRecord({ home: stage.home });
    const { id } = keep(record);
    record.db.close();
    rmSync(join(stage.home, 'vault.key'));
    const shy = await run(['reset'], { present: true, replies: [['[y/N] ', 'n\n']] });
    expect([shy.code, shy.err]).toEqual([1, expect.stringContaining('Nothing was removed.')]);
    expect((await run(['reset'])).err).toContain('say --yes');
    const done = await run(['reset'], { present: true, replies: [['[y/N] ', 'y\n']] });
    expect(done).toMatchObject({ code: 0, out: 'Removed: 1 secret. Add them again once Steward runs.\n' });
    const next = openTestRecord({ home: stage.home });
    expect(next.vault.needCredential(DEFAULT_VAULT, id).archivedAt).not.toBeNull();
    keep(next);
    expect(readFileSync(join(stage.home, 'vault.key'), 'utf8')).toHaveLength(65);
  });

  it('leaves a running Steward alone, and makes nothing where there is nothing', async () => {
    expect((await run(['reset', '--yes'])).out).toContain('There is no vault');
    expect(existsSync(join(stage.home, 'steward.db'))).toBe(false);
    writeFileSync(join(stage.home, 'steward.db'), '');
    const lock = takeLock(stage.home);
    const { code, err } = await run(['reset', '--yes']);
    lock.release();
    expect([code, err]).toEqual([75, expect.stringContaining('already runs')]);
  });
});
