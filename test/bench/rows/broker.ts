// The broker's price for one request: through it beside straight to the same host, over connections that stay open.
import { mkdirSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createBroker } from '../../../sandboxes/broker/supervisor.ts';
import type { Bench } from '../bench.ts';
import { median, type Row, row } from '../report.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export async function measureBroker(bench: Bench): Promise<Row[]> {
  const folder = bench.emptyHome();
  const site = createServer((_, response) => response.end('x'.repeat(1_000))).listen(0, '127.0.0.1');
  await new Promise((resolve) => site.once('listening', resolve));
  const at = `127.0.0.1:${(site.address() as AddressInfo).port}`;
  const broker = createBroker({
    now: Date.now,
    log: silent,
    caDir: join(folder, 'ca'),
    options: { reach: [at] },
    onAudit: () => {},
  });
  bench.own(async () => {
    await broker.stop();
    site.close();
  });
  await broker.start();
  const socketPath = join(folder, 's.sock');
  mkdirSync(folder, { recursive: true });
  const [host = '', port] = at.split(':');
  const allow = [{ host, ports: [Number(port)] }];
  await broker.open('sbx_bench', socketPath, {
    allow,
    unrestricted: false,
    credentials: false,
    requests: null,
    bytes: null,
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const timed = (options: object) =>
    new Promise<number>((resolve, reject) => {
      const from = performance.now();
      request({ agent, ...options }, (response) => {
        response.resume().on('end', () => resolve(performance.now() - from));
      })
        .on('error', reject)
        .end();
    });
  const direct: number[] = [];
  const through: number[] = [];
  const added: number[] = [];
  // Side by side, so that whatever else the machine does falls on both.
  for (let i = 0; i < bench.count(3_000); i++) {
    const [plain, brokered] = [
      await timed({ host, port, path: '/' }),
      await timed({ socketPath, path: `http://${at}/` }),
    ];
    if (i < 50) continue;
    direct.push(plain);
    through.push(brokered);
    added.push(Math.max(0, brokered - plain));
  }
  agent.destroy();
  return [
    row('bare: an HTTP request on loopback', direct),
    row('broker: the same request through it', through, { ratio: { of: 'bare request', base: median(direct) } }),
    row('broker: added to each request', added, { figure: { p95: 1 } }),
  ];
}
