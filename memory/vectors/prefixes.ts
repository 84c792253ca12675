// The words each family of models was trained to see before a question and before a text. Pure.
import type { Prefixes } from './provider.ts';

const NONE: Prefixes = { query: '', document: '' };

/** The first that fits the model's name. From the model cards. */
const FAMILIES: readonly [RegExp, Prefixes][] = [
  [/nomic-embed/, { query: 'search_query: ', document: 'search_document: ' }],
  [/embedding-?gemma/, { query: 'task: search result | query: ', document: 'title: none | text: ' }],
  [
    /qwen3-embedding/,
    { query: 'Instruct: Given a question, retrieve what was said that answers it\nQuery: ', document: '' },
  ],
  [/snowflake-arctic-embed-?(?:2|l-v2|m-v2)/, { query: 'query: ', document: '' }],
  [
    /mxbai-embed-large|snowflake-arctic-embed|bge-(?:small|base|large)-en/,
    { query: 'Represent this sentence for searching relevant passages: ', document: '' },
  ],
  [/\be5-(?:small|base|large)|multilingual-e5/, { query: 'query: ', document: 'passage: ' }],
];

export function prefixesOf(model: string): Prefixes {
  const name = model.toLowerCase();
  return FAMILIES.find(([family]) => family.test(name))?.[1] ?? NONE;
}
