// Real programs in a real sandbox: git with a key it never sees, npm and a dev server through the registry route, Python's test runner.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { rootOf } from '../../sandboxes/root.ts';
import { startHttpsHost } from '../fakes/https-host.ts';
import { lastUserText, type MessagesRequest, startMessagesApi, toolResults } from '../fakes/messages-api.ts';
import { makeHome, type StewardProcess, startSteward } from '../helpers/process.ts';
import { call, confirm, eventsOf, newSession, request, say, untilIdle } from '../helpers/talk.ts';

const PASSWORD = 'canary-of-the-vault-7f3a9c';
const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();
const online = spawnSync('npm', ['view', 'vite@8.3.8', 'version'], { timeout: 15_000 }).status === 0;

function brain(incoming: MessagesRequest) {
  const [result] = toolResults(incoming);
  const spoken = (incoming.messages.at(-1)!.content as { type: string }[]).some((block) => block.type === 'text');
  if (result && !spoken) return 'done';
  const [, name, json] = /^call (\S+) (.+)$/s.exec(lastUserText(incoming)) ?? [];
  return name ? { content: [{ type: 'tool_use' as const, name, raw: json! }] } : 'yes?';
}

/** Gone after the test, with what lies beside it. */
function ownHome(): string {
  const home = makeHome();
  onTestFinished(() => {
    for (const folder of [home, rootOf(home, process.getuid!())]) rmSync(folder, { recursive: true, force: true });
  });
  return home;
}

async function open(env: Record<string, string>) {
  const model = await startMessagesApi({ handler: brain });
  onTestFinished(() => model.close());
  const home = ownHome();
  const steward = await startSteward({
    home,
    env: { ANTHROPIC_API_KEY: 'sk-test', ANTHROPIC_BASE_URL: model.url, ...env },
  });
  onTestFinished(() => steward.stop());
  return { steward, home, id: await newSession(steward) };
}

/** Runs a command as the model would, and says yes when the owner is asked. Returns what the tool said, and whether it asked. */
async function run(steward: StewardProcess, id: string, command: string, more: object = {}) {
  const input = JSON.stringify({ command, timeout_ms: 110_000, ...more });
  const said = await say(steward, id, `call bash ${input}`);
  let idle = await untilIdle(steward, id, said.seq, 115_000);
  const stop = idle.stop_reason as { type: string; event_ids?: string[] };
  if (stop.type === 'requires_action') {
    await confirm(steward, id, stop.event_ids![0]!, 'allow');
    idle = await untilIdle(steward, id, idle.seq, 115_000);
  }
  const result = (await eventsOf(steward, id)).findLast((event) => event.type === 'agent.tool_result')!;
  return { text: result.content?.map(({ text }) => text).join('\n') ?? '', asked: stop.type === 'requires_action' };
}

/** Every file below a folder that holds the text. */
function holding(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text));
}

describe('git', () => {
  it('clones and pushes with a key from the vault that nothing inside, no log and no row ever holds', async () => {
    const root = mkdtempSync(join(tmpdir(), 'steward-git-'));
    onTestFinished(() => rmSync(root, { recursive: true, force: true }));
    execFileSync('git', ['init', '-q', '--bare', '-b', 'main', join(root, 'project.git')]);
    const basic = Buffer.from(`me:${PASSWORD}`).toString('base64');
    const host = await startHttpsHost({ git: { root, authorization: `Basic ${basic}` } });
    onTestFinished(() => host.close());
    const at = `127.0.0.1:${host.port}`;
    const ca = join(root, 'ca.pem');
    writeFileSync(ca, host.ca);
    const { steward, home, id } = await open({
      STEWARD_FETCH_ALLOW: at,
      NODE_EXTRA_CA_CERTS: ca,
      STEWARD_LOG_LEVEL: 'trace',
    });
    await call(steward, '/v1/vaults/vlt_steward/credentials', {
      display_name: 'the git host',
      auth: { type: 'basic', hosts: ['127.0.0.1'], username: 'me', password: PASSWORD },
    });
    const repository = `https://${at}/project.git`;
    const clone = await run(steward, id, `git clone -q ${repository} p && echo cloned`, {
      hosts: [at],
    });
    expect(clone.text).toMatch(/cloned$/);
    const commit =
      'cd /workspace/p && git config user.email a@b.c && git config user.name A && echo hi > f && git add f && git commit -qm first';
    const refused = await run(steward, id, `${commit}; git push -q origin HEAD:main`, { hosts: [at] });
    expect(refused.text).toContain(`push:127.0.0.1`);
    const pushed = await run(steward, id, 'cd /workspace/p && git push -q origin HEAD:main && echo pushed', {
      hosts: [`push:${at}`],
    });
    expect(pushed).toEqual({ asked: true, text: 'pushed' });
    expect(
      execFileSync('git', ['-C', join(root, 'project.git'), 'log', '--format=%s', 'main'], { encoding: 'utf8' }),
    ).toBe('first\n');
    // The key was added outside, and it is nowhere else.
    const inside = await run(
      steward,
      id,
      'env; cat .git/config ~/.gitconfig ~/.git-credentials /proc/*/environ 2>/dev/null; grep -r canary-of /workspace /home /tmp /run 2>/dev/null; true',
    );
    expect(inside.text).not.toContain(PASSWORD);
    expect(inside.text).not.toContain(basic);
    for (const folder of [home, rootOf(home, process.getuid!())])
      for (const text of [PASSWORD, basic]) expect(holding(folder, text)).toEqual([]);
    const { data } = (await call(steward, `/api/egress?session_id=${id}`)) as {
      data: { path: string; verdict: string }[];
    };
    expect(data).toContainEqual(expect.objectContaining({ path: '/project.git/git-receive-pack', verdict: 'allowed' }));
    expect(data).toContainEqual(expect.objectContaining({ verdict: 'denied' }));
    expect(JSON.stringify(await request(steward, '/v1/vaults/vlt_steward/credentials'))).not.toContain(PASSWORD);
  });
});

describe.skipIf(!online)('npm (the registry has to be reachable)', () => {
  it('installs a real project through the route, and its dev server is shown', { timeout: 240_000 }, async () => {
    // At home the registry may be a mirror with a private address: its owner names it.
    const { steward, id } = await open({
      npm_config_registry: registry,
      STEWARD_FETCH_ALLOW: new URL(registry).hostname,
    });
    const project = {
      name: 'page',
      private: true,
      type: 'module',
      devDependencies: { vite: '8.3.8' },
    };
    const files = `mkdir -p page && cd page && cat > package.json <<'X'\n${JSON.stringify(project)}\nX\necho '<h1>from the sandbox</h1><script type="module" src="/m.js"></script>' > index.html; echo 'export const x: number = 1' > m.ts`;
    await run(steward, id, files);
    const denied = await run(
      steward,
      id,
      'cd /workspace/page; npm install --package-lock-only --fetch-retries=0 2>&1 | tail -3',
    );
    expect(denied.text).toMatch(/403|not allowed/);
    const installed = await run(
      steward,
      id,
      'cd /workspace/page && npm install --package-lock-only --no-audit --no-fund 2>&1 | tail -3 && rm -rf node_modules && npm ci --no-audit --no-fund 2>&1 | tail -3; ls node_modules/.bin/vite',
      { hosts: ['registries'] },
    );
    expect(installed.asked).toBe(true);
    expect(installed.text).toMatch(/^node_modules\/\.bin\/vite$/m);
    const dev = await run(
      steward,
      id,
      'cd /workspace/page; setsid npx vite --port 5199 --strictPort --host 127.0.0.1 >log 2>&1 & for i in $(seq 300); do (exec 3<>/dev/tcp/127.0.0.1/5199) 2>/dev/null && break; sleep 0.1; done; tail -3 log',
    );
    expect(dev.text).toContain('5199');
    const [sandbox] = ((await call(steward, '/api/sandboxes')) as { data: { id: string }[] }).data;
    const { url } = (await call(steward, `/api/sandboxes/${sandbox!.id}/expose`, { port: 5199 })) as { url: string };
    const { hostname, port } = new URL(url);
    const page = await new Promise<string>((resolve, reject) => {
      httpRequest(
        { host: '127.0.0.1', port, path: '/', headers: { host: `${hostname}:${port}`, accept: 'text/html' } },
        (response) => {
          let text = '';
          response.on('data', (chunk) => (text += chunk));
          response.on('end', () => resolve(text));
        },
      )
        .on('error', reject)
        .end();
    });
    expect(page).toContain('from the sandbox');
    expect(page).toContain('/@vite/client');
  });
});

describe('python', () => {
  it('runs its tests and says which one fails', async () => {
    const { steward, id } = await open({});
    const test =
      'import unittest\nclass T(unittest.TestCase):\n  def test_good(self): self.assertEqual(1, 1)\n  def test_bad(self): self.assertEqual(1, 2)\nunittest.main()';
    const { text } = await run(steward, id, `cat > test_it.py <<'X'\n${test}\nX\npython3 test_it.py`);
    expect(text).toContain('FAIL: test_bad');
    expect(text).toContain('Ran 2 tests');
  });
});
