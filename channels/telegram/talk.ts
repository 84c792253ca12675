// What an update leads to: a stored message, the answer to a command, the toast of a button. Runs inside the batch's transaction.
import { describeError, StewardError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { TasksAnswer, TasksCommand } from '../../core/tasks-command.ts';
import type { Accepted, Address, Inbound, Role, Sender } from '../../core/types.ts';
import type { TelegramUpdate } from './api.ts';
import { shownWhole, spelledOut, type Waiting } from './card.ts';
import { type Base, type Command, type Me, parseUpdate, toInbound } from './inbound.ts';

export interface TalkDeps {
  intake: { accept(inbound: Inbound): Accepted };
  roleOf(sender: Sender): Role | null;
  status(): string;
  newConversation(options?: { incognito: boolean }): void;
  /** What waits for the owner; `shown` when its card stands in this chat. */
  approvals(here: Address): Waiting[];
  /** The answer to `/memory …`, for the owner alone. Called after the commit. */
  memory(args: string): Promise<string>;
  /** The answer to `/schedules …`, for the owner alone. Called after the commit. */
  schedules(args: string): string;
  /** The answer to `/task …` and `/tasks`, for the owner alone. Called within the batch; what it returns to be called, after the commit. */
  tasks(command: TasksCommand): TasksAnswer;
  log: Log;
  /** Both are best effort, after the commit. */
  reply(base: Base, text: string): void;
  toast(callbackId: string, text: string): void;
}

const ID = /^sevt_\w+$/;

const HELP = `Write to me as to a person; this is the same conversation as in the console.

/new – start a fresh conversation
/stop – stop what I am doing
/status – is everything well
/approve – what waits for your approval, or approve it
/deny – deny it, with a reason if you like
/memory – what I remember; /memory help says more
/schedules – what is scheduled; /schedules help says more
/task REPOSITORY: what is to be done – begin a code task; /task help says more
/tasks – where they stand
/incognito – a conversation of which nothing is kept, until /new`;

const pairingText = (code: string, expiresAt: number) =>
  `I do not know you yet. If this is your Steward, approve this code within the hour (until ${new Date(expiresAt).toISOString().slice(11, 16)} UTC):

${code}

In the console under Settings, or on the machine: npx steward pair ${code}`;

export function createTalk(deps: TalkDeps): (update: TelegramUpdate, me: Me) => (() => void) | null {
  const store = (base: Base, body: Inbound['body'], tainted = false): (() => void) | null => {
    const accepted = deps.intake.accept(toInbound(base, body, tainted));
    if (accepted.kind !== 'stranger' || accepted.code === null || base.group) return null;
    const { code, expiresAt } = accepted;
    return () => deps.reply(base, pairingText(code, expiresAt));
  };

  const notYours = (base: Base): string => {
    deps.log.warn({ user: base.sender.userId, chat: base.address.chat }, 'somebody else tried to answer an approval');
    return 'Not yours to answer.';
  };

  /** The outcome of an answer to an approval, in a few words. */
  const decide = (base: Base, toolUseId: string, result: 'allow' | 'deny', reason?: string): string => {
    try {
      const body = { type: 'confirmation', toolUseId, result } as const;
      const accepted = deps.intake.accept(toInbound(base, reason ? { ...body, denyMessage: reason } : body));
      if (accepted.kind !== 'stored') return notYours(base);
      return result === 'allow' ? 'Approved.' : 'Denied.';
    } catch (error) {
      if (error instanceof StewardError && !error.retryable) return describeError(error);
      throw error;
    }
  };

  /** /approve and /deny: the one that is named, or the only one. Nothing is approved that could not be read here. */
  const answer = (base: Base, result: 'allow' | 'deny', args: string): string => {
    const waiting = deps.approvals(base.address);
    if (waiting.length === 0) return 'Nothing waits for approval.';
    const [first = '', ...rest] = args.split(/\s+/).filter(Boolean);
    const named = waiting.find((approval) => approval.id === first);
    if (!named && ID.test(first)) return `Nothing waits under ${first}: it was answered, or ran out.`;
    const only = waiting.length === 1 ? waiting[0]! : null;
    const chosen = named ?? only;
    if (chosen && result === 'deny') return decide(base, chosen.id, 'deny', named ? rest.join(' ') : args);
    if (chosen && !shownWhole(chosen)) return 'It is too long to be shown here in full: approve it in the console.';
    if (chosen && (named || chosen.shown)) return decide(base, chosen.id, 'allow');
    const head = only ? 'One thing waits.' : `${waiting.length} things wait. Which one?`;
    return [
      head,
      ...waiting.map((approval) => spelledOut(approval, `/${result === 'allow' ? 'approve' : 'deny'}`)),
    ].join('\n\n');
  };

  /** What concerns the owner alone is neither told nor decided where others read along. */
  const ownerAlone =
    <T>(run: (base: Base, args: string) => T) =>
    (base: Base, role: Role, args: string): T | string =>
      role === 'owner' && !base.group ? run(base, args) : 'Only the owner can do that, in a private chat.';

  /** Begun in the commit of what was received, so that the same message is one task; what takes a while comes after it. */
  const tasks = ownerAlone((base, args) => {
    const { channel, chat } = base.address;
    const author = { trust: 'owner', by: `${channel}:${chat}`, sessionId: null, here: base.address } as const;
    const answer = deps.tasks({ args, author, key: base.dedupe });
    if (typeof answer === 'string') return answer;
    return () => {
      answer()
        .catch((error: unknown) => {
          deps.log.error({ error }, 'a question about tasks failed');
          return 'That failed; the log says why.';
        })
        .then((text) => deps.reply(base, text));
    };
  });

  const commands: Record<Command, (base: Base, role: Role, args: string) => string | (() => void) | null> = {
    start: () => HELP,
    help: () => HELP,
    stop: (base) => store(base, { type: 'interrupt' }),
    status: (base, role) => (role === 'owner' && !base.group ? deps.status() : 'I am here.'),
    new: ownerAlone(() => {
      deps.newConversation();
      return 'A fresh conversation. The old one stays readable in the console, unless it was incognito: then it is deleted.';
    }),
    incognito: ownerAlone(() => {
      deps.newConversation({ incognito: true });
      return 'From here on nothing is kept: this conversation sees nothing of memory, adds nothing to it, and is deleted when /new ends it or nobody has written for a day. What stands in this chat is for you to delete.';
    }),
    approve: ownerAlone((base, args) => answer(base, 'allow', args)),
    deny: ownerAlone((base, args) => answer(base, 'deny', args)),
    // It searches, and may erase: after the commit of what was received, so that nothing of it is done twice.
    memory: ownerAlone((base, args) => () => {
      deps
        .memory(args)
        .catch((error: unknown) => {
          deps.log.error({ error }, 'a question to memory failed');
          return 'That failed; the log says why.';
        })
        .then((text) => deps.reply(base, text));
    }),
    task: tasks,
    tasks,
    schedules: ownerAlone((base, args) => () => {
      try {
        deps.reply(base, deps.schedules(args));
      } catch (error) {
        deps.log.error({ error }, 'a question about schedules failed');
        deps.reply(base, 'That failed; the log says why.');
      }
    }),
  };

  return (update, me) => {
    const parsed = parseUpdate(update, me);
    switch (parsed.kind) {
      case 'ignore':
        return null;
      case 'message':
        return store(parsed.base, { type: 'message', content: parsed.content }, parsed.tainted);
      case 'button': {
        const { base, toolUseId, result } = parsed;
        const known = deps.roleOf(base.sender) !== null;
        const words = known ? decide(base, toolUseId, result) : notYours(base);
        return () => deps.toast(parsed.callbackId, words);
      }
      case 'command': {
        const { base, name, args } = parsed;
        const role = deps.roleOf(base.sender);
        // A stranger's command is a stranger's message: a pairing code at most.
        if (!role) return store(base, { type: 'message', content: [{ type: 'text', text: `/${name}` }] });
        const result = commands[name as Command](base, role, args);
        return typeof result === 'string' ? () => deps.reply(base, result) : result;
      }
    }
  };
}
