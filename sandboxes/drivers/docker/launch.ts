// Starts a container and talks to the runner in it; says in words that help why one did not start.
import type { Duplex } from 'node:stream';
import { StewardError } from '../../../core/errors.ts';
import type { Log } from '../../../core/log.ts';
import type { Millis } from '../../../core/types.ts';
import type { Mount, SandboxSpec } from '../../driver.ts';
import { connectRunner, type Runner } from '../../runner/client.ts';
import type { Api } from './api.ts';
import type { ContainerRow } from './api-answers.ts';
import type { Surveyed } from './ground.ts';
import { containerBody, type Folders } from './spec.ts';

/** Debian with what agents' work needs: git, Perl (which the runner is written in), Python, a compiler, Node and npm; amd64 and arm64. */
export const DEFAULT_IMAGE = 'docker.io/library/node:24-bookworm';

export interface Launched {
  container: string;
  runner: Runner;
  /** The last line its first program wrote to stderr; empty when it wrote none. */
  words(): string;
}

const KEPT_WORDS = 2_000;

/** Leaves no container when it fails. */
export async function launch(
  api: Api,
  input: {
    name: string;
    spec: SandboxSpec;
    folders: Folders;
    ground: Surveyed;
    createdAt: Millis;
    mounts: readonly Mount[] | undefined;
    now(): Millis;
    log: Log | undefined;
  },
): Promise<Launched> {
  const { ground, log } = input;
  const body = containerBody(input.spec, input.folders, ground, input.createdAt, input.mounts);
  const container = await api.create(input.name, body).catch((error: unknown) => {
    throw explained(error, '', ground.image);
  });
  let said = '';
  const words = () => said.trim().split('\n').pop() ?? '';
  let stream: Duplex | null = null;
  try {
    stream = await api.attach(container, (data) => {
      said = (said + data.toString('latin1')).slice(-KEPT_WORDS);
    });
    const connecting = connectRunner(stream, { now: input.now });
    // Looked at only after the start, which may fail first.
    connecting.catch(() => {});
    await api.start(container);
    return { container, runner: await connecting, words };
  } catch (error) {
    stream?.destroy();
    await api
      .remove(container)
      .catch((left) => log?.error({ error: left, container }, 'a container that did not start is left'));
    throw explained(error, words(), ground.image);
  }
}

export async function removeContainers(api: Api, rows: readonly ContainerRow[]): Promise<void> {
  await Promise.all(
    rows.map(async ({ Id: container, State: state }) => {
      // Frozen processes of the first cgroups do not die of SIGKILL.
      if (state === 'paused') await api.resume(container).catch(() => {});
      await api.remove(container);
    }),
  );
}

export function explained(error: unknown, words: string, image: string): unknown {
  if (!(error instanceof StewardError)) return error;
  const op = 'start a sandbox';
  if (/perl/.test(error.message) && /not found|no such file/i.test(error.message))
    return new StewardError(
      'unavailable',
      `The image ${image} has no Perl, which the program inside a sandbox needs.`,
      {
        op,
        hint: `Use an image made from Debian or Ubuntu, such as ${DEFAULT_IMAGE}.`,
        cause: error,
      },
    );
  if (/bind source path does not exist|statfs .*no such file/i.test(error.message))
    return new StewardError('unavailable', `The daemon does not see the folders of this machine: ${error.message}`, {
      op,
      hint: 'Run Docker or Podman beside Steward; in a virtual machine (macOS), share the folder of STEWARD_HOME with it.',
      cause: error,
    });
  if (words === '') return error;
  return new StewardError('unavailable', `The sandbox did not start: ${words}`, { op, cause: error });
}
