// What an answer to an outbound webhook means, and how long Retry-After may ask to wait. The example of Standard Webhooks holds.
import { describe, expect, it } from 'vitest';
import { outcomeOf, retryAfterMs, signedHeaders } from '../../../channels/webhook.ts';

const NOW = 1_796_083_200_000;
const answer = (status: number, retryAfter?: string) =>
  outcomeOf({ kind: 'status', status, retryAfter, location: undefined }, NOW);

describe('an answer', () => {
  it('is told by its status', () => {
    const kinds = [200, 202, 204, 299, 301, 307, 400, 401, 404, 408, 409, 410, 425, 429, 500, 502, 503].map(
      (status) => [status, answer(status).kind],
    );
    const sent = [200, 202, 204, 299];
    const again = [408, 425, 429, 500, 502, 503];
    for (const [status, kind] of kinds)
      expect([status, kind]).toEqual([
        status,
        sent.includes(status as number) ? 'sent' : again.includes(status as number) ? 'not_sent' : 'refused',
      ]);
    expect(answer(410)).toMatchObject({ gone: true });
    expect(answer(404)).not.toHaveProperty('gone');
  });

  it('that never came is in doubt only when the request had left', () => {
    expect(outcomeOf({ kind: 'broken', why: 'x', written: true }, NOW).kind).toBe('unknown');
    expect(outcomeOf({ kind: 'broken', why: 'x', written: false }, NOW).kind).toBe('not_sent');
    expect(outcomeOf({ kind: 'blocked', why: 'x' }, NOW).kind).toBe('refused');
  });
});

describe('Retry-After', () => {
  it('is seconds or a date, never longer than a day', () => {
    for (const [text, ms] of [
      ['0', 0],
      ['120', 120_000],
      [' 5 ', 5_000],
      ['999999999', 86_400_000],
      [new Date(NOW + 60_000).toUTCString(), 60_000],
      [new Date(NOW - 60_000).toUTCString(), 0],
      ['soon', undefined],
      [undefined, undefined],
    ] as const)
      expect([text, retryAfterMs(text, NOW)]).toEqual([text, ms]);
  });

  it('is obeyed for 429 and 503 alone', () => {
    expect(answer(429, '7')).toMatchObject({ retryAfterMs: 7_000 });
    expect(answer(503, '7')).toMatchObject({ retryAfterMs: 7_000 });
    expect(answer(500, '7')).not.toHaveProperty('retryAfterMs');
    expect(answer(429)).not.toHaveProperty('retryAfterMs');
  });
});

describe('the signature', () => {
  it('is that of the specification', () => {
    // The example of the Standard Webhooks reference libraries.
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const body = '{"test": 2432232314}';
    expect(signedHeaders(secret, 'msg_p5jXN8AQM9LWM0D4loKWxJek', body, 1_614_265_330_000)).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });
});
