// What a schedule gave a turn: found for the turn it began and for no other, and shown to model and person.
import { describe, expect, it } from 'vitest';
import type { Agent } from '../../../../core/agents.ts';
import { buildContext } from '../../../../core/brain/context.ts';
import { factsOf } from '../../../../core/brain/facts.ts';
import { mandateOf, spentInTurn, withLabel } from '../../../../core/brain/mandate.ts';
import { nextStep } from '../../../../core/brain/step.ts';
import type { Mandate } from '../../../../core/schedules.ts';
import type { LogEvent, Session } from '../../../../core/types.ts';
import { complaintAbout } from '../../../fakes/messages-api/rules.ts';
import { answered, asked, type Draft, logOf, replied, rested, result, said, use } from './logs.ts';

const mandate: Mandate = {
  ...{ scheduleId: 'sched_1', runId: 'srun_1', name: 'Brief', unattended: true, model: null, budgetUsd: 1 },
  grants: { hosts: ['Example.org'], tools: ['memory_save'], recipients: [] },
  label: 'scheduled 07:30, now 08:10, 1 missed',
};
const due = (text = 'What is new?'): Draft =>
  said(text, {
    origin: {
      sender: { channel: 'steward', userId: 'schedule:sched_1', name: 'Brief' },
      address: { channel: 'telegram', chat: '42' },
      role: 'system',
      mandate,
    },
  });
const told = (text: string): Draft => ({
  type: 'schedule.message',
  payload: { name: 'Legs', kind: 'message', content: [{ type: 'text', text }] },
});
const messages = (drafts: Draft[]) =>
  buildContext({ slice: logOf(drafts), compaction: null, budgetTokens: 100_000, timeZone: 'UTC' }).messages;
const taken = (drafts: Draft[]) =>
  complaintAbout(
    { model: 'm', max_tokens: 1, messages: messages(drafts) },
    { version: '2023-06-01', checkSignature: () => true },
  );

describe('a mandate', () => {
  it('holds for the whole turn that the schedule began, also when somebody joins it', () => {
    expect(mandateOf(logOf([due()]))).toEqual(mandate);
    expect(mandateOf(logOf([due(), asked(), replied(), use('a'), result('a'), said('And the weather?')]))).toEqual(
      mandate,
    );
  });

  it('does not hold for a turn that a person began, or for the next one', () => {
    expect(mandateOf(logOf([said('Hello'), due()]))).toBeNull();
    expect(mandateOf(logOf([due(), asked(), replied(), answered('News.'), rested(), said('Now send it')]))).toBeNull();
    expect(mandateOf(logOf([due(), asked(), replied(), answered('News.')]))).toBeNull();
  });

  it('is what policy is told, for the tool in question', () => {
    const session = { id: 's', trust: 'owner' } as unknown as Session;
    const agent = { spec: { tools: [], model: { id: 'configured' } } } as unknown as Agent;
    const granted = (tool: string) =>
      factsOf({ session, agent, slice: logOf([due()]), compaction: null, tool }).granted;
    expect(granted('memory_save')).toMatchObject({ hosts: new Set(['example.org']), tool: true, unattended: true });
    expect(granted('web_fetch')).toMatchObject({ tool: false });
  });

  it('counts what its turn has cost, and not what came before', () => {
    const cost = (cost_usd: number) => replied({ cost_usd });
    const log: LogEvent[] = logOf([
      said('Hi'),
      asked(),
      cost(5),
      rested(),
      due(),
      asked(),
      cost(0.4),
      use('a'),
      result('a'),
    ]);
    expect(spentInTurn(log)).toBeCloseTo(0.4);
  });

  it('labels the first answer of a late run, and only that', () => {
    expect(withLabel(logOf([due(), asked()]), 'News.')).toBe('(scheduled 07:30, now 08:10, 1 missed)\n\nNews.');
    expect(withLabel(logOf([due(), asked(), replied(), answered('One moment.'), use('a'), result('a')]), 'News.')).toBe(
      'News.',
    );
    expect(withLabel(logOf([said('Hi'), asked()]), 'Hello.')).toBe('Hello.');
  });
});

describe('what a schedule said without the model', () => {
  it.each<[string, Draft[]]>([
    ['between a call and its result', [said('Go'), asked(), replied(), use('a'), told('Stretch'), result('a')]],
    [
      'between two results',
      [said('Go'), asked(), replied(), use('a'), use('b'), result('a'), told('Stretch'), result('b')],
    ],
    ['after an answer', [said('Go'), asked(), replied(), answered('Done.'), rested(), told('Stretch'), said('Thanks')]],
    ['before everything', [told('Stretch'), said('Go')]],
  ])('stands %s without parting calls from results', (_, log) => {
    expect(taken(log)).toBeNull();
    const text = JSON.stringify(messages(log));
    expect(text).toContain('sent by the schedule');
    expect(text.match(/"tool_result"/g)?.length ?? 0).toBe(
      log.filter(({ type }) => type === 'agent.tool_result').length,
    );
    expect(text).not.toContain('Result of the earlier call');
  });

  it('calls for no answer', () => {
    const log = logOf([said('Go'), asked(), replied(), answered('Done.'), rested(), told('Stretch')]);
    expect(nextStep(log)).toEqual({ kind: 'idle', reason: { type: 'end_turn' } });
  });
});
