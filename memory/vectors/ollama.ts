// Ollama: POST /api/embed; vectors in the order of the texts, errors as `{error}`.
import { prefixesOf } from './prefixes.ts';
import { type Provider, record } from './provider.ts';

export const ollama: Provider = {
  name: 'ollama',
  url: 'http://127.0.0.1:11434',
  model: 'bge-m3',
  // One model, one queue: a question must not wait long behind a batch.
  batch: 8,
  roles: prefixesOf,
  request: (url, { model, texts }) => ({
    url: `${url.replace(/\/api(\/embed)?$/, '')}/api/embed`,
    body: { model, input: [...texts], truncate: true },
  }),
  vectors(answer) {
    const { embeddings } = record(answer);
    if (!Array.isArray(embeddings)) throw new Error('it has no list of vectors');
    return embeddings;
  },
  tokens(answer) {
    const { prompt_eval_count: tokens } = record(answer);
    return typeof tokens === 'number' && tokens > 0 ? Math.floor(tokens) : 0;
  },
  complaint(answer) {
    const { error } = record(answer);
    return typeof error === 'string' ? error : null;
  },
};
