// Where a process and all below it stand, for whoever has to find out why nothing goes on. As root with the kernel's own stacks.
import { readdirSync, readFileSync } from 'node:fs';
import { treeOf } from '../../sandboxes/drivers/bwrap/procfs.ts';

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
};

const tasksOf = (pid: number): string[] => {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
};

/** One line for each thread: state, what it waits for in the kernel, its group; and of the process its command. */
export function standstill(pid = process.pid, most = 200): string {
  const lines = treeOf(pid, most).flatMap((each) => {
    const command = read(`/proc/${each}/cmdline`).slice(0, 160) || read(`/proc/${each}/comm`);
    const groups = read(`/proc/${each}/cgroup`)
      .split('\n')
      .filter((line) => line.includes('steward'))
      .map((line) => line.split(':').slice(1).join(':'))
      .join(' ');
    const threads = tasksOf(each).map((task) => {
      const at = `/proc/${each}/task/${task}`;
      const state = /^State:\s*(\S+)/m.exec(read(`${at}/status`))?.[1] ?? '?';
      const stack = read(`${at}/stack`)
        .split('\n')
        .map((line) => line.replace(/^\[<0>\] /, '').replace(/\+.*$/, ''))
        .slice(0, 7)
        .join(' < ');
      return `    ${task} ${state} ${stack || read(`${at}/wchan`)}`;
    });
    return [`  ${each} ${command} ${groups}`, ...threads];
  });
  return lines.join('\n');
}
