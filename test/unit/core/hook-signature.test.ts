// Signatures of inbound webhooks: the published example of GitHub, the window of five minutes, and everything that is not a signature.
import { describe, expect, it } from 'vitest';
import { githubSignature, judgeSignature, stewardSignature } from '../../../core/hook-signature.ts';

const NOW = 1_796_083_200_000;
const body = Buffer.from('{"text":"naïve ☕"}');
const judge = (header: string | undefined, { at = NOW, secret = 'whsec_a', of = body as Uint8Array } = {}) =>
  judgeSignature('steward', secret, { steward: header, github: undefined }, of, at).kind;

describe('scheme steward', () => {
  const header = stewardSignature('whsec_a', body, NOW);

  it('takes its own, within five minutes either way', () => {
    expect(judge(header)).toBe('right');
    for (const [ms, verdict] of [
      [300_000, 'right'],
      [-300_000, 'right'],
      [300_001, 'wrong'],
      [-300_001, 'wrong'],
    ] as const)
      expect([ms, judge(header, { at: NOW + ms })]).toEqual([ms, verdict]);
  });

  it('takes one of several, for a sender that rotates', () => {
    const other = stewardSignature('whsec_b', body, NOW).split(',')[1]!;
    const [t, v1] = header.split(',');
    expect(judge(`${t},${other},${v1}`)).toBe('right');
    expect(judge(`${t}, ${v1}`)).toBe('right');
  });

  it('takes nothing else', () => {
    const [t, v1] = header.split(',') as [string, string];
    const wrong = [
      ...[undefined, '', 't=', 'v1=', t, v1, `${t},v1=`, `${t},v1=${'0'.repeat(64)}`, `${t},v0=${v1.slice(3)}`],
      ...[`t=1,${v1}`, `t=-1,${v1}`, `t=1e12,${v1}`, `${t}0,${v1}`, `${t},${v1}0`, `${t},${v1.slice(0, -1)}`],
      ...[`${t},v1=${'é'.repeat(64)}`, header.replace('t=', 'T=')],
    ];
    for (const header of wrong) expect([header, judge(header)]).toEqual([header, 'wrong']);
    expect(judge(header, { secret: 'whsec_b' })).toBe('wrong');
    expect(judge(header, { of: Buffer.from('{}') })).toBe('wrong');
  });

  it('is proved by the same hash under whatever name it comes again', () => {
    const proofs = [
      header,
      `v1=${'0'.repeat(64)},${header}`,
      header.toUpperCase().replace('T=', 't=').replace('V1=', 'v1='),
    ].map((steward) => judgeSignature('steward', 'whsec_a', { steward, github: undefined }, body, NOW));
    expect(new Set(proofs.map((verdict) => JSON.stringify(verdict))).size).toBe(1);
  });
});

describe('scheme github', () => {
  // From "Validating webhook deliveries" in GitHub's documentation.
  const [secret, text] = ["It's a Secret to Everybody", 'Hello, World!'];
  const published = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
  const judge = (github: string | undefined) =>
    judgeSignature('github', secret, { steward: undefined, github }, Buffer.from(text), NOW).kind;

  it('takes the published example', () => {
    expect(githubSignature(secret, text)).toBe(published);
    expect(judge(published)).toBe('right');
  });

  it('takes nothing else', () => {
    for (const header of [
      undefined,
      '',
      'sha256=',
      published.slice(7),
      published.replace('sha256', 'sha1'),
      `${published}0`,
    ])
      expect([header, judge(header)]).toEqual([header, 'wrong']);
  });
});
