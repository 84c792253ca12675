// What a sandbox uses: from the daemon's counters, or, where it keeps none, counted inside.
import type { Stats } from '../../driver.ts';
import type { ContainerStats } from './api-answers.ts';
import type { Exec } from './inside.ts';

export type Usage = Pick<Stats, 'cpuMicros' | 'rssBytes' | 'pids'>;

export function usageOf({ cpu_stats, memory_stats: memory, pids_stats }: ContainerStats): Usage {
  // Files that are only cached are given back when memory is short.
  const cached = memory?.stats?.inactive_file ?? memory?.stats?.total_inactive_file ?? 0;
  return {
    cpuMicros: Math.round(cpu_stats.cpu_usage.total_usage / 1_000),
    rssBytes: Math.max(0, (memory?.usage ?? 0) - cached),
    pids: pids_stats?.current ?? 0,
  };
}

/** Times of the dead are with the parent that waited for them. */
const COUNT = `
  sub text { open(my $f, '<', $_[0]) or return ''; local $/; <$f> }
  my ($ticks, $rss, $pids) = (0, 0, 0);
  for my $pid (grep { /^\\d+$/ && $_ != $$ } do { opendir(my $d, '/proc'); readdir $d }) {
    my @stat = split ' ', (text("/proc/$pid/stat") =~ /.*\\) (.*)/s)[0];
    next unless @stat;
    $ticks += $stat[$_] for 11 .. 14;
    $rss += $1 if text("/proc/$pid/status") =~ /^VmRSS:\\s+(\\d+)/m;
    $pids++;
  }
  print "$ticks $rss $pids";`;
const MICROS_PER_TICK = 10_000;

/** For a rootless daemon on the first cgroups. */
export async function countInside(exec: Exec): Promise<Usage> {
  let text = '';
  for await (const event of exec(['perl', '-e', COUNT], { cwd: '/', timeoutMs: 10_000 }))
    if (event.type === 'stdout') text += Buffer.from(event.data).toString();
  const [ticks = 0, kilobytes = 0, pids = 0] = text.split(' ').map(Number);
  return { cpuMicros: ticks * MICROS_PER_TICK, rssBytes: kilobytes * 1024, pids };
}
