# The runner: the first program of a sandbox. It starts commands, carries their bytes, and is the way to ports inside and to the broker.
# Wire: protocol.ts. Linux on x86-64 and arm64. Perl with nothing but builtins, and what no command needs is compiled when it is first
# used, because a sandbox waits for this to start; strict and warnings are the test's to try.
# perl runner.pl [IN [OUT]] [--relay=PORT:SOCKET] [--own-namespace]   fds of the host's stream (6 when left out; one fd does for both)

my $late = do { local $/; <DATA> };
close DATA;

# Frame types. Constants are written as functions: a module for them would double the time to start.
sub EXEC() { 1 }     sub INPUT() { 2 }    sub INPUT_END() { 3 }  sub SIGNAL() { 4 }
sub CREDIT() { 5 }   sub DIAL() { 6 }     sub PING() { 7 }       sub PROCS() { 8 }
sub READY() { 16 }   sub OUTPUT() { 17 }  sub ERRORS() { 18 }    sub EXIT() { 19 }
sub FAILED() { 20 }  sub OPENED() { 21 }  sub CLOSED() { 22 }    sub PONG() { 23 }
sub VERSION() { 1 }  sub WINDOW() { 262_144 }  sub MAX_FRAME() { 1_048_576 }  sub CHUNK() { 65_536 }
# More than this waiting for the host, and nothing is read from commands until it has gone.
sub BACKLOG() { 1_048_576 }
# What Socket, Fcntl, POSIX and Errno would say.
sub AF_UNIX() { 1 }      sub AF_INET() { 2 }    sub AF_INET6() { 10 }  sub STREAM() { 1 }
sub SOL_SOCKET() { 1 }   sub REUSEADDR() { 2 }  sub SO_ERROR() { 4 }   sub IPPROTO_TCP() { 6 }  sub NODELAY() { 1 }
sub GETFL() { 3 }        sub SETFL() { 4 }      sub NONBLOCK() { 2048 }
sub FIONREAD() { 0x541B }  sub WNOHANG() { 1 }
sub EINTR() { 4 }        sub EAGAIN() { 11 }    sub EINPROGRESS() { 115 }  sub ENOENT() { 2 }
# The same number on every architecture; a descriptor that turns readable when the process dies.
sub PIDFD_OPEN() { 434 }

my ($relay, $own_namespace, @fds);
for (@ARGV) {
  if (/^--relay=(\d+):(.+)$/s) { $relay = { port => $1, path => $2, pid => 0 } }
  elsif ($_ eq '--own-namespace') { $own_namespace = 1 }
  elsif (/^\d+$/) { push @fds, $_ }
  else { die "runner: unknown argument $_\n" }
}
@fds = (6) unless @fds;

# ---------------------------------------------------------------- the host's stream, and nothing else inherited

my ($host_in, $host_out);
if (@fds == 1) {
  open($host_in, '+<&=', $fds[0]) or die "runner: no stream on fd $fds[0]: $!\n";
  $host_out = $host_in;
} else {
  # Standard input and output are given to commands anew, so the stream moves away from them.
  open($host_in,  '<&', $fds[0]) or die "runner: no stream on fd $fds[0]: $!\n";
  open($host_out, '>&', $fds[1]) or die "runner: no stream on fd $fds[1]: $!\n";
}
sub nonblocking {
  my $flags = fcntl($_[0], GETFL, 0);
  fcntl($_[0], SETFL, ($flags | NONBLOCK) + 0);
}
{
  opendir(my $dir, '/proc/self/fd') or die "runner: no /proc: $!\n";
  my @open = grep { /^\d+$/ && $_ > 2 && $_ != fileno($host_in) && $_ != fileno($host_out) } readdir $dir;
  closedir $dir;
  for my $fd (@open) {
    if (open(my $handle, '<&=', $fd)) { close $handle }
  }
  open(STDIN,  '<', '/dev/null');
  open(STDOUT, '>', '/dev/null');
}
nonblocking($host_in);
nonblocking($host_out);

# A command of the same user may signal everything it can see: what can be ignored is. Commands get the defaults back.
my @ignored = grep { ($SIG{$_} || '') eq 'IGNORE' } keys %SIG;
for (qw(HUP INT QUIT USR1 USR2 PIPE ALRM TERM STKFLT TSTP TTIN TTOU VTALRM PROF IO PWR)) {
  push @ignored, $_;
  $SIG{$_} = 'IGNORE';
}
my $self = $$;

{
  my $elf = '';
  if (open(my $exe, '<', '/proc/self/exe')) { sysread($exe, $elf, 20); close $exe }
  if (my $prctl = { 0x3E => 157, 0xB7 => 167 }->{ unpack('x18 v', $elf) || 0 }) {
    # PR_SET_DUMPABLE: commands are the same user, and would else read and write its memory and files. They themselves are as ever.
    syscall($prctl, 4, 0, 0, 0, 0);
    # PR_SET_CHILD_SUBREAPER: without a namespace of its own it adopts its orphans, so that it can see and end them all.
    syscall($prctl, 36, 1, 0, 0, 0) unless $own_namespace;
  }
}

# ---------------------------------------------------------------- select: one callback per descriptor and direction

my ($reads, $outputs, $writes) = ('', '', '');    # `outputs`: reads that rest while too much waits for the host
my (@on_read, @on_write);
sub on_read   { my ($h, $do) = @_; my $fd = fileno $h; $on_read[$fd] = $do; vec($reads, $fd, 1) = 1 }
sub on_output { my ($h, $do) = @_; my $fd = fileno $h; $on_read[$fd] = $do; vec($outputs, $fd, 1) = 1 }
sub on_write  { my ($h, $do) = @_; my $fd = fileno $h; $on_write[$fd] = $do; vec($writes, $fd, 1) = 1 }
sub no_read   { my $fd = fileno $_[0]; vec($reads, $fd, 1) = 0; vec($outputs, $fd, 1) = 0 }
sub no_write  { my $fd = fileno $_[0]; vec($writes, $fd, 1) = 0 }
sub forget    { no_read($_[0]); no_write($_[0]); close $_[0] }

my $to_host = '';
sub send_frame {
  my ($type, $id, $payload) = @_;
  $to_host .= pack('C N N', $type, $id, length $payload) . $payload;
}
sub flush_host {
  while (length $to_host) {
    my $n = syswrite($host_out, $to_host, CHUNK * 4);
    if (!defined $n) {
      return if $! == EAGAIN || $! == EINTR;
      finish();
    }
    substr($to_host, 0, $n, '');
  }
}

# ---------------------------------------------------------------- commands

my %connections;   # id → a dialled connection
my %commands;      # id → what is known of a running command
my %by_pid;        # pid → id
my %groups;        # process group → id, of commands whose group had members when it was last looked at
my $many_groups = 8;
my $pidfd_works = 1;

sub strings {
  my @all;
  my $at = 0;
  while ($at + 4 <= length $_[0]) {
    my $n = unpack('N', substr($_[0], $at, 4));
    return if $at + 4 + $n > length $_[0];
    push @all, substr($_[0], $at + 4, $n);
    $at += 4 + $n;
  }
  return @all;
}

sub start {
  my ($id, $payload) = @_;
  my ($cwd, $stdin, $count, @rest) = strings($payload);
  return failed($id, 126, 'the request to start a command could not be read')
    unless defined $count && $count =~ /^[1-9]\d*$/ && $count <= @rest;
  my @argv = splice(@rest, 0, $count);
  return failed($id, 126, 'a name, argument or variable has a NUL byte in it') if grep { index($_, "\0") >= 0 } $cwd, @argv, @rest;

  my ($in_r, $in_w, $out_r, $out_w, $err_r, $err_w, $why_r, $why_w);
  ($stdin eq 'open' ? pipe($in_r, $in_w) : open($in_r, '<', '/dev/null'))
    && pipe($out_r, $out_w) && pipe($err_r, $err_w) && pipe($why_r, $why_w)
    or return failed($id, 126, "could not start $argv[0]: $!");
  my $pid = fork;
  return failed($id, 126, "could not start $argv[0]: $!") unless defined $pid;
  if (!$pid) {
    setpgrp(0, 0);
    $SIG{$_} = 'DEFAULT' for @ignored, 'CHLD';
    open(STDIN, '<&', $in_r); open(STDOUT, '>&', $out_w); open(STDERR, '>&', $err_w);
    if (!chdir $cwd) { syswrite($why_w, pack('C', 126) . "could not enter the folder $cwd: $!"); exit 126 }
    %ENV = map { /^([^=]+)=(.*)$/s ? ($1, $2) : () } @rest;
    exec { $argv[0] } @argv;
    my $missing = $! == ENOENT;
    syswrite($why_w, pack('C', $missing ? 127 : 126) . "could not start $argv[0]: $!");
    exit 127;
  }
  setpgrp($pid, $pid);
  close $_ for $in_r, $out_w, $err_w, $why_w;
  nonblocking($_) for grep { defined } $in_w, $out_r, $err_r, $why_r;
  my $command = {
    id => $id, pid => $pid, why => $why_r, credit => WINDOW, input => '', taken => 0,
    in => $stdin eq 'open' ? $in_w : undef,
    pipes => [ { h => $out_r, type => OUTPUT }, { h => $err_r, type => ERRORS } ],
  };
  $commands{$id} = $command;
  $by_pid{$pid} = $id;
  $groups{$pid} = $id;
  for my $pipe (@{ $command->{pipes} }) {
    on_output($pipe->{h}, sub { take_output($command, $pipe) });
  }
  my $pidfd = $pidfd_works ? syscall(PIDFD_OPEN, $pid, 0) : -1;
  if ($pidfd >= 0 && open($command->{pidfd}, '<&=', $pidfd)) {
    on_read($command->{pidfd}, \&reap);
  } else {
    $pidfd_works = 0;
  }
}

sub failed {
  my ($id, $code, $why) = @_;
  send_frame(FAILED, $id, pack('C', $code) . $why);
}

sub take_output {
  my ($command, $pipe) = @_;
  my $most = $command->{credit};
  $most = CHUNK if $most > CHUNK;
  $most = $pipe->{left} if defined $pipe->{left} && $pipe->{left} < $most;
  return no_read($pipe->{h}) if $most <= 0;
  my $n = sysread($pipe->{h}, my $data, $most);
  if (!defined $n) {
    return if $! == EAGAIN || $! == EINTR;
    $n = 0;
  }
  if ($n == 0) {
    forget($pipe->{h});
    undef $pipe->{h};
  } else {
    send_frame($pipe->{type}, $command->{id}, $data);
    $command->{credit} -= $n;
    $pipe->{left} -= $n if defined $pipe->{left};
    if ($command->{credit} <= 0) { no_read($_->{h}) for grep { $_->{h} } @{ $command->{pipes} } }
    elsif (defined $pipe->{left} && $pipe->{left} <= 0) { no_read($pipe->{h}) }
  }
  settle($command) if defined $command->{status};
}

sub feed {
  my ($command) = @_;
  my $handle = $command->{in} or return;
  while (length $command->{input}) {
    my $n = syswrite($handle, $command->{input}, CHUNK);
    if (!defined $n) {
      next if $! == EINTR;
      return on_write($handle, sub { feed($command) }) if $! == EAGAIN;
      # Nobody reads it any more: taken and thrown away, so that the writer does not wait for ever.
      taken($command, length $command->{input});
      $command->{input} = '';
      return close_input($command);
    }
    substr($command->{input}, 0, $n, '');
    taken($command, $n);
  }
  no_write($handle);
  close_input($command) if $command->{input_ended};
}

sub close_input {
  my ($command) = @_;
  forget($command->{in}) if $command->{in};
  undef $command->{in};
}

sub taken {
  my ($stream, $n) = @_;
  $stream->{taken} += $n;
  return if $stream->{taken} < WINDOW / 4;
  send_frame(CREDIT, $stream->{id}, pack('N', $stream->{taken}));
  $stream->{taken} = 0;
}

# Every dead child: commands, the relay, and orphans when this is process 1 or adopted them.
sub reap {
  while ((my $pid = waitpid(-1, WNOHANG)) > 0) {
    my $status = $?;
    if ($relay && $pid == $relay->{pid}) { start_relay(); next }
    my $id = delete $by_pid{$pid};
    my $command = defined $id ? $commands{$id} : undef;
    next unless $command;
    $command->{status} = $status;
    forget(delete $command->{pidfd}) if $command->{pidfd};
    # What is in the pipes now is all it can have written; a background child may go on writing for ever.
    for my $pipe (grep { $_->{h} } @{ $command->{pipes} }) {
      my $n = pack('i', 0);
      $pipe->{left} = ioctl($pipe->{h}, FIONREAD, $n) ? unpack('i', $n) : CHUNK;
      no_read($pipe->{h}) if $pipe->{left} <= 0;
    }
    settle($command);
  }
  # Looked through only when there are twice as many, so that it costs each command the same however many there are.
  if (keys %groups > $many_groups) {
    for my $group (keys %groups) { delete $groups{$group} unless $by_pid{$group} || kill('-ZERO', $group) }
    $many_groups = 8 + 2 * keys %groups;
  }
}

sub settle {
  my ($command) = @_;
  return if grep { $_->{h} && $_->{left} > 0 } @{ $command->{pipes} };
  my $id = $command->{id};
  begun($command);
  if (length($command->{failure} || '')) {
    send_frame(FAILED, $id, $command->{failure});
  } else {
    my $status = $command->{status};
    my $signal = $status & 127;
    send_frame(EXIT, $id, $signal ? pack('CC', 1, $signal) : pack('CC', 0, $status >> 8));
  }
  forget($command->{why});
  close_input($command);
  delete $commands{$id};
  for my $pipe (grep { $_->{h} } @{ $command->{pipes} }) {
    my $handle = $pipe->{h};
    no_read($handle);
    on_read($handle, sub {
      my $n = sysread($handle, my $lost, CHUNK);
      forget($handle) if defined $n ? $n == 0 : $! != EAGAIN && $! != EINTR;
    });
  }
}

sub signal_group {
  my ($command, $name) = @_;
  return unless $name =~ /^(INT|TERM|KILL|HUP|STOP|CONT)$/;
  # Between fork and exec the child still ignores what the runner ignores: kept until the program itself is there to get it.
  if (!$command->{begun} && $name ne 'KILL') {
    push @{ $command->{held} }, $name;
    return begun($command) || on_read($command->{why}, sub { begun($command) });
  }
  my $pid = $command->{pid};
  my $reached = kill("-$name", $pid);
  # It may have left its group; dead but not yet reaped it keeps its number, so nobody else is hit.
  kill($name, $pid) if !defined $command->{status} && (!$reached || $name eq 'KILL');
}

# True once the outcome of exec is known: its end of the pipe is closed, by exec or after a sentence.
sub begun {
  my ($command) = @_;
  return 1 if $command->{begun};
  my $n = sysread($command->{why}, $command->{failure}, 4096);
  return 0 unless defined $n;
  no_read($command->{why});
  $command->{begun} = 1;
  signal_group($command, $_) for $n || defined $command->{status} ? () : @{ $command->{held} };
  return 1;
}

# ---------------------------------------------------------------- the way to the broker

my $listener;

sub loopback {
  my ($family, $port) = @_;
  return $family == AF_INET ? pack('S n a4 x8', AF_INET, $port, "\x7f\0\0\1") : pack('S n N a16 N', AF_INET6, $port, 0, "\0" x 15 . "\1", 0);
}

sub listen_relay {
  my $port = $relay->{port};
  socket($listener, AF_INET, STREAM, 0) or die "runner: no socket: $!\n";
  setsockopt($listener, SOL_SOCKET, REUSEADDR, 1);
  bind($listener, loopback(AF_INET, $port)) or die "runner: cannot listen on 127.0.0.1:$port: $!\n";
  listen($listener, 512) or die "runner: cannot listen on 127.0.0.1:$port: $!\n";
  nonblocking($listener);
  $relay->{port} = unpack('x2 n', getsockname($listener));
}

# In a process of its own, so that neither a busy download nor a busy command slows the other. It ends with the runner: the
# runner alone holds the other end of `lifeline`. Killed from inside, it is started again; the port stays open meanwhile.
my $lifeline;
sub start_relay {
  pipe(my $alive, my $held) or return;
  my $pid = fork;
  $relay->{pid} = defined $pid ? $pid : 0;
  if (!defined $pid || $pid) { close $alive; $lifeline = $held; return }
  close $held;
  undef $lifeline;
  close $host_in;
  close $host_out;
  $SIG{CHLD} = 'DEFAULT';
  # The pipes of commands close with what refers to them, else they would stay open through this process.
  (%commands, %connections) = ();
  (@on_read, @on_write) = ();
  ($reads, $outputs, $writes) = ('', '', '');
  on_read($alive, sub { exit 0 });
  late();
  on_read($listener, \&take_client);
  while (1) { turn($reads) }
}

# ---------------------------------------------------------------- the loop

# The host has gone: everything ends with it.
sub finish {
  if ($own_namespace) { kill('KILL', -1) }
  else { late(); end_all() }
  exit 0;
}

sub late {
  return if $late eq '';
  my $text = $late;
  $late = '';
  eval "#line 1 runner-late\n$text";
  die $@ if $@;
}

my %act = (
  EXEC()   => sub { my ($id, $payload) = @_; start($id, $payload) unless $commands{$id} || $connections{$id} },
  DIAL()   => sub { my ($id, $payload) = @_; late(); dial($id, unpack('n', $payload), AF_INET) unless $commands{$id} || $connections{$id} },
  INPUT()  => sub {
    my ($id, $payload) = @_;
    if (my $connection = $connections{$id}) { $connection->{input} .= $payload; return pour($connection) }
    my $command = $commands{$id} or return;
    return taken($command, length $payload) unless $command->{in};
    $command->{input} .= $payload;
    feed($command);
  },
  INPUT_END() => sub {
    my ($id) = @_;
    my $stream = $connections{$id} || $commands{$id} or return;
    $stream->{input_ended} = 1;
    $connections{$id} ? pour($stream) : feed($stream);
  },
  SIGNAL() => sub {
    my ($id, $name) = @_;
    if (my $connection = $connections{$id}) { return drop($connection) }
    return signal_group($commands{$id}, $name) if $commands{$id};
    # What a command left behind in its group, when the host ends a call that came too late.
    if ($name eq 'KILL') { kill('-KILL', $_) for grep { $groups{$_} == $id } keys %groups }
  },
  CREDIT() => sub {
    my ($id, $payload) = @_;
    my $stream = $connections{$id} || $commands{$id} or return;
    $stream->{credit} += unpack('N', $payload);
    if (my $connection = $connections{$id}) { vec($outputs, fileno $connection->{h}, 1) = 1 unless $connection->{ended}; return }
    for (grep { $_->{h} && (!defined $_->{left} || $_->{left} > 0) } @{ $stream->{pipes} }) { vec($outputs, fileno $_->{h}, 1) = 1 }
  },
  PING()   => sub { send_frame(PONG, $_[0], '') },
  PROCS()  => sub { late(); send_processes($_[0]) },
);

my $from_host = '';
sub listen_to_host {
  my $n = sysread($host_in, $from_host, CHUNK * 4, length $from_host);
  if (!defined $n) { return if $! == EAGAIN || $! == EINTR; finish() }
  finish() if $n == 0;
  while (length $from_host >= 9) {
    my ($type, $id, $length) = unpack('C N N', $from_host);
    finish() if $length > MAX_FRAME;
    last if length $from_host < 9 + $length;
    my $payload = substr($from_host, 9, $length);
    substr($from_host, 0, 9 + $length, '');
    my $act = $act{$type} or finish();
    $act->($id, $payload);
  }
}

# The numbers of the bits that are set; looked for in one string, because hundreds may be clear.
sub bits {
  my $text = unpack('b*', $_[0]);
  my @set;
  for (my $at = index($text, '1'); $at >= 0; $at = index($text, '1', $at + 1)) { push @set, $at }
  return @set;
}

sub turn {
  my ($watched, $patience) = @_;
  my ($r, $w) = ($watched, $writes);
  my $n = select($r, $w, undef, $patience);
  return if !defined $n || $n <= 0;
  for my $fd (bits($w)) { $on_write[$fd]->() if vec($writes, $fd, 1) }
  for my $fd (bits($r)) { $on_read[$fd]->() if vec($reads, $fd, 1) || vec($outputs, $fd, 1) }
}

if ($relay) { listen_relay(); start_relay() }
# The signal ends a wait; the reaping is done in the loop. Without pidfds a signal between look and wait would be missed.
my $children_died = 0;
$SIG{CHLD} = sub { $children_died = 1 };
on_read($host_in, \&listen_to_host);
send_frame(READY, 0, pack('C n', VERSION, $relay ? $relay->{port} : 0));
while (1) {
  if ($children_died) { $children_died = 0; reap() }
  flush_host();
  if (length $to_host) { on_write($host_out, \&flush_host) } else { no_write($host_out) }
  turn(length $to_host > BACKLOG ? $reads : $reads | $outputs, !$pidfd_works && %by_pid ? 0.02 : undef);
  reap() if !$pidfd_works && %by_pid;
}

__END__
# ---------------------------------------------------------------- connections to servers inside

sub dial {
  my ($id, $port, $family) = @_;
  socket(my $socket, $family, STREAM, 0) or return failed($id, 0, "no connection to port $port: $!");
  nonblocking($socket);
  my $refused = sub {
    # A server that listens on "localhost" may be on ::1 alone.
    return dial($id, $port, AF_INET6) if $family == AF_INET;
    failed($id, 0, "nothing listens on port $port");
  };
  my $connection = { id => $id, h => $socket, credit => WINDOW, input => '', taken => 0 };
  my $opened = sub {
    setsockopt($socket, IPPROTO_TCP, NODELAY, 1);
    $connections{$id} = $connection;
    send_frame(OPENED, $id, '');
    on_output($socket, sub { take_bytes($connection) });
  };
  return $opened->() if connect($socket, loopback($family, $port));
  return $refused->() if $! != EINPROGRESS;
  on_write($socket, sub {
    no_write($socket);
    my $error = unpack('i', getsockopt($socket, SOL_SOCKET, SO_ERROR));
    return $opened->() unless $error;
    forget($socket);
    $refused->();
  });
}

sub take_bytes {
  my ($connection) = @_;
  my $most = $connection->{credit} < CHUNK ? $connection->{credit} : CHUNK;
  return no_read($connection->{h}) if $most <= 0;
  my $n = sysread($connection->{h}, my $data, $most);
  if (!defined $n) {
    return if $! == EAGAIN || $! == EINTR;
    return drop($connection);
  }
  if ($n == 0) {
    no_read($connection->{h});
    return drop($connection) if $connection->{closed};
    $connection->{ended} = 1;
    return send_frame(CLOSED, $connection->{id}, pack('C', 0));
  }
  send_frame(OUTPUT, $connection->{id}, $data);
  $connection->{credit} -= $n;
  no_read($connection->{h}) if $connection->{credit} <= 0;
}

sub pour {
  my ($connection) = @_;
  while (length $connection->{input}) {
    my $n = syswrite($connection->{h}, $connection->{input}, CHUNK);
    if (!defined $n) {
      next if $! == EINTR;
      return on_write($connection->{h}, sub { pour($connection) }) if $! == EAGAIN;
      return drop($connection);
    }
    substr($connection->{input}, 0, $n, '');
    taken($connection, $n);
  }
  no_write($connection->{h});
  return unless $connection->{input_ended} && !$connection->{closed};
  return drop($connection) if $connection->{ended};
  $connection->{closed} = 1;
  shutdown($connection->{h}, 1);
}

sub drop {
  my ($connection) = @_;
  forget($connection->{h});
  delete $connections{ $connection->{id} };
  send_frame(CLOSED, $connection->{id}, pack('C', 1));
}

# ---------------------------------------------------------------- who is there

sub slurp {
  open(my $file, '<', $_[0]) or return '';
  my $text = '';
  while (sysread($file, $text, $_[1] - length $text, length $text)) { last if length $text >= $_[1] }
  close $file;
  return $text;
}

sub processes {
  my (%port_of, %found);
  for my $table ('/proc/self/net/tcp', '/proc/self/net/tcp6') {
    for (split /\n/, slurp($table, 4_194_304)) {
      my @field = split;
      next unless @field > 9 && $field[3] eq '0A';
      $port_of{ $field[9] } = hex(($field[1] =~ /:([0-9A-F]{4})$/)[0]);
    }
  }
  opendir(my $dir, '/proc') or return;
  for my $pid (grep { /^\d+$/ } readdir $dir) {
    # The name of the program is in parentheses and may hold any character, so what follows the last one counts.
    my ($state, $parent, @field) = split ' ', (slurp("/proc/$pid/stat", 8192) =~ /.*\)\s+(.*)/s)[0] || next;
    next if $state eq 'Z' || $state eq 'X';
    $found{$pid} = { parent => $parent, start => $field[17] };
  }
  closedir $dir;
  my $mine = sub {
    my ($pid) = @_;
    return 0 if $pid == $self || ($relay && $pid == $relay->{pid});
    return $pid != 1 if $own_namespace;
    for (my $hops = 0; $hops < 10_000 && $found{$pid}; $hops++) {
      $pid = $found{$pid}{parent};
      return 1 if $pid == $self;
    }
    return 0;
  };
  my @all = grep { $mine->($_) } sort { $a <=> $b } keys %found;
  for my $pid (@all) {
    my %ports;
    if (%port_of && opendir(my $fds, "/proc/$pid/fd")) {
      for my $fd (readdir $fds) {
        my $target = readlink("/proc/$pid/fd/$fd") || '';
        $ports{ $port_of{$1} } = 1 if $target =~ /^socket:\[(\d+)\]$/ && exists $port_of{$1};
      }
      closedir $fds;
    }
    $found{$pid}{ports} = join(',', sort { $a <=> $b } keys %ports);
    my $argv = slurp("/proc/$pid/cmdline", 4096);
    $argv = '[' . (slurp("/proc/$pid/comm", 64) =~ /^(.*)/)[0] . ']' if $argv eq '';
    $found{$pid}{argv} = [ split /\0/, $argv, -1 ];
    pop @{ $found{$pid}{argv} } if substr($argv, -1) eq "\0";
  }
  return map { [ $_, $found{$_} ] } @all;
}

sub send_processes {
  my ($id) = @_;
  my ($uptime) = slurp('/proc/uptime', 64) =~ /^([\d.]+)/;
  my $payload = pack('N/a', int($uptime * 100));
  for (processes()) {
    my ($pid, $is) = @$_;
    my $one = pack('(N/a)*', $pid, $is->{parent}, $is->{start}, $is->{ports}, scalar @{ $is->{argv} }, @{ $is->{argv} });
    last if length($payload) + length($one) > MAX_FRAME;
    $payload .= $one;
  }
  send_frame(PROCS, $id, $payload);
}

# ---------------------------------------------------------------- one connection to the broker

sub take_client {
  accept(my $client, $listener) or return;
  socket(my $broker, AF_UNIX, STREAM, 0) or return close $client;
  nonblocking($_) for $client, $broker;
  setsockopt($client, IPPROTO_TCP, NODELAY, 1);
  # Broker away: closed at once; the next connection tries again.
  connect($broker, pack('S a*', AF_UNIX, $relay->{path} . "\0")) or do { close $broker; return close $client };
  my $pair = { open => 2 };
  carry($pair, $client, $broker);
  carry($pair, $broker, $client);
}

# One direction of a pair: bytes from one to the other, then the end of them. Both directions ended, or either broken: all closed.
sub carry {
  my ($pair, $from, $to) = @_;
  my $held = '';
  my ($ended, $read, $write);
  # These refer to each other, and would never be freed.
  push @{ $pair->{untie} }, sub { undef $read; undef $write };
  my $over = sub {
    return if $pair->{over}++;
    forget($from);
    forget($to);
    $_->() for @{ delete $pair->{untie} };
  };
  $write = sub {
    while (length $held) {
      my $n = syswrite($to, $held, CHUNK);
      if (!defined $n) {
        next if $! == EINTR;
        return $over->() unless $! == EAGAIN;
        no_read($from);
        return on_write($to, $write);
      }
      substr($held, 0, $n, '');
    }
    no_write($to);
    if (!$ended) { on_read($from, $read) }
    elsif (--$pair->{open}) { shutdown($to, 1) }
    else { $over->() }
  };
  $read = sub {
    my $n = sysread($from, $held, CHUNK);
    if (!defined $n) {
      return if $! == EAGAIN || $! == EINTR;
      return $over->();
    }
    if ($n == 0) { $ended = 1; no_read($from) }
    $write->();
  };
  on_read($from, $read);
}

# ---------------------------------------------------------------- the end

# Without a namespace: everything that descends from the runner. Never by a group's number, which may be somebody else's by now.
sub end_all {
  undef $relay;
  for (1 .. 200) {
    kill('KILL', map { $_->[0] } processes());
    # With every orphan adopted, no child left means nobody left.
    1 while waitpid(-1, WNOHANG) > 0;
    last if waitpid(-1, WNOHANG) < 0;
    select(undef, undef, undef, 0.005);
  }
}
1;
