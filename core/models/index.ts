// The explicit list of model providers: each name of STEWARD_MODEL with the provider that serves it, watched.
import type { Millis, ModelProvider } from '../types.ts';
import { createAnthropic } from './anthropic.ts';
import { createOffline } from './offline.ts';
import { DEFAULT_TIMINGS, type Timings, watch } from './watchdog.ts';

export interface ModelsOptions {
  /** The failover list, in order. The request names the model; a provider may serve several. */
  models: string[];
  apiKey?: string | undefined;
  authToken?: string | undefined;
  /** The server's address; Anthropic's when not given. */
  baseURL?: string | undefined;
  promptCaching?: boolean;
  timings?: Partial<Timings>;
  fetch?: typeof fetch;
  now?: () => Millis;
}

export interface Models {
  list: { name: string; provider: ModelProvider }[];
  /** A model outside the list, as an agent may name one. */
  named(name: string): { name: string; provider: ModelProvider };
}

export function createModels(options: ModelsOptions): Models {
  const timings = { ...DEFAULT_TIMINGS, ...options.timings };
  const offline = watch(createOffline(), timings);
  const anthropic = watch(createAnthropic({ ...options, timings }), timings);
  const named = (name: string) => ({ name, provider: name === 'offline' ? offline : anthropic });
  return { list: options.models.map(named), named };
}
