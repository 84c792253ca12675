// Ready-made sets of hosts, by the names an environment or a person can say. Data only.
import type { Rule } from './policy.ts';

export type PresetName = 'offline' | 'registries' | 'git' | 'docs';

const hosts = (...names: string[]): readonly Rule[] => names.map((host) => ({ host }));

/** Repositories as `host/owner/repo`: what is there, nothing else of the host. */
export const repositories = (names: readonly string[]): readonly Rule[] =>
  names.map((name) => {
    const [host = '', ...path] = name.split('/');
    return { host, ports: [443], paths: [`/${path.join('/').replace(/\.git$/, '')}`] };
  });

const registries = hosts(
  // JavaScript
  'registry.npmjs.org',
  'registry.yarnpkg.com',
  'npm.jsr.io',
  'jsr.io',
  'deno.land',
  'nodejs.org',
  // Python
  'pypi.org',
  'files.pythonhosted.org',
  'test.pypi.org',
  'test-files.pythonhosted.org',
  'bootstrap.pypa.io',
  // Rust
  'crates.io',
  'index.crates.io',
  'static.crates.io',
  'static.rust-lang.org',
  // Go
  'proxy.golang.org',
  'sum.golang.org',
  'index.golang.org',
  'go.dev',
  // Ruby
  'rubygems.org',
  'index.rubygems.org',
  'api.rubygems.org',
  // JVM
  'repo.maven.apache.org',
  'repo1.maven.org',
  'plugins.gradle.org',
  'plugins-artifacts.gradle.org',
  'services.gradle.org',
  // PHP, .NET, Dart, Elixir, Haskell, Perl, Swift and Objective-C
  'packagist.org',
  'repo.packagist.org',
  'api.nuget.org',
  'www.nuget.org',
  'pub.dev',
  'repo.hex.pm',
  'hex.pm',
  'builds.hex.pm',
  'hackage.haskell.org',
  'www.cpan.org',
  'cpan.metacpan.org',
  'cdn.cocoapods.org',
  // Distributions
  'deb.debian.org',
  'security.debian.org',
  'archive.ubuntu.com',
  'security.ubuntu.com',
  'ports.ubuntu.com',
  'dl-cdn.alpinelinux.org',
);

/** Where anybody has, or can have, a repository to push to. */
export const CODE_HOSTS: readonly string[] = [
  'github.com',
  'gist.github.com',
  'gitlab.com',
  'codeberg.org',
  'bitbucket.org',
  'git.sr.ht',
  'gitea.com',
];

const git = hosts(
  'github.com',
  'codeload.github.com',
  'raw.githubusercontent.com',
  'objects.githubusercontent.com',
  'release-assets.githubusercontent.com',
  'media.githubusercontent.com',
  'github-cloud.githubusercontent.com',
  'gitlab.com',
  'codeberg.org',
  'bitbucket.org',
  'git.sr.ht',
);

const docs = hosts(
  'developer.mozilla.org',
  'docs.python.org',
  'nodejs.org',
  'docs.npmjs.com',
  'www.typescriptlang.org',
  'doc.rust-lang.org',
  'docs.rs',
  'pkg.go.dev',
  'go.dev',
  'ruby-doc.org',
  'docs.oracle.com',
  'learn.microsoft.com',
  'en.cppreference.com',
  'docs.github.com',
  'docs.gitlab.com',
  'git-scm.com',
  'react.dev',
  'vuejs.org',
  'vite.dev',
  'vitest.dev',
  'sqlite.org',
  'www.postgresql.org',
  '*.readthedocs.io',
  'docs.claude.com',
  'platform.claude.com',
  'modelcontextprotocol.io',
  'www.rfc-editor.org',
);

/** Without a prototype: a host may be called `constructor`. */
export const PRESETS: Readonly<Record<PresetName, readonly Rule[]>> = Object.freeze(
  Object.assign(Object.create(null) as object, { offline: [], registries, git, docs }),
);
