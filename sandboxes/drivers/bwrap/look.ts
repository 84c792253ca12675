// The look around inside a sandbox: a small Perl program, and what its findings mean. Pure.
import type { ProbeReport } from '../../driver.ts';
import { type Arch, REFUSED } from './seccomp-tables.ts';

/** What the program saw. A refused attempt is the number of the error, 0 one that succeeded. */
export interface Seen {
  uid: number;
  capabilities: string;
  noNewPrivs: number;
  seccomp: number;
  interfaces: string[];
  processes: number;
  /** True when process 1 is the runner and not the host's. */
  ownInit: boolean;
  /** True when the host's file could be seen. */
  hostFile: boolean;
  unshare: number;
  mount: number;
  writeRoot: number;
  writeUsr: number;
  hostPort: number;
  outside: number;
}

const number = (name: string, arch: Arch): number => REFUSED.find((call) => call.name === name)?.[arch] ?? -1;

/** Perl without modules. `hostFile` exists on the host, `hostPort` is listened to on the host's 127.0.0.1. */
export function lookProgram(arch: Arch, hostFile: string, hostPort: number): string {
  return `
$| = 1;
my %seen;
open(my $status, '<', '/proc/self/status'); my $text = join '', <$status>;
($seen{capabilities}) = $text =~ /^CapEff:\\s*([0-9a-f]+)/m;
($seen{noNewPrivs}) = $text =~ /^NoNewPrivs:\\s*(\\d)/m;
($seen{seccomp}) = $text =~ /^Seccomp:\\s*(\\d)/m;
$seen{uid} = $<;
open(my $dev, '<', '/proc/net/dev'); $seen{interfaces} = join ',', map { /^\\s*([^:\\s]+):/ ? $1 : () } <$dev>;
opendir(my $proc, '/proc'); $seen{processes} = scalar grep { /^\\d+$/ } readdir $proc;
open(my $init, '<', '/proc/1/cmdline'); my $first = join '', <$init>;
$seen{ownInit} = index($first, 'runner.pl') >= 0 ? 1 : 0;
$seen{hostFile} = -e '${hostFile.replaceAll(/[\\']/g, '\\$&')}' ? 1 : 0;
sub tried { $_[0] ? 0 : $! + 0 }
$seen{unshare} = tried(syscall(${number('unshare', arch)}, 0x10000000) == 0);
my ($name, $to, $type) = ("none\\0", "/tmp\\0", "tmpfs\\0");
$seen{mount} = tried(syscall(${number('mount', arch)}, $name, $to, $type, 0, 0) == 0);
$seen{writeRoot} = tried(open(my $a, '>', '/x'));
$seen{writeUsr} = tried(open(my $b, '>', '/usr/x'));
$SIG{ALRM} = sub { $! = 110 };
sub reach { my ($a, $b, $c, $d, $port) = @_;
  socket(my $s, 2, 1, 0) or return $! + 0;
  my $result; eval { local $SIG{ALRM} = sub { die }; alarm 2; $result = tried(connect($s, pack('S n C4 x8', 2, $port, $a, $b, $c, $d))); alarm 0; 1 } or return 110;
  return $result }
$seen{hostPort} = reach(127, 0, 0, 1, ${hostPort});
$seen{outside} = reach(192, 0, 2, 1, 80);
print map { "$_=$seen{$_}\\n" } keys %seen;
`;
}

export function parseSeen(text: string): Seen {
  const found = new Map(
    text
      .split('\n')
      .map((line) => line.split('='))
      .map(([name, value]) => [name ?? '', value ?? '']),
  );
  const read = (name: string): number => Number(found.get(name) || Number.NaN);
  return {
    uid: read('uid'),
    capabilities: found.get('capabilities') ?? '',
    noNewPrivs: read('noNewPrivs'),
    seccomp: read('seccomp'),
    interfaces: (found.get('interfaces') ?? '').split(',').filter(Boolean),
    processes: read('processes'),
    ownInit: read('ownInit') === 1,
    // What was not said counts as seen.
    hostFile: read('hostFile') !== 0,
    unshare: read('unshare'),
    mount: read('mount'),
    writeRoot: read('writeRoot'),
    writeUsr: read('writeUsr'),
    hostPort: read('hostPort'),
    outside: read('outside'),
  };
}

const refused = (errno: number): boolean => errno > 0;

/** Each promise of the sandbox against what was seen; an unreadable answer breaks it. */
export function judge(seen: Seen): { egressLocked: boolean; findings: ProbeReport['findings'] } {
  const fix = 'Do not use hands on this machine; report what steward doctor --json says.';
  const promises: [boolean, string][] = [
    [seen.uid === 1000, `Programs in a sandbox run as uid ${seen.uid}.`],
    [/^0+$/.test(seen.capabilities), `A sandbox has capabilities (${seen.capabilities}).`],
    [seen.noNewPrivs === 1, 'Programs in a sandbox could gain privileges.'],
    [seen.seccomp === 2, 'No system call filter is at work in a sandbox.'],
    [seen.ownInit && seen.processes < 10, "A sandbox sees the host's processes."],
    [!seen.hostFile, "A sandbox sees the host's files."],
    [refused(seen.unshare), 'A sandbox can make namespaces.'],
    [refused(seen.mount), 'A sandbox can mount file systems.'],
    [refused(seen.writeRoot) && refused(seen.writeUsr), 'A sandbox can write outside its own folders.'],
  ];
  const egressLocked =
    seen.interfaces.length === 1 && seen.interfaces[0] === 'lo' && refused(seen.hostPort) && refused(seen.outside);
  if (!egressLocked) promises.push([false, 'A sandbox reaches the network past the broker.']);
  return {
    egressLocked,
    findings: promises.filter(([held]) => !held).map(([, text]) => ({ level: 'error' as const, text, fix })),
  };
}
