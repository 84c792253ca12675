// One command in a sandbox of its own, on a copy of a conversation's files: what it changes there is thrown away with it.
import type { Agents } from '../core/agents.ts';
import { StewardError } from '../core/errors.ts';
import type { SingleCommand, SingleResult } from '../core/hands.ts';
import type { Sessions } from '../core/sessions.ts';
import type { Id } from '../core/types.ts';
import { DEFAULT_LIMITS, type ProbeReport, type Sandbox, type SandboxDriver } from './driver.ts';
import type { Egress } from './egress.ts';
import { type Ledger, SINGLE_REASON } from './ledger.ts';

const OP = 'run a command in a sandbox';
/** Stdout and stderr together. */
const OUTPUT_BYTES = 256 * 1024;

export function createSingle(deps: {
  driver: SandboxDriver;
  egress: Egress;
  ledger: Ledger;
  agents: Agents;
  sessions: Pick<Sessions, 'need'>;
  newId(prefix: 'sbx'): Id;
  /** Tries the driver when it did not work so far. */
  probe(): Promise<ProbeReport>;
}): (request: SingleCommand) => Promise<SingleResult> {
  const { driver, egress, ledger } = deps;

  const collect = async (sandbox: Sandbox, request: SingleCommand): Promise<SingleResult> => {
    const { command, timeoutMs, signal } = request;
    const running = sandbox.exec(['sh', '-c', command], { timeoutMs, signal, outputBytes: OUTPUT_BYTES });
    const pieces: Buffer[] = [];
    let result: SingleResult = { code: null, output: '', limited: null };
    for await (const event of running) {
      if (event.type === 'stdout' || event.type === 'stderr') pieces.push(Buffer.from(event.data));
      else if (event.type === 'exit') result = { code: event.code, output: '', limited: event.limited };
    }
    return { ...result, output: Buffer.concat(pieces).toString('utf8') };
  };

  return async (request) => {
    if (driver.name === 'none')
      throw new StewardError('unavailable', 'There is no isolation here, so no command is run unasked.', {
        op: OP,
        hint: 'Set STEWARD_SANDBOX to bwrap or docker (steward doctor says what is missing).',
      });
    const seen = await deps.probe();
    if (!seen.ok) {
      const error = seen.findings.find(({ level }) => level === 'error');
      throw new StewardError('unavailable', `There are no hands here: ${error?.text ?? seen.detail}`, {
        op: OP,
        hint: error?.fix ?? 'steward doctor says what is missing.',
      });
    }
    const session = deps.sessions.need(request.sessionId);
    const environment = deps.agents.needEnvironment(session.environmentId);
    const checkpoint = ledger.latest(session.id);
    const id = deps.newId('sbx');
    let sandbox: Sandbox | null = null;
    const way = await egress.prepare(session, id, environment.spec.config);
    ledger.begin({ id, sessionId: session.id, driver: driver.name, restoredFrom: checkpoint?.id ?? null });
    try {
      sandbox = await driver.create({
        id,
        labels: { session: session.id },
        workspace: checkpoint ? { type: 'snapshot', ref: checkpoint.snapshot } : { type: 'empty' },
        env: way.env,
        mounts: way.mounts,
        limits: { ...DEFAULT_LIMITS, wallMs: request.timeoutMs + 60_000 },
        profile: 'strict',
        listen: way.listen,
      });
      await egress.grant(id, request.hosts);
      return await collect(sandbox, request);
    } finally {
      await sandbox?.kill(SINGLE_REASON);
      await egress.close(id);
      ledger.end(id, 'ended', SINGLE_REASON);
    }
  };
}
