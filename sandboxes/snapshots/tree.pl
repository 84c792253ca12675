# What an isolated run does to a tree for a snapshot: look whether anything changed, read files, write files. Perl's own words only.
#
# check SEC NSEC WORKERS STATX       stdin: groups "folder \0 name \0 name …" apart by \0\0. Exit 0: each name is there and none
#                                    has a ctime after the stamp; exit 3: changed.
# list  OUT WORKERS STATX W H        everything in both folders into OUT.0, OUT.1 …: 9 fields a record (path from w or h, kind, mode,
#                                    size, mtime, ctime, inode, links, target); the record of kind "end" closes each file.
# read  DATA LIMIT                   stdin: paths. Their bytes one after the other into DATA; a line each: "ok N", "moving N",
#                                    "large", "shut" (not readable), "gone" (or no regular file any more).
# write UTIMENSAT                    stdin: 12 digits, the length of the records; the records; the bytes of the files. 6 fields a
#                                    record: kind, path, mode, seconds, nanoseconds, length | target. A line with the inode of
#                                    each file it made.
#                                    kinds: d folder, f file (its bytes are next in stdin), l symbolic link, s hard link,
#                                    t last touch of a folder. Nothing is followed or overwritten.
use strict;
use Fcntl qw(O_RDONLY O_WRONLY O_CREAT O_EXCL O_NOFOLLOW O_NONBLOCK O_DIRECTORY);

umask 0;
binmode STDIN;
my $verb = shift;
my $input = $verb eq 'list' || $verb eq 'write' ? '' : do { local $/; <STDIN> };

sub write_all {
  my ($out, $bytes) = @_;
  my $at = 0;
  while ($at < length $bytes) {
    my $n = syswrite $out, $bytes, length($bytes) - $at, $at;
    die "write: $!\n" if !defined $n;
    $at += $n;
  }
}

if ($verb eq 'check') {
  my ($sec, $nsec, $workers, $statx) = @ARGV;
  # ctime cannot be set from inside. lstat knows whole seconds; only what is near the stamp is asked twice.
  my $after = sub {
    my $out = "\0" x 256;
    return 1 if $statx == 0 || syscall($statx, -100, $_[0], 0x100, 0x80, $out) != 0;
    my ($s, $n) = unpack 'x96 q L', $out;
    $s > $sec || $s == $sec && $n > $nsec;
  };
  # -C counts from $^T, in days: the same division on both sides, so that equal seconds are equal numbers. No list is made of the
  # twelve other fields: 20,000 times that is a fifth of the whole check.
  $^T = 0;
  my $old = -$sec / 86400;
  my @groups = split /\0\0/, $input;
  my $look = sub {
    my ($folder, @names) = split /\0/, $_[0];
    chdir $folder or return 3;
    for (@names) {
      lstat or return 3;
      return 3 if -C _ <= $old && $after->($_);
    }
    0;
  };
  # Nobody has a share of his own: whoever is quicker takes more. A number a byte, all in the pipe before anybody reads.
  my $parts = @groups < 64 ? scalar @groups : 64;
  my ($size, @ends) = (0);
  for my $at (0 .. $#groups) {
    $size += length $groups[$at];
    push @ends, $at if $at == $#groups || @ends < $parts - 1 && $size >= (@ends + 1) * length($input) / $parts;
  }
  pipe(my $next, my $numbers) or exit 3;
  my $all = pack 'C*', 0 .. $#ends;
  exit 3 if syswrite($numbers, $all) != length $all;
  close $numbers;
  my $work = sub {
    while (1) {
      my $got = sysread $next, my $number, 1;
      return 3 if !defined $got;
      return 0 if $got == 0;
      $number = ord $number;
      for my $at (($number ? $ends[$number - 1] + 1 : 0) .. $ends[$number]) {
        my $code = $look->($groups[$at]);
        return $code if $code;
      }
    }
  };
  my @children;
  while (@children < $workers - 1 && @groups > 1) {
    my $pid = fork;
    exit $work->() if defined $pid && $pid == 0;
    exit 3 if !defined $pid;
    push @children, $pid;
  }
  my $code = $work->();
  for my $pid (@children) {
    waitpid $pid, 0;
    $code ||= $? ? 3 : 0;
  }
  exit $code;
}

if ($verb eq 'list') {
  my ($output, $workers, $statx, @roots) = @ARGV;
  my %kinds = (0100000 => 'file', 0040000 => 'folder', 0120000 => 'link');
  my $describe = sub {
    my ($path, $name) = @_;
    my ($links, $mode, $inode, $size, @times);
    if ($statx) {
      my $out = "\0" x 256;
      return () if syscall($statx, -100, $name, 0x100, 0x7ff, $out) != 0;
      ($links, $mode, $inode, $size, @times) = unpack 'x16 L x8 S x2 Q Q x48 q L x4 q L', $out;
    } else {
      # Whole seconds: the latest that each may stand for, so that nothing passes for older than it is.
      my @found = lstat $name or return ();
      ($links, $mode, $inode, $size, @times) = (@found[3, 2, 1, 7], $found[10], 999999999, $found[9], 0);
    }
    my $kind = $kinds{$mode & 0170000} || 'other';
    my $target = $kind eq 'link' ? readlink $name : '';
    return () if !defined $target;
    my @fields = ($mode & 07777, $size, sprintf('%d.%09d', @times[2, 3]), sprintf('%d.%09d', @times[0, 1]), $inode, $links);
    ($kind, join("\0", $path, $kind, @fields, $target) . "\0");
  };
  # What is in a folder is written to \$text; the folders in it are returned. What vanishes meanwhile is not there.
  my $look = sub {
    my ($path, $place, $text) = @_;
    sysopen my $folder, $place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW or return ();
    chdir $folder or return ();
    opendir my $names, '.' or return ();
    my @below;
    for my $name (readdir $names) {
      next if $name eq '.' || $name eq '..';
      my ($kind, $record) = $describe->("$path/$name", $name) or next;
      $$text .= $record;
      push @below, ["$path/$name", "$place/$name"] if $kind eq 'folder';
    }
    @below;
  };
  my $walk = sub {
    my ($number, $until, $text, @queue) = @_;
    sysopen my $out, "$output.$number", O_WRONLY | O_CREAT | O_EXCL, 0600 or die "$output: $!\n";
    while (@queue && @queue < $until) {
      # From the front while there is to be something to share, from the back when there is not: less is waiting then.
      my $next = $until < 1e9 ? shift @queue : pop @queue;
      push @queue, $look->(@$next, \$text);
      if (length $text > 1 << 20) { write_all($out, $text); $text = '' }
    }
    write_all($out, $text . join("\0", '', 'end', ('') x 7) . "\0");
    close $out or die "close: $!\n";
    @queue;
  };
  my $text = join '', map { ($describe->($_->[0], $_->[1]))[1] || '' } (['w', $roots[0]], ['h', $roots[1]]);
  my @queue = $walk->(0, 64, $text, ['w', $roots[0]], ['h', $roots[1]]);
  my @children;
  for my $number (1 .. $workers) {
    my @mine = @queue[grep { $_ % $workers == $number - 1 } 0 .. $#queue];
    my $pid = fork;
    die "fork: $!\n" if !defined $pid;
    if ($pid == 0) { $walk->($number, 1e9, '', @mine); exit 0 }
    push @children, $pid;
  }
  for my $pid (@children) {
    waitpid $pid, 0;
    die "a part was not looked at\n" if $?;
  }
  exit 0;
}

if ($verb eq 'read') {
  my ($data, $limit) = @ARGV;
  open my $out, '>:raw', $data or die "$data: $!\n";
  my $pending = '';
  my $flush = sub {
    write_all($out, $pending);
    $pending = '';
  };
  for my $path (split /\0/, $input) {
    if (!sysopen my $file, $path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) {
      print $!{ENOENT} || $!{ENOTDIR} || $!{ELOOP} || $!{ENXIO} ? "gone\n" : "shut\n";
    } else {
      my @before = stat $file;
      if (!-f _) { print "gone\n"; next }
      if ($before[7] > $limit) { print "large\n"; next }
      my $got = 0;
      # One byte more than there should be shows that it grew; what it had when it was opened is what is taken.
      while ($got < $before[7]) {
        my $want = $before[7] - $got;
        my $n = sysread $file, $pending, $want > 1 << 20 ? 1 << 20 : $want, length $pending;
        last if !$n;
        $got += $n;
        $flush->() if length $pending >= 1 << 20;
      }
      my @now = stat $file;
      print $got == $before[7] && $now[7] == $got && $now[9] == $before[9] ? "ok $got\n" : "moving $got\n";
    }
  }
  $flush->();
  close $out or die "close: $!\n";
  exit 0;
}

if ($verb eq 'write') {
  my ($utimensat) = @ARGV;
  my ($buffer, $at) = ('', 0);
  my $more = sub { sysread(STDIN, $buffer, 1 << 20, length $buffer) or die "read: data ended\n" };
  $more->() while length $buffer < 12;
  my $length = substr $buffer, 0, 12, '';
  $more->() while length $buffer < $length;
  my @fields = split /\0/, substr($buffer, 0, $length, ''), -1;
  my $touch = sub {
    my ($on, $path, $flags, $sec, $nsec) = @_;
    my $times = pack 'qqqq', $sec, $nsec, $sec, $nsec;
    $on += 0; $flags += 0;
    syscall($utimensat + 0, $on, $path, $times, $flags) == 0 or die "time: $!\n";
  };
  while (@fields >= 6) {
    my ($kind, $path, $mode, $sec, $nsec, $rest) = splice @fields, 0, 6;
    if ($kind eq 'f') {
      sysopen my $file, $path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, $mode & 0777 or die "create: $!\n";
      my $left = $rest;
      while ($left > 0) {
        if ($at == length $buffer) {
          ($buffer, $at) = ('', 0);
          $more->();
        }
        my $have = length($buffer) - $at;
        my $n = syswrite $file, $buffer, $have < $left ? $have : $left, $at;
        die "write: $!\n" if !defined $n;
        $at += $n;
        $left -= $n;
      }
      chmod $mode, $file or die "mode: $!\n" if $mode & 07000;
      $touch->(fileno $file, 0, 0, $sec, $nsec);
      print +(stat $file)[1], "\n";
      close $file or die "close: $!\n";
    } elsif ($kind eq 'd') {
      mkdir $path, 0700 or die "folder: $!\n";
    } elsif ($kind eq 'l') {
      symlink $rest, $path or die "symbolic link: $!\n";
      $touch->(-100, $path, 0x100, $sec, $nsec);
    } elsif ($kind eq 's') {
      link $rest, $path or die "hard link: $!\n";
    } elsif ($kind eq 't') {
      chmod $mode, $path or die "mode: $!\n";
      $touch->(-100, $path, 0x100, $sec, $nsec);
    }
  }
  exit 0;
}
die "unknown: $verb\n";
