// What in a change the person who approves it should look at first: secrets, ways to run elsewhere, sizes, links out of the tree. Pure.
import { hasKey, hasRandom } from '../../core/secret-shapes.ts';
import type { Finding } from '../tasks/delivery.ts';
import type { AddedLine, ChangedFile } from './change.ts';

export interface ScanInput {
  files: readonly ChangedFile[];
  /** Of every commit that would leave, not of the end alone: what was added and removed again leaves, too. */
  added: readonly AddedLine[];
  /** Of those commits. */
  messages: string;
  /** Not all lines could be read. */
  cut: boolean;
}

const FILES = 300;
const LINES = 5_000;
const BLOB_BYTES = 5 * 1024 * 1024;
const LINE_CHARS = 20_000;
/** Of one kind; the rest is counted. */
const SHOWN = 5;

const LOCKS =
  /(?:^|\/)(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?|Cargo\.lock|poetry\.lock|uv\.lock|Pipfile\.lock|composer\.lock|Gemfile\.lock|go\.sum|flake\.lock|mix\.lock|gradle\.lockfile|packages\.lock\.json)$/i;
const CI =
  /^(?:\.github\/(?:workflows|actions)\/|\.gitlab-ci|\.gitlab\/|\.circleci\/|\.buildkite\/|\.forgejo\/|\.gitea\/|\.woodpecker|\.drone\.ya?ml$|\.travis\.ya?ml$|azure-pipelines|bitbucket-pipelines|appveyor\.ya?ml$|cloudbuild\.ya?ml$|\.teamcity\/)|(?:^|\/)(?:Jenkinsfile|action\.ya?ml)$/i;
const OWNERS = /(?:^|\/)CODEOWNERS$|^\.github\/(?:dependabot|renovate|settings)\b/i;
const HOOKS =
  /(?:^|\/)(?:\.husky|\.githooks|\.git-hooks|git-hooks)\/|(?:^|\/)(?:\.pre-commit-config\.yaml|\.?lefthook(?:-local)?\.ya?ml|\.gitattributes|\.gitmodules|\.lfsconfig|\.envrc|\.npmrc|\.yarnrc(?:\.yml)?|\.pnpmfile\.cjs|\.pypirc|sitecustomize\.py|\.vscode\/(?:tasks|settings|launch)\.json|\.devcontainer\/.*|\.devcontainer\.json)$/i;
const PRIVATE =
  /(?:^|\/)(?:\.env(?:\.(?!example$|sample$|template$|dist$|defaults?$)[^/]+)?|\.netrc|_netrc|\.git-credentials|\.htpasswd|id_(?:rsa|dsa|ecdsa|ed25519)|[^/]+\.(?:pem|key|p12|pfx|jks|keystore|kdbx|ovpn|tfstate)|credentials\.json|service-account[^/]*\.json|\.aws\/credentials|\.docker\/config\.json|\.kube\/config)$/i;

/** A literal given to a name that says what it is; a reference to where it comes from is not one. */
const ASSIGNED =
  /(?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)s?["'`]?\s{0,4}(?::|=|=>|:=)\s{0,4}["'`]([^"'`\s]{8,200})["'`]/gi;
const PLACEHOLDER = /^(?:[<${[%].*|x+|\*+|\.+|.*(?:example|placeholder|change.?me|your[_-]|dummy|redacted|\.\.\.).*)$/i;

function hasAssigned(text: string): boolean {
  for (const [, value] of text.matchAll(ASSIGNED))
    if (!PLACEHOLDER.test(value!) && /[0-9]/.test(value!) && /[^0-9.]/.test(value!)) return true;
  return false;
}

/** A line with a secret in it. Names of commits, checksums and ids of lock files are not; those are made by chance as well. */
export const isSecret = (line: string, path: string): boolean => {
  const text = line.slice(0, LINE_CHARS);
  if (hasKey(text) || hasAssigned(text)) return true;
  return !LOCKS.test(path) && !/\b(?:sha(?:1|256|384|512)[-:=]|integrity|data:[a-z]+\/)/i.test(text) && hasRandom(text);
};

/** Whether a link leaves the tree it lies in. */
export function leaves(path: string, target: string): boolean {
  if (target.startsWith('/') || /^[a-z]:|^\\/i.test(target)) return true;
  let depth = path.split('/').length - 1;
  for (const part of target.split('/')) {
    if (part === '..') depth -= 1;
    else if (part !== '' && part !== '.') depth += 1;
    if (depth < 0) return true;
  }
  return target.split('/').some((part) => part.toLowerCase() === '.git');
}

/** The gravest first. */
export function scan({ files, added, messages, cut }: ScanInput): Finding[] {
  const there = files.filter(({ status }) => status !== 'D');
  const paths = new Set(there.map(({ path }) => path));
  const secrets = new Set(added.filter(({ path, text }) => isSecret(text, path)).map(({ path }) => path));

  const found: Finding[] = [
    ...each('secret', [...secrets], (path) =>
      paths.has(path)
        ? `${path} gets what looks like a secret.`
        : `An earlier commit has what looks like a secret, in ${path}.`,
    ),
    ...(messages.split('\n').some((line) => isSecret(line, ''))
      ? [{ kind: 'secret', path: null, text: 'A commit message has what looks like a secret in it.' }]
      : []),
    ...ofPaths('forbidden_path', there, PRIVATE, (path) => `${path} is a kind of file that holds secrets.`),
    ...each(
      'link',
      there.filter(({ path, target }) => target !== undefined && leaves(path, target)).map(({ path }) => path),
      (path) => `${path} is a link that leads out of the repository.`,
    ),
    ...ofPaths('ci', files, CI, (path) => `${path} decides what runs on the build machines.`),
    ...ofPaths('ci', files, OWNERS, (path) => `${path} decides who reviews, or what bots may do.`),
    ...ofPaths('hook', files, HOOKS, (path) => `${path} can make programs run on the machines of others.`),
    ...each(
      'submodule',
      files.filter(({ mode }) => mode === '160000').map(({ path }) => path),
      (path) => `${path} points to another repository.`,
    ),
    ...ofPaths('lockfile', files, LOCKS, (path) => `${path} changes which packages are installed.`),
    ...each(
      'binary',
      there.filter(({ binary }) => binary).map(({ path }) => path),
      (path) => `${path} is binary: its content was not looked at.`,
    ),
    ...each(
      'size',
      there.filter(({ bytes }) => bytes > BLOB_BYTES).map(({ path }) => path),
      (path) => `${path} is larger than ${BLOB_BYTES / 1024 / 1024} MB.`,
    ),
  ];
  const lines = files.reduce((sum, { insertions, deletions }) => sum + insertions + deletions, 0);
  if (files.length > FILES || lines > LINES)
    found.push({ kind: 'size', path: null, text: `The change is large: ${files.length} files, ${lines} lines.` });
  if (cut) found.push({ kind: 'size', path: null, text: 'The change is too large: not every line was looked at.' });
  return found;
}

const ofPaths = (
  kind: string,
  files: readonly ChangedFile[],
  pattern: RegExp,
  say: (path: string) => string,
): Finding[] =>
  each(
    kind,
    files.filter(({ path }) => pattern.test(path)).map(({ path }) => path),
    say,
  );

function each(kind: string, paths: readonly string[], say: (path: string) => string): Finding[] {
  const shown = paths.slice(0, SHOWN).map((path) => ({ kind, path, text: say(path) }));
  const more = paths.length - shown.length;
  return more > 0 ? [...shown, { kind, path: null, text: `… and ${more} more of this kind (${kind}).` }] : shown;
}
