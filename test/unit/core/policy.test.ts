// Every rule of policy as a table, and what must hold whatever the rules are.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide, type Facts, type Granted } from '../../../core/policy.ts';
import type { Action, Address } from '../../../core/types.ts';

const here: Address = { channel: 'telegram', chat: '1' };
const there: Address = { channel: 'telegram', chat: '2' };
const facts = (change: Partial<Facts> = {}): Facts => ({
  trust: 'owner',
  tainted: false,
  replyTo: [here],
  namedHosts: new Set(),
  knownHosts: new Set(),
  said: [],
  configured: null,
  granted: null,
  ...change,
});
const send = (to: Address | 'here'): Action => ({ type: 'send', to, what: 'message' });
const fetch = (host: string): Action => ({ type: 'fetch', host });
const tool: Action = { type: 'tool', name: 'memory_save' };
const named = new Set(['example.org']);
const save = (tier: 'identity' | 'state' | 'reference'): Action => ({
  type: 'memory',
  what: 'save',
  tier,
  text: 'The owner’s name is Ada',
});
const search: Action = { type: 'memory', what: 'search' };
const forget: Action = { type: 'memory', what: 'forget' };
const said = [{ id: 'sevt_1', text: 'Hello. My name is Ada!' }];
const hands = (hosts: string[] = [], isolated = true): Action => ({ type: 'hands', hosts, isolated });

const list: Action = { type: 'schedule', what: 'list' };
const cancel: Action = { type: 'schedule', what: 'cancel' };
const plan = (
  grants: { hosts?: string[]; tools?: string[]; recipients?: Address[] } = {},
  to: Address | 'here' = 'here',
): Action => ({
  ...{ type: 'schedule', what: 'create', starts: 'prompt', to },
  grants: { hosts: [], tools: [], recipients: [], ...grants },
});

const REPO = 'https://git.example/acme/app';
const begin = (repository = REPO, hosts: string[] = []): Action => ({
  type: 'task',
  what: 'create',
  repository,
  hosts,
});
const task = (what: 'look' | 'steer' | 'cancel'): Action => ({ type: 'task', what });
const wished = [{ id: 'sevt_1', text: 'In git.example/acme/app.git, upgrade the date library.' }];
const job: Granted = {
  ...{ hosts: new Set(['git.example']), recipients: [], tool: true, unattended: true, name: 'Nightly' },
};

describe('decide', () => {
  it.each<[string, Action, Partial<Facts>, string]>([
    ['a task on what the owner named', begin(), { said: wished }, 'allow'],
    ['a task on what nobody named', begin(), {}, 'ask'],
    ['a task on something else', begin('https://git.example/acme/app2'), { said: wished }, 'ask'],
    ['a task on a longer address', begin('https://evil.example/git.example/acme/app'), { said: wished }, 'ask'],
    ['a named task beside outside text', begin(), { said: wished, tainted: true }, 'ask'],
    ['a task whose agent reaches out', begin(REPO, ['example.org:443']), { said: wished }, 'ask'],
    ['… where the owner said', begin(REPO, ['example.org:443']), { said: wished, namedHosts: named }, 'allow'],
    ['a guest’s task', begin(), { said: wished, trust: 'guest' }, 'deny'],
    ['a group’s task', begin(), { said: wished, trust: 'group' }, 'deny'],
    ['a guest’s look at tasks', task('look'), { trust: 'guest' }, 'deny'],
    ['a look at tasks', task('look'), { tainted: true }, 'allow'],
    ['steering', task('steer'), {}, 'allow'],
    ['steering beside outside text', task('steer'), { tainted: true }, 'ask'],
    ['a group’s steering', task('steer'), { trust: 'group' }, 'deny'],
    ['ending a task', task('cancel'), {}, 'allow'],
    ['ending one beside outside text', task('cancel'), { tainted: true }, 'ask'],
    ['a task begun by what runs by itself', begin(), { granted: job }, 'deny'],
    ['looking at what is scheduled', list, {}, 'allow'],
    ['looking at what is scheduled, tainted', list, { tainted: true, trust: 'group' }, 'allow'],
    ['a schedule of the owner', plan(), {}, 'allow'],
    ['a schedule of the owner, here by name', plan({ recipients: [here] }, here), {}, 'allow'],
    ['a schedule from a tainted conversation', plan(), { tainted: true }, 'ask'],
    ['a schedule with a host', plan({ hosts: ['example.org'] }), {}, 'ask'],
    ['a schedule with a host the owner named', plan({ hosts: ['example.org'] }), { namedHosts: named }, 'ask'],
    ['a schedule with a tool', plan({ tools: ['bash'] }), {}, 'ask'],
    ['a schedule with a recipient', plan({ recipients: [there] }), {}, 'ask'],
    ['a schedule that reports elsewhere', plan({}, there), {}, 'ask'],
    ['grants, though always allowed', plan({ tools: ['bash'] }), { configured: 'always_allow' }, 'ask'],
    ['a schedule, configured to ask', plan(), { configured: 'always_ask' }, 'ask'],
    ['a reminder of a guest', plan(), { trust: 'guest' }, 'allow'],
    ['a reminder in a group', plan(), { trust: 'group', tainted: true }, 'allow'],
    ['a grant for a guest', plan({ hosts: ['example.org'] }), { trust: 'guest' }, 'deny'],
    [
      'a grant for a guest, configured to ask',
      plan({ tools: ['bash'] }),
      { trust: 'guest', configured: 'always_ask' },
      'deny',
    ],
    ['a guest’s results elsewhere', plan({}, there), { trust: 'guest' }, 'deny'],
    ['ending a schedule', cancel, {}, 'allow'],
    ['ending a schedule, tainted', cancel, { tainted: true }, 'ask'],
    ['a guest ends their own', cancel, { trust: 'guest', tainted: true }, 'allow'],
  ])('schedules: %s', (_, action, change, kind) => {
    expect(decide(action, facts(change)).kind).toBe(kind);
  });

  it.each<[string, Action, Partial<Facts>, string]>([
    ['answering here', send('here'), {}, 'allow'],
    ['answering here, tainted', send('here'), { tainted: true }, 'allow'],
    ['answering the place that asked', send(here), {}, 'allow'],
    ['another topic of the same chat', send({ ...here, thread: '5' }), {}, 'ask'],
    ['the same number on another channel', send({ channel: 'lark', chat: '1' }), {}, 'ask'],
    ['sending elsewhere', send(there), {}, 'ask'],
    ['sending elsewhere, though always allowed', send(there), { configured: 'always_allow' }, 'ask'],
    ['sending elsewhere from a guest’s conversation', send(there), { trust: 'guest' }, 'deny'],
    ['sending elsewhere from a group', send(there), { trust: 'group' }, 'deny'],
    [
      'sending elsewhere from a group, configured to ask',
      send(there),
      { trust: 'group', configured: 'always_ask' },
      'deny',
    ],
    ['answering here, configured to ask', send('here'), { configured: 'always_ask' }, 'ask'],
    ['a guest is answered', send('here'), { trust: 'guest' }, 'allow'],
    ['a new host', fetch('example.org'), {}, 'ask'],
    ['a host the owner named', fetch('example.org'), { namedHosts: named }, 'allow'],
    ['a host the owner named, tainted', fetch('example.org'), { namedHosts: named, tainted: true }, 'allow'],
    ['a sub-domain of a named host', fetch('evil.example.org'), { namedHosts: named }, 'ask'],
    ['a host named in a guest’s conversation', fetch('example.org'), { namedHosts: named, trust: 'guest' }, 'ask'],
    ['a host named in a group', fetch('example.org'), { namedHosts: named, trust: 'group' }, 'ask'],
    ['a host fetched here before', fetch('example.org'), { knownHosts: named, tainted: true }, 'allow'],
    ['a new host, though always allowed', fetch('example.org'), { configured: 'always_allow' }, 'ask'],
    ['a known host, configured to ask', fetch('example.org'), { knownHosts: named, configured: 'always_ask' }, 'ask'],
    ['a tool without a rule', tool, {}, 'ask'],
    ['a tool always allowed', tool, { configured: 'always_allow' }, 'allow'],
    ['a tool always allowed, tainted', tool, { configured: 'always_allow', tainted: true }, 'ask'],
    ['a tool configured to ask', tool, { configured: 'always_ask' }, 'ask'],
    ['work in the sandbox', hands(), {}, 'allow'],
    ['work in the sandbox, tainted', hands(), { tainted: true }, 'allow'],
    ['work in the sandbox, configured to ask', hands(), { configured: 'always_ask' }, 'ask'],
    ['work in the sandbox for a guest', hands(), { trust: 'guest' }, 'ask'],
    ['work in the sandbox for a group', hands(), { trust: 'group' }, 'ask'],
    ['work that reaches a new host', hands(['example.org']), {}, 'ask'],
    ['work that reaches a host the owner named', hands(['example.org']), { namedHosts: named }, 'allow'],
    ['… on a port of it', hands(['example.org:8443']), { namedHosts: named }, 'allow'],
    ['work that reaches a known host and a new one', hands(['example.org', 'x.test']), { knownHosts: named }, 'ask'],
    ['work that reaches a preset', hands(['registries']), { namedHosts: named }, 'ask'],
    ['a guest who named the host himself', hands(['example.org']), { namedHosts: named, trust: 'guest' }, 'ask'],
    [
      'a push, to a host that was named and reached',
      hands(['push:example.org']),
      { namedHosts: named, knownHosts: new Set(['push:example.org']) },
      'ask',
    ],
    ['work without a sandbox', hands([], false), {}, 'ask'],
    ['work without a sandbox, though always allowed', hands([], false), { configured: 'always_allow' }, 'ask'],
    ['work without a sandbox, tainted', hands([], false), { tainted: true }, 'deny'],
    ['looking into memory', search, {}, 'allow'],
    ['… from a group', search, { trust: 'group', tainted: true }, 'allow'],
    ['… configured to ask', search, { configured: 'always_ask' }, 'ask'],
    ['noting what is open', save('state'), {}, 'allow'],
    ['noting a fact', save('reference'), {}, 'allow'],
    ['noting who the owner is', save('identity'), {}, 'ask'],
    ['… though always allowed', save('identity'), { configured: 'always_allow' }, 'ask'],
    ['… in the owner’s words', save('identity'), { said }, 'allow'],
    ['… in the owner’s words, tainted', save('identity'), { said, tainted: true }, 'ask'],
    ['noting a fact, tainted', save('reference'), { tainted: true }, 'ask'],
    ['noting what is open, tainted', save('state'), { tainted: true }, 'ask'],
    ['… in the owner’s words, tainted', save('state'), { said, tainted: true }, 'allow'],
    ['a guest’s fact, for the guest alone', save('reference'), { trust: 'guest' }, 'allow'],
    ['who a guest is', save('identity'), { trust: 'guest' }, 'ask'],
    ['what is open in a group', save('state'), { trust: 'group', tainted: true }, 'allow'],
    ['a fact from a group', save('reference'), { trust: 'group', tainted: true }, 'ask'],
    ['forgetting', forget, {}, 'allow'],
    ['forgetting, tainted', forget, { tainted: true }, 'ask'],
    ['forgetting for a guest', forget, { trust: 'guest' }, 'ask'],
  ])('%s', (_, action, change, kind) => {
    const verdict = decide(action, facts(change));
    expect(verdict.kind).toBe(kind);
    expect(verdict.why).toMatch(/^\S.+\.$/);
  });
});

describe('what a schedule was given', () => {
  const given = (change: Partial<Granted> = {}): Granted => ({
    hosts: new Set(),
    recipients: [],
    tool: false,
    unattended: false,
    name: 'Brief',
    ...change,
  });
  const hosts = new Set(['example.org']);
  const hands = (...wanted: string[]): Action => ({ type: 'hands', hosts: wanted, isolated: true });
  const bare: Action = { type: 'hands', hosts: [], isolated: false };
  const away = { tainted: true };
  it.each<[string, Action, Granted, Partial<Facts>, string]>([
    ['a granted host, beside text from outside', fetch('example.org'), given({ hosts }), away, 'allow'],
    ['another host', fetch('evil.example'), given({ hosts }), away, 'ask'],
    ['another host, nobody looking on', fetch('evil.example'), given({ hosts, unattended: true }), {}, 'deny'],
    [
      'a named host, nobody looking on',
      fetch('example.org'),
      given({ unattended: true }),
      { namedHosts: named },
      'allow',
    ],
    ['a granted recipient', send(there), given({ recipients: [there] }), away, 'allow'],
    ['another recipient', send(there), given({ recipients: [here] }), {}, 'ask'],
    ['the answer itself', send(here), given({ unattended: true }), away, 'allow'],
    ['a granted tool', tool, given({ tool: true }), away, 'allow'],
    ['another tool, nobody looking on', tool, given({ unattended: true }), {}, 'deny'],
    ['commands that reach a granted host', hands('example.org:443'), given({ hosts }), away, 'allow'],
    ['commands that reach one more', hands('example.org', 'evil.example'), given({ hosts }), {}, 'ask'],
    ['a push, though the host is granted', hands('push:example.org'), given({ hosts, tool: true }), {}, 'ask'],
    ['a granted push', hands('push:example.org'), given({ hosts: new Set(['push:example.org']) }), {}, 'allow'],
    ['commands without a sandbox', bare, given({ hosts, unattended: true }), {}, 'deny'],
    ['commands without a sandbox by a granted tool', bare, given({ tool: true }), {}, 'allow'],
    ['the same beside text from outside', bare, given({ tool: true }), away, 'deny'],
    [
      'a granted host where the agent is to ask',
      fetch('example.org'),
      given({ hosts }),
      { configured: 'always_ask' },
      'ask',
    ],
    ['a grant in the hands of a guest', fetch('example.org'), given({ hosts }), { trust: 'guest' }, 'ask'],
    ['a guest who sends elsewhere', send(there), given({ recipients: [there] }), { trust: 'guest' }, 'deny'],
  ])('%s', (_, action, granted, change, kind) => {
    expect(decide(action, facts({ ...change, granted })).kind).toBe(kind);
  });

  it('a refusal says what was missing and who can give it', () => {
    const { why } = decide(fetch('evil.example'), facts({ granted: given({ unattended: true }) }));
    expect(why).toContain('evil.example');
    expect(why).toContain('“Brief” runs unattended and was not given this; the owner can add it to its grants.');
  });
});

const address = fc.record({ channel: fc.constantFrom('telegram', 'lark'), chat: fc.constantFrom('1', '2') });
const host = fc.constantFrom('example.org', 'evil.example', 'localhost');
const anyAction: fc.Arbitrary<Action> = fc.oneof(
  fc.record({
    type: fc.constant('send' as const),
    to: fc.oneof(address, fc.constant('here' as const)),
    what: fc.constant('message' as const),
  }),
  fc.record({ type: fc.constant('fetch' as const), host }),
  fc.record({ type: fc.constant('tool' as const), name: fc.constantFrom('a', 'b') }),
  fc.constantFrom(search, forget, save('identity'), save('state'), save('reference')),
);
const anyFacts: fc.Arbitrary<Facts> = fc.record({
  granted: fc.constant(null),
  trust: fc.constantFrom('owner' as const, 'guest' as const, 'group' as const),
  tainted: fc.boolean(),
  replyTo: fc.array(address, { maxLength: 2 }),
  namedHosts: fc.uniqueArray(host).map((hosts) => new Set(hosts)),
  knownHosts: fc.uniqueArray(host).map((hosts) => new Set(hosts)),
  said: fc.constantFrom([], said, [{ id: 'sevt_2', text: 'Nothing of that kind.' }]),
  configured: fc.constantFrom('always_allow' as const, 'always_ask' as const, null),
});

/** What must hold whatever the rules are. Null when it holds. */
function broken(action: Action, given: Facts, verdict: { kind: string }): string | null {
  const outward =
    action.type === 'send' &&
    action.to !== 'here' &&
    !given.replyTo.some(
      (place) => place.channel === (action.to as Address).channel && place.chat === (action.to as Address).chat,
    );
  if (outward && verdict.kind === 'allow') return 'sends elsewhere unasked';
  if (outward && given.trust !== 'owner' && verdict.kind !== 'deny') return 'a guest or group sends elsewhere';
  if (given.configured === 'always_ask' && verdict.kind === 'allow') return 'acts unasked though configured to ask';
  if (action.type === 'fetch' && verdict.kind === 'allow' && !given.knownHosts.has(action.host)) {
    if (!given.namedHosts.has(action.host)) return 'fetches a host nobody named';
    if (given.trust !== 'owner') return 'takes a host named by somebody else';
  }
  if (action.type === 'tool' && given.tainted && verdict.kind === 'allow') return 'acts on outside text unasked';
  if (action.type === 'memory' && action.what !== 'search' && verdict.kind === 'allow') {
    const own = given.said === said;
    if (action.what === 'forget' && (given.tainted || given.trust !== 'owner')) return 'forgets for somebody else';
    if (action.what === 'save' && action.tier !== 'state' && given.tainted) return 'keeps outside text for good';
    if (action.what === 'save' && action.tier === 'identity' && (!own || given.trust !== 'owner'))
      return 'says who the owner is';
  }
  return null;
}

describe('whatever the facts', () => {
  it('nothing acts outward unasked, deny wins, and the verdict is the same each time', () => {
    fc.assert(
      fc.property(anyAction, anyFacts, (action, given) => {
        const verdict = decide(action, given);
        expect(broken(action, given, verdict)).toBeNull();
        expect(decide(action, given)).toEqual(verdict);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each<[string, (action: Action, given: Facts) => { kind: string }]>([
    ['allows everything', () => ({ kind: 'allow' })],
    ['forgets the taint', (action, given) => decide(action, { ...given, tainted: false })],
    ['forgets whose words they are', (action, given) => decide(action, { ...given, said })],
    ['forgets who speaks', (action, given) => decide(action, { ...given, trust: 'owner' })],
    ['forgets the configuration', (action, given) => decide(action, { ...given, configured: null })],
    [
      'never denies',
      (action, given) => {
        const verdict = decide(action, given);
        return verdict.kind === 'deny' ? { kind: 'ask' } : verdict;
      },
    ],
  ])('a policy that %s is caught', (_, policy) => {
    const property = fc.property(
      anyAction,
      anyFacts,
      (action, given) => broken(action, given, policy(action, given)) === null,
    );
    expect(fc.check(property, { numRuns: 2_000 }).failed).toBe(true);
  });
});
