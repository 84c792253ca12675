// Which harnesses have their program here, and how one is brought: `steward doctor --install NAME`.
import { loadConfig } from '../../config.ts';
import type { HarnessPrograms } from '../../harness.ts';
import { say, type Terminal } from '../terminal.ts';
import { type Finding, type Patient, reporter } from './finding.ts';

const found = reporter('harnesses');

/** Pure but for the look at the disk. The one that is chosen has to be there; the others are only named. */
export async function harnessesCheck({ config }: Patient, programs: HarnessPrograms): Promise<Finding> {
  const all = await programs.list();
  const lines = all.map(({ name, detail }) => `${name}: ${detail}`);
  const detail = ['native and script need no program.', ...lines].join('\n');
  const broken = all.filter(
    ({ name, state }) => state === 'damaged' || (name === config.harness && state !== 'installed'),
  );
  if (broken.length === 0) return found('ok', detail);
  return found('warn', detail, broken.map(({ name }) => `steward doctor --install ${name}`).join('\n'));
}

/** Brings the pinned version of one onto this machine. Throws StewardError. */
export async function installHarness(
  terminal: Terminal,
  name: string,
  load: (config: ReturnType<typeof loadConfig>['config'], env: NodeJS.ProcessEnv) => Promise<HarnessPrograms>,
): Promise<void> {
  const { config } = loadConfig(terminal.env);
  const programs = await load(config, { ...terminal.env });
  const { detail, folder } = await programs.install(name, (line) => say(terminal, line));
  say(terminal, `${name} is installed (${detail}) in ${folder}.`);
  say(terminal, `Choose it with STEWARD_HARNESS=${name}, or for one session by its metadata: harness = ${name}.`);
}
