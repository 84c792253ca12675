# Stands over the runner of a fake sandbox: adopts every orphan, and when its stdin closes or the runner ends, ends them all.
# perl guard.pl ID PROGRAM ARGUMENT …   (the program inherits fd 6; this process keeps nothing of it)
use strict;
my ($id, @program) = @ARGV;
my $elf = '';
if (open(my $exe, '<', '/proc/self/exe')) { sysread($exe, $elf, 20) }
syscall({ 0x3E => 157, 0xB7 => 167 }->{ unpack('x18 v', $elf) } || die("guard: unknown processor\n"), 36, 1, 0, 0, 0);
my $runner = fork;
die "guard: $!\n" unless defined $runner;
if (!$runner) { open(STDIN, '<', '/dev/null'); $^F = 255; exec @program; exit 127 }
if (open(my $stream, '<&=', 6)) { close $stream }
$SIG{$_} = 'IGNORE' for qw(HUP INT TERM QUIT);

sub below {
  my (%children, @found);
  for my $path (glob '/proc/[0-9]*/stat') {
    open(my $stat, '<', $path) or next;
    my ($pid, $state, $parent) = (<$stat> // '') =~ /^(\d+) .*\) (\S) (\d+)/s or next;
    push @{ $children{$parent} }, $pid;
  }
  my @open = ($$);
  while (defined(my $pid = shift @open)) { push @open, @{ $children{$pid} || [] }; push @found, @{ $children{$pid} || [] } }
  return @found;
}

while (1) {
  my $watched = '';
  vec($watched, 0, 1) = 1;
  my $over = select($watched, undef, undef, 0.03) > 0 && !sysread(STDIN, my $ignored, 1);
  while ((my $pid = waitpid(-1, 1)) > 0) { $over = 1 if $pid == $runner }
  last if $over;
}
while (1) {
  kill 'KILL', below();
  1 while waitpid(-1, 1) > 0;
  last if waitpid(-1, 1) < 0;
  select(undef, undef, undef, 0.003);
}
