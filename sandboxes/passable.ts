// Folders that the uid of a sandbox may walk through, whatever the umask of this process (it is 077).
import { chmod, mkdir } from 'node:fs/promises';

/** Made with its parents when it is missing. 0711: to pass, not to list. */
export async function makePassable(folder: string, mode = 0o711): Promise<void> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, mode);
}
