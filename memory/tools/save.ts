// memory_save: keeps one statement, with the words it rests on. Whose words these are decides what becomes of it.
import { z } from 'zod';
import type { ItemKind, SaveRequest } from '../../core/memory.ts';
import { savedText } from '../../core/memory-text.ts';
import { type Ground, groundOf, type Saying } from '../../core/own-words.ts';
import { defineTool, type Tool, type ToolContext, textResult } from '../../core/tools/tool.ts';
import type { LogEvent, Session } from '../../core/types.ts';
import { calendar } from '../../core/usage.ts';
import { draftOf, tierOf } from '../drafts.ts';
import { scopeOf } from '../scope.ts';
import type { Authority, Quote } from '../types.ts';
import { INCOGNITO, type MemoryToolsDeps } from './deps.ts';

const DAY_MS = 86_400_000;
/** The newest messages among which the owner's own words are looked for. */
const LATEST = 50;
const KINDS = [
  'fact',
  'preference',
  'decision',
  'person',
  'procedure',
  'loop',
  'focus',
] as const satisfies readonly ItemKind[];

const schema = z.strictObject({
  text: z
    .string()
    .min(1)
    .describe('One statement that is understood without the conversation, at most 8,000 characters'),
  kind: z.enum(KINDS).optional().describe('fact if left out; loop: something open; focus: what is being worked on'),
  subject: z.string().min(1).max(200).optional().describe('Whom or what it is about: owner, a name, a project'),
  slot: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe(
      'What about it: birthday, employer, preferred tea. A new value of the same subject and slot takes the place of the old one',
    ),
  tier: z
    .enum(['identity', 'state', 'reference'])
    .optional()
    .describe('identity: who the owner and you are. state: open or of the moment, expires. reference: everything else'),
  expires_in_days: z.int().min(1).max(3_650).optional(),
  pinned: z.boolean().optional().describe('Always first among what you are shown'),
});
type Args = z.infer<typeof schema>;

const textOf = (event: LogEvent): string =>
  ((event.payload.content as { type: string; text?: string }[] | undefined) ?? [])
    .map((block) => (block.type === 'text' ? (block.text ?? '') : ''))
    .join('\n');

/** Pure. Whose words a statement counts as, and where they stand. */
export function restingOn(input: {
  text: string;
  call: { id: string; approved: boolean };
  session: Pick<Session, 'trust'>;
  tainted: boolean;
  ground: Ground | null;
}): { authority: Authority; sources: Quote[] } {
  const { call, ground, session } = input;
  if (session.trust === 'owner' && ground)
    return { authority: 'owner', sources: [{ eventId: ground.id, quote: ground.quote }] };
  const sources = [{ eventId: call.id, quote: input.text.trim() }];
  // The owner saw these very words and said yes to them.
  if (call.approved) return { authority: 'owner', sources };
  return { authority: input.tainted || session.trust === 'group' ? 'outside' : 'agent', sources };
}

export function createMemorySave(deps: MemoryToolsDeps): Tool {
  const { db, events, items, changes } = deps;
  const dayOf = calendar(deps.timeZone);

  /** What the owner said here, in their own words, the newest last. */
  const saidIn = (session: Session): Saying[] =>
    events
      .list({ sessionId: session.id, types: ['user.message'], order: 'desc', limit: LATEST })
      .filter((event) => !event.tainted && event.origin?.role === 'owner' && event.position !== null)
      .map((event) => ({ id: event.id, text: textOf(event) }))
      .toReversed();

  const requestOf = (args: Args): SaveRequest => {
    const { expires_in_days: days, ...rest } = args;
    return days === undefined ? rest : { ...rest, expiresAt: deps.now() + days * DAY_MS };
  };

  const keep = (args: Args, { callId, session }: ToolContext, scope: string): string =>
    db.tx(() => {
      const call = events.get(callId);
      // A repeat after a crash: what this very call had kept before.
      const [before] = items.ofEvent(callId);
      if (before) return savedText({ kind: 'saved', item: before, superseded: [], changeId: before.changeId }, dayOf);
      const resting = restingOn({
        text: args.text,
        call: { id: callId, approved: call?.payload.evaluated_permission === 'ask' },
        session,
        tainted: events.isTainted(session.id),
        ground: session.trust === 'owner' ? groundOf(args.text, saidIn(session)) : null,
      });
      const draft = draftOf(requestOf(args), { ...resting, scope, now: deps.now() });
      const saved = deps.save(draft, { sessionId: session.id, kind: 'save' });
      if (saved.kind !== 'known') return savedText(saved, dayOf);
      const told = events.get(changes.get(saved.item.changeId)?.eventId ?? '');
      // What the plain reading of the very message that asks for it has kept a moment ago is kept now, not known already.
      const [asking] = events.list({ sessionId: session.id, types: ['user.message'], order: 'desc', limit: 1 });
      const since = asking?.seq ?? call?.seq ?? Infinity;
      const own = told !== null && told.sessionId === session.id && told.seq > since;
      const { item } = saved;
      return savedText(own ? { kind: 'saved', item, superseded: [], changeId: item.changeId } : saved, dayOf);
    });

  return defineTool({
    name: 'memory_save',
    description:
      'Keep one statement for good: a fact, preference, decision, person, procedure, or something open. Say it in the owner’s words where you can. Save what will matter in later conversations, not what is only of this one, and no secrets.',
    schema,
    effect: 'keyed',
    action: (args) => ({ type: 'memory', what: 'save', tier: tierOf(args), text: args.text }),
    title: ({ text, ...args }) => `Remember (${tierOf(args)}): ${text.slice(0, 300)}`,
    async run(args, context) {
      const scope = scopeOf(context.session);
      return textResult(scope === null ? INCOGNITO : keep(args, context, scope));
    },
  });
}
