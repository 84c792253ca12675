// Can code be isolated here? The running process has tried a sandbox and looked around in it; without it, one is started.
import { execa } from 'execa';
import type { Hands } from '../shapes.ts';
import { describeHands } from '../status.ts';
import { type Finding, type Patient, reporter } from './finding.ts';

const found = reporter('sandbox');

export async function sandboxCheck({ config, env, status }: Patient): Promise<Finding> {
  if (status?.hands) return seenByProcess(status.hands);
  if (config.sandbox === 'none')
    return found(
      'warn',
      'STEWARD_SANDBOX is none: commands run on this machine itself, each after your approval.',
      'Take the setting away to have them isolated.',
    );
  if (config.sandbox !== 'bwrap') return found('ok', `${config.sandbox} is chosen; it is tried when it is used.`);
  const result = await execa('bwrap', ['--ro-bind', '/', '/', '--unshare-all', '--die-with-parent', 'true'], {
    env: { PATH: env.PATH ?? '' },
    extendEnv: false,
    reject: false,
    timeout: 10_000,
  });
  if (result.exitCode === 0) return found('ok', 'bwrap starts a sandbox.');
  if (result.code === 'ENOENT')
    return found(
      'warn',
      'bwrap is not installed: code tools are off.',
      'sudo apt-get install bubblewrap, or npm start where it may install it.',
    );
  return found(
    'fail',
    `bwrap cannot start a sandbox: ${result.stderr.trim().split('\n').pop() || result.shortMessage}`,
    'The kernel must allow unprivileged user namespaces: sysctl kernel.unprivileged_userns_clone=1, or on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0; in Docker, --security-opt seccomp=unconfined.',
  );
}

/** What the running process saw in a sandbox of its own. */
function seenByProcess(hands: Hands): Finding {
  const detail = [describeHands(hands), ...hands.findings.map(({ text }) => text)].join('\n');
  const fix = [...new Set(hands.findings.map((finding) => finding.fix))].join('\n');
  const level =
    hands.state === 'off' ? 'fail' : hands.findings.length > 0 || hands.isolation === 'none' ? 'warn' : 'ok';
  return fix ? found(level, detail, fix) : found(level, detail);
}
