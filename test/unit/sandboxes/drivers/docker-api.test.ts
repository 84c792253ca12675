// The client of the Docker API against a daemon that behaves, misbehaves, or is not there.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApi } from '../../../../sandboxes/drivers/docker/api.ts';
import { unreachable } from '../../../../sandboxes/drivers/docker/api-errors.ts';

type Answer = { status?: number; body?: unknown; silent?: boolean };

let folder: string;
let socketPath: string;
let server: Server;
let asked: string[];
let answers: Record<string, Answer | Answer[]>;
const DOCKER = { Version: '27.1', ApiVersion: '1.46', MinAPIVersion: '1.24', Arch: 'amd64' };

function serve(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url!, 'http://docker');
  const key = `${request.method} ${url.pathname.replace(/^\/v[\d.]+/, '')}`;
  asked.push(`${request.method} ${url.pathname}`);
  const planned = answers[key];
  const answer = Array.isArray(planned) ? planned.shift() : planned;
  if (answer?.silent) return;
  response.writeHead(answer?.status ?? (answer ? 200 : 404), { 'content-type': 'application/json' });
  response.end(JSON.stringify(answer ? (answer.body ?? null) : { message: 'page not found' }));
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'api-'));
  socketPath = join(folder, 'd.sock');
  asked = [];
  answers = { 'GET /version': { body: DOCKER } };
  server = createServer(serve).listen(socketPath);
  await once(server, 'listening');
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('the version', () => {
  it("is the daemon's, up to the newest that is known, and asked for once", async () => {
    answers['GET /containers/json'] = { body: [] };
    const api = createApi({ socketPath });
    expect(await api.version()).toEqual({ engine: 'Docker', version: '27.1', api: '1.46', arch: 'amd64' });
    await api.list(['a']);
    await api.list(['b']);
    expect(asked).toEqual(['GET /version', 'GET /v1.46/containers/json', 'GET /v1.46/containers/json']);
    answers['GET /version'] = { body: { ...DOCKER, ApiVersion: '1.99' } };
    expect((await createApi({ socketPath }).version()).api).toBe('1.47');
    answers['GET /version'] = { body: { ...DOCKER, Components: [{ Name: 'Podman Engine' }] } };
    expect((await createApi({ socketPath }).version()).engine).toBe('Podman');
  });

  it('too old, or one that left ours behind, is said', async () => {
    answers['GET /version'] = { body: { ...DOCKER, ApiVersion: '1.24' } };
    await expect(createApi({ socketPath }).version()).rejects.toThrow(/too old/);
    answers['GET /version'] = { body: { ...DOCKER, ApiVersion: '1.80', MinAPIVersion: '1.60' } };
    await expect(createApi({ socketPath }).version()).rejects.toMatchObject({ hint: 'Update Steward.' });
  });
});

describe('errors say what to do', () => {
  const fails = (path = socketPath, patienceMs = 5_000) => createApi({ socketPath: path, patienceMs }).info();

  it('where there is no socket', async () => {
    await expect(fails(join(folder, 'none.sock'))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('none.sock'),
      hint: expect.stringContaining('systemctl enable --now docker'),
    });
  });

  it('where nobody listens', async () => {
    const path = join(folder, 'dead.sock');
    const script = 'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
    spawnSync(process.execPath, ['-e', script, path]);
    await expect(fails(path)).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
      message: expect.stringContaining('down'),
    });
  });

  it('where the user may not', () => {
    const error = Object.assign(new Error('connect EACCES'), { code: 'EACCES' });
    expect(unreachable(error, 'list', '/var/run/docker.sock')).toMatchObject({
      code: 'forbidden',
      hint: expect.stringContaining('usermod -aG docker'),
    });
  });

  it('where the daemon hangs', async () => {
    answers['GET /info'] = { silent: true };
    await expect(fails(socketPath, 60)).rejects.toMatchObject({ code: 'unavailable', retryable: true });
  });

  it('where the image is missing', async () => {
    answers['GET /images/debian:12/json'] = { status: 404, body: { message: 'no such image' } };
    await expect(createApi({ socketPath }).image('debian:12')).rejects.toMatchObject({
      code: 'not_found',
      hint: 'Fetch it once: docker pull debian:12',
    });
    answers['POST /containers/create'] = { status: 404, body: { message: 'no such image' } };
    answers['GET /version'] = { body: { ...DOCKER, Components: [{ Name: 'Podman Engine' }] } };
    await expect(createApi({ socketPath }).create('x', { Image: 'debian:12' })).rejects.toMatchObject({
      hint: 'Fetch it once: podman pull debian:12',
    });
  });

  it("in the daemon's own words, on one line", async () => {
    answers['POST /containers/x/start'] = { status: 500, body: { message: 'OCI runtime:\n exec failed' } };
    await expect(createApi({ socketPath }).start('x')).rejects.toMatchObject({
      code: 'unavailable',
      message: 'Docker could not start a container: OCI runtime: exec failed',
    });
    answers['POST /containers/x/start'] = { status: 200, body: 'not what was expected' };
    answers['GET /containers/x/json'] = { body: { Id: 5 } };
    await expect(createApi({ socketPath }).inspect('x')).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a removal', () => {
  it('of what is not there is none', async () => {
    await createApi({ socketPath }).remove('x');
  });

  it('that somebody else has begun is waited for', async () => {
    answers['DELETE /containers/x'] = {
      status: 409,
      body: { message: 'removal of container x is already in progress' },
    };
    answers['POST /containers/x/wait'] = { body: { StatusCode: 0 } };
    await createApi({ socketPath }).remove('x');
    expect(asked).toContain('POST /v1.46/containers/x/wait');
  });

  it('after which it is still there has failed', async () => {
    answers['DELETE /containers/x'] = { status: 204 };
    const host = { NetworkMode: 'none', Memory: 1, MemorySwap: 1, ReadonlyRootfs: true };
    const state = { Running: true, Paused: false, ExitCode: 0 };
    answers['GET /containers/x/json'] = { body: { Id: 'x', State: state, HostConfig: host } };
    await expect(createApi({ socketPath }).remove('x')).rejects.toThrow(/still has it/);
  });
});

it('an attached stream may be silent for longer than an answer', async () => {
  let theirs: Duplex | null = null;
  server.on('upgrade', (_request, socket: Duplex) => {
    theirs = socket;
    socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
  });
  const stream = await createApi({ socketPath, patienceMs: 40 }).attach('x', () => {});
  const data = once(stream, 'data');
  setTimeout(() => theirs!.write(Buffer.from([1, 0, 0, 0, 0, 0, 0, 4, ...Buffer.from('late')])), 160);
  expect(String((await data)[0])).toBe('late');
  stream.destroy();
});
