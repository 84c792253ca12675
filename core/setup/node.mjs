// The one Node that runs Steward, and running something with it. Plain JavaScript: works before anything is installed.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const projectRoot = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');

/** Runs TypeScript as it is and is what better-sqlite3 is built for. */
const oldestNode = 24;

/** Ends a setup script with one sentence and an exit code; never a stack. */
export class SetupError extends Error {
  constructor(message, exitCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The pinned Node of the installed packages, else the running one if it is new enough, else a SetupError (78). */
export function pinnedNode({ root = projectRoot, execPath = process.execPath, version = process.versions.node } = {}) {
  const pinned = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
  // Present is not enough: the package of another C library installs and does not run.
  if (existsSync(pinned) && (execPath === pinned || spawnSync(pinned, ['-v']).status === 0)) return pinned;
  if (Number(version.split('.')[0]) >= oldestNode) return execPath;
  throw new SetupError(
    `Steward runs on Node ${oldestNode}; there is no packaged one for ${process.platform}-${process.arch} here, and this Node is ${version}. Install Node ${oldestNode} or newer and try again.`,
    78,
  );
}

/** The environment in which `node`, and the tools of the project, are the pinned ones for every child too. */
export function pinnedEnvironment(node, { root = projectRoot, env = process.env } = {}) {
  return {
    ...env,
    PATH: [dirname(node), join(root, 'node_modules', '.bin'), env.PATH].filter(Boolean).join(delimiter),
  };
}

/**
 * What tests may see: the settings of whoever runs them must not reach them, for a real token would make them talk to
 * the world. Plain text unless a person watches: a log file or a machine reads the rest.
 */
export function testEnvironment({ env = process.env, isTTY = process.stdout.isTTY } = {}) {
  const kept = Object.entries(env).filter(([key]) => !/^(?:STEWARD_(?!TEST_)|ANTHROPIC_|TELEGRAM_|LARK_)/.test(key));
  return { ...Object.fromEntries(kept), ...(isTTY ? {} : { NO_COLOR: '1' }) };
}

/** Runs `script` with the pinned Node as if it had been started itself: same terminal, same signals, same exit code. */
export function reexec(script, args, { root = projectRoot, env = process.env } = {}) {
  const node = pinnedNode({ root });
  const child = spawn(node, [script, ...args], { stdio: 'inherit', env: pinnedEnvironment(node, { root, env }) });
  // Ctrl-C reaches the child by the terminal; a signal sent to this process alone has to be handed on.
  const relay = { SIGINT: () => {}, SIGTERM: () => child.kill('SIGTERM'), SIGHUP: () => child.kill('SIGHUP') };
  for (const [signal, handler] of Object.entries(relay)) process.on(signal, handler);
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new SetupError(`${node} could not be started: ${error.message}`, 1)));
    child.once('exit', (code, signal) => {
      for (const [name, handler] of Object.entries(relay)) process.off(name, handler);
      resolve(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

/** Runs the body of a script: its number is the exit code, a SetupError its sentence. */
export async function runScript(body) {
  try {
    process.exitCode = await body();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exitCode = error.exitCode;
  }
}
