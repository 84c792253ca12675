// Throw-away sandboxes for tests of what runs in them: bubblewrap by hand, so that no driver is needed; root gives them a uid of their own.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Isolate } from '../../sandboxes/snapshots.ts';

const ROOT_UID = 400_777;
export const isolateUid = process.getuid?.() === 0 ? ROOT_UID : (process.getuid?.() ?? 0);

/** `begun` is told of each process, so that a test can end it. */
export function bareIsolate(begun: (kill: () => void) => void = () => {}): Isolate {
  return (argv, { show, stdin, env }) =>
    new Promise((resolve, reject) => {
      const args = [
        ...['--unshare-all', '--die-with-parent', '--new-session', '--clearenv', '--setenv', 'PATH', '/usr/bin'],
        ...['--ro-bind', '/usr', '/usr', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'],
        ...['bin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]),
        ...Object.entries(env ?? {}).flatMap(([name, value]) => ['--setenv', name, value]),
        ...show.flatMap(({ from, to, write }) => [write ? '--bind' : '--ro-bind', from, to]),
        ...['--cap-drop', 'ALL', '--chdir', '/', '--', ...argv],
      ];
      const child = spawn('bwrap', args, {
        cwd: '/',
        detached: true,
        ...(process.getuid?.() === 0 ? { uid: ROOT_UID, gid: ROOT_UID } : {}),
      });
      // The group: a bwrap that is still setting up has a child that would outlive it.
      begun(() => {
        if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
      });
      const out: Buffer[] = [];
      let complaint = '';
      child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
      child.stderr.on('data', (chunk: Buffer) => {
        complaint += chunk;
      });
      child.stdin.on('error', () => {});
      for (const part of [stdin ?? []].flat()) child.stdin.write(part);
      child.stdin.end();
      child.on('error', reject);
      child.on('close', (code) => resolve({ code: code ?? 137, stdout: Buffer.concat(out), stderr: complaint }));
    });
}

export interface Place {
  /** The service root: the isolated uid may walk through it. */
  root: string;
  /** An empty folder below it that belongs to the isolated uid. */
  folder(): string;
  close(): void;
}

export function makePlace(parent = tmpdir()): Place {
  const root = mkdtempSync(join(parent, 'steward-place-'));
  chmodSync(root, 0o711);
  let made = 0;
  return {
    root,
    folder() {
      let path: string;
      do path = join(root, `folder-${++made}`);
      while (existsSync(path));
      mkdirSync(path, { mode: 0o700 });
      if (process.getuid?.() === 0) chownSync(path, ROOT_UID, ROOT_UID);
      return path;
    },
    close() {
      // What a program that was killed while it started one left behind: its arguments name this place.
      for (const pid of readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .map(Number))
        if (pid !== process.pid && argumentsOf(pid).includes(`${root}/`)) process.kill(pid, 'SIGKILL');
      // Folders that were closed on purpose.
      execFileSync('chmod', ['-R', 'u+rwX', root]);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function argumentsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}
