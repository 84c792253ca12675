// Which credential goes with a repository's address: the GitHub token for GitHub, else what the vault holds for that host. Pure.
import type { Secret } from '../../core/vault-secret.ts';
import type { Credential } from './host-git.ts';

export interface GithubSettings {
  token: string | null;
  /** `https://api.github.com`, or `https://HOST/api/v3`. */
  apiUrl: string;
}

/** The host people and git use where the API is at `apiUrl`. */
export function githubHost(apiUrl: string): string {
  const { host } = new URL(apiUrl);
  return host === 'api.github.com' ? 'github.com' : host;
}

/** Owner and name of a repository on that GitHub, or null. Takes what `repositoryOf` returns. */
export function githubRepository(url: string, apiUrl: string): { owner: string; repo: string } | null {
  const [, scpHost, scpPath] = /^(?:[^@/]+@)?([^:/]+):(?!\/\/)(.+)$/.exec(url) ?? [];
  const parsed = scpHost === undefined && URL.canParse(url) ? new URL(url) : null;
  const host = (scpHost ?? (parsed?.protocol === 'ssh:' ? parsed.hostname : parsed?.host) ?? '').toLowerCase();
  const wanted = githubHost(apiUrl);
  if (host !== wanted && host !== wanted.replace(/:\d+$/, '')) return null;
  const path = (scpPath ?? parsed?.pathname ?? '').replace(/^\/+|\/+$/g, '').replace(/\.git$/, '');
  const [, owner, repo] = /^([A-Za-z0-9_.-]+)\/([A-Za-z0-9_.-]+)$/.exec(path) ?? [];
  return owner !== undefined && repo !== undefined ? { owner, repo } : null;
}

const basic = (text: string): string => Buffer.from(text).toString('base64');

function fits(pattern: string, hostname: string, port: string): boolean {
  const [, name = '', wanted] = /^(.*?)(?::(\d+))?$/.exec(pattern) ?? [];
  // `*` is a sandbox's "wherever it may go": nothing for the host to follow.
  if (name === '*' || (wanted !== undefined && wanted !== port)) return false;
  return name.startsWith('*.') ? hostname.endsWith(name.slice(1)) : hostname === name;
}

/** Only over https, or to this machine itself: a password is nothing to send in the open. */
export function credentialFor(url: string, secrets: readonly Secret[], github: GithubSettings): Credential | null {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (!parsed || !isPrivate(parsed)) return null;
  const { origin, hostname } = parsed;
  if (github.token !== null && parsed.host === githubHost(github.apiUrl)) {
    const encoded = basic(`x-access-token:${github.token}`);
    return { origin, header: 'Authorization', value: `Basic ${encoded}`, words: [github.token, encoded] };
  }
  const secret = secretFor(parsed, secrets);
  return secret && { origin, header: secret.header, value: secret.value, words: wordsOf(secret.value, hostname) };
}

/** For the API: the setting, else the password or token that the vault holds for the API's host or for git's. */
export function apiToken(secrets: readonly Secret[], github: GithubSettings): string | null {
  if (github.token !== null) return github.token;
  for (const url of [new URL(github.apiUrl), new URL(`https://${githubHost(github.apiUrl)}`)]) {
    const value = isPrivate(url) ? secretFor(url, secrets)?.value : undefined;
    if (value === undefined) continue;
    const [, scheme = '', rest = ''] = /^(\S+) (.+)$/.exec(value) ?? [];
    if (/^(?:bearer|token)$/i.test(scheme)) return rest;
    if (/^basic$/i.test(scheme)) return passwordOf(rest);
  }
  return null;
}

const isPrivate = ({ protocol, hostname }: URL): boolean =>
  protocol === 'https:' || (protocol === 'http:' && /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname));

function secretFor(url: URL, secrets: readonly Secret[]): Secret | null {
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return (
    secrets.find(
      ({ header, placeholder, hosts }) =>
        header !== '' && placeholder === undefined && hosts.some((pattern) => fits(pattern, url.hostname, port)),
    ) ?? null
  );
}

const passwordOf = (encoded: string): string => {
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  return text.slice(text.indexOf(':') + 1);
};

function wordsOf(value: string, hostname: string): string[] {
  const [, scheme = '', rest = value] = /^(\S+) (.+)$/.exec(value) ?? [];
  const all = [rest, ...(/^basic$/i.test(scheme) ? [passwordOf(rest)] : [])];
  return all.filter((word) => word.length >= 4 && word !== hostname);
}
