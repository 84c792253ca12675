// What happens to the body of an answer on its way: secrets masked, links of registries moved. Most bodies pass untouched.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { mapHeaders } from './headers.ts';
import { createReplacer, editor, masker, type Pair } from './replacer.ts';

export interface Changes {
  /**
   * Masked in every body that is not encoded, and in text that is gzip, deflate, br or zstd. Not looked for: in other
   * encoded bodies, in WebSocket frames, in a secret the host itself writes in another form.
   */
  secrets: readonly string[];
  /** In bodies of JSON. */
  pairs?: readonly Pair[];
  /** For whole pages of HTML or JSON. */
  edit?: (text: string, json: boolean) => string;
}

const DECODERS: Record<string, () => Duplex> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};
const LARGEST_PAGE = 64 * 1024 * 1024;
const TEXT =
  /^(?:text\/|message\/|application\/(?:.*\+)?(?:json|xml|javascript|x-ndjson|x-www-form-urlencoded|graphql)|$)/;

/** Stages to send the body through, and the head that fits what comes out. */
export function changesTo(response: IncomingMessage, changes: Changes): { stages: Duplex[]; headers: string[] } {
  const raw = response.rawHeaders;
  const type = String(response.headers['content-type'] ?? '')
    .split(';', 1)[0]!
    .trim()
    .toLowerCase();
  const encoding = String(response.headers['content-encoding'] ?? 'identity')
    .trim()
    .toLowerCase();
  const stages: Duplex[] = [];
  if (changes.secrets.length > 0 && (encoding === 'identity' || TEXT.test(type))) stages.push(masker(changes.secrets));
  const json = /[/+]json$/.test(type);
  let resized = false;
  if (changes.pairs && changes.pairs.length > 0 && json) {
    stages.push(createReplacer(changes.pairs));
    resized = true;
  }
  if (changes.edit && (json || type === 'text/html')) {
    const { edit } = changes;
    stages.push(editor((text) => edit(text, json), LARGEST_PAGE));
    resized = true;
  }
  if (stages.length === 0) return { stages, headers: [...raw] };
  const decoder = DECODERS[encoding];
  if (encoding !== 'identity' && !decoder) return { stages: [], headers: [...raw] };
  if (decoder) stages.unshift(decoder());
  const gone = new Set([
    ...(decoder ? ['content-encoding', 'content-length', 'content-md5', 'digest', 'accept-ranges'] : []),
    ...(resized ? ['content-length', 'content-md5', 'digest', 'accept-ranges'] : []),
  ]);
  return { stages, headers: mapHeaders(raw, (name, value) => (gone.has(name) ? null : value)) };
}
