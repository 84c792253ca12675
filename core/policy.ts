// What an action may do: allow, ask the owner, or deny. Pure; deny wins, and what no rule allows is asked.
import { groundOf, type Saying } from './own-words.ts';
import { namesRepository } from './tasks-named.ts';
import type { Action, Address, Trust } from './types.ts';

/** What the owner allowed once, when they made the schedule that began this turn. */
export interface Granted {
  hosts: ReadonlySet<string>;
  recipients: readonly Address[];
  /** The tool in question is among those allowed. */
  tool: boolean;
  /** Nobody looks on: what would be asked is denied at once. */
  unattended: boolean;
  /** Of the schedule. */
  name: string;
}

export interface Facts {
  /** Whose conversation this is. */
  trust: Trust;
  /** Text from outside stands in the context: the session must not act outward by itself (Meta's Rule of Two, Oct 2025). */
  tainted: boolean;
  /** Where the question came from; answering there is not outward. */
  replyTo: readonly Address[];
  /** Hosts the owner named in this conversation, in their own words. */
  namedHosts: ReadonlySet<string>;
  /** Hosts already fetched in this conversation with leave. */
  knownHosts: ReadonlySet<string>;
  /** What the owner said in this conversation in their own words, the newest last. */
  said: readonly Saying[];
  /** What the agent's configuration says about this tool. */
  configured: 'always_allow' | 'always_ask' | null;
  /** Null: no schedule began this turn. */
  granted: Granted | null;
}

export interface Verdict {
  kind: 'allow' | 'ask' | 'deny';
  why: string;
}

const same = (a: Address, b: Address) =>
  a.channel === b.channel && a.chat === b.chat && (a.thread ?? '') === (b.thread ?? '');

type Rule = (action: Action, facts: Facts) => Verdict | null;

const allow = (why: string): Verdict => ({ kind: 'allow', why });
const ask = (why: string): Verdict => ({ kind: 'ask', why });
const deny = (why: string): Verdict => ({ kind: 'deny', why });

const answersHere = (action: Action, facts: Facts): boolean => {
  if (action.type !== 'send') return false;
  const { to } = action;
  return to === 'here' || facts.replyTo.some((address) => same(address, to));
};

const rules: readonly Rule[] = [
  (action, facts) =>
    action.type === 'send' && facts.trust !== 'owner' && !answersHere(action, facts)
      ? deny('Only a conversation with the owner may send to other places.')
      : null,
  (action, facts) =>
    action.type === 'hands' && !action.isolated && facts.tainted
      ? deny('This conversation holds text from outside, and commands run here without a sandbox.')
      : null,
  (_, facts) => (facts.configured === 'always_ask' ? ask('This agent is configured to ask before this tool.') : null),
  (action, facts) => (answersHere(action, facts) ? allow('It answers where the question came from.') : null),
  (action) => (action.type === 'send' ? ask('It sends to a place outside this conversation.') : null),
  (action, facts) =>
    action.type === 'tool' && facts.configured === 'always_allow' && !facts.tainted
      ? allow('This agent is configured to use this tool without asking.')
      : null,
  (action, facts) =>
    action.type === 'fetch' && facts.knownHosts.has(action.host) ? allow('This host was fetched here before.') : null,
  (action, facts) =>
    action.type === 'fetch' && facts.trust === 'owner' && facts.namedHosts.has(action.host)
      ? allow('The owner named this host.')
      : null,
  (action, facts) =>
    action.type === 'fetch'
      ? ask(
          facts.tainted
            ? `This conversation holds text from outside, and ${action.host} is a host you did not name.`
            : `${action.host} is a new host that you did not name.`,
        )
      : null,
];

/** Hands that are isolated may work for the owner without asking; what leaves them is asked host by host. */
const handsRules: readonly Rule[] = [
  (action, facts) =>
    action.type === 'hands' && facts.trust !== 'owner' ? ask('Somebody other than the owner wants it done.') : null,
  (action) => (action.type === 'hands' && !action.isolated ? ask('It runs on this machine without a sandbox.') : null),
  (action, facts) => {
    if (action.type !== 'hands') return null;
    // Writing to a repository is asked each time, whatever was reached before.
    const pushes = action.hosts.filter((host) => host.startsWith('push:'));
    if (pushes.length > 0) return ask(`It wants to push to ${pushes.map((host) => host.slice(5)).join(', ')}.`);
    const named = (host: string) => facts.namedHosts.has(host.replace(/:\d+$/, ''));
    const fresh = action.hosts.filter((host) => !named(host) && !facts.knownHosts.has(host));
    return fresh.length > 0
      ? ask(`It wants to reach ${fresh.join(', ')}, which you did not name.`)
      : allow('It works inside the sandbox.');
  },
];

/**
 * Everybody may look up and note what belongs to their own conversation; who the owner is, is for the owner to say. Words from
 * outside may be behind whatever a tainted conversation wants to keep or lose.
 */
const memoryRules: readonly Rule[] = [
  (action) =>
    action.type === 'memory' && action.what === 'search' ? allow('It looks up what this conversation may know.') : null,
  (action, facts) => {
    if (action.type !== 'memory' || action.what !== 'forget') return null;
    if (facts.trust !== 'owner') return ask('Somebody other than the owner wants something forgotten.');
    if (facts.tainted) return ask('This conversation holds text from outside, and what is forgotten is gone for good.');
    return allow('The owner’s own conversation asks for it.');
  },
  (action, facts) => {
    if (action.type !== 'memory' || action.what !== 'save') return null;
    const { tier } = action;
    const place = tier === 'identity' ? 'who you and the owner are' : 'what is known for good';
    if (facts.tainted && tier !== 'state')
      return ask(`This conversation holds text from outside, and it wants to change ${place}.`);
    if (facts.trust !== 'owner')
      return tier === 'identity'
        ? ask(`Somebody other than the owner wants to change ${place}.`)
        : allow('It is remembered for this conversation alone.');
    const own = facts.said.length > 0 && groundOf(action.text, facts.said) !== null;
    if (own) return allow('The owner said so in this conversation.');
    if (facts.tainted) return ask('This conversation holds text from outside, and these are not your own words.');
    return tier === 'identity'
      ? ask(`It wants to change ${place}, in words that are not yours.`)
      : allow('The owner’s own conversation asks for it.');
  },
];

const isHere = (to: Address | 'here', facts: Facts) =>
  to === 'here' || facts.replyTo.some((address) => same(address, to));

/**
 * Everybody may be reminded where they are. What a schedule may do later without asking is asked once, here; words from outside
 * may be behind whatever a tainted conversation plans.
 */
const scheduleRules: readonly Rule[] = [
  (action, facts) => {
    if (action.type !== 'schedule') return null;
    if (action.what === 'list') return allow('It only looks at what is scheduled.');
    if (action.what === 'cancel') {
      if (facts.trust !== 'owner') return allow('It can end only what was scheduled in this conversation.');
      return facts.tainted
        ? ask('This conversation holds text from outside, and it wants to end a schedule.')
        : allow('The owner’s own conversation asks for it.');
    }
    const { hosts, tools } = action.grants;
    const recipients = action.grants.recipients.filter((to) => !isHere(to, facts));
    const granted = hosts.length + tools.length + recipients.length > 0;
    const elsewhere = !isHere(action.to, facts);
    if (facts.trust !== 'owner') {
      if (granted) return deny('Only the owner can grant a schedule hosts, tools or recipients.');
      if (elsewhere) return deny('Only the owner can have results sent to other places.');
      return allow('It is a schedule of this conversation alone.');
    }
    if (granted) return ask('Its runs could then do this without asking, with nobody looking on.');
    if (elsewhere) return ask('Its results go to a place outside this conversation.');
    if (facts.tainted) return ask('This conversation holds text from outside, and it wants to schedule something.');
    return allow('The owner’s own conversation asks for it.');
  },
];

/**
 * Code tasks are the owner's. What comes of one is asked again before it leaves; begun without asking is only what the owner
 * named, in a conversation that holds no words from outside.
 */
const taskRules: readonly Rule[] = [
  (action, facts) =>
    action.type === 'task' && facts.trust !== 'owner' ? deny('Only the owner can have code tasks done.') : null,
  (action) => (action.type === 'task' && action.what === 'look' ? allow('It only looks at tasks.') : null),
  (action, facts) => {
    if (action.type !== 'task') return null;
    const wants = { look: 'see tasks', create: 'begin a code task', steer: 'steer a task', cancel: 'end a task' };
    if (facts.tainted) return ask(`This conversation holds text from outside, and it wants to ${wants[action.what]}.`);
    if (action.what !== 'create') return allow('The owner’s own conversation asks for it.');
    const fresh = action.hosts.filter((host) => !facts.namedHosts.has(host.replace(/:\d+$/, '')));
    if (fresh.length > 0) return ask(`Its agent could reach ${fresh.join(', ')}, which you did not name.`);
    return namesRepository(action.repository, facts.said)
      ? allow('The owner named this repository.')
      : ask(`You did not name the repository ${action.repository} in this conversation.`);
  },
];

/** Within it a scheduled run acts without asking, also beside text from outside: that was weighed when the schedule was made. */
const grantRules: readonly Rule[] = [
  (action, { granted, trust, configured }) => {
    if (!granted || trust !== 'owner') return null;
    if (configured === 'always_ask' && !granted.tool) return null;
    const yes = allow(`You allowed it when you made “${granted.name}”.`);
    switch (action.type) {
      case 'fetch':
        return granted.hosts.has(action.host) ? yes : null;
      case 'send': {
        const { to } = action;
        return to !== 'here' && granted.recipients.some((address) => same(address, to)) ? yes : null;
      }
      case 'hands': {
        const reaches = (host: string) => granted.hosts.has(host) || granted.hosts.has(host.replace(/:\d+$/, ''));
        // A host alone does not allow commands on the machine itself, nor a tool alone a host.
        return action.hosts.every(reaches) && (granted.tool || (action.isolated && action.hosts.length > 0))
          ? yes
          : null;
      }
      case 'memory':
      case 'tool':
        return granted.tool ? yes : null;
      // What runs by itself plans nothing further.
      case 'schedule':
      case 'task':
        return null;
    }
  },
];

/** A morning job never waits for a button that nobody presses. */
function unattended(verdict: Verdict, granted: Granted | null): Verdict {
  if (verdict.kind !== 'ask' || !granted?.unattended) return verdict;
  return deny(
    `${verdict.why} The schedule “${granted.name}” runs unattended and was not given this; the owner can add it to its grants.`,
  );
}

export function decide(action: Action, facts: Facts): Verdict {
  const verdicts = [...grantRules, ...rules, ...handsRules, ...memoryRules, ...scheduleRules, ...taskRules]
    .map((rule) => rule(action, facts))
    .filter((verdict) => verdict !== null);
  const verdict =
    verdicts.find(({ kind }) => kind === 'deny') ?? verdicts[0] ?? ask('No rule allows this without asking.');
  return unattended(verdict, facts.granted);
}
