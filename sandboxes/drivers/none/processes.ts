// Processes of a sandbox without a namespace, as the host's /proc shows them: what they use, and their end.
import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** The kernel's tick (USER_HZ) and page, the same on every Linux of x86-64 and almost every one of arm64. */
const TICK_MICROS = 10_000;
const PAGE_BYTES = 4_096;

/** `runner` counts with what it has reaped, so that processor time does not vanish with a process. */
export async function usageOf(
  runner: number,
  pids: readonly number[],
): Promise<{ cpuMicros: number; rssBytes: number; pids: number }> {
  const stats = await Promise.all([runner, ...pids].map(statOf));
  let [ticks, pages] = [0, 0];
  for (const fields of stats) {
    const [own = 0, system = 0, reapedOwn = 0, reapedSystem = 0] = fields.slice(11, 15).map(Number);
    ticks += own + system + reapedOwn + reapedSystem;
    pages += Number(fields[21] ?? 0);
  }
  const there = stats.slice(1).filter((fields) => fields.length > 0).length;
  return { cpuMicros: ticks * TICK_MICROS, rssBytes: pages * PAGE_BYTES, pids: there };
}

/** What tells a process of a sandbox: its HOME, a working folder below this one, or the session of the runner. */
export interface Marks {
  home: string;
  folder: string;
  session: number | null;
}

/** Kills until nobody is left; what forks meanwhile is found by the next look. */
export async function killMarked(marks: Marks): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const found = await markedProcesses(marks);
    if (found.length === 0) return;
    for (const pid of found) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
    await delay(10);
  }
}

async function markedProcesses({ home, folder, session }: Marks): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const marked = await Promise.all(
    pids.map(async (pid) => {
      const [state, , , sid] = await statOf(pid);
      if (state === undefined || state === 'Z') return false;
      if (session !== null && Number(sid) === session) return true;
      // Nothing to read: not ours.
      const environ = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
      const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
      return `\0${environ}`.includes(`\0HOME=${home}\0`) || `${cwd}/`.startsWith(`${folder}/`);
    }),
  );
  return pids.filter((pid, index) => marked[index] && pid !== process.pid);
}

/** From the state on: the name before it stands in parentheses and may hold anything. Empty when the process is gone. */
async function statOf(pid: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => null);
  return text === null ? [] : text.slice(text.lastIndexOf(')') + 2).split(' ');
}
