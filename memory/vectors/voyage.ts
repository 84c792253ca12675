// Voyage AI: POST /v1/embeddings with `input_type`; its errors are `{detail}`.
import { byIndex, endpoint, type Provider, record, usageTokens } from './provider.ts';

export const voyage: Provider = {
  name: 'voyage',
  url: 'https://api.voyageai.com',
  model: 'voyage-4',
  batch: 32,
  roles: () => 'field',
  request: (url, { model, texts, use }) => ({
    url: endpoint(url, '/v1/embeddings'),
    body: { model, input: [...texts], input_type: use, truncation: true },
  }),
  vectors: byIndex,
  tokens: usageTokens,
  complaint(answer) {
    const { detail } = record(answer);
    return typeof detail === 'string' ? detail : null;
  },
};
