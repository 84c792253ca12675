// What registries write into their pages so that the next download comes back to us: tarballs of npm, files of PyPI. Pure.
import type { Pair } from './replacer.ts';

export const NPM = 'https://registry.npmjs.org/';
export const PYPI = 'https://pypi.org/simple/';
export const PYPI_FILES = 'files.pythonhosted.org';

/**
 * Tarball URLs of the upstream, in a packument. npm itself gets those of the public registry and replaces their host by the
 * registry it was told of (`replace-registry-host`), so that a lock file written inside names no door of a sandbox.
 * Other clients take a URL as it is: they get the route.
 */
export function tarballPairs(input: { upstream: string; route: string; userAgent: string }): Pair[] {
  const to = Buffer.from(`"${/^npm\//.test(input.userAgent) ? NPM : input.route}`);
  return [...new Set([input.upstream, NPM])]
    .map((base) => ({ from: Buffer.from(`"${base}`), to }))
    .filter(({ from }) => !from.equals(to));
}

const html = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
const plain = (text: string): string =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');

interface SimplePage {
  files?: { url?: string }[];
}

/** A page of the simple index (PEP 503 or 691) with each link replaced by what `place` makes of the absolute URL; null keeps it. */
export function simplePage(text: string, base: string, json: boolean, place: (url: URL) => string | null): string {
  const move = (link: string): string => {
    if (!URL.canParse(link, base)) return link;
    const url = new URL(link, base);
    return place(url) ?? url.href;
  };
  if (json) {
    const page = JSON.parse(text) as SimplePage;
    for (const file of page.files ?? []) if (typeof file.url === 'string') file.url = move(file.url);
    return JSON.stringify(page);
  }
  return text.replace(
    /(\shref\s*=\s*)(?:"([^"]*)"|'([^']*)')/gi,
    (_, before: string, double?: string, single?: string) => {
      return `${before}"${html(move(plain(double ?? single ?? '')))}"`;
    },
  );
}
