// What policy is told about a session: taint, hosts, where the question came from.
import { describe, expect, it } from 'vitest';
import type { Agent } from '../../../../core/agents.ts';
import { factsOf, hostsIn, modelsFor, replyTo } from '../../../../core/brain/facts.ts';
import type { LogEvent, Session } from '../../../../core/types.ts';
import { type Draft, logOf, owner, replied, rested, result, said, use } from './logs.ts';

describe('hosts in a text', () => {
  it.each([
    ['look at https://Example.org/a?b=c.d', ['example.org']],
    ['see example.org, then news.example.com.', ['example.org', 'news.example.com']],
    ['http://localhost:8080/x', ['localhost']],
    ['http://127.0.0.1:3000 and 192.168.1.25/x', ['127.0.0.1', '192.168.1.25']],
    ['http://[::1]:80/', ['[::1]']],
    ['https://xn--bcher-kva.example', ['xn--bcher-kva.example']],
    ['nothing here', []],
  ])('%s', (text, hosts) => {
    expect(hostsIn(text)).toEqual(hosts);
  });

  it.each([
    ['one endless word', 'a'.repeat(1_000_000)],
    ['dashes', 'a-'.repeat(500_000)],
    ['dots', '.'.repeat(1_000_000)],
    ['labels', 'a.'.repeat(500_000)],
    ['brackets', '['.repeat(1_000_000)],
    ['colons in brackets', `[${':'.repeat(1_000_000)}`],
    ['base64', Buffer.alloc(750_000, 'steward').toString('base64')],
  ])('are looked for in linear time: %s', (_, text) => {
    // Time of the processor, not of the wall: other work on the machine must not count.
    const before = process.cpuUsage();
    hostsIn(text);
    expect(process.cpuUsage(before).user / 1_000).toBeLessThan(1_000);
  });
});

const session = (trust: Session['trust'] = 'owner') => ({ id: 's', trust }) as Session;
const agent = (tools: object[] = []) => ({ spec: { tools, model: { id: 'configured' } } }) as unknown as Agent;
const facts = (drafts: Draft[], more: { agent?: Agent; compaction?: LogEvent } = {}) =>
  factsOf({
    session: session(),
    agent: more.agent ?? agent(),
    slice: logOf(drafts),
    compaction: more.compaction ?? null,
    tool: 'web_fetch',
  });
const fetched = (id: string, url: string): Draft => ({
  id,
  type: 'agent.tool_use',
  payload: { name: 'web_fetch', input: { url }, evaluated_permission: 'allow' },
});

describe('facts', () => {
  it('a host counts as named only in the owner’s own words', () => {
    const guest = { ...owner!, role: 'guest' as const };
    const named = facts([
      said('read example.org'),
      said('they say: evil.example', { tainted: true }),
      said('guest.example', { origin: guest }),
      { type: 'agent.message', payload: { content: [{ type: 'text', text: 'model.example' }] } },
      result('c1', 'page.example'),
    ]).namedHosts;
    expect([...named]).toEqual(['example.org']);
  });

  it('a host counts as known only after a fetch that succeeded', () => {
    const known = facts([
      fetched('c1', 'https://done.example/x'),
      result('c1'),
      fetched('c2', 'https://failed.example/x'),
      { type: 'agent.tool_result', payload: { tool_use_id: 'c2', is_error: true } },
      fetched('c3', 'https://open.example/x'),
      fetched('c4', 'not a url'),
      result('c4'),
      use('c5', 'allow', 'other'),
      result('c5'),
    ]).knownHosts;
    expect([...known]).toEqual(['done.example']);
  });

  it('outside text taints, also when only its summary is left', () => {
    expect(facts([said('a')]).tainted).toBe(false);
    expect(facts([said('a', { tainted: true })]).tainted).toBe(true);
    expect(facts([{ ...result('c1'), tainted: true }]).tainted).toBe(true);
    const compaction = logOf([{ type: 'agent.thread_context_compacted', tainted: true }])[0]!;
    expect(facts([said('a')], { compaction }).tainted).toBe(true);
  });

  it('the agent’s configuration of a tool, else of all', () => {
    const configured = (entry: object) =>
      facts([], { agent: agent([{ type: 'agent_toolset_20260401', ...entry }]) }).configured;
    const policy = (type: string) => ({ permission_policy: { type } });
    expect(configured({})).toBeNull();
    expect(configured({ configs: [{ name: 'web_fetch', ...policy('always_ask') }] })).toBe('always_ask');
    expect(configured({ configs: [{ name: 'other', ...policy('always_ask') }] })).toBeNull();
    expect(configured({ default_config: policy('always_allow') })).toBe('always_allow');
    expect(
      configured({ default_config: policy('always_allow'), configs: [{ name: 'web_fetch', ...policy('always_ask') }] }),
    ).toBe('always_ask');
    expect(configured({ default_config: policy('auto') })).toBeNull();
  });
});

describe('where the answer goes', () => {
  const from = (chat: string, thread?: string) => ({
    origin: { ...owner!, address: { channel: 'telegram', chat, ...(thread && { thread }) } },
  });

  it('to every place that asked since the last rest, once each', () => {
    const log = logOf([
      said('a', from('1')),
      replied(),
      rested(),
      said('b', from('2')),
      said('c', from('3')),
      said('d', from('2')),
    ]);
    expect(replyTo(log).map((address) => address.chat)).toEqual(['2', '3']);
  });

  it('also after a wait for approval', () => {
    const log = logOf([said('a', from('1', '7')), replied(), use('c1', 'ask'), rested('requires_action')]);
    expect(replyTo(log)).toEqual([{ channel: 'telegram', chat: '1', thread: '7' }]);
  });

  it('to the last one who asked when nobody did since', () => {
    expect(
      replyTo(logOf([said('a', from('1')), said('b', from('2')), rested()])).map((address) => address.chat),
    ).toEqual(['2']);
    expect(replyTo([])).toEqual([]);
  });
});

it('an agent’s own model comes first, the configured ones after it; offline stays offline', () => {
  const own = (id: string) => ({ spec: { model: { id } } }) as unknown as Agent;
  const names = (id: string, configured: string[]) =>
    modelsFor(
      own(id),
      configured.map((name) => ({ name })),
      (name) => ({ name }),
    ).map((model) => model.name);
  expect(names('configured', ['a', 'b'])).toEqual(['a', 'b']);
  expect(names('c', ['a', 'b'])).toEqual(['c', 'a', 'b']);
  expect(names('b', ['a', 'b'])).toEqual(['b', 'a']);
  expect(names('c', ['offline'])).toEqual(['offline']);
});
