// Where a draft goes: the table of rules, and what may not become memory at all.
import { describe, expect, it } from 'vitest';
import type { MemoryItem } from '../../../core/memory.ts';
import { normalName, normalText } from '../../../memory/normalise.ts';
import { opOf, place } from '../../../memory/placement.ts';
import { looksSecret, refusal } from '../../../memory/refusal.ts';
import type { Draft } from '../../../memory/types.ts';

const NOW = 1_000_000;
const draft = (more: Partial<Draft> = {}): Draft => ({
  scope: 'owner',
  tier: 'reference',
  kind: 'fact',
  subject: 'owner',
  slot: 'home',
  text: 'Ann lives in Oslo',
  authority: 'owner',
  confidence: 1,
  validFrom: NOW,
  expiresAt: null,
  sources: [],
  ...more,
});
const item = (more: Partial<MemoryItem> = {}): MemoryItem => ({
  id: 'mem_1',
  scope: 'owner',
  tier: 'reference',
  kind: 'fact',
  subject: 'owner',
  slot: 'home',
  text: 'Ann lives in Bergen',
  authority: 'owner',
  confidence: 1,
  pinned: false,
  validFrom: NOW - 1000,
  validTo: null,
  recordedAt: NOW - 1000,
  retiredAt: null,
  retireReason: null,
  supersededBy: null,
  expiresAt: null,
  about: null,
  changeId: 'mchg_1',
  ...more,
});
const placed = (one: Partial<Draft>, known: MemoryItem[], facts = {}) =>
  place(draft(one), known, { now: NOW, ...facts });
const none = { subject: null, slot: null };

describe('a draft', () => {
  it.each<[string, Partial<Draft>, MemoryItem[], object]>([
    ['nothing is known', {}, [], { kind: 'add' }],
    [
      'the same is known',
      { text: 'ann lives in  OSLO.' },
      [item({ text: 'Ann lives in Oslo' })],
      { kind: 'known', id: 'mem_1' },
    ],
    ['another value is known', {}, [item()], { kind: 'supersede', ids: ['mem_1'] }],
    [
      'the slot is written otherwise',
      { subject: 'I', slot: 'My Home' },
      [item()],
      { kind: 'supersede', ids: ['mem_1'] },
    ],
    ['another scope knows it', {}, [item({ scope: 'sesn_x' })], { kind: 'add' }],
    ['it was retired', {}, [item({ retiredAt: 5, text: 'Ann lives in Oslo' })], { kind: 'add' }],
    [
      'the agent meets the owner’s word',
      { authority: 'agent' },
      [item()],
      { kind: 'ask', question: 'contradiction', about: 'mem_1' },
    ],
    ['the agent meets its own', { authority: 'agent' }, [item({ authority: 'agent' })], { kind: 'supersede' }],
    ['the owner meets the agent', {}, [item({ authority: 'agent' })], { kind: 'supersede' }],
    [
      'the agent says the same as the owner',
      { authority: 'agent', text: 'Ann lives in Bergen' },
      [item()],
      { kind: 'known' },
    ],
    ['words from outside', { authority: 'outside' }, [], { kind: 'ask', question: 'promotion', about: null }],
    [
      'words from outside about what is known',
      { authority: 'outside' },
      [item()],
      { kind: 'ask', question: 'promotion', about: 'mem_1' },
    ],
    [
      'words from outside into identity',
      { authority: 'outside', tier: 'identity' },
      [],
      { kind: 'ask', question: 'promotion' },
    ],
    ['words from outside into state', { authority: 'outside', tier: 'state', ...none }, [], { kind: 'add' }],
    [
      'words from outside against the owner',
      { authority: 'outside', tier: 'state' },
      [item()],
      { kind: 'ask', question: 'contradiction' },
    ],
    ['the agent into identity', { authority: 'agent', tier: 'identity' }, [], { kind: 'ask', question: 'promotion' }],
    ['the owner into identity', { tier: 'identity' }, [], { kind: 'add' }],
    ['older knowledge', { validFrom: NOW - 5000 }, [item()], { kind: 'add', validTo: NOW - 1000 }],
    [
      'older knowledge that ended by itself',
      { validFrom: NOW - 5000, validTo: NOW - 3000 },
      [item()],
      { kind: 'add', validTo: NOW - 3000 },
    ],
    [
      'older knowledge about a time of which something else is known',
      { validFrom: NOW - 5000 },
      [item(), item({ id: 'mem_0', text: 'Ann lives in Rome', validFrom: NOW - 6000, validTo: NOW - 1000 })],
      { kind: 'ask', question: 'contradiction', about: 'mem_0' },
    ],
    [
      'said now, after the clock was set back',
      {},
      [item({ validFrom: NOW + 9000, recordedAt: NOW + 9000 })],
      { kind: 'supersede' },
    ],
    [
      'said now, with a change planned for later',
      {},
      [item({ validTo: NOW + 500 }), item({ id: 'mem_2', text: 'Ann lives in Rome', validFrom: NOW + 500 })],
      { kind: 'supersede', ids: ['mem_1'], validTo: NOW + 500 },
    ],
    [
      'what has expired',
      { text: 'Ann lives in Bergen' },
      [item({ expiresAt: NOW })],
      { kind: 'supersede', ids: ['mem_1'] },
    ],
    ['the same without a slot', none, [item({ ...none, text: 'Ann lives in Oslo!' })], { kind: 'known' }],
    ['other words without a slot', none, [item({ ...none })], { kind: 'add' }],
    [
      'a slot for what had none',
      {},
      [item({ ...none, text: 'Ann lives in Oslo' })],
      { kind: 'supersede', ids: ['mem_1'] },
    ],
    ['no slot for what has one', none, [item({ text: 'Ann lives in Oslo' })], { kind: 'known' }],
    [
      'what lies in the archive',
      none,
      [item({ ...none, tier: 'archive', text: 'Ann lives in Oslo' })],
      { kind: 'supersede' },
    ],
    [
      'a newer summary',
      { ...none, kind: 'summary', tier: 'session', about: 's1', authority: 'agent' },
      [item({ ...none, kind: 'summary', about: 's1', authority: 'agent' })],
      { kind: 'supersede' },
    ],
  ])('when %s', (_, one, known, expected) => {
    expect(placed(one, known)).toMatchObject(expected);
  });

  it('is refused when it was forgotten, or the owner said no', () => {
    expect(placed({}, [], { forgotten: true })).toMatchObject({ kind: 'refuse' });
    expect(placed({}, [], { rejected: true })).toMatchObject({ kind: 'refuse' });
  });

  it('becomes the step that its place says', () => {
    expect(opOf(draft(), { kind: 'add', validTo: 5 })).toMatchObject({ kind: 'add', draft: { validTo: 5 } });
    expect(opOf(draft(), { kind: 'supersede', ids: ['a'] })).toMatchObject({ kind: 'supersede', ids: ['a'] });
    expect(opOf(draft(), { kind: 'known', id: 'a' })).toBeNull();
  });
});

describe('what may not become memory', () => {
  it.each([
    ['', 'empty'],
    [' \n\t', 'empty'],
    ['\u0000\u0007\u200b', 'control'],
    ['x'.repeat(8_001), 'file'],
    ['ten megabytes '.repeat(750_000), 'file'],
    ['my key is sk-ant-api03-abcdefghijklmnop', 'vault'],
    ['-----BEGIN OPENSSH PRIVATE KEY-----\nabc', 'vault'],
    ['The wifi password is hunter2!', 'vault'],
    ['password: correcthorse', 'vault'],
    ['mein Passwort ist geheim123', 'vault'],
    ['密码是abc12345', 'vault'],
    ['postgres://ann:s3cret@db.example/x', 'vault'],
    ['ghp_0123456789abcdefghijABCDEFGHIJ456789', 'vault'],
    ['token aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z', 'vault'],
    ['123456789:AAHabcdefghijklmnopqrstuvwxyz12345', 'vault'],
  ])('%j', (text, says) => {
    const from = performance.now();
    expect(refusal(text)).toContain(says);
    expect(performance.now() - from).toBeLessThan(1000);
  });

  it.each([
    'Ann likes tea',
    'The password is written on the fridge',
    'Password: ask Bob for it',
    'She forgot her password again',
    'commit 3f786850e387550fdab836ed7e6dc881de23001b broke it',
    'see https://example.com/a/very/long/path/with-many-parts-in-it/2024',
    'session sesn_01HZX3Y5K8ABCDEFGHJKMNPQRS was long',
    'id 550e8400-e29b-41d4-a716-446655440000',
    '🎉',
    'ok',
  ])('but %j may', (text) => {
    expect(refusal(text)).toBeNull();
    expect(looksSecret(text)).toBe(false);
  });
});

describe('normal forms', () => {
  it.each([
    ['My birthday', 'birthday'],
    ['the_home-town', 'home town'],
    ['  Über  ', 'über'],
    ['I', 'owner'],
    ['the user', 'owner'],
    ['我的生日', '生日'],
    ['', null],
    ['!?', null],
    ['my', 'owner'],
  ])('of the name %j', (name, normal) => {
    expect(normalName(name)).toBe(normal);
    expect(normalName(normal)).toBe(normal);
  });

  it('tell apart what differs, and nothing else', () => {
    expect(normalText('Ann’s  “well-known” tea.')).toBe(normalText("ann's well known TEA"));
    for (const [a, b] of [
      ['I like C', 'I like C++'],
      ['1.5 l', '15 l'],
      ['at 10:30', 'at 1030'],
      ['5', '-5'],
      ['a', 'b'],
    ])
      expect(normalText(a!)).not.toBe(normalText(b!));
    const from = performance.now();
    normalText(`a${'.'.repeat(500_000)}b ${'-'.repeat(500_000)}`);
    expect(performance.now() - from).toBeLessThan(2000);
  });
});
