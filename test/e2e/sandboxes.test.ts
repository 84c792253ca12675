// Hands from the outside: a real Steward, a real sandbox, a scripted model that calls the tools it is told to.
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { rootOf } from '../../sandboxes/root.ts';
import { lastUserText, type MessagesRequest, startMessagesApi, toolResults } from '../fakes/messages-api.ts';
import { soonNothingLeft } from '../helpers/leftovers.ts';
import { makeHome, type StewardProcess, startSteward } from '../helpers/process.ts';
import { ask, call, confirm, eventsOf, newSession, request, say, until, untilIdle } from '../helpers/talk.ts';

const KEY = 'sk-canary-0123456789abcdef';
const bwrap = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'bwrap')));

/** `call name {json}` calls a tool; its result, and anything else, is repeated. */
function brain(incoming: MessagesRequest) {
  const [result] = toolResults(incoming);
  const spoken = (incoming.messages.at(-1)!.content as { type: string }[]).some((block) => block.type === 'text');
  if (result && !spoken) return `The tool says: ${result.text}`;
  const text = lastUserText(incoming);
  const [, name, json] = /^call (\S+) (.+)$/s.exec(text) ?? [];
  return name ? { content: [{ type: 'tool_use' as const, name, raw: json! }] } : `You said: ${text}`;
}

/** Gone after the test, with what lies beside it. */
function ownHome(): string {
  const home = makeHome();
  onTestFinished(() => {
    for (const folder of [home, rootOf(home, process.getuid!())]) rmSync(folder, { recursive: true, force: true });
  });
  return home;
}

async function open(env: Record<string, string> = {}, home = ownHome()) {
  const model = await startMessagesApi({ handler: brain });
  onTestFinished(() => model.close());
  const settings = { ANTHROPIC_API_KEY: KEY, ANTHROPIC_BASE_URL: model.url, ...env };
  const house = { model, home, steward: await startSteward({ home, env: settings }) };
  onTestFinished(() => house.steward.stop());
  await tried(house.steward);
  return { ...house, again: () => startSteward({ home, env: settings }) };
}

/** Resolves when the process has looked around in a sandbox. */
async function tried(steward: StewardProcess): Promise<Record<string, unknown>> {
  const hands = async () => ((await call(steward, '/api/status')) as { hands: Record<string, unknown> }).hands;
  await expect.poll(async () => (await hands()).state, { timeout: 15_000 }).not.toBe('starting');
  return hands();
}

/** A site on loopback that always says the same; `address:port`. */
async function serve(text: string, address = '127.0.0.1'): Promise<string> {
  const server = createServer((_, response) => response.end(text)).listen(0, address);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `${address}:${(server.address() as AddressInfo).port}`;
}

const bash = (command: string, more: object = {}) => `call bash ${JSON.stringify({ command, ...more })}`;
const run = async (steward: StewardProcess, id: string, command: string, more: object = {}) =>
  (await ask(steward, id, bash(command, more))).texts.at(-1)!.replace(/^The tool says: /, '');
const left = (home: string, id: string) => ({ marks: [id], folders: [join(rootOf(home, process.getuid!()), 'live')] });

describe.skipIf(!bwrap)('in a sandbox (bubblewrap is needed)', () => {
  it('works with files and a shell that live on, holds no key, and is gone at the end', async () => {
    const { steward, home } = await open();
    const id = await newSession(steward);
    expect(await run(steward, id, 'echo hello > f; cd /tmp; X=7')).toBe('(no output)');
    expect(await run(steward, id, 'echo $X; cat /workspace/f')).toBe('7\nhello');
    const seen = await run(
      steward,
      id,
      'env; cat /proc/*/environ /proc/*/cmdline | tr "\\0" "\\n"; ls -a / /root /home 2>&1',
    );
    expect(seen).toContain('agent');
    expect(seen).not.toContain(KEY);
    expect(seen).not.toContain(home);
    const [sandbox] = ((await call(steward, `/api/sandboxes?session_id=${id}`)) as { data: { id: string }[] }).data;
    expect((await call(steward, `/api/sandboxes/${sandbox!.id}`)) as object).toMatchObject({
      state: 'running',
      stats: { pids: expect.any(Number) },
    });
    await call(steward, `/api/sandboxes/${sandbox!.id}/kill`, {});
    await soonNothingLeft(left(home, sandbox!.id), 5_000);
    // The files were saved before.
    expect(await run(steward, id, 'cat f')).toMatch(/hello$/);
  });

  it('a conversation without hands makes none', async () => {
    const { steward } = await open();
    const id = await newSession(steward);
    await ask(steward, id, 'hello');
    expect(await call(steward, '/api/sandboxes')).toMatchObject({ data: [], hands: { alive: 0, state: 'on' } });
  });

  it('a killed Steward leaves nothing; the call is in doubt, the files are those of the last checkpoint', async () => {
    const house = await open();
    const id = await newSession(house.steward);
    await ask(house.steward, id, `call write ${JSON.stringify({ file_path: 'a.txt', content: 'saved' })}`);
    await until(house.steward, id, 'the checkpoint', (event) => event.type === 'checkpoint.created');
    const said = await say(house.steward, id, bash('echo more >> a.txt; sleep 300'));
    await until(house.steward, id, 'the call', (event) => event.type === 'span.tool_start', { after: said.seq });
    const [sandbox] = ((await call(house.steward, '/api/sandboxes')) as { data: { id: string }[] }).data;
    await house.steward.kill('SIGKILL');
    house.steward = await house.again();
    onTestFinished(() => house.steward.stop());
    await untilIdle(house.steward, id, said.seq);
    const doubt = (await eventsOf(house.steward, id)).find((event) => event.status === 'in_doubt');
    expect(doubt?.type).toBe('agent.tool_result');
    const text = await run(house.steward, id, 'cat a.txt');
    expect(text).toMatch(/Steward stopped while it was at work[\s\S]*saved$/);
    await soonNothingLeft({ marks: [sandbox!.id] }, 5_000);
  });

  it('what it is in stands in status, readyz and doctor', async () => {
    const { steward, home } = await open();
    const hands = await tried(steward);
    expect(hands).toMatchObject({ driver: 'bwrap', state: 'on', isolation: 'namespaces', egress_locked: true });
    for (const name of ['memory', 'pids', 'disk']) expect((hands.limits as Record<string, unknown>)[name]).toBeTruthy();
    const { body } = await request(steward, '/readyz');
    expect(body.checks).toContainEqual(
      expect.objectContaining({ name: 'hands', ok: true, detail: expect.stringContaining('isolation by namespaces') }),
    );
    const doctor = await execa(process.execPath, ['core/cli.ts', 'doctor', '--json'], {
      env: { STEWARD_HOME: home, STEWARD_PORT: new URL(steward.url).port },
      reject: false,
    });
    expect(JSON.parse(doctor.stdout)).toContainEqual(
      expect.objectContaining({ name: 'sandbox', detail: expect.stringContaining('no way out but the broker') }),
    );
  });

  it('reaches no host by itself: not the machine, not outside; and every try is on the record', async () => {
    const secret = await serve('the secret of the machine');
    const port = secret.split(':')[1];
    const { steward } = await open();
    const id = await newSession(steward);
    const text = await run(
      steward,
      id,
      `curl -sS -m 3 --noproxy '*' http://127.0.0.1:${port}/ 2>&1; curl -sS -m 5 http://127.0.0.1.nip.example:${port}/ 2>&1; curl -sS -m 5 http://forbidden.example/ 2>&1; true`,
    );
    expect(text).not.toContain('the secret of the machine');
    expect(text).toContain('not allowed in this sandbox');
    const { data } = (await call(steward, `/api/egress?session_id=${id}`)) as {
      data: { host: string; verdict: string; tool_use_id: string }[];
    };
    expect(data).toContainEqual(expect.objectContaining({ host: 'forbidden.example', verdict: 'denied' }));
    const events = await eventsOf(steward, id);
    const use = events.find((event) => event.type === 'agent.tool_use')!;
    expect(data[0]!.tool_use_id).toBe(use.id);
    expect(events.find((event) => event.type === 'sandbox.egress')).toMatchObject({ tool_use_id: use.id });
  });

  it('a host that nobody named waits for the owner; allowed, it is reached', async () => {
    const at = await serve('from the allowed host', '127.0.0.2');
    const { steward } = await open({ STEWARD_FETCH_ALLOW: at });
    const id = await newSession(steward);
    const hidden = Buffer.from(`http://${at}/`).toString('base64');
    const said = await say(steward, id, 'please look');
    await untilIdle(steward, id, said.seq);
    // The model names the host by itself: the owner's words do not hold it.
    const command = `curl -sS -m 5 $(echo ${hidden} | base64 -d)`;
    const asked = await say(steward, id, `call bash ${JSON.stringify({ command, hosts: ['other.example'] })}`);
    const idle = await untilIdle(steward, id, asked.seq);
    // What the test itself says is the owner's word: other.example stands in it, so nothing is asked and it is denied below.
    expect(idle.stop_reason).toEqual({ type: 'end_turn' });
    const denied = (await eventsOf(steward, id)).filter((event) => event.type === 'agent.tool_result').at(-1)!;
    expect(JSON.stringify(denied)).toContain('not allowed in this sandbox');
    expect(await run(steward, id, command, { hosts: [at] })).toBe('from the allowed host');
  });

  it('shows what listens inside under a name of its own, without the console’s cookie', async () => {
    const { steward } = await open();
    const id = await newSession(steward);
    await run(
      steward,
      id,
      'cat > s.py <<X\nimport http.server\nclass H(http.server.BaseHTTPRequestHandler):\n  def do_GET(self):\n    self.send_response(200); self.end_headers(); self.wfile.write(str(self.headers).encode())\n  def log_message(self,*a): pass\nhttp.server.HTTPServer(("127.0.0.1",8123),H).serve_forever()\nX\nsetsid python3 s.py >log 2>&1 & while ! (exec 3<>/dev/tcp/127.0.0.1/8123) 2>/dev/null; do sleep 0.05; done',
    );
    const [sandbox] = ((await call(steward, '/api/sandboxes')) as { data: { id: string }[] }).data;
    const about = (await call(steward, `/api/sandboxes/${sandbox!.id}`)) as {
      processes: { argv: string[]; ports: number[] }[];
    };
    expect(about.processes).toContainEqual(expect.objectContaining({ argv: ['python3', 's.py'], ports: [8123] }));
    const { url } = (await call(steward, `/api/sandboxes/${sandbox!.id}/expose`, { port: 8123 })) as { url: string };
    const { hostname, port } = new URL(url);
    expect(hostname).toMatch(/^p-[0-9a-f]{24}\.localhost$/);
    const get = (host: string) =>
      new Promise<{ status: number; text: string }>((resolve, reject) => {
        const asked = httpRequest(
          { host: '127.0.0.1', port, path: '/', headers: { host, cookie: 'steward_1=canary', 'x-mine': 'yes' } },
          (response) => {
            let text = '';
            response.on('data', (chunk) => (text += chunk));
            response.on('end', () => resolve({ status: response.statusCode!, text }));
          },
        );
        asked.on('error', reject).end();
      });
    const page = await get(`${hostname}:${port}`);
    expect(page.text).toMatch(/x-mine: yes/i);
    expect(page.text).not.toContain('canary');
    expect((await get(`127.0.0.1:${port}`)).status).toBe(404);
    expect((await request(steward, `/api/sandboxes/${sandbox!.id}/expose`, { body: { port: 9 } })).status).toBe(404);
  });

  it('goes back to a checkpoint on request', async () => {
    const { steward } = await open();
    const id = await newSession(steward);
    await ask(steward, id, `call write ${JSON.stringify({ file_path: 'a.txt', content: 'one' })}`);
    const first = await until(steward, id, 'a checkpoint', (event) => event.type === 'checkpoint.created');
    await ask(steward, id, `call write ${JSON.stringify({ file_path: 'a.txt', content: 'two' })}`);
    await until(steward, id, 'another', (event) => event.type === 'checkpoint.created', { after: first.seq });
    await call(steward, `/api/sessions/${id}/checkpoints/${String(first.checkpoint_id)}/restore`, {});
    expect(await run(steward, id, 'cat a.txt')).toBe('one');
    const { data } = (await call(steward, `/api/sessions/${id}/checkpoints`)) as { data: unknown[] };
    expect(data).toHaveLength(3);
  });

  it('a deleted conversation leaves no files', async () => {
    const { steward, home } = await open();
    const id = await newSession(steward);
    await run(steward, id, 'echo canary-of-the-conversation > a.txt');
    await until(steward, id, 'the checkpoint', (event) => event.type === 'checkpoint.created');
    await request(steward, `/v1/sessions/${id}`, { method: 'DELETE' });
    await expect
      .poll(() => existsSync(join(rootOf(home, process.getuid!()), 'snapshots', id)), { timeout: 5_000 })
      .toBe(false);
  });
});

describe('without isolation', () => {
  it('hands are off with the exact fix, and everything else works', async () => {
    const { steward } = await open({ STEWARD_SANDBOX: 'docker', DOCKER_HOST: 'unix:///nowhere/docker.sock' });
    const hands = await tried(steward);
    expect(hands).toMatchObject({
      state: 'off',
      findings: [expect.objectContaining({ level: 'error', fix: expect.stringMatching(/\S/) })],
    });
    const id = await newSession(steward);
    expect(await run(steward, id, 'true')).toMatch(/There are no hands here: .*[Dd]ocker/);
    expect((await ask(steward, id, 'hello')).texts.at(-1)).toBe('You said: hello');
  });

  it('STEWARD_SANDBOX=none asks before each command, says so everywhere, and refuses once text came from outside', async () => {
    const at = await serve('words from outside');
    const { steward } = await open({ STEWARD_SANDBOX: 'none', STEWARD_FETCH_ALLOW: at });
    expect(await tried(steward)).toMatchObject({ driver: 'none', isolation: 'none', egress_locked: false });
    const { notices } = (await call(steward, '/api/status')) as { notices: { text: string }[] };
    expect(notices.map(({ text }) => text).join('\n')).toContain('none');
    const id = await newSession(steward);
    for (const word of ['first', 'second']) {
      const said = await say(steward, id, bash(`echo ${word}`));
      const idle = await untilIdle(steward, id, said.seq);
      const waiting = (idle.stop_reason as { type: string; event_ids: string[] }).event_ids;
      expect((idle.stop_reason as { type: string }).type).toBe('requires_action');
      await confirm(steward, id, waiting[0]!, 'allow');
      const done = await untilIdle(steward, id, idle.seq);
      expect(done.stop_reason).toEqual({ type: 'end_turn' });
      const result = (await eventsOf(steward, id)).findLast((event) => event.type === 'agent.tool_result');
      expect(JSON.stringify(result)).toContain(word);
    }
    await ask(steward, id, `call web_fetch ${JSON.stringify({ url: `http://${at}/` })}`);
    expect(await run(steward, id, 'echo third')).toContain('run here without a sandbox');
  });
});
