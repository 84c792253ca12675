// One message and everything up to the session's rest: send, show, ask for approvals, and say how it ended.
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { systemClock } from '../clock.ts';
import { EXIT, StewardError } from '../errors.ts';
import { type Client, isUnavailable } from './client.ts';
import { follow } from './follow.ts';
import { type ApprovalView, approval, event as eventShape, page } from './shapes.ts';
import { note, type Terminal } from './terminal.ts';
import type { Transcript } from './transcript.ts';

export interface Conversation {
  client: Client;
  terminal: Terminal;
  transcript: Transcript;
  sessionId: string;
  /** The position up to which the log has been shown. */
  position: number;
  /** Asks the person; absent when nobody can answer. */
  askApproval?(item: ApprovalView): Promise<boolean>;
}

export interface TurnEnd {
  exitCode: number;
  /** Why it did not end well, one sentence; null when it did. */
  reason: string | null;
}

/** Resolves once the session rests after having read this message. Aborting stops watching, not the session. */
export async function takeTurn(chat: Conversation, text: string, signal: AbortSignal): Promise<TurnEnd> {
  const sent = await sendMessage(chat, text);
  let read = sent.processed;
  const frames = follow(chat.client, chat.sessionId, {
    after: chat.position,
    signal,
    now: chat.terminal.now,
    sleep: systemClock.sleep,
  });
  for await (const frame of frames) {
    chat.transcript.show(frame);
    if (frame.kind === 'preview') continue;
    chat.position = frame.position;
    const { event } = frame;
    if (event.id === sent.id && event.processed_at) read = true;
    if (event.type === 'session.status_terminated') return { exitCode: EXIT.failed, reason: 'The session has ended.' };
    if (event.type !== 'session.status_idle') continue;
    const stop = event.stop_reason?.type ?? 'end_turn';
    if (stop === 'requires_action' && chat.askApproval) await answerApprovals(chat, event.stop_reason?.event_ids ?? []);
    else if (stop !== 'end_turn')
      return { exitCode: EXIT.failed, reason: reasons[stop] ?? `The session rests: ${stop}.` };
    else if (read) return { exitCode: EXIT.ok, reason: null };
  }
  return { exitCode: EXIT.failed, reason: null };
}

const reasons: Record<string, string> = {
  requires_action: 'It waits for your approval: steward approve lists what is asked.',
  retries_exhausted: 'The model could not be reached often enough; steward status says more.',
  budget_reached: "The day's budget is spent; raise STEWARD_BUDGET_DAY_USD or wait for tomorrow.",
};

/** The same key on every try: a message whose confirmation was lost is still one message. */
async function sendMessage(chat: Conversation, text: string): Promise<{ id: string; processed: boolean }> {
  const key = randomUUID();
  const body = { events: [{ type: 'user.message', content: [{ type: 'text', text }] }] };
  for (let attempt = 1; ; attempt++) {
    try {
      const path = `/v1/sessions/${chat.sessionId}/events`;
      const { data } = await chat.client.send(
        'POST',
        path,
        body,
        z.looseObject({ data: z.array(eventShape).min(1) }),
        key,
      );
      return { id: data[0]!.id, processed: Boolean(data[0]!.processed_at) };
    } catch (error) {
      // Not running at all is told at once by the calls before this one; here it went away in between.
      if (!isUnavailable(error) || attempt === 20) throw error;
      await systemClock.sleep(500);
    }
  }
}

export async function confirm(client: Client, item: ApprovalView, allow: boolean, message?: string): Promise<void> {
  const answer = {
    type: 'user.tool_confirmation',
    tool_use_id: item.id,
    result: allow ? 'allow' : 'deny',
    ...(message && !allow ? { deny_message: message } : {}),
  };
  await client.send('POST', `/v1/sessions/${item.session_id}/events`, { events: [answer] }, z.unknown(), randomUUID());
}

export async function pendingApprovals(client: Client): Promise<ApprovalView[]> {
  return (await client.get('/api/approvals', page(approval))).data;
}

async function answerApprovals(chat: Conversation, ids: string[]): Promise<void> {
  for (const item of await pendingApprovals(chat.client)) {
    if (item.session_id !== chat.sessionId || (ids.length > 0 && !ids.includes(item.id))) continue;
    const allow = await chat.askApproval!(item);
    try {
      await confirm(chat.client, item, allow);
    } catch (error) {
      // Answered meanwhile on the phone, or expired: the log goes on either way.
      if (!(error instanceof StewardError) || isUnavailable(error)) throw error;
      note(chat.terminal, error.message);
    }
  }
}
