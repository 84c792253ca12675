// The life of a session's hands over a fake driver with real processes: made when needed, saved, lost, restored, forgotten.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../../core/clock.ts';
import { createLog } from '../../../core/log.ts';
import type { Tool } from '../../../core/tools/tool.ts';
import type { Id, Session, ToolResult } from '../../../core/types.ts';
import { createAudit } from '../../../sandboxes/audit.ts';
import type { Egress } from '../../../sandboxes/egress.ts';
import { createHands } from '../../../sandboxes/hands.ts';
import { createLedger } from '../../../sandboxes/ledger.ts';
import { createHandsTools } from '../../../sandboxes/tools/index.ts';
import { createFakeSandboxes } from '../../fakes/sandbox.ts';
import { openTestRecord, type TestRecord } from '../../helpers/record.ts';

/** Remembers what it was asked; the way out itself is not what is tested here. */
function egressLog() {
  const seen: string[] = [];
  const egress: Egress = {
    prepare: async (session) => ({ env: { KEYS: session.trust === 'owner' ? 'yes' : 'no' }, mounts: [], listen: null }),
    withdraw: async () => {},
    grant: async (_, hosts) => void (hosts.length > 0 && seen.push(`grant ${hosts.join(',')}`)),
    doors: async (_, routes) => void seen.push(`doors ${routes.join(',')}`),
    attribute: (_, callId) => void seen.push(`call ${callId}`),
    openRequests: () => 0,
    close: async () => void seen.push('close'),
    stop: async () => {},
  };
  return { egress, seen };
}

function open(record: TestRecord = openTestRecord(), root = mkdtempSync(join(tmpdir(), 'steward-hands-'))) {
  const driver = createFakeSandboxes({ root, now: Date.now, newId: () => record.newId('ckpt') });
  const { egress, seen } = egressLog();
  const ledger = createLedger(record.db, record.clock.now);
  const log = createLog({ level: 'silent', redact: (text) => text });
  const clock = { ...systemClock, now: record.clock.now };
  const hands = createHands({
    ...record,
    ledger,
    audit: createAudit(record.db),
    driver,
    egress,
    clock,
    log,
    redact: (text) => text.replaceAll('hunter2', '[redacted]'),
  });
  onTestFinished(async () => {
    await hands.stop();
    rmSync(root, { recursive: true, force: true });
  });
  const tools = new Map(createHandsTools(hands).map((tool) => [tool.definition.name, tool]));
  const sessionId = record.newSession();
  const session = (): Session => record.sessions.need(sessionId);
  /** As the brain carries a call out: meant, begun, done. */
  const call = async (name: string, args: Record<string, unknown>, id = sessionId): Promise<string> => {
    const tool = tools.get(name) as Tool;
    const parsed = tool.parse(args as never);
    if (!parsed.ok) throw new Error(parsed.why);
    const [use] = record.events.append(id, [{ type: 'agent.tool_use', payload: { name, input: args as never } }]);
    record.events.append(id, [{ type: 'span.tool_start', payload: { tool_use_id: use!.id } }]);
    const context = {
      callId: use!.id,
      session: record.sessions.need(id),
      replyTo: [],
      signal: new AbortController().signal,
    };
    const result: ToolResult = await tool.run(parsed.args, context);
    return result.content.map((block) => (block.type === 'text' ? block.text : '')).join('\n');
  };
  const types = (id: Id = sessionId) =>
    record.events
      .list({ sessionId: id, limit: 500 })
      .map(({ type }) => type)
      .filter((type) => /^(sandbox|checkpoint)\./.test(type));
  const saved = async (count: number) =>
    expect.poll(() => ledger.checkpoints(sessionId).length, { timeout: 5_000 }).toBe(count);
  return { record, root, driver, hands, ledger, seen, session, sessionId, call, types, saved };
}

test('a session that uses no hands has none', async () => {
  const { hands, session, types } = open();
  hands.hooks.asking(session());
  hands.hooks.toolNamed(session(), 'web_fetch');
  hands.hooks.rested(session());
  expect(hands.alive()).toEqual([]);
  expect(types()).toEqual([]);
});

test('a tool that is only named already makes the sandbox, and the call finds it there', async () => {
  const { hands, session, call, types } = open();
  hands.hooks.toolNamed(session(), 'bash');
  expect(await call('bash', { command: 'echo hi' })).toBe('hi');
  expect(types()).toEqual(['sandbox.started']);
});

test('the shell, the files and the searches work on the same place', async () => {
  const { call } = open();
  expect(await call('bash', { command: 'cd /tmp; X=1' })).toBe('(no output)');
  expect(await call('bash', { command: 'echo $X' })).toBe('1');
  expect(await call('write', { file_path: 'src/a.txt', content: 'one\ntwo\nthree' })).toContain('Wrote 13 bytes');
  expect(await call('read', { file_path: 'src/a.txt' })).toBe('one\ntwo\nthree');
  expect(await call('read', { file_path: 'src/a.txt', view_range: [2, -1] })).toBe('two\nthree');
  expect(await call('read', { file_path: 'src/a.txt', view_range: [9, 10] })).toContain('has 3 lines');
  expect(await call('edit', { file_path: 'src/a.txt', old_string: 'two', new_string: '2' })).toContain('one place');
  expect(await call('edit', { file_path: 'src/a.txt', old_string: 'two', new_string: '2' })).toContain(
    'does not stand',
  );
  expect(await call('glob', { pattern: '**/*.txt' })).toBe('src/a.txt');
  expect(await call('grep', { pattern: '^[0-9]$' })).toBe('./src/a.txt:2:2');
  expect(await call('grep', { pattern: 'nowhere' })).toBe('Nothing fits.');
  expect(await call('read', { file_path: 'none.txt' })).toMatch(/none\.txt/);
});

test('a command that fails says so, and one that hangs is killed and says what that costs', async () => {
  const { call } = open();
  expect(await call('bash', { command: 'ls /nowhere' })).toMatch(/No such file[\s\S]*\[exit code 2\]/);
  expect(await call('bash', { command: 'sleep 60', timeout_ms: 300 })).toContain('no end within 0.3 s');
  expect(await call('bash', { command: 'echo again' })).toBe('again');
});

test('files are saved at the next question to the model, with the calls that changed them; reading saves nothing', async () => {
  const { hands, session, call, record, sessionId, saved } = open();
  await call('write', { file_path: 'a.txt', content: '1' });
  hands.hooks.asking(session());
  await saved(1);
  const event = record.events.list({ sessionId, types: ['checkpoint.created'], limit: 9 })[0]!;
  const write = record.events.list({ sessionId, types: ['agent.tool_use'], limit: 1 })[0]!;
  expect(event.payload).toMatchObject({ tool_use_ids: [write.id], changes: [{ path: 'a.txt', kind: 'added' }] });
  await call('read', { file_path: 'a.txt' });
  hands.hooks.asking(session());
  await call('bash', { command: 'true' });
  hands.hooks.asking(session());
  await call('read', { file_path: 'a.txt' });
  await saved(1);
});

test('a sandbox lost in the middle of a call is an error of the call; the next one has the saved files and is told', async () => {
  const { driver, hands, session, call, types, saved } = open();
  await call('write', { file_path: 'a.txt', content: 'saved' });
  hands.hooks.asking(session());
  await saved(1);
  await call('write', { file_path: 'b.txt', content: 'not saved' });
  const running = call('bash', { command: 'sleep 60' });
  await expect
    .poll(async () => (await hands.alive()[0]!.sandbox.processes()).some(({ argv }) => argv[0] === 'sleep'))
    .toBe(true);
  driver.lose(hands.alive()[0]!.sandbox.id);
  expect(await running).toContain('was lost in the middle of this call');
  const next = await call('bash', { command: 'ls' });
  expect(next).toContain('The sandbox was lost');
  expect(next).toMatch(/2 later calls are gone: write sevt_\w+, bash sevt_\w+/);
  expect(next.endsWith('a.txt')).toBe(true);
  expect(await call('bash', { command: 'ls' })).toBe('a.txt');
  expect(types()).toEqual(['sandbox.started', 'checkpoint.created', 'sandbox.lost', 'sandbox.started']);
});

test('after a crash of Steward the row is closed, leftovers are gone, and the session goes on from its checkpoint', async () => {
  const first = open();
  await first.call('write', { file_path: 'a.txt', content: 'saved' });
  first.hands.hooks.asking(first.session());
  await first.saved(1);
  await first.call('write', { file_path: 'a.txt', content: 'changed later' });
  const record = first.record.reopen();
  first.driver.lose(first.hands.alive()[0]!.sandbox.id);
  const again = open(record, first.root);
  await again.hands.start();
  expect(again.ledger.alive()).toEqual([]);
  const text = await again.call('bash', { command: 'cat a.txt' }, first.sessionId);
  expect(text).toContain('Steward stopped while it was at work');
  expect(text.endsWith('saved')).toBe(true);
});

test('going back to a checkpoint is what the next call works on', async () => {
  const { hands, session, sessionId, call, ledger, saved, types } = open();
  await call('write', { file_path: 'a.txt', content: 'old' });
  hands.hooks.asking(session());
  await saved(1);
  const [old] = ledger.checkpoints(sessionId);
  await call('write', { file_path: 'a.txt', content: 'new' });
  hands.hooks.asking(session());
  await saved(2);
  await hands.restore(sessionId, old!.id);
  expect((await call('read', { file_path: 'a.txt' })).endsWith('old')).toBe(true);
  expect(types().slice(-3)).toEqual(['sandbox.ended', 'checkpoint.restored', 'sandbox.started']);
});

test('hosts of a call are granted before it, its requests are its own, and they are summed up in the log', async () => {
  const { hands, call, seen, record, sessionId } = open();
  await call('bash', { command: 'true' });
  const { sandbox } = hands.alive()[0]!;
  const running = call('bash', { command: 'sleep 0.2', hosts: ['example.org'] });
  await expect.poll(() => seen.findLast((line) => line.startsWith('call '))).not.toBe('call null');
  const callId = seen.findLast((line) => line.startsWith('call '))!.slice(5);
  const entry = {
    at: 0,
    sandboxId: sandbox.id,
    sessionId,
    callId,
    method: 'GET',
    host: 'example.org',
    port: 443,
    path: '/',
    verdict: 'allowed' as const,
    why: 'rule',
    status: 200,
    bytesOut: 10,
    bytesIn: 20,
    tookMs: 1,
  };
  hands.observe(entry);
  hands.observe(entry);
  await running;
  expect(seen).toContain('grant example.org');
  const [event] = record.events.list({ sessionId, types: ['sandbox.egress'], limit: 9 });
  expect(event!.payload).toMatchObject({
    tool_use_id: callId,
    hosts: [{ host: 'example.org', requests: 2, bytes_in: 40 }],
  });
});

test('an idle sandbox is saved and put away; a deleted conversation leaves nothing', async () => {
  const { hands, sessionId, call, ledger, driver } = open();
  await call('write', { file_path: 'a.txt', content: 'x' });
  await hands.putAway(sessionId, 'idle');
  expect(hands.alive()).toEqual([]);
  expect(await driver.list()).toEqual([]);
  expect(await call('read', { file_path: 'a.txt' })).toBe('x');
  await hands.forget(sessionId);
  expect(ledger.checkpoints(sessionId)).toEqual([]);
  expect(await driver.list()).toEqual([]);
});

test('hands that are off say why and how to mend it, and are tried again by the next call', async () => {
  const { call, driver } = open();
  const probe = driver.probe;
  const finding = { level: 'error' as const, text: 'bwrap is not installed.', fix: 'apt-get install bubblewrap' };
  driver.probe = async () => ({ ...(await probe()), ok: false, findings: [finding] });
  expect(await call('bash', { command: 'true' })).toBe(
    'There are no hands here: bwrap is not installed.\napt-get install bubblewrap',
  );
  driver.probe = probe;
  expect(await call('bash', { command: 'echo on' })).toBe('on');
});

test('a secret that a host sends back does not get into the log', async () => {
  const { call } = open();
  expect(await call('bash', { command: 'echo hunter2; echo hunter2 > f' })).toBe('[redacted]');
  expect(await call('read', { file_path: 'f' })).toBe('[redacted]\n');
});

test('two sessions have two sandboxes', async () => {
  const { call, record } = open();
  const other = record.newSession('guest');
  await call('bash', { command: 'echo mine > x' });
  expect(await call('bash', { command: 'ls; echo $KEYS' }, other)).toBe('no');
  expect(await call('bash', { command: 'ls; echo $KEYS' })).toBe('x\nyes');
});
