// Can the model be reached with the key there is? Asks for the list of models, which costs nothing.
import { type Finding, type Patient, reporter } from './finding.ts';

const found = reporter('model');

/** Milliseconds. */
const patience = 10_000;

export async function modelCheck({ config, fetch }: Patient): Promise<Finding> {
  if (config.models.every((model) => model === 'offline'))
    return found(
      'ok',
      'The offline model: it drives the tools and understands a few phrases. ANTHROPIC_API_KEY or ANTHROPIC_BASE_URL brings a real one.',
    );
  const base = config.anthropicBaseUrl ?? 'https://api.anthropic.com';
  const headers: Record<string, string> = { 'anthropic-version': '2023-06-01' };
  if (config.anthropicApiKey) headers['x-api-key'] = config.anthropicApiKey;
  if (config.anthropicAuthToken) headers.authorization = `Bearer ${config.anthropicAuthToken}`;
  let response: Response;
  try {
    response = await fetch(`${base}/v1/models?limit=1`, { headers, signal: AbortSignal.timeout(patience) });
  } catch (error) {
    const cause = (error as { cause?: unknown }).cause ?? error;
    const fix = config.anthropicBaseUrl
      ? 'Is the server of ANTHROPIC_BASE_URL running?'
      : 'Is this machine online, and may it reach api.anthropic.com?';
    return found('fail', `${base} did not answer (${cause instanceof Error ? cause.message : String(cause)}).`, fix);
  }
  await response.body?.cancel();
  const names = config.models.join(', ');
  if (response.ok) return found('ok', `${base} answers; ${names} will be used.`);
  if (response.status === 401 || response.status === 403)
    return found(
      'fail',
      `${base} refuses the key (${response.status}).`,
      'Mend ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN.',
    );
  // Local servers often have no list of models; that they answer is what matters here.
  if (config.anthropicBaseUrl && [400, 404, 405, 501].includes(response.status))
    return found('ok', `${base} answers, without a list of models; ${names} will be used.`);
  return found(
    'warn',
    `${base} answered ${response.status}.`,
    'Try again later; Steward keeps messages until the model answers.',
  );
}
