// Outbound webhooks against a strict receiver: signed, each kept once whatever goes wrong on the way, and given up in words.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createWebhook } from '../../channels/webhook.ts';
import { systemClock } from '../../core/clock.ts';
import { createDelivery } from '../../core/delivery.ts';
import { createIntake } from '../../core/intake.ts';
import { openRecord } from '../../core/record.ts';
import type { Channel, Delivery, Id } from '../../core/types.ts';
import type { WebhookTarget } from '../../core/webhooks.ts';
import { type Receiver, startReceiver } from '../fakes/webhook-receiver.ts';
import { startSteward } from '../helpers/process.ts';
import { call, request } from '../helpers/talk.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

interface World {
  receiver: Receiver;
  target: WebhookTarget;
  record: ReturnType<typeof openRecord>;
  /** What the owner was told, elsewhere. */
  told: string[];
  announce(data?: Record<string, string>): void;
  rows(): { state: string; attempts: number; mayRepeat: boolean; error: string | null }[];
  session: Id;
}

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** The record, the pump and the channel as they are, a receiver, and a chat in which the owner hears of what failed. */
async function openWorld(
  options: { allowPrivate?: boolean; channel?(channel: Channel): Channel } = {},
): Promise<World> {
  const home = mkdtempSync(join(tmpdir(), 'steward-webhooks-'));
  const receiver = await startReceiver();
  const told: string[] = [];
  const record = openRecord(home, {
    clock: systemClock,
    timeZone: 'UTC',
    safeModeAfter: 0,
    split: (_, markdown) => [markdown],
    wakeDelivery: () => delivery.wake(),
  });
  const made = createWebhook({ webhooks: record.webhooks, now: systemClock.now, limitMs: 400 });
  const channel = options.channel?.(made) ?? made;
  const chat: Channel = {
    ...{ name: 'chat', start: async () => {}, stop: async () => {}, progress() {} },
    health: () => ({ name: 'chat', state: 'ok', detail: '', lastSuccessAt: null }),
    async deliver({ body }) {
      told.push(body.kind === 'text' ? body.markdown : body.kind);
      return { kind: 'sent', externalId: null };
    },
  };
  const delivery = createDelivery({
    ...{ ...record, clock: systemClock, log: quiet, crash() {} },
    channel: (name) => (name === 'webhook' ? channel : name === 'chat' ? chat : null),
  });
  const intake = createIntake({ ...record, now: systemClock.now, crash() {}, wake() {}, interrupt() {} });
  const { code } = record.people.knock({ channel: 'chat', userId: '7', name: 'Ada' }, '7');
  record.people.approve(code!, 'owner');
  const inbound = {
    ...{
      dedupe: 'first',
      sender: { channel: 'chat', userId: '7' },
      address: { channel: 'chat', chat: '7' },
      group: false,
    },
    body: { type: 'message' as const, content: [{ type: 'text' as const, text: 'hello' }] },
  };
  record.db.tx(() => intake.accept(inbound));
  const session = intake.mainSession().id;
  const events = ['schedule.*'];
  const { target, secret } = record.webhooks.create({ name: 'ci', url: receiver.url, events, allowPrivate: true });
  // As an older Steward, or a change by hand, may have left it.
  if (options.allowPrivate === false)
    record.db.prepare<[], never>('UPDATE webhook_targets SET allow_private = 0').run();
  receiver.secret = secret;
  delivery.start();
  open.push(async () => {
    await delivery.stop();
    record.db.close();
    await receiver.close();
    rmSync(home, { recursive: true, force: true });
  });
  let count = 0;
  return {
    ...{ receiver, target, record, told, session },
    announce: (data = { text: 'done' }) =>
      record.db.tx(() => {
        count += 1;
        record.webhooks.announce('schedule.succeeded', data, { key: `run_${count}`, sessionId: session });
      }),
    rows: () =>
      record.db
        .prepare<[], { state: string; attempts: number; repeated: number; error: string | null }>(
          "SELECT state, attempts, repeated, error FROM outbox WHERE channel = 'webhook' ORDER BY row",
        )
        .all()
        .map(({ repeated, ...row }) => ({ ...row, mayRepeat: repeated > 0 })),
  };
}

const settled = (world: World, count = 1) =>
  expect
    .poll(() => world.rows().filter(({ state }) => state === 'sent' || state === 'dead').length, { timeout: 15_000 })
    .toBe(count);

describe('what goes out', () => {
  it('is signed, in order, and the same bytes under the same id at each try', async () => {
    const world = await openWorld();
    world.receiver.next({ kind: 'status', status: 500 });
    world.announce({ text: 'one' });
    world.announce({ text: 'two' });
    await settled(world, 2);
    const { requests, complaints } = world.receiver;
    expect(complaints).toEqual([]);
    expect(requests.map(({ body }) => body.data.text)).toEqual(['one', 'one', 'two']);
    expect(requests[0]!.id).toBe(requests[1]!.id);
    expect(requests[0]!.raw).toBe(requests[1]!.raw);
    expect(requests[0]!.signature).not.toBe(requests[1]!.signature);
    expect(requests[0]!.body).toMatchObject({ type: 'schedule.succeeded', timestamp: expect.stringMatching(/Z$/) });
    expect(world.rows()).toMatchObject([
      { state: 'sent', attempts: 2, mayRepeat: false },
      { state: 'sent', attempts: 1 },
    ]);
    expect(world.record.webhooks.need('ci')).toMatchObject({ delivered: 2, failed: 1, note: null });
  });

  it.each(['dropAfter', 'hang'] as const)(
    'is kept once when the answer is lost (%s), and sent again without a mark',
    async (kind) => {
      const world = await openWorld();
      world.receiver.next({ kind }, 2);
      world.announce();
      await settled(world);
      expect(world.rows()).toMatchObject([{ state: 'sent', attempts: 3, mayRepeat: false }]);
      expect(world.receiver.requests).toHaveLength(3);
      expect(world.receiver.kept()).toHaveLength(1);
      expect(world.told).toEqual([]);
    },
  );

  it('obeys Retry-After', async () => {
    const world = await openWorld();
    world.receiver.next({ kind: 'status', status: 429, headers: { 'retry-after': '2' } });
    world.announce();
    await settled(world);
    const [first, second] = world.receiver.requests;
    expect(second!.at - first!.at).toBeGreaterThanOrEqual(1_990);
    expect(world.rows()).toMatchObject([{ state: 'sent', attempts: 2 }]);
  });

  it('ends with 410, switches the target off and tells the owner once', async () => {
    const world = await openWorld();
    world.receiver.next({ kind: 'status', status: 410 });
    world.announce();
    world.announce();
    await settled(world, 2);
    expect(world.receiver.requests).toHaveLength(1);
    expect(world.record.webhooks.need('ci')).toMatchObject({ enabled: false, note: expect.stringContaining('410') });
    await expect.poll(() => world.told.length).toBe(1);
    expect(world.told[0]).toContain('ci');
    world.announce();
    expect(world.rows()).toHaveLength(2);
    expect(world.record.webhooks.update('ci', { enabled: true }).note).toBeNull();
  });

  it('is given up at once when it is refused, and the owner hears of it', async () => {
    const world = await openWorld();
    world.receiver.next({ kind: 'status', status: 404 });
    world.announce();
    await settled(world);
    expect(world.rows()).toMatchObject([{ state: 'dead', attempts: 1, error: expect.stringContaining('404') }]);
    await expect.poll(() => world.told.length).toBe(1);
    const log = world.record.events.list({ sessionId: world.session, limit: 100, order: 'asc' });
    expect(log.filter(({ type }) => type === 'delivery.failed')).toHaveLength(1);
    expect(world.record.webhooks.need('ci').enabled).toBe(true);
  });

  it('follows no redirect, least of all to a private address', async () => {
    const world = await openWorld();
    const visits: string[] = [];
    const inner = createServer((asked, answer) => {
      visits.push(asked.url ?? '');
      answer.end();
    }).listen(0, '127.0.0.1');
    open.push(async () => void inner.close());
    await new Promise((resolve) => inner.once('listening', resolve));
    const location = `http://127.0.0.1:${(inner.address() as AddressInfo).port}/secret`;
    world.receiver.next({ kind: 'status', status: 307, headers: { location } });
    world.announce();
    await settled(world);
    expect(world.rows()).toMatchObject([{ state: 'dead', attempts: 1, error: expect.stringContaining('redirect') }]);
    expect(visits).toEqual([]);
  });

  it('never reaches a private address that was not allowed, by number or by name', async () => {
    const world = await openWorld({ allowPrivate: false });
    world.announce();
    await settled(world);
    expect(world.rows()).toMatchObject([{ state: 'dead', error: expect.stringContaining('private') }]);
    const byName = world.receiver.url.replace('127.0.0.1', 'localhost');
    world.record.db.prepare<[string], never>('UPDATE webhook_targets SET url = ?').run(byName);
    world.announce();
    await settled(world, 2);
    expect(world.rows()[1]).toMatchObject({ state: 'dead', error: expect.stringContaining('private') });
    expect(world.receiver.requests).toEqual([]);
    for (const url of [
      'http://example.com/',
      'https://127.0.0.1/',
      'https://[::1]/',
      'ftp://example.com/',
      'https://a:b@example.com/',
      'nowhere',
    ])
      expect(() => world.record.webhooks.create({ name: 'x', url, events: ['*'], allowPrivate: false })).toThrow();
  });

  it('waits when nobody listens, and goes when somebody does', async () => {
    const world = await openWorld();
    const { url } = world.receiver;
    world.record.webhooks.update('ci', { url: 'http://127.0.0.1:9/' });
    world.announce();
    await expect
      .poll(() => world.rows())
      .toMatchObject([{ state: 'pending', attempts: 1, error: expect.stringContaining('ECONNREFUSED') }]);
    world.record.webhooks.update('ci', { url });
    await settled(world);
    expect(world.rows()).toMatchObject([{ state: 'sent', mayRepeat: false }]);
  });

  it('is signed with the new secret after a rotation', async () => {
    const world = await openWorld();
    const { secret } = world.record.webhooks.rotate('ci');
    expect(secret).not.toBe(world.receiver.secret);
    world.receiver.secret = secret;
    world.announce();
    await settled(world);
    expect(world.receiver.complaints).toEqual([]);
  });
});

/** The checks above, over a channel that does one thing wrong: each must be seen by the receiver. */
describe('what the suite catches', () => {
  const variant = (
    change: (
      item: Delivery,
      deliver: Channel['deliver'],
      context: Parameters<Channel['deliver']>[1],
    ) => ReturnType<Channel['deliver']>,
  ) =>
    openWorld({
      channel: (channel) => ({ ...channel, deliver: (item, context) => change(item, channel.deliver, context) }),
    });

  it('another id at each try', async () => {
    let tries = 0;
    const world = await variant((item, deliver, context) => deliver({ ...item, id: `${item.id}_${tries++}` }, context));
    world.receiver.next({ kind: 'dropAfter' });
    world.announce();
    await settled(world);
    expect(world.receiver.kept().length).not.toBe(1);
  });

  it('another body at each try', async () => {
    const world = await variant((item, deliver, context) =>
      deliver({ ...item, body: { ...item.body, at: Date.now() } as Delivery['body'] }, context),
    );
    world.receiver.next({ kind: 'dropAfter' });
    world.announce();
    await settled(world);
    expect(world.receiver.complaints.join()).toContain('another body');
  });

  it('a signature with another secret', async () => {
    const world = await openWorld();
    world.record.webhooks.rotate('ci');
    world.announce();
    await settled(world);
    expect(world.receiver.complaints.join()).toContain('signature');
  });

  it('a lost answer that is not repeatable', async () => {
    const world = await openWorld({ channel: (channel) => ({ ...channel, keyed: false }) });
    world.receiver.next({ kind: 'dropAfter' });
    world.announce();
    await settled(world);
    expect(world.rows()[0]!.mayRepeat).toBe(true);
  });
});

describe('over the API', () => {
  it('is made, tried, rotated and removed without a restart, and survives a kill; the secret is shown once', async () => {
    const receiver = await startReceiver();
    open.push(receiver.close);
    let steward = await startSteward({ env: { STEWARD_LOG_LEVEL: 'trace' } });
    const { home } = steward;
    try {
      const refused = await request(steward, '/api/webhooks', { body: { name: 'ci', url: receiver.url } });
      expect(refused.status).toBe(400);
      const body = { name: 'ci', url: receiver.url, allow_private: true };
      const made = await call<{ secret: string }>(steward, '/api/webhooks', body);
      expect(made.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
      receiver.secret = made.secret;
      receiver.next({ kind: 'status', status: 503 });
      expect((await request(steward, '/api/webhooks/ci/test', { method: 'POST' })).status).toBe(202);
      await expect.poll(() => receiver.requests.length).toBe(1);
      const first = steward.output();
      await steward.kill('SIGKILL');
      steward = await startSteward({ home, env: { STEWARD_LOG_LEVEL: 'trace' } });
      await expect.poll(() => receiver.kept().length).toBe(1);
      expect(receiver.kept()[0]!.body.type).toBe('hook.test');
      expect(receiver.complaints).toEqual([]);

      const rotated = await call<{ secret: string }>(steward, '/api/webhooks/ci/rotate', {});
      receiver.secret = rotated.secret;
      await request(steward, '/api/webhooks/ci/test', { method: 'POST' });
      await expect.poll(() => receiver.kept().length).toBe(2);
      const listing = await request(steward, '/api/webhooks');
      expect(listing.body.data).toMatchObject([{ name: 'ci', delivered: 2, enabled: true }]);
      const everything = JSON.stringify(listing.body) + first + steward.output();
      expect(await call(steward, '/api/webhooks/ci', undefined, 'DELETE')).toEqual({
        name: 'ci',
        type: 'webhook_deleted',
      });
      await steward.kill('SIGTERM');
      const files = readdirSync(home).filter((file) => file.startsWith('steward.db'));
      const stored = files.map((file) => readFileSync(join(home, file), 'latin1')).join();
      for (const secret of [made.secret, rotated.secret]) {
        expect(everything).not.toContain(secret.slice(6));
        expect(stored).not.toContain(secret.slice(6));
      }
    } finally {
      await steward.kill();
      rmSync(home, { recursive: true, force: true });
    }
  });
});
