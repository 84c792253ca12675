// What a sandbox's environment says so that ordinary programs find the way out: proxy, registries, git, certificates. Pure.
import { BROKER_PORT } from '../driver.ts';
import type { EgressPolicy, RouteName } from './policy.ts';

/** Where the folder of certificates is inside: not below a place that drivers fill themselves. */
export const CERTIFICATES = '/opt/steward-ca';
/** Our authority alone: Node reads its extra certificates at every start, and the whole bundle would cost it 35 ms. */
export const OWN = 'own.pem';
/** Everything the machine trusts, and ours. */
export const BUNDLE = 'bundle.pem';

/** Hosts whose `git@host:` form means the same repository as `https://host/`. */
const GIT_HOSTS = ['github.com', 'gitlab.com', 'codeberg.org', 'bitbucket.org', 'git.sr.ht'];

/** Each pair is `key`, `value` of git's configuration. */
function gitConfig(route: string): [string, string][] {
  return [
    // Whatever the host: on the route a denial can be read, and no certificate is needed.
    [`url.${route}.insteadOf`, 'https://'],
    ...GIT_HOSTS.flatMap((host): [string, string][] => [
      [`url.${route}${host}/.insteadOf`, `git@${host}:`],
      [`url.${route}${host}/.insteadOf`, `ssh://git@${host}/`],
    ]),
  ];
}

export function environment(
  policy: EgressPolicy,
  place = CERTIFICATES,
  port: number = BROKER_PORT,
): Record<string, string> {
  const origin = `http://127.0.0.1:${port}`;
  const local = '127.0.0.1,localhost,::1';
  const bundle = `${place}/${BUNDLE}`;
  const git = gitConfig(`${origin}/git/`);
  return {
    HTTP_PROXY: origin,
    HTTPS_PROXY: origin,
    ALL_PROXY: origin,
    NO_PROXY: local,
    http_proxy: origin,
    https_proxy: origin,
    all_proxy: origin,
    no_proxy: local,
    NODE_USE_ENV_PROXY: '1',
    npm_config_registry: `${origin}/npm/`,
    YARN_NPM_REGISTRY_SERVER: `${origin}/npm`,
    YARN_UNSAFE_HTTP_WHITELIST: '127.0.0.1',
    PIP_INDEX_URL: `${origin}/pip/simple/`,
    PIP_TRUSTED_HOST: '127.0.0.1',
    UV_DEFAULT_INDEX: `${origin}/pip/simple/`,
    SSL_CERT_FILE: bundle,
    CURL_CA_BUNDLE: bundle,
    REQUESTS_CA_BUNDLE: bundle,
    PIP_CERT: bundle,
    GIT_SSL_CAINFO: bundle,
    CARGO_HTTP_CAINFO: bundle,
    AWS_CA_BUNDLE: bundle,
    DENO_CERT: `${place}/${OWN}`,
    NODE_EXTRA_CA_CERTS: `${place}/${OWN}`,
    // There is nobody to ask.
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_COUNT: String(git.length),
    ...Object.fromEntries(
      git.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
    ...modelEnvironment(policy.routes ?? [], port),
  };
}

/** Programs want to see a key; the real one is put on outside. */
export const PLACEHOLDER_KEY = 'added-outside-the-sandbox';

/** How programs find the doors to models that are open. */
export function modelEnvironment(routes: readonly RouteName[], port: number = BROKER_PORT): Record<string, string> {
  const origin = `http://127.0.0.1:${port}`;
  return {
    ...(routes.includes('anthropic') && {
      ANTHROPIC_BASE_URL: `${origin}/anthropic`,
      ANTHROPIC_API_KEY: PLACEHOLDER_KEY,
    }),
    ...(routes.includes('openai') && { OPENAI_BASE_URL: `${origin}/openai`, OPENAI_API_KEY: PLACEHOLDER_KEY }),
  };
}
