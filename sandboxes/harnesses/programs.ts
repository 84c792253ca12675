// The programs of harnesses: which versions, installed from the npm registry, checked against hashes that stand here.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { StewardError } from '../../core/errors.ts';
import type { HarnessProgram } from '../../core/harness.ts';
import type { Mount } from '../driver.ts';
import { makePassable } from '../passable.ts';
import { openRoot } from '../root.ts';

export type ProgramName = 'claude-code' | 'codex' | 'opencode';

interface Pin {
  version: string;
  /** Of the program inside the package. */
  bin: string;
  /** By architecture as Node names it: the package and the hash of its tarball as the registry published it. */
  packages: Partial<Record<string, { spec: string; integrity: string }>>;
}

/** Recorded from registry.npmjs.org on 2026-12-01. A new version is a new hash here, never a wider range. */
const PINS: Record<ProgramName, Pin> = {
  'claude-code': {
    version: '2.1.197',
    bin: 'claude',
    packages: {
      x64: {
        spec: '@anthropic-ai/claude-code-linux-x64@2.1.197',
        integrity: 'sha512-rIlKmrY0QMyHgPRX/MYWNj039vbypICvI9jVe3rs9Xy2RnNklySjyPxqh62QadznzoftEO23uYQ1tFePcQ//bg==',
      },
      arm64: {
        spec: '@anthropic-ai/claude-code-linux-arm64@2.1.197',
        integrity: 'sha512-sx6SoGj3MNR5CV+YDkNtbLHXa1tn3G8qcYFgm1gnvOi9ODQUKbhiPfankJfkTMDVekOvnKJhm6i9hGFIPzp7cQ==',
      },
    },
  },
  codex: {
    version: '0.169.0',
    bin: 'vendor/x86_64-unknown-linux-musl/bin/codex',
    packages: {
      x64: {
        spec: '@openai/codex@0.169.0-linux-x64',
        integrity: 'sha512-o05NyAOCDygSPRo1yinzxvkRSdmsZyBD9E7mbpmjRanSfM8lypqWtQgEo4XfNkwhuCR2aFu8mlGOsQGFXVbVww==',
      },
    },
  },
  opencode: {
    version: '1.18.33',
    bin: 'bin/opencode',
    packages: {
      x64: {
        spec: 'opencode-linux-x64-baseline@1.18.33',
        integrity: 'sha512-1KQGBiiDDeL/VHHbHkOvvFo8Jr97WT5+C1tear+p7IcDTnXgVHXqIjU4O4jM4mHQzykTP2i884FCnW5LDa+zCA==',
      },
    },
  },
};
export const PROGRAM_NAMES = Object.keys(PINS) as ProgramName[];

/** Where all of them are inside every sandbox, whichever are installed, now or later. */
export const SHELF = '/opt/harnesses';
/** Says that a folder is whole, and of which package. */
const MARK = 'steward.json';
/** Hundreds of megabytes over a slow line. */
const DOWNLOAD_MS = 30 * 60_000;

export interface Programs {
  installed(name: ProgramName): boolean;
  /** The path of the program inside a sandbox. */
  bin(name: ProgramName): string;
  /** What each sandbox is shown. */
  shelf(): Promise<readonly Mount[]>;
  list(): Promise<HarnessProgram[]>;
  /** Installs the pinned version, or finds it whole. Throws StewardError. */
  install(name: string, say?: (line: string) => void): Promise<HarnessProgram>;
}

/** Of the Steward that has this data folder. */
export const programsOf = (home: string, env: NodeJS.ProcessEnv): Programs =>
  createPrograms(openRoot(home, process.getuid?.() ?? 1), { env });

async function hashOf(path: string, algorithm: 'sha256' | 'sha512'): Promise<Buffer> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest();
}

/** `root`: the folder of sandboxes. `pins` and `arch` are the ones of this version and machine. */
export function createPrograms(
  root: string,
  options: { env?: NodeJS.ProcessEnv; arch?: string; pins?: Partial<Record<ProgramName, Pin>> } = {},
): Programs {
  const { env = {}, arch = process.arch } = options;
  const pins = { ...PINS, ...options.pins };
  const folder = join(root, 'harnesses');
  const named = (name: ProgramName) => `${name}-${pins[name].version}`;
  const placeOf = (name: ProgramName) => join(folder, named(name));

  const failed = (message: string, hint: string, cause?: unknown): StewardError =>
    new StewardError('unavailable', message, { op: 'install a harness', hint, cause });

  /** Of the program file, as it was when the package had been checked. */
  const markOf = async (name: ProgramName): Promise<{ sha256: string; integrity: string } | null> => {
    try {
      return JSON.parse(await readFile(join(placeOf(name), MARK), 'utf8'));
    } catch {
      return null;
    }
  };
  const look = async (name: ProgramName): Promise<HarnessProgram> => {
    const { version, bin, packages } = pins[name];
    const mark = await markOf(name);
    const base = { name, version, folder: placeOf(name) };
    if (!packages[arch]) return { ...base, state: 'unavailable', detail: `There is none for ${arch}.` };
    if (!mark) return { ...base, state: 'missing', detail: 'not installed' };
    const file = join(placeOf(name), bin);
    const same = existsSync(file) && (await hashOf(file, 'sha256')).toString('hex') === mark.sha256;
    if (!same || mark.integrity !== packages[arch].integrity)
      return { ...base, state: 'damaged', detail: 'its program is not the one that was installed' };
    const megabytes = Math.round((await stat(file)).size / 1_000_000);
    return { ...base, state: 'installed', detail: `${version}, ${megabytes} MB` };
  };

  const download = async (name: ProgramName, say: (line: string) => void): Promise<void> => {
    const { bin, packages } = pins[name];
    const { spec, integrity } = packages[arch]!;
    await makePassable(root);
    await makePassable(folder);
    const work = join(folder, `.new-${named(name)}-${process.pid}`);
    await rm(work, { recursive: true, force: true });
    await mkdir(join(work, 'npm'), { recursive: true });
    try {
      say(`Downloading ${spec} from the npm registry.`);
      // Fetched, not installed: nothing of the package runs on this machine.
      const flags = ['--ignore-scripts', '--pack-destination', work, '--cache', join(work, 'npm'), '--silent'];
      const packed = await execa('npm', ['pack', spec, ...flags], {
        cwd: work,
        env,
        reject: false,
        timeout: DOWNLOAD_MS,
      });
      if (packed.code === 'ENOENT') throw failed('npm is not there.', 'Install Node with npm.');
      const file = (await readdir(work)).find((entry) => entry.endsWith('.tgz'));
      if (packed.exitCode !== 0 || !file)
        throw failed(
          `${spec} could not be fetched: ${packed.stderr.trim().split('\n').at(-1) || packed.shortMessage}`,
          'Is the npm registry reachable from here? `npm ping` says more. Then try again.',
        );
      const seen = `sha512-${(await hashOf(join(work, file), 'sha512')).toString('base64')}`;
      if (seen !== integrity)
        throw failed(
          `${spec} is not the package this version of Steward knows: its hash is ${seen}.`,
          'Nothing was installed. Look at who serves your npm registry.',
        );
      const inside = join(work, 'package');
      await mkdir(inside);
      await execa('tar', ['-xzf', join(work, file), '--no-same-owner', '-C', inside, '--strip-components', '1']);
      const sha256 = (await hashOf(join(inside, bin), 'sha256')).toString('hex');
      await chmod(join(inside, bin), 0o755);
      await writeFile(join(inside, MARK), JSON.stringify({ spec, integrity, sha256 }));
      // Whatever uid a sandbox has, it has to read them; our umask is 077.
      await execa('chmod', ['-R', 'a+rX,go-w', inside]);
      await rm(placeOf(name), { recursive: true, force: true });
      await rename(inside, placeOf(name));
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  };

  const programs: Programs = {
    installed: (name) => existsSync(join(placeOf(name), MARK)),
    bin: (name) => `${SHELF}/${named(name)}/${pins[name].bin}`,
    async shelf() {
      await makePassable(root);
      await makePassable(folder);
      return [{ from: folder, to: SHELF }];
    },
    list: () => Promise.all(PROGRAM_NAMES.map(look)),
    async install(wanted, say = () => {}) {
      const name = PROGRAM_NAMES.find((one) => one === wanted);
      if (!name)
        throw new StewardError('invalid', `There is no harness ${JSON.stringify(wanted)} to install.`, {
          op: 'install a harness',
          hint: `There are: ${PROGRAM_NAMES.join(', ')}.`,
        });
      const before = await look(name);
      if (before.state === 'installed') return before;
      if (before.state === 'unavailable') throw failed(before.detail, 'Use another harness.');
      await download(name, say);
      const after = await look(name);
      if (after.state !== 'installed') throw failed(`${name} was installed and is not whole.`, 'Try again.');
      return after;
    },
  };
  return programs;
}
