// The setup scripts as TypeScript sees them: they are plain JavaScript, so their shapes are said here.
import { pathToFileURL } from 'node:url';
import { projectRoot } from '../../../../core/cli/pm2.ts';

type Env = Record<string, string | undefined>;

interface Modules {
  install: { ensureInstalled(options: { root: string; log(line: string): void; env?: Env }): boolean };
  node: {
    pinnedNode(options: { root: string; execPath?: string; version?: string }): string;
    testEnvironment(options: { env: Env; isTTY: boolean }): Env;
  };
  console: { ensureConsole(options: { root: string; log(line: string): void }): boolean };
  'system-packages': {
    ensureSystemPackages(names: string[], options: { env: Env; log(line: string): void; isRoot: boolean }): string[];
  };
}

export function setupFile(name: string): string {
  return `${projectRoot}/core/setup/${name}.mjs`;
}

export async function setupModule<N extends keyof Modules>(name: N): Promise<Modules[N]> {
  return (await import(pathToFileURL(setupFile(name)).href)) as Modules[N];
}
