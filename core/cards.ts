// Approval cards in the owner's chats: sent when a call waits, closed everywhere once it is answered.
import type { Approval } from './approvals.ts';
import type { Outbox } from './outbox.ts';
import type { Address, Id } from './types.ts';

/** Call inside the transaction that opens the approval. */
export function sendCards(outbox: Outbox, approval: Approval, to: readonly Address[]): void {
  const { id, sessionId, title, detail, why, expiresAt } = approval;
  for (const address of to)
    outbox.enqueue({
      sessionId,
      eventId: id,
      key: `ask:${id}:${address.channel}:${address.chat}`,
      to: address,
      body: { kind: 'approval', toolUseId: id, title, detail, why, expiresAt },
    });
}

/** Call inside the transaction that resolves the approval. `eventId` is the event that did. */
export function closeCards(outbox: Outbox, approval: Approval, eventId: Id, verdict: string): void {
  const { id, sessionId, title } = approval;
  for (const { address } of outbox.cardsOf(id))
    outbox.enqueue({
      sessionId,
      eventId,
      key: `closed:${id}:${address.channel}:${address.chat}`,
      to: address,
      body: { kind: 'approval_closed', toolUseId: id, title, verdict },
    });
}
