// Starts a sandbox, looks around in it, and says what holds on this host and by which means.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describeError, StewardError } from '../../../core/errors.ts';
import { DEFAULT_LIMITS, type ProbeReport, type Sandbox, type SandboxSpec } from '../../driver.ts';
import { judge, lookProgram, parseSeen } from './look.ts';
import type { Shared } from './prepare.ts';

const NOTHING: ProbeReport = {
  driver: 'bwrap',
  ok: false,
  isolation: 'none',
  egressLocked: false,
  limits: { memory: null, cpu: null, pids: null, disk: null, wall: null },
  snapshot: false,
  pause: false,
  findings: [],
  detail: '',
  tookMs: 0,
};

const failure = (error: unknown): ProbeReport['findings'][number] => ({
  level: 'error',
  text: error instanceof StewardError ? error.message : `A sandbox could not be started: ${describeError(error)}`,
  fix:
    (error instanceof StewardError && error.hint) ||
    'Run steward doctor again; it starts a sandbox and says what is missing.',
});

/** Never throws: what went wrong is a finding. */
export async function probeBwrap(deps: {
  prepare(): Promise<Shared>;
  create(spec: SandboxSpec): Promise<Sandbox>;
}): Promise<ProbeReport> {
  let sandbox: Sandbox | null = null;
  let report = { ...NOTHING };
  const server = createServer((socket) => socket.destroy());
  try {
    const { host, limiter, root, uids } = await deps.prepare();
    const { plan } = limiter;
    const who = uids ? 'each sandbox as a user of its own' : 'sandboxes as this user';
    report = { ...report, detail: `bubblewrap ${host.version}, ${who}`, limits: plan.means, findings: plan.findings };
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const { arch } = await host.facts();

    const began = performance.now();
    sandbox = await deps.create({
      id: `sbx_probe_${randomBytes(8).toString('hex')}`,
      labels: { purpose: 'probe' },
      workspace: { type: 'empty' },
      env: {},
      mounts: [],
      limits: { ...DEFAULT_LIMITS, wallMs: 60_000 },
      profile: 'strict',
      listen: null,
    });
    const look = sandbox.exec(['perl', '-e', lookProgram(arch, join(root, 'host'), port)], { timeoutMs: 10_000 });
    let text = '';
    for await (const event of look) if (event.type === 'stdout') text += Buffer.from(event.data).toString();
    report.tookMs = Math.round(performance.now() - began);

    const { egressLocked, findings } = judge(parseSeen(text));
    const ok = findings.length === 0;
    report = {
      ...report,
      ok,
      isolation: ok ? 'namespaces' : 'none',
      egressLocked,
      snapshot: true,
      pause: sandbox.pause !== null,
      findings: [...findings, ...plan.findings],
    };
  } catch (error) {
    report = { ...report, ok: false, findings: [failure(error), ...report.findings] };
  }
  server.close();
  try {
    await sandbox?.kill('the probe is over');
    await (await deps.prepare().catch(() => null))?.starter.rest();
  } catch (error) {
    report = { ...report, findings: [...report.findings, failure(error)] };
  }
  return report;
}
