// accept(inbound): who is it → which session → one event with its dedupe key → wake. The only way in.
import { type Agents, DEFAULT_AGENT, DEFAULT_ENVIRONMENT } from './agents.ts';
import type { Approvals } from './approvals.ts';
import { closeCards } from './cards.ts';
import type { Db } from './db.ts';
import { StewardError } from './errors.ts';
import type { Events, NewEvent } from './events.ts';
import type { Failpoint } from './failpoint.ts';
import type { Outbox } from './outbox.ts';
import type { People } from './people.ts';
import { bindingKey, type NewSession, type Sessions } from './sessions.ts';
import type {
  Accepted,
  ContentBlock,
  Id,
  Inbound,
  JsonObject,
  LogEvent,
  Millis,
  Origin,
  Session,
  Trust,
} from './types.ts';

const TITLE_LENGTH = 60;

export interface Intake {
  /**
   * Stores what was said, once. Synchronous: when it returns inside no outer transaction the event is committed, and only
   * then may the platform be told. Throws `disk_full`, `read_only` (retryable: nothing was stored), `not_found`, `conflict`.
   */
  accept(inbound: Inbound): Accepted;
  /** The owner's shared conversation over all channels, made when there is none. */
  mainSession(): Session;
  /** A fresh main conversation. The old one stays readable, unless it was incognito: that one is over, and deleted soon. */
  newMain(options?: { incognito: boolean }): Session;
  /** Ends an approval on behalf of the system or a person, in the log of its session. Returns the event. */
  confirm(answer: {
    toolUseId: Id;
    result: 'allow' | 'deny';
    reason?: string;
    by: Origin;
    dedupe?: string;
    expired?: boolean;
  }): LogEvent;
}

/** Lone surrogates are no text: no platform, model or database takes them back. */
const asJson = (content: readonly ContentBlock[]): JsonObject[] =>
  content.map(
    (block): JsonObject =>
      block.type === 'text'
        ? { type: 'text', text: block.text.toWellFormed() }
        : { type: 'image', source: { ...block.source } },
  );

function titleOf(content: readonly ContentBlock[]): string | null {
  const text =
    content
      .find((block) => block.type === 'text')
      ?.text.trim()
      .split('\n', 1)[0] ?? '';
  if (!text) return null;
  const chars = [...text];
  return chars.length > TITLE_LENGTH ? `${chars.slice(0, TITLE_LENGTH - 1).join('')}…` : text;
}

export function createIntake(deps: {
  db: Db;
  sessions: Sessions;
  events: Events;
  people: People;
  approvals: Approvals;
  agents: Agents;
  outbox: Outbox;
  now(): Millis;
  crash: Failpoint;
  wake(sessionId: Id): void;
  interrupt(sessionId: Id): void;
}): Intake {
  const { db, sessions, events, people, approvals } = deps;

  const fresh = (trust: Trust): NewSession => ({
    trust,
    agentId: DEFAULT_AGENT,
    agentVersion: deps.agents.need(DEFAULT_AGENT).version,
    environmentId: DEFAULT_ENVIRONMENT,
  });

  const identify = (inbound: Inbound): { trust: Trust; role: Origin['role'] } | null => {
    // Programs and browsers on the web channel have shown the token: they are the owner.
    if (inbound.sender.channel === 'web') return { trust: 'owner', role: 'owner' };
    const role = people.roleOf(inbound.sender);
    if (!role) return null;
    return inbound.group ? { trust: 'group', role: role === 'owner' ? 'owner' : 'group' } : { trust: role, role };
  };

  const open = (session: Session): Session => {
    if (session.archivedAt !== null || session.status === 'terminated')
      throw new StewardError(
        'conflict',
        `Session ${session.id} is ${session.archivedAt ? 'archived' : 'ended'} and takes no more input.`,
        {
          op: 'accept a message',
          hint: 'Start a new session.',
        },
      );
    return session;
  };

  const sessionFor = (inbound: Inbound, trust: Trust): Session =>
    open(
      inbound.sessionId
        ? sessions.need(inbound.sessionId)
        : sessions.bound(bindingKey(trust, inbound.address), () => fresh(trust)),
    );

  const store = (
    session: Session,
    inbound: Inbound,
    origin: Origin,
    draft: NewEvent,
    then: (id: Id) => void,
  ): Accepted => {
    const [event] = events.append(session.id, [{ ...draft, dedupe: inbound.dedupe, origin }]);
    db.afterCommit(() => {
      deps.crash('intake.after_commit');
      then(session.id);
    });
    return { kind: 'stored', eventId: event!.id, sessionId: session.id, duplicate: false };
  };

  const isAnswered = (sessionId: Id, toolUseId: Id): boolean => {
    const from = events.get(toolUseId)?.position ?? 0;
    return [...events.slice(sessionId, from), ...events.queued(sessionId)].some(
      (event) => event.payload.custom_tool_use_id === toolUseId,
    );
  };

  const confirm: Intake['confirm'] = ({ toolUseId, result, reason, by, dedupe, expired }) =>
    db.tx(() => {
      const verdict = expired ? 'expired' : result;
      const approval = approvals.resolve(toolUseId, verdict, `${by.sender.channel}:${by.sender.userId}`, reason);
      const payload: JsonObject = { tool_use_id: toolUseId, result };
      if (reason) payload.deny_message = reason;
      const draft: NewEvent = { type: 'user.tool_confirmation', payload, origin: by, queued: true };
      if (dedupe) draft.dedupe = dedupe;
      const [event] = events.append(approval.sessionId, [draft]);
      const words = expired
        ? 'Expired: denied'
        : result === 'allow'
          ? 'Approved'
          : `Denied${reason ? `: ${reason}` : ''}`;
      closeCards(deps.outbox, approval, event!.id, words);
      db.afterCommit(() => {
        deps.crash('approval.resolved');
        deps.wake(approval.sessionId);
      });
      return event!;
    });

  const acceptOne = (inbound: Inbound): Accepted => {
    const known = events.byDedupe(inbound.dedupe);
    if (known) return { kind: 'stored', eventId: known.id, sessionId: known.sessionId, duplicate: true };
    const who = identify(inbound);
    if (!who) {
      if (inbound.group) return { kind: 'refused', why: 'This person is not known here.' };
      return { kind: 'stranger', ...people.knock(inbound.sender, inbound.address.chat) };
    }
    const origin: Origin = { sender: inbound.sender, address: inbound.address, role: who.role };
    if (inbound.sender.channel !== 'web') people.seen(inbound.address, who.trust, inbound.sender.name ?? null);
    const { body } = inbound;
    switch (body.type) {
      case 'message': {
        const session = sessionFor(inbound, who.trust);
        if (session.title === null) sessions.setTitle(session.id, titleOf(body.content));
        const tainted = who.trust === 'group' || inbound.tainted === true;
        const draft = { type: 'user.message', payload: { content: asJson(body.content) }, queued: true, tainted };
        return store(session, inbound, origin, draft, deps.wake);
      }
      case 'interrupt':
        return store(
          sessionFor(inbound, who.trust),
          inbound,
          origin,
          { type: 'user.interrupt', queued: true },
          deps.interrupt,
        );
      case 'confirmation': {
        if (who.role !== 'owner') return { kind: 'refused', why: 'Only the owner can answer this.' };
        const answer = { toolUseId: body.toolUseId, result: body.result, by: origin, dedupe: inbound.dedupe };
        const event = confirm(body.denyMessage ? { ...answer, reason: body.denyMessage } : answer);
        return { kind: 'stored', eventId: event.id, sessionId: event.sessionId, duplicate: false };
      }
      case 'custom_tool_result': {
        const session = sessionFor(inbound, who.trust);
        if (isAnswered(session.id, body.toolUseId))
          throw new StewardError('conflict', `The call ${body.toolUseId} has its result already.`, {
            op: 'answer a custom tool call',
          });
        const payload = { custom_tool_use_id: body.toolUseId, content: asJson(body.content), is_error: body.isError };
        return store(
          session,
          inbound,
          origin,
          { type: 'user.custom_tool_result', payload, queued: true, tainted: true },
          deps.wake,
        );
      }
    }
  };

  return {
    accept: (inbound) =>
      db.tx(() => {
        const accepted = acceptOne(inbound);
        deps.crash('intake.before_commit');
        return accepted;
      }),
    mainSession: () => sessions.bound('main', () => fresh('owner')),
    newMain: (options) =>
      db.tx(() => {
        const before = sessions.bindingOf('main');
        const old = before ? sessions.get(before) : null;
        const metadata: Record<string, string> = options?.incognito ? { incognito: 'true' } : {};
        const session = sessions.create({ ...fresh('owner'), metadata });
        sessions.bind('main', session.id);
        if (old?.metadata.incognito === 'true') sessions.archive(old.id);
        return session;
      }),
    confirm,
  };
}
