// Gathers what the oracle judges: the log through the HTTP API and what the fakes recorded. Nothing else is read.
import type { Evidence, Said } from './oracle.ts';
import type { Rig, WireEvent, WireSession } from './rig.ts';

interface Ledger {
  requests: number;
  input_tokens: number;
  output_tokens: number;
}

async function ledgerOf(rig: Rig): Promise<Ledger> {
  const { data } = await rig.api<{ data: Ledger[] }>('/api/usage?days=3');
  const sum = (key: keyof Ledger) => data.reduce((total, row) => total + row[key], 0);
  return { requests: sum('requests'), input_tokens: sum('input_tokens'), output_tokens: sum('output_tokens') };
}

/** Log and ledger of one moment: memory asks the model beside the talk, also when that is at rest. */
async function atOneMoment(rig: Rig): Promise<Pick<Evidence, 'sessions' | 'usage'>> {
  for (let usage = await ledgerOf(rig); ; ) {
    const sessions: { session: WireSession; events: WireEvent[] }[] = [];
    for (const session of await rig.sessions()) sessions.push({ session, events: await rig.events(session.id) });
    const after = await ledgerOf(rig);
    if (after.requests === usage.requests) return { sessions, usage };
    usage = after;
  }
}

export async function gather(rig: Rig, said: readonly Said[], kills: number): Promise<Evidence> {
  const { sessions, usage } = await atOneMoment(rig);
  const chats = [...new Set(said.map(({ chat }) => chat))].filter((chat) => chat !== null);
  return {
    said,
    sessions,
    chats: new Map(chats.map((chat) => [chat, rig.telegram.chat(chat)])),
    effects: rig.effects.of,
    usage,
    outboxPending: (await rig.status()).outbox.pending,
    kills,
  };
}

/** The same for one session and one message; the ledger is left to the whole. */
export async function gatherOne(rig: Rig, said: Said, sessionId: string, kills: number): Promise<Evidence> {
  const session = await rig.api<WireSession>(`/v1/sessions/${sessionId}`);
  return {
    said: [said],
    sessions: [{ session, events: await rig.events(sessionId) }],
    chats: said.chat === null ? new Map() : new Map([[said.chat, rig.telegram.chat(said.chat)]]),
    effects: rig.effects.of,
    usage: null,
    outboxPending: (await rig.status()).outbox.pending,
    kills,
  };
}
