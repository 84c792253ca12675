// One message that asks for one call, a death at a named place on its way, a restart: and how it ended.
import { readFileSync, rmSync } from 'node:fs';
import type { FailpointName } from '../../core/failpoint.ts';
import type { FakeMessage } from '../fakes/telegram.ts';
import type { EffectCounts } from './effects.ts';
import { gather, gatherOne } from './evidence.ts';
import { type EffectClass, type Said, textOf, verdict } from './oracle.ts';
import { allowTools, OWNER, type Rig, until, type WireEvent } from './rig.ts';

export type Way = 'web' | 'telegram';

export interface Plan {
  way: Way;
  effect: EffectClass;
  /** The call waits for the owner, who allows it. */
  ask?: boolean;
}

export interface Case extends Plan {
  point: FailpointName;
  nth: number;
  /** Dies once more at the same place, if recovery passes it. */
  twice?: boolean;
}

export interface Trial {
  mark: string;
  died: number;
  /** What the oracle found wrong with this message. */
  findings: string[];
  /** The log without what a crash may repeat: model requests and their ends. */
  essence: string[];
  world: EffectCounts;
  /** Empty placeholders, and cards that still have buttons, that this trial left in the chat. */
  placeholders: number;
  openCards: number;
}

export interface Trials {
  /** Lives through a message without dying; returns how often each place was passed. */
  reference(plan: Plan): Promise<{ trial: Trial; passages: Map<FailpointName, number> }>;
  run(one: Case): Promise<Trial>;
  /** The oracle over everything that was said to this rig. */
  whole(): Promise<string[]>;
}

const hasButtons = (message: FakeMessage) => message.buttons.length > 0;

/** `patienceMs`: until when a message must be answered. */
export function createTrials(rig: Rig, options: { passagesFile: string; patienceMs: number }): Trials {
  const said: Said[] = [];
  let kills = 0;
  let counter = 0;
  let asking = false;

  /** A session of its own, so that no case sees another. */
  const fresh = async (plan: Plan): Promise<string> => {
    if (asking !== (plan.ask ?? false)) {
      asking = plan.ask ?? false;
      await allowTools(rig, !asking);
    }
    if (plan.way === 'telegram') return (await rig.api<{ session_id: string }>('/api/main/new', 'POST', {})).session_id;
    const body = { agent: 'agent_steward', environment_id: 'env_steward' };
    return (await rig.api<{ id: string }>('/v1/sessions', 'POST', body)).id;
  };

  /** A program tries again with the same key until it has an answer. */
  const post = (session: string, key: string, event: object): Promise<unknown> =>
    until(`the answer to request ${key}`, () =>
      rig.api(`/v1/sessions/${session}/events`, 'POST', { events: [event] }, { 'idempotency-key': key }),
    );

  const send = async ({ way }: Plan, session: string, mark: string, text: string): Promise<unknown> =>
    way === 'telegram'
      ? rig.telegram.say(OWNER, text)
      : post(session, `say-${mark}`, { type: 'user.message', content: [{ type: 'text', text }] });

  /** Allows what waits, once; `done` ends when that is acknowledged. Null: nothing waits yet. */
  const allow = async ({ way }: Plan, session: string, mark: string): Promise<{ done: Promise<unknown> } | null> => {
    const { data } = await rig.api<{ data: { id: string; session_id: string }[] }>('/api/approvals');
    const approval = data.find((entry) => entry.session_id === session);
    if (!approval) return null;
    if (way === 'web')
      return {
        done: post(session, `allow-${mark}`, {
          type: 'user.tool_confirmation',
          tool_use_id: approval.id,
          result: 'allow',
        }),
      };
    const card = rig.telegram.chat(OWNER).findLast((message) => hasButtons(message) && message.text.includes(mark));
    if (!card) return null;
    rig.telegram.press(OWNER, card.id, card.buttons[0]![0]!.callback_data);
    return { done: Promise.resolve() };
  };

  const settled = async (session: string, mark: string): Promise<boolean> => {
    const { sessions, outbox } = await rig.status();
    if (sessions.running + sessions.rescheduling + sessions.active + outbox.pending > 0) return false;
    return (await rig.events(session)).some(
      (event) => event.type === 'agent.message' && textOf(event).split(' ').includes(mark),
    );
  };

  /** Restarts after each death, and allows what waits, until the message is answered and all is at rest or patience ends. */
  const live = async (plan: Plan, session: string, mark: string, one: Case | null): Promise<number> => {
    let died = 0;
    let gone = false;
    let allowed: { done: Promise<unknown> } | null = null;
    const watch = () =>
      void rig.steward.exited.then(() => {
        gone = true;
      });
    watch();
    for (const deadline = performance.now() + options.patienceMs; performance.now() < deadline; ) {
      if (gone) {
        died += 1;
        if (one?.twice && died === 1) rig.arm(one.point, 1);
        await rig.restart();
        gone = false;
        watch();
      }
      if (plan.ask) allowed ??= await allow(plan, session, mark).catch(() => null);
      if (await settled(session, mark).catch(() => false)) break;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    rig.disarm();
    kills += died;
    await allowed?.done;
    return died;
  };

  const standing = (test: (message: FakeMessage) => boolean) => rig.telegram.chat(OWNER).filter(test).length;
  const isPlaceholder = (message: FakeMessage) => message.text === '…';

  const trial = async (plan: Plan, one: Case | null): Promise<Trial> => {
    const mark = `m${++counter}`;
    const { way, effect } = plan;
    const message: Said = { mark, place: `${way} ${mark}`, chat: way === 'telegram' ? OWNER : null, effect };
    said.push(message);
    const session = await fresh(plan);
    const before = { placeholders: standing(isPlaceholder), cards: standing(hasButtons) };
    if (one) rig.arm(one.point, one.nth);
    const sent = send(plan, session, mark, `use ${effect} ${mark}`);
    const died = await live(plan, session, mark, one);
    await sent;
    const evidence = await gatherOne(rig, message, session, kills);
    return {
      mark,
      died,
      findings: verdict(evidence),
      essence: essenceOf(evidence.sessions[0]!.events, mark),
      world: rig.effects.of(mark),
      placeholders: standing(isPlaceholder) - before.placeholders,
      openCards: standing(hasButtons) - before.cards,
    };
  };

  return {
    async reference(plan) {
      rmSync(options.passagesFile, { force: true });
      const done = await trial(plan, null);
      const passages = new Map<FailpointName, number>();
      for (const name of readFileSync(options.passagesFile, 'utf8').split('\n').filter(Boolean) as FailpointName[])
        passages.set(name, (passages.get(name) ?? 0) + 1);
      return { trial: done, passages };
    },
    async run(one) {
      // A slow machine may show an answer before it is complete, and then another way is taken: that is no passage.
      for (let tries = 1; ; tries++) {
        const done = await trial(one, one);
        if (done.died > 0 || tries === 3) return done;
      }
    },
    whole: async () => verdict(await gather(rig, said, kills)),
  };
}

/** The log as a person would tell it. Spans are left out: a request that a crash cut off is asked again. */
export function essenceOf(events: readonly WireEvent[], mark: string): string[] {
  return events
    .filter((event) => !event.type.startsWith('span.'))
    .map((event) => {
      const words = textOf(event).replaceAll(mark, 'MARK');
      const rest = [event.name, event.evaluated_permission, event.status, event.is_error, event.result]
        .filter((value) => value !== undefined)
        .join(' ');
      const reason = (event.stop_reason as { type: string } | undefined)?.type ?? '';
      return [event.type, words, rest, reason].filter(Boolean).join(' | ');
    });
}
