// Where results go, and in which conversation they stand.
import { type Agents, DEFAULT_AGENT, DEFAULT_ENVIRONMENT } from '../core/agents.ts';
import type { People } from '../core/people.ts';
import type { Schedule } from '../core/schedules.ts';
import { bindingKey, type NewSession, type Sessions } from '../core/sessions.ts';
import type { Address, Session, Trust } from '../core/types.ts';

export interface Places {
  /** `gone`: nobody is known there any more. Null: only the console shows it. */
  targetOf(schedule: Pick<Schedule, 'target' | 'trust'>): Address | 'gone' | null;
  /** The conversation people have at a place; without one the owner's. */
  conversationAt(target: Address | null, trust: Trust): Session;
  fresh(trust: Trust): NewSession;
}

export const samePlace = (a: Address, b: Address): boolean =>
  a.channel === b.channel && a.chat === b.chat && (a.thread ?? '') === (b.thread ?? '');

export function createPlaces(deps: { people: People; sessions: Sessions; agents: Agents }): Places {
  const { people, sessions, agents } = deps;
  const known = (place: Address) => people.addresses().find(({ address }) => samePlace(address, place));
  const fresh = (trust: Trust): NewSession => ({
    trust,
    agentId: DEFAULT_AGENT,
    agentVersion: agents.need(DEFAULT_AGENT).version,
    environmentId: DEFAULT_ENVIRONMENT,
  });
  return {
    targetOf({ target, trust }) {
      if (target === null) return trust === 'owner' ? (people.ownerAddresses()[0] ?? null) : 'gone';
      if (target.channel === 'web') return trust === 'owner' ? null : 'gone';
      return known(target) ? target : 'gone';
    },
    conversationAt(target, trust) {
      const there = target ? (known(target)?.trust ?? trust) : trust;
      if (target === null || there === 'owner') return sessions.bound('main', () => fresh('owner'));
      return sessions.bound(bindingKey(there, target), () => fresh(there));
    },
    fresh,
  };
}
