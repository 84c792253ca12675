// What a credential may be, as it comes in: the shapes of the Managed Agents API and two of our own, each field checked.
import { isIPv4 } from 'node:net';
import { z } from 'zod';

// ---------------------------------------------------------------- pieces

const HOSTS = 16;
const SECRET_CHARS = 16_384;

const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/** A bare host name, an IPv4 address, or `*.` before a name. Pure. */
export function isHostPattern(text: string): boolean {
  if (isIPv4(text)) return true;
  const labels = text.replace(/^\*\./, '').split('.');
  // A last label of digits is an address in disguise (127.1, 0x7f.1), which resolvers read in many ways.
  return text.length <= 253 && labels.every((part) => label.test(part)) && !/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1)!);
}

const host = z
  .string()
  .transform((text) => text.toLowerCase())
  .refine(isHostPattern, 'must be a bare host name, an IPv4 address or *.example.com: no scheme, port or path');
const hosts = z
  .array(host)
  .min(1, 'must name at least one host')
  .max(HOSTS, `must be at most ${HOSTS} hosts`)
  .transform((list) => [...new Set(list)]);

const nonEmpty = z.string().min(1, 'must not be empty').max(SECRET_CHARS, `must be at most ${SECRET_CHARS} characters`);
/** Goes into a header as it is: no line break that could end it, no space at the ends that would be lost. */
const headerSecret = nonEmpty.regex(
  /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/,
  'must be one line of plain characters without spaces around it',
);
const isLine = (text: string) => text.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(text);
/** Travels encoded, so any character will do. */
const lineSecret = nonEmpty.refine(isLine, 'must be one line of text');

const serverUrl = z
  .string()
  .max(2_048)
  .refine((text) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    return url !== null && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.hash;
  }, 'must be an http or https URL without a user name, password or fragment');

const time = z.iso.datetime({ offset: true, error: 'must be a time as in RFC 3339' });

/** What frames a message or belongs to the connection is not a credential's to set. */
const FRAMING =
  /^(host|content-length|content-encoding|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|proxy-.*)$/i;
const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/, 'must be a header name such as Authorization or x-api-key')
  .refine((name) => !FRAMING.test(name), 'must not be a header that frames the message');
const prefix = z
  .string()
  .max(64)
  .regex(/^[\x20-\x7e]*$/, 'must be plain characters on one line');
const username = z
  .string()
  .min(1, 'must not be empty')
  .max(255)
  .refine((name) => !name.includes(':') && isLine(name), 'must be one line without a colon');

/** Variables that sandboxes are started with; a placeholder in them would break the sandbox. */
const TAKEN =
  /^(PATH|HOME|LANG|TERM|SHELL|USER|PWD|IFS|LD_\w*|STEWARD_\w*|\w*_PROXY|GIT_CONFIG_\w*|SSL_CERT_\w*|NODE_EXTRA_CA_CERTS|NODE_OPTIONS)$/i;
const variable = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'must be the name of an environment variable: letters, digits and _')
  .refine((name) => !TAKEN.test(name), 'is a variable that sandboxes need for themselves');

const networking = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('unrestricted') }),
  z.strictObject({ type: z.literal('limited'), allowed_hosts: hosts }),
]);
/** The broker reads heads and lets bodies pass: a secret can only take the place of its placeholder in a header. */
const location = z
  .strictObject({ header: z.boolean().optional(), body: z.boolean().optional() })
  .refine(
    ({ header, body }) => header !== false && body !== true,
    'must be the header: secrets are not put into bodies here',
  );
const fixed = z.never({ error: 'cannot be changed; add a new credential instead' }).optional();

export type Networking = z.output<typeof networking>;

// ---------------------------------------------------------------- what comes in

const endpointAuth = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  z.strictObject({ type: z.literal('client_secret_basic'), client_secret: lineSecret }),
  z.strictObject({ type: z.literal('client_secret_post'), client_secret: lineSecret }),
]);
const refreshParams = z.strictObject({
  client_id: z.string().min(1).max(2_048),
  refresh_token: lineSecret,
  token_endpoint: serverUrl,
  token_endpoint_auth: endpointAuth,
  resource: z.string().max(2_048).nullish(),
  scope: z.string().max(2_048).nullish(),
});

/** The `auth` of a new credential. `header` and `basic` are Steward's own; the rest is the Managed Agents API's. */
export const authParams = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('static_bearer'), mcp_server_url: serverUrl, token: headerSecret }),
  z.strictObject({
    type: z.literal('environment_variable'),
    secret_name: variable,
    secret_value: headerSecret,
    networking,
    injection_location: location.optional(),
  }),
  z.strictObject({
    type: z.literal('mcp_oauth'),
    mcp_server_url: serverUrl,
    access_token: headerSecret,
    expires_at: time.nullish(),
    refresh: refreshParams.nullish(),
  }),
  z.strictObject({
    type: z.literal('header'),
    hosts,
    header: headerName,
    prefix: prefix.optional(),
    value: headerSecret,
  }),
  z.strictObject({ type: z.literal('basic'), hosts, username, password: lineSecret }),
]);
export type AuthParams = z.output<typeof authParams>;

const refreshChange = z.strictObject({
  refresh_token: lineSecret.nullish(),
  scope: z.string().max(2_048).nullish(),
  token_endpoint_auth: z
    .strictObject({
      type: z.enum(['client_secret_basic', 'client_secret_post']),
      client_secret: lineSecret.nullish(),
    })
    .optional(),
});

/** The `auth` of an update: what is left out, or null, stays. */
export const authChange = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('static_bearer'), mcp_server_url: fixed, token: headerSecret.nullish() }),
  z.strictObject({
    type: z.literal('environment_variable'),
    secret_name: fixed,
    secret_value: headerSecret.nullish(),
    networking: networking.nullish(),
    injection_location: location.nullish(),
  }),
  z.strictObject({
    type: z.literal('mcp_oauth'),
    mcp_server_url: fixed,
    access_token: headerSecret.nullish(),
    expires_at: time.nullish(),
    refresh: refreshChange.nullish(),
  }),
  z.strictObject({
    type: z.literal('header'),
    hosts: hosts.nullish(),
    header: headerName.nullish(),
    prefix: prefix.nullish(),
    value: headerSecret.nullish(),
  }),
  z.strictObject({
    type: z.literal('basic'),
    hosts: hosts.nullish(),
    username: username.nullish(),
    password: lineSecret.nullish(),
  }),
]);
export type AuthChange = z.output<typeof authChange>;
