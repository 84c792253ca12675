// OpenAI and every server that speaks its /v1/embeddings (LM Studio, llama.cpp, vLLM, LiteLLM, …).
import { prefixesOf } from './prefixes.ts';
import { byIndex, endpoint, type Provider, record, usageTokens } from './provider.ts';

export const openai: Provider = {
  name: 'openai',
  url: 'https://api.openai.com',
  model: 'text-embedding-3-small',
  batch: 32,
  roles: prefixesOf,
  request: (url, { model, texts }) => ({
    url: endpoint(url, '/v1/embeddings'),
    body: { model, input: [...texts], encoding_format: 'float' },
  }),
  vectors: byIndex,
  tokens: usageTokens,
  complaint(answer) {
    const { error, message } = record(answer);
    if (typeof error === 'string') return error;
    const said = record(error).message ?? message;
    return typeof said === 'string' ? said : null;
  },
};
