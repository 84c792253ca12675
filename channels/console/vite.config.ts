// Builds the console into dist/: one HTML page, hashed files under /assets, nothing inline, so that a strict CSP holds.
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

/** The remembered theme is applied by the script: without `blocking` a page in the other theme would flash first. */
const renderBlockingScript: Plugin = {
  name: 'render-blocking-script',
  transformIndexHtml: {
    order: 'post',
    handler: (html) => html.replace('<script type="module"', '<script type="module" blocking="render"'),
  },
};

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: '/',
  publicDir: false,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [renderBlockingScript],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    assetsDir: 'assets',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2023',
    cssTarget: ['chrome123', 'firefox121', 'safari17.5'],
    cssCodeSplit: false,
    reportCompressedSize: true,
  },
});
