# Work on files inside a sandbox, one verb a run: perl -e <this> VERB PATH …, for files.ts. Answers on stdout; trouble is
# "!KIND sentence" as the last line of stderr. Nothing but builtins, as in the runner. Links are followed: everything here is the sandbox's own.
use strict;

my ($verb, $path, @rest) = @ARGV;
my $shown = $path;
my ($ENOENT, $EACCES, $EEXIST, $ENOTDIR, $ENOSPC, $EROFS, $EDQUOT, $EPERM) = (2, 13, 17, 20, 28, 30, 122, 1);
my ($RDONLY, $WRONLY, $CREAT, $EXCL, $NONBLOCK) = (0, 1, 64, 128, 2048);

sub trouble { my ($kind, $why) = @_; syswrite(STDERR, "\n!$kind $why"); exit 3 }
sub failed {
  my ($what) = @_;
  my ($number, $why) = ($! + 0, "$!");
  my %kinds = (
    $ENOENT => 'not_found', $ENOTDIR => 'not_found', $EACCES => 'forbidden', $EPERM => 'forbidden',
    $EROFS => 'forbidden', $ENOSPC => 'disk_full', $EDQUOT => 'disk_full',
  );
  trouble($kinds{$number} || 'invalid', "$what: $why");
}
sub put { my ($data) = @_; while (length $data) { my $n = syswrite(STDOUT, $data); exit 1 unless defined $n; substr($data, 0, $n, '') } }
sub fresh { join '', map { ('a' .. 'z', 0 .. 9)[ rand 36 ] } 1 .. 12 }

# Makes the folder and those on the way; returns the ones that were not there, deepest first.
sub make_folder {
  my ($folder) = @_;
  my @made;
  my $at = '';
  for my $part (split m{(?<=/)}, $folder) {
    $at .= $part;
    next if -d $at;
    if (mkdir $at, 0777) { unshift @made, $at; next }
    my $why = $! + 0;
    # Somebody else was quicker.
    next if $why == $EEXIST && -d $at;
    trouble('invalid', "$at lies behind a file") if $why == $EEXIST || $why == $ENOTDIR;
    $! = $why;
    failed("cannot make the folder $at");
  }
  trouble('invalid', "$folder is no folder") unless -d "$folder/";
  return @made;
}
sub parent_of { my ($name) = @_; $name =~ s{/+$}{}; return $name =~ m{^(.*/)[^/]+$}s ? $1 : './' }

# Where a write ends up: a link stays a link, what it points to is replaced.
sub behind_links {
  my ($name) = @_;
  for (1 .. 40) {
    my $target = readlink $name;
    return $name unless defined $target;
    $name = $target =~ m{^/} ? $target : parent_of($name) . $target;
  }
  trouble('invalid', "$shown: too many links");
}

sub remove_tree {
  my ($name) = @_;
  if (-d $name && !-l $name) {
    # A folder that may not be read cannot be emptied.
    chmod 0700, $name;
    opendir(my $dir, $name) or return 0;
    my @names = grep { $_ ne '.' && $_ ne '..' } readdir $dir;
    closedir $dir;
    my $ok = 1;
    for (@names) { $ok = 0 unless remove_tree("$name/$_") }
    return rmdir($name) && $ok;
  }
  return unlink $name;
}

my %do = (
  # offset, limit
  read => sub {
    my ($offset, $limit) = @rest;
    stat($path) or failed("cannot read $shown");
    trouble('invalid', "$shown is a folder") if -d _;
    trouble('invalid', "$shown is no regular file") unless -f _;
    # It may be another file by now: opening a FIFO this way does not wait, and what was opened is looked at again.
    sysopen(my $file, $path, $RDONLY | $NONBLOCK) or failed("cannot read $shown");
    stat $file;
    trouble('invalid', "$shown is no regular file") unless -f _;
    trouble('too_large', "$shown is larger than $limit bytes") if (-s _) - $offset > $limit;
    sysseek($file, $offset, 0);
    my $sent = 0;
    # Some files say they are empty and are not; others grow.
    while (1) {
      my $n = sysread($file, my $data, 65_536);
      failed("cannot read $shown") unless defined $n;
      last unless $n;
      $sent += $n;
      trouble('too_large', "$shown is larger than $limit bytes") if $sent > $limit;
      put($data);
    }
  },

  # length, mode or ''; the bytes on stdin
  write => sub {
    my ($length, $mode) = @rest;
    trouble('invalid', "$shown names a folder") if $path =~ m{(^|/)\.{0,2}/*$}s;
    make_folder(parent_of($path));
    my $target = behind_links($path);
    if (stat $target) {
      trouble('invalid', "$shown is a folder") if -d _;
      trouble('invalid', "$shown is no regular file") unless -f _;
      $mode = (stat _)[2] & 0777 if $mode eq '';
    }
    my $folder = parent_of($target);
    make_folder($folder);
    my $temporary = $folder . '.steward-' . fresh();
    sysopen(my $file, $temporary, $WRONLY | $CREAT | $EXCL, 0600) or failed("cannot write $shown");
    my $undo = sub { my $why = $!; unlink $temporary; $! = $why };
    my $got = 0;
    while ($got < $length) {
      my $n = sysread(STDIN, my $data, 65_536);
      # The rest will not come: nothing was written.
      unless ($n) { $undo->(); trouble('unavailable', "$shown was not written: its bytes did not all arrive") }
      $got += $n;
      while (length $data) {
        my $w = syswrite($file, $data);
        unless (defined $w) { $undo->(); failed("cannot write $shown") }
        substr($data, 0, $w, '');
      }
    }
    chmod $mode eq '' ? 0666 & ~umask : $mode, $temporary;
    close $file or do { $undo->(); failed("cannot write $shown") };
    rename $temporary, $target or do { $undo->(); failed("cannot write $shown") };
  },

  # depth, limit; per entry type, size, time, name, each ended by a NUL
  list => sub {
    my ($depth, $limit) = @rest;
    stat($path) or failed("cannot list $shown");
    trouble('invalid', "$shown is no folder") unless -d _;
    my @folders = ([ '', 1 ]);
    my $out = '';
    while (my $folder = shift @folders) {
      my ($inside, $level) = @$folder;
      opendir(my $dir, "$path/$inside") or ($inside eq '' ? failed("cannot list $shown") : next);
      my @names = sort grep { $_ ne '.' && $_ ne '..' } readdir $dir;
      closedir $dir;
      for my $name (@names) {
        my @stat = lstat "$path/$inside$name" or next;
        last if $limit-- <= 0;
        my $type = -l _ ? 'link' : -d _ ? 'folder' : -f _ ? 'file' : 'other';
        $out .= join("\0", $type, $stat[7], $stat[9], "$inside$name") . "\0";
        push @folders, [ "$inside$name/", $level + 1 ] if $type eq 'folder' && $level < $depth;
      }
      put($out);
      $out = '';
      last if $limit <= 0;
    }
  },

  remove => sub {
    lstat($path) or failed("cannot remove $shown");
    $path =~ s{(?<=.)/+$}{}s;
    trouble('invalid', "$shown is not removed") if $path =~ m{(^|/)\.{0,2}$}s;
    remove_tree($path) or failed("cannot remove $shown");
  },

  # the last eight bytes of stdin say that everything before them is to be kept
  unpack => sub {
    my ($seal) = @rest;
    my @made = make_folder($path);
    my $stage = "$path/.steward-" . fresh();
    my $undo = sub { remove_tree($stage); rmdir $_ for @made };
    mkdir $stage, 0700 or failed("cannot write into $shown");
    pipe(my $out, my $in);
    $SIG{PIPE} = 'IGNORE';
    my $tar = fork;
    unless (defined $tar) { my $why = $!; $undo->(); $! = $why; failed('cannot unpack') }
    if (!$tar) {
      open(STDIN, '<&', $out);
      open(STDOUT, '>&', \*STDERR);
      exec 'tar', '-x', '-o', '-f', '-', '-C', $stage;
      exit 127;
    }
    close $out;
    my $held = '';
    while (sysread(STDIN, $held, 65_536, length $held)) {
      next if length $held <= 8;
      my $data = substr($held, 0, length($held) - 8, '');
      while (length $data) { my $n = syswrite($in, $data); last unless defined $n; substr($data, 0, $n, '') }
    }
    close $in;
    waitpid $tar, 0;
    if ($held ne $seal) { $undo->(); trouble('unavailable', 'the archive did not arrive whole') }
    if ($?) { $undo->(); trouble('invalid', 'tar could not unpack the archive') }
    # First a look, then the moves: a clash is found before anything has changed.
    my @moves;
    my $look;
    $look = sub {
      my ($inside) = @_;
      opendir(my $dir, "$stage/$inside") or return;
      my @names = grep { $_ ne '.' && $_ ne '..' } readdir $dir;
      closedir $dir;
      for (@names) {
        my ($from, $to) = ("$stage/$inside$_", "$path/$inside$_");
        my $there = lstat $to;
        my $folder = $there && -d _;
        my $is_folder = !-l $from && -d $from;
        if ($folder && $is_folder) { $look->("$inside$_/"); next }
        if ($there && ($folder || $is_folder)) {
          $undo->();
          trouble('conflict', "$inside$_ is a folder on one side and none on the other");
        }
        push @moves, [ $from, $to ];
      }
    };
    $look->('');
    rename $_->[0], $_->[1] or failed("cannot move $_->[1] to its place") for @moves;
    remove_tree($stage);
  },

  pack => sub {
    stat($path) or failed("cannot read $shown");
    $path = behind_links($path);
    my ($folder, $name) = -d $path ? ($path, '.') : (parent_of($path), './' . ($path =~ m{([^/]+)/*$}s)[0]);
    exec('tar', '-c', '--hard-dereference', '-f', '-', '-C', $folder, '--', $name) or failed('cannot pack');
  },
);

# So that a name with a leading dash, or a link at its end, is what it looks like.
$path = "./$path" unless $path =~ m{^/};
$do{$verb}->();
exit 0;
