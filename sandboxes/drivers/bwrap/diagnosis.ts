// What bwrap's refusals mean on this host, and the exact fix. Pure.

/** Kernel switches that decide whether an ordinary process may make namespaces; null where the file does not exist. */
export interface Switches {
  /** /proc/sys/kernel/unprivileged_userns_clone (Debian's patch). */
  usernsClone: string | null;
  /** /proc/sys/kernel/apparmor_restrict_unprivileged_userns (Ubuntu 24.04 and later). */
  apparmorRestrict: string | null;
  /** /proc/sys/user/max_user_namespaces */
  maxUserNamespaces: string | null;
}

export interface Diagnosis {
  text: string;
  fix: string;
}

const persist = (setting: string): string =>
  `Run: echo '${setting}' | sudo tee /etc/sysctl.d/60-steward.conf && sudo sysctl --system`;

function namespaces(switches: Switches): Diagnosis {
  if (switches.usernsClone === '0')
    return {
      text: 'The kernel is set not to let ordinary processes make namespaces.',
      fix: persist('kernel.unprivileged_userns_clone=1'),
    };
  if (switches.maxUserNamespaces === '0')
    return {
      text: 'The kernel is set to allow no user namespace at all.',
      fix: persist('user.max_user_namespaces=15000'),
    };
  if (switches.apparmorRestrict === '1')
    return {
      text: 'AppArmor keeps ordinary processes from using namespaces, and no profile allows it to bwrap.',
      fix:
        "Allow it to /usr/bin/bwrap: printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile bwrap /usr/bin/bwrap flags=(unconfined) {\\n  userns,\\n}\\n' " +
        '| sudo tee /etc/apparmor.d/bwrap && sudo systemctl reload apparmor. ' +
        'For the whole machine instead: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
    };
  return {
    text: 'The kernel, or the container Steward runs in, does not allow namespaces.',
    fix: 'In a container, run it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined, or set STEWARD_SANDBOX=docker.',
  };
}

/** `said`: what bwrap wrote before it gave up. */
export function diagnose(said: string, switches: Switches): Diagnosis {
  const last =
    said
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^bwrap: /, '') ?? '';
  if (/new namespace failed: (?:No space left|Resource temporarily)/i.test(said))
    return { text: 'The kernel has no namespace left.', fix: persist('user.max_user_namespaces=15000') };
  if (
    /permissions to create new namespace|new namespace failed|uid map|gid map|RTM_NEWADDR|setting up .*userns/i.test(
      said,
    )
  )
    return namespaces(switches);
  if (/mount proc/i.test(said))
    return {
      text: 'No /proc can be made for a sandbox, because parts of this one are masked: Steward runs in a container.',
      fix: 'Run the container with --security-opt systempaths=unconfined, or set STEWARD_SANDBOX=docker.',
    };
  const unreachable = /(?:Can't find source path|Can't get type of source) ([^:]+): Permission denied/i.exec(said);
  if (unreachable)
    return {
      text: `The user of the sandbox cannot walk to ${unreachable[1]}.`,
      fix: `Allow it on every folder above: sudo chmod o+x ${unreachable[1]?.replace(/\/[^/]*$/, '')} and its parents.`,
    };
  const missing = /Can't find source path ([^:]+): No such file/i.exec(said);
  if (missing) return { text: `${missing[1]} is not there.`, fix: 'Whoever named that folder has to make it first.' };
  if (/execvp .*perl.*No such file/i.test(said))
    return { text: 'There is no Perl inside.', fix: 'Install it: sudo apt-get install -y perl-base' };
  if (/unknown option|unrecognized option/i.test(said))
    return { text: `This bwrap is too old: ${last}`, fix: 'Install bubblewrap 0.8 or later.' };
  return {
    text: last === '' ? 'bwrap ended without a word.' : `bwrap gave up: ${last}`,
    fix: 'Run steward doctor; it starts a sandbox and says what is missing.',
  };
}
