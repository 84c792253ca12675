# The starter: starts programs for the daemon, whose own forks would take longer the bigger it is. Small, with builtins only.
# Wire on fd 3, both ways: u32 length · strings (u32 length + bytes). Ends, and with it all it started, when the daemon has gone.
# perl starter.pl SOCKET    the daemon's unix socket; a program's streams are connections to it that begin with 16 bytes id + kind
#
#   daemon → starter   id, uid ('' = ours), file for fd 5 or '', kinds, info ('1' = bwrap tells a pid on fd 3), n, KEY=VALUE × n, argv …
#                      kinds: s = duplex on fd 6, i = standard input, o = standard output
#   starter → daemon   'started', id, pid, start ticks, pid inside, its start ticks      only with info
#                      'exit', id, code or '', signal or '', the last it wrote to standard error
#                      'failed', as exit: it was never started, and not all of its streams may come
use strict;

use constant { WNOHANG => 1, DUPFD_CLOEXEC => 1030, GETFL => 3, SETFL => 4, NONBLOCK => 2048, SAID => 16_384 };

my $elf = '';
if (open(my $exe, '<', '/proc/self/exe')) { sysread($exe, $elf, 20); close $exe }
my $machine = unpack('x18 v', $elf) || 0;
my %call = $machine == 0x3E ? (prctl => 157, dup3 => 292, setgroups => 116, setresgid => 119, setresuid => 117)
  : $machine == 0xB7 ? (prctl => 167, dup3 => 24, setgroups => 159, setresgid => 149, setresuid => 147)
  : die "starter: unknown processor\n";
syscall($call{prctl}, 36, 1, 0, 0, 0);    # PR_SET_CHILD_SUBREAPER: whoever loses its parent becomes a child of this one
$SIG{PIPE} = 'IGNORE';
umask 022;
chdir '/';

my ($address) = @ARGV;
open(my $daemon, '+<&=', 3) or die "starter: no fd 3: $!\n";
my %watched;     # fd → [handle, what to do]
my %running;     # pid → what was started
my $rest = '';

sub ticks {
  open(my $file, '<', "/proc/$_[0]/stat") or return '';
  sysread($file, my $text, 8192);
  return (split ' ', ($text =~ /.*\)\s+(.*)/s)[0])[19];
}

sub report {
  my $payload = pack('(N/a)*', @_);
  my $frame = pack('N', length $payload) . $payload;
  while (length $frame) {
    my $n = syswrite($daemon, $frame);
    finish() unless defined $n || $! == 4;
    substr($frame, 0, $n || 0, '');
  }
}

sub watch { my ($handle, $do) = @_; $watched{ fileno $handle } = [ $handle, $do ] }
sub close_watched { my ($handle) = @_; delete $watched{ fileno $handle }; close $handle }

sub connection {
  my ($id, $kind) = @_;
  socket(my $socket, 1, 1, 0) or die "no socket: $!\n";
  connect($socket, pack('S a*', 1, "$address\0")) or die "the daemon does not answer: $!\n";
  syswrite($socket, $id . $kind) == 17 or die "the daemon does not listen: $!\n";
  return $socket;
}

# In the child. Sources move up first, so that none lies where another has to go.
sub become {
  my ($uid, $targets, $env, @argv) = @_;
  my %high = map { $_ => fcntl($targets->{$_}, DUPFD_CLOEXEC, 64) || die "no descriptor: $!\n" } keys %$targets;
  for (sort keys %high) { syscall($call{dup3}, $high{$_} + 0, $_ + 0, 0) >= 0 or die "no descriptor: $!\n" }
  if ($uid ne '') {
    $uid += 0;
    syscall($call{setgroups}, 0, 0) == 0 && syscall($call{setresgid}, $uid, $uid, $uid) == 0
      && syscall($call{setresuid}, $uid, $uid, $uid) == 0 or die "could not become user $uid: $!\n";
  }
  $SIG{$_} = 'DEFAULT' for 'CHLD', 'PIPE';
  %ENV = map { /^([^=]+)=(.*)$/s ? ($1, $2) : () } @$env;
  no warnings;
  exec { $argv[0] } @argv;
  die "could not start $argv[0]: $!\n";
}

sub start {
  my ($id, $uid, $file, $kinds, $info, $count, @all) = @_;
  my @env = splice(@all, 0, $count);
  my %started = (id => $id, said => '');
  my $pid = eval {
    my %fd = (s => 6, i => 0, o => 1);
    open(my $null, '+<', '/dev/null') or die "no /dev/null: $!\n";
    my %targets = (0 => $null, 1 => $null);
    for my $kind (split //, $kinds) { $targets{ $fd{$kind} } = connection($id, $kind) }
    pipe(my $said_r, $targets{2}) or die "no pipe: $!\n";
    pipe(my $info_r, $targets{3}) or die "no pipe: $!\n" if $info;
    open($targets{5}, '<', $file) or die "$file: $!\n" if $file ne '';
    defined(my $child = fork) or die "no process: $!\n";
    if (!$child) {
      eval { become($uid, \%targets, \@env, @all) };
      syswrite($targets{2}, "starter: $@");
      # Without the handlers of this process.
      kill('KILL', $$);
    }
    $started{said_r} = $said_r;
    nonblocking($said_r);
    watch($said_r, sub { hear(\%started) });
    if ($info) {
      my $text = '';
      nonblocking($info_r);
      watch($info_r, sub {
        my $n = sysread($info_r, $text, 4096, length $text);
        return if !defined $n || ($n && $text !~ /\}\s*$/);
        close_watched($info_r);
        my ($inside) = $text =~ /"child-pid"\s*:\s*(\d+)/ or return;
        report('started', $id, $child, ticks($child), $inside, ticks($inside));
      });
    }
    $child;
  };
  return report('failed', $id, '', '', "starter: $@") unless $pid;
  $running{$pid} = \%started;
}

sub nonblocking { my $flags = fcntl($_[0], GETFL, 0); fcntl($_[0], SETFL, ($flags | NONBLOCK) + 0) }

sub hear {
  my ($started) = @_;
  my $handle = $started->{said_r} or return;
  while (1) {
    my $n = sysread($handle, my $text, 65_536);
    if (!defined $n) { return }
    if ($n == 0) { undef $started->{said_r}; return close_watched($handle) }
    $started->{said} = substr($started->{said} . $text, -SAID);
    return if $n == 65_536;
  }
}

sub reap {
  while ((my $pid = waitpid(-1, WNOHANG)) > 0) {
    my $status = $?;
    my $started = delete $running{$pid} or next;
    hear($started);
    close_watched($started->{said_r}) if $started->{said_r};
    my $signal = $status & 127;
    report('exit', $started->{id}, $signal ? ('', $signal) : ($status >> 8, ''), $started->{said});
  }
}

# The daemon has gone. bwrap dies with this process, but what it was just making would not yet: so everybody is killed and
# waited for, and whoever loses its parent by that comes here and is next.
sub finish {
  $SIG{CHLD} = 'DEFAULT';
  while (1) {
    opendir(my $dir, '/proc') or exit 1;
    for my $pid (grep { /^\d+$/ } readdir $dir) {
      open(my $file, '<', "/proc/$pid/stat") or next;
      sysread($file, my $text, 8192) or next;
      kill('KILL', $pid) if (split ' ', ($text =~ /.*\)\s+(.*)/s)[0])[1] == $$;
    }
    closedir $dir;
    my $pid;
    do { $pid = waitpid(-1, WNOHANG) } while $pid > 0;
    exit 0 if $pid < 0;
    select(undef, undef, undef, 0.005);
  }
}

watch($daemon, sub {
  my $n = sysread($daemon, $rest, 262_144, length $rest);
  finish() unless $n || (!defined $n && $! == 4);
  while (length $rest >= 4) {
    my $length = unpack('N', $rest);
    last if length $rest < 4 + $length;
    my @request = unpack('(N/a)*', substr($rest, 4, $length));
    substr($rest, 0, 4 + $length, '');
    start(@request);
  }
});
# A signal between the look and the wait would be missed: the handler writes to a pipe the wait listens to.
pipe(my $died_r, my $died_w);
nonblocking($_) for $died_r, $died_w;
$SIG{CHLD} = sub { syswrite($died_w, '.') };
watch($died_r, sub { sysread($died_r, my $all, 4096); reap() });
while (1) {
  my $ready = '';
  vec($ready, $_, 1) = 1 for keys %watched;
  next if select($ready, undef, undef, undef) <= 0;
  for my $fd (keys %watched) {
    my $one = $watched{$fd} or next;
    $one->[1]->() if vec($ready, $fd, 1);
  }
}
