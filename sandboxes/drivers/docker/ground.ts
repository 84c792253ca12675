// What is known of the daemon, its image and this user, looked at before the first sandbox: everything a container is built on.
import { StewardError } from '../../../core/errors.ts';
import { PLACES } from '../../driver.ts';
import { seccompBytes, seccompProgram } from '../bwrap/seccomp.ts';
import { BASE_ENV } from '../common.ts';
import type { Api, EngineVersion } from './api.ts';
import type { EngineInfo } from './api-answers.ts';
import { type Ground, identityOf } from './spec.ts';

export interface Surveyed extends Ground {
  version: EngineVersion;
  info: EngineInfo;
  rootless: boolean;
  /** Of commands: what the image says (PATH, language homes), and ours. */
  env: Record<string, string>;
  filters: Record<'strict' | 'dev', Uint8Array> | null;
  /** False where the daemon has no freezer. */
  pause: boolean;
  /** False where the daemon has no counters. */
  counts: boolean;
}

const ARCHS = { amd64: 'x64', x86_64: 'x64', arm64: 'arm64', aarch64: 'arm64' } as const;
const PRCTL = { x64: 157, arm64: 167 } as const;

export async function survey(
  api: Api,
  choice: { image: string; runtime: string | null; home: string; uid: number; gid: number },
): Promise<Surveyed> {
  const [version, info, image] = await Promise.all([api.version(), api.info(), api.image(choice.image)]);
  if (choice.runtime !== null && info.Runtimes && !(choice.runtime in info.Runtimes) && !choice.runtime.includes('/'))
    throw new StewardError('bad_config', `${version.engine} has no runtime ${choice.runtime}.`, {
      op: 'start a sandbox',
      hint: `It has ${Object.keys(info.Runtimes).join(', ')}. Install it and register it in /etc/docker/daemon.json, or name one of these.`,
    });
  const options = info.SecurityOptions ?? [];
  const rootless = info.Rootless === true || options.some((option) => option.startsWith('name=rootless'));
  // The first cgroups are not given to ordinary users: no limits, no counters, no freezer.
  const grouped = !(rootless && info.CgroupVersion === '1');
  const arch = ARCHS[(image.arch ?? version.arch) as keyof typeof ARCHS] ?? null;
  return {
    image: choice.image,
    runtime: choice.runtime,
    home: choice.home,
    identity: identityOf({ uid: choice.uid, gid: choice.gid, engine: version.engine, rootless }),
    prctl: arch && PRCTL[arch],
    filters: arch && {
      strict: seccompBytes(seccompProgram(arch, 'strict')),
      dev: seccompBytes(seccompProgram(arch, 'dev')),
    },
    selinux: options.some((option) => option.startsWith('name=selinux')),
    version,
    info,
    rootless,
    env: { ...BASE_ENV, ...image.env, HOME: PLACES.home },
    pause: grouped,
    counts: grouped,
  };
}
