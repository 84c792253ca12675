// `steward doctor`: every check in turn, each finding with its fix; works whether or not Steward runs.
import { type Config, type LoadedConfig, loadConfig } from '../../config.ts';
import { describeError, EXIT, StewardError } from '../../errors.ts';
import type { HarnessPrograms } from '../../harness.ts';
import { createClient, isNotRunning } from '../client.ts';
import { projectRoot } from '../pm2.ts';
import { status as statusShape } from '../shapes.ts';
import { harmless, say, sayJson, type Terminal } from '../terminal.ts';
import { channelsCheck } from './channels.ts';
import { consoleCheck } from './console.ts';
import { databaseCheck } from './database.ts';
import { diskCheck } from './disk.ts';
import type { Check, Finding, Patient } from './finding.ts';
import { fsyncCheck } from './fsync.ts';
import { harnessesCheck } from './harnesses.ts';
import { homeCheck } from './home.ts';
import { lockCheck } from './lock.ts';
import { modelCheck } from './model.ts';
import { nodeCheck } from './node.ts';
import { pm2Check } from './pm2.ts';
import { portCheck } from './port.ts';
import { sandboxCheck } from './sandbox.ts';

const checks: { name: string; check: Check }[] = [
  { name: 'node', check: nodeCheck },
  { name: 'home', check: homeCheck },
  { name: 'disk', check: diskCheck },
  { name: 'database', check: databaseCheck },
  { name: 'durability', check: fsyncCheck },
  { name: 'lock', check: lockCheck },
  { name: 'port', check: portCheck },
  { name: 'pm2', check: pm2Check },
  { name: 'model', check: modelCheck },
  { name: 'channels', check: channelsCheck },
  { name: 'sandbox', check: sandboxCheck },
  { name: 'console', check: consoleCheck },
];

/** Exit code 1 when anything failed; warnings alone are no failure. */
export async function doctor(
  terminal: Terminal,
  options: { json?: boolean },
  load: (config: Config, env: NodeJS.ProcessEnv) => Promise<HarnessPrograms>,
): Promise<number> {
  const { loaded, findings } = readSettings(terminal);
  const { finding, status } = await processCheck(loaded, terminal);
  findings.push(finding);
  const patient: Patient = { config: loaded.config, env: terminal.env, projectRoot, status, fetch: terminal.fetch };
  // One after the other: the disk's figures must not measure the other checks.
  const harnesses: Check = async (patient) => harnessesCheck(patient, await load(patient.config, { ...terminal.env }));
  for (const { name, check } of [...checks, { name: 'harnesses', check: harnesses }]) {
    try {
      findings.push(await check(patient));
    } catch (error) {
      findings.push({ name, level: 'fail', detail: `This check itself failed: ${describeError(error)}` });
    }
  }
  if (options.json) sayJson(terminal, findings);
  else say(terminal, harmless(describeFindings(findings)));
  return findings.some(({ level }) => level === 'fail') ? EXIT.failed : EXIT.ok;
}

function describeFindings(findings: Finding[]): string {
  const marks = { ok: '✓', warn: '!', fail: '✗' };
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.map(({ name, level, detail, fix }) => {
    const indent = ' '.repeat(width + 4);
    const text = [detail, ...(fix ? [`→ ${fix}`] : [])].join('\n').replaceAll('\n', `\n${indent}`);
    return `${marks[level]} ${name.padEnd(width)}  ${text}`;
  });
  const count = (level: Finding['level']) => findings.filter((finding) => finding.level === level).length;
  const verdict =
    count('fail') + count('warn') === 0 ? 'All is well.' : `${count('fail')} failed, ${count('warn')} to look at.`;
  return [...lines, '', verdict].join('\n');
}

function readSettings(terminal: Terminal): { loaded: LoadedConfig; findings: Finding[] } {
  try {
    const loaded = loadConfig(terminal.env);
    const detail = loaded.warnings.length > 0 ? loaded.warnings.join('\n') : 'They make sense.';
    return { loaded, findings: [{ name: 'settings', level: loaded.warnings.length > 0 ? 'warn' : 'ok', detail }] };
  } catch (error) {
    if (!(error instanceof StewardError)) throw error;
    const home = terminal.env.STEWARD_HOME;
    return {
      loaded: loadConfig(home === undefined ? {} : { STEWARD_HOME: home }, { readFile: () => null }),
      findings: [
        {
          name: 'settings',
          level: 'fail',
          detail: error.message,
          fix: 'Mend these; the other checks below used the defaults.',
        },
      ],
    };
  }
}

async function processCheck(loaded: LoadedConfig, terminal: Terminal) {
  const client = createClient(loaded.config, { fetch: terminal.fetch });
  try {
    const status = await client.get('/api/status', statusShape);
    const trouble = [
      ...(status.safe_mode ? [`Safe mode: ${status.safe_mode.why}`] : []),
      ...status.notices.map(({ text }) => text),
      ...(status.outbox.dead > 0 ? [`${status.outbox.dead} messages could not be delivered.`] : []),
      ...(status.ready ? [] : ['It is not ready.']),
    ];
    const level: Finding['level'] = trouble.length > 0 ? 'warn' : 'ok';
    const detail = [`Steward ${status.version} answers at ${client.url}.`, ...trouble].join('\n');
    return { status, finding: { name: 'process', level, detail } satisfies Finding };
  } catch (error) {
    if (!(error instanceof StewardError)) throw error;
    const stopped = isNotRunning(error);
    const finding: Finding = {
      name: 'process',
      level: stopped ? 'warn' : 'fail',
      detail: error.message,
      ...(error.hint ? { fix: error.hint } : {}),
    };
    return { status: null, finding };
  }
}
