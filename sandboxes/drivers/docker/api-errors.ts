// What can go wrong between Steward and the daemon, each with what to do about it.
import { StewardError } from '../../../core/errors.ts';

/** No answer came. */
export function unreachable(error: Error & { code?: string }, op: string, socketPath: string): StewardError {
  const because = (code: 'unavailable' | 'forbidden', text: string, hint: string, retryable = false) =>
    new StewardError(code, text, { op, hint, retryable, cause: error });
  if (error.code === 'ENOENT')
    return because(
      'unavailable',
      `Neither Docker nor Podman was found: there is no socket at ${socketPath}.`,
      'Install Docker and start it (sudo systemctl enable --now docker), or Podman (systemctl --user enable --now podman.socket), or set DOCKER_HOST to its socket.',
    );
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return because(
      'forbidden',
      `The socket ${socketPath} may not be used by this user.`,
      'Use rootless Podman (systemctl --user enable --now podman.socket), or join the group of the socket (sudo usermod -aG docker "$USER", then log in again; that is as good as being root).',
    );
  if (error.code === 'ECONNREFUSED')
    return because(
      'unavailable',
      `Nobody answers at ${socketPath}: the daemon is down.`,
      'Start it: sudo systemctl start docker (or systemctl --user start podman.socket; on a Mac open Docker Desktop).',
      true,
    );
  if (error.code === 'ETIMEDOUT')
    return because(
      'unavailable',
      `The daemon at ${socketPath} does not answer.`,
      'Look at its log, and restart it if it hangs: sudo systemctl restart docker.',
      true,
    );
  return because('unavailable', `Docker could not be asked: ${error.message}.`, 'Look at the log of the daemon.', true);
}

const CODES = { 400: 'invalid', 401: 'forbidden', 403: 'forbidden', 404: 'not_found', 409: 'conflict' } as const;

/** The answer is a no: in the daemon's own words, on one line and not too many. */
export function refused(status: number, text: string, op: string): StewardError {
  let words = text;
  try {
    words = String((JSON.parse(text) as { message?: unknown }).message ?? text);
  } catch {
    // Not JSON: said as it is.
  }
  const said = words.replace(/\s+/g, ' ').slice(0, 500) || `status ${status}`;
  const code = (CODES as Record<number, (typeof CODES)[keyof typeof CODES]>)[status] ?? 'unavailable';
  return new StewardError(code, `Docker could not ${op}: ${said}`, { op, retryable: status >= 500 });
}

export function missingImage(image: string, engine: string, op: string, cause: unknown): StewardError {
  return new StewardError('not_found', `The image ${image} is not there.`, {
    op,
    hint: `Fetch it once: ${engine.toLowerCase()} pull ${image}`,
    cause,
  });
}
