// Where the socket of Docker or Podman is on this machine.
import { StewardError } from '../../../core/errors.ts';

export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  platform: string;
  /** The user's home folder. */
  home: string;
  uid: number | null;
  exists(path: string): boolean;
}

/** In the order they are tried. `DOCKER_HOST` decides alone, as it does for the docker command. Throws bad_config. */
export function socketPlaces({ env, platform, home, uid }: Omit<Surroundings, 'exists'>): string[] {
  const host = env.DOCKER_HOST;
  if (host) {
    const path = /^unix:\/\/(\/.+)$/.exec(host)?.[1];
    if (path) return [path];
    throw new StewardError('bad_config', `DOCKER_HOST is ${host}, which is not a socket of this machine.`, {
      op: 'find Docker',
      hint: 'Sandboxes share folders with Steward, so the daemon has to run beside it: unset DOCKER_HOST or set it to unix:///path/of/the/socket.',
    });
  }
  const runtime = env.XDG_RUNTIME_DIR || (uid ? `/run/user/${uid}` : null);
  const places = ['/var/run/docker.sock'];
  if (runtime) places.push(`${runtime}/docker.sock`, `${runtime}/podman/podman.sock`);
  places.push('/run/podman/podman.sock');
  if (platform === 'darwin')
    places.push(
      `${home}/.docker/run/docker.sock`,
      `${home}/.colima/default/docker.sock`,
      `${home}/.orbstack/run/docker.sock`,
      `${home}/.local/share/containers/podman/machine/podman.sock`,
    );
  return places;
}

/** The first that is there; where none is, the one people expect, so that the error names it. */
export function findSocket(around: Surroundings): string {
  const places = socketPlaces(around);
  return places.find(around.exists) ?? places[0]!;
}
