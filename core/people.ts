// Who is who: paired identities, pairings that wait, and the places we may speak to.
import { randomInt } from 'node:crypto';
import type { Db } from './db.ts';
import { StewardError } from './errors.ts';
import type { Address, Millis, Role, Sender, Trust } from './types.ts';

/** A code is good for as long as no second reply would be given: one an hour. */
export const PAIRING_MS = 60 * 60_000;
const CODE_ALPHABET = '23456789ABCDEFGHJKMNPQRSTUVWXYZ';
const CODE_LENGTH = 8;
/** A stranger's list must not grow without end. */
const MAX_WAITING = 50;

export interface Identity {
  channel: string;
  userId: string;
  name: string | null;
  role: Role;
  pairedAt: Millis;
}

export interface Pairing {
  code: string;
  channel: string;
  userId: string;
  chat: string;
  name: string | null;
  createdAt: Millis;
  expiresAt: Millis;
}

export interface KnownAddress {
  address: Address;
  trust: Trust;
  title: string | null;
}

export interface People {
  roleOf(sender: Pick<Sender, 'channel' | 'userId'>): Role | null;
  /** Opens a pairing for a stranger. `code` is null when this person already got a reply within the hour. */
  knock(sender: Sender, chat: string): { code: string | null; expiresAt: Millis };
  waiting(): Pairing[];
  /** Uses a code up. Throws `not_found` for an unknown or expired one. */
  approve(code: string, role: Role): Identity;
  /** Uses a code up; whoever got it is told nothing more within the hour. */
  deny(code: string): void;
  list(): Identity[];
  /** False when nobody was paired under that id. */
  revoke(channel: string, userId: string): boolean;
  seen(address: Address, trust: Trust, title: string | null): void;
  addresses(): KnownAddress[];
  /** The owner's private chats that can be written to, for approvals and alarms. */
  ownerAddresses(): Address[];
}

const newCode = () =>
  Array.from({ length: CODE_LENGTH }, () => CODE_ALPHABET[randomInt(CODE_ALPHABET.length)]).join('');

interface PairingRow {
  code: string;
  channel: string;
  user_id: string;
  chat: string;
  name: string | null;
  created_at: number;
  expires_at: number;
}

export function createPeople(db: Db, now: () => Millis): People {
  const role = db.prepare<[string, string], { role: Role }>(
    'SELECT role FROM identities WHERE channel = ? AND user_id = ?',
  );
  const open = db.prepare<[string, string, Millis], PairingRow>(
    'SELECT * FROM pairings WHERE channel = ? AND user_id = ? AND expires_at > ?',
  );
  const knock = db.prepare(
    `INSERT INTO pairings (channel, user_id, chat, name, code, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (channel, user_id) DO UPDATE SET chat = excluded.chat, name = excluded.name, code = excluded.code,
       created_at = excluded.created_at, expires_at = excluded.expires_at, denied_at = NULL`,
  );
  const forget = db.prepare<[Millis]>('DELETE FROM pairings WHERE expires_at <= ?');
  const countOpen = db.prepare<[], { n: number }>('SELECT count(*) AS n FROM pairings');
  const all = db.prepare<[Millis], PairingRow>(
    'SELECT * FROM pairings WHERE expires_at > ? AND denied_at IS NULL ORDER BY created_at',
  );
  const byCode = db.prepare<[string, Millis], PairingRow>(
    'SELECT * FROM pairings WHERE code = ? AND expires_at > ? AND denied_at IS NULL',
  );
  const refuse = db.prepare<[Millis, string]>('UPDATE pairings SET denied_at = ? WHERE code = ?');
  const close = db.prepare<[string]>('DELETE FROM pairings WHERE code = ?');
  const pair = db.prepare<[string, string, string | null, Role, Millis]>(
    `INSERT INTO identities (channel, user_id, name, role, paired_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (channel, user_id) DO UPDATE SET role = excluded.role, name = excluded.name, paired_at = excluded.paired_at`,
  );
  const identities = db.prepare<
    [],
    { channel: string; user_id: string; name: string | null; role: Role; paired_at: number }
  >('SELECT * FROM identities ORDER BY paired_at');
  const unpair = db.prepare<[string, string]>('DELETE FROM identities WHERE channel = ? AND user_id = ?');
  const leave = db.prepare<[string, string]>('DELETE FROM addresses WHERE channel = ? AND chat = ?');
  const see = db.prepare<[string, string, string, Trust, string | null, Millis]>(
    `INSERT INTO addresses (channel, chat, thread, trust, title, last_seen_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (channel, chat, thread) DO UPDATE SET trust = excluded.trust, title = excluded.title, last_seen_at = excluded.last_seen_at`,
  );
  const places = db.prepare<[], { channel: string; chat: string; thread: string; trust: Trust; title: string | null }>(
    'SELECT channel, chat, thread, trust, title FROM addresses ORDER BY last_seen_at DESC',
  );
  const toPairing = (row: PairingRow): Pairing => ({
    code: row.code,
    channel: row.channel,
    userId: row.user_id,
    chat: row.chat,
    name: row.name,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  });
  const need = (code: string): PairingRow => {
    const row = byCode.get(code.trim().toUpperCase(), now());
    if (!row)
      throw new StewardError('not_found', `No pairing waits under the code ${code}: it is wrong, used or expired.`, {
        op: 'pair',
        hint: 'Let the person write to the bot again to get a fresh code (at most one an hour).',
      });
    return row;
  };
  const toAddress = (row: { channel: string; chat: string; thread: string }): Address =>
    row.thread
      ? { channel: row.channel, chat: row.chat, thread: row.thread }
      : { channel: row.channel, chat: row.chat };

  const people: People = {
    roleOf: (sender) => role.get(sender.channel, sender.userId)?.role ?? null,
    knock: (sender, chat) =>
      db.tx(() => {
        const known = open.get(sender.channel, sender.userId, now());
        if (known) return { code: null, expiresAt: known.expires_at };
        forget.run(now());
        if (countOpen.get()!.n >= MAX_WAITING) return { code: null, expiresAt: now() };
        const code = newCode();
        const expiresAt = now() + PAIRING_MS;
        knock.run(sender.channel, sender.userId, chat, sender.name?.slice(0, 80) ?? null, code, now(), expiresAt);
        return { code, expiresAt };
      }),
    waiting: () => all.all(now()).map(toPairing),
    approve: (code, as) =>
      db.tx(() => {
        const row = need(code);
        close.run(row.code);
        pair.run(row.channel, row.user_id, row.name, as, now());
        people.seen({ channel: row.channel, chat: row.chat }, as, row.name);
        return { channel: row.channel, userId: row.user_id, name: row.name, role: as, pairedAt: now() };
      }),
    deny: (code) => void refuse.run(now(), need(code).code),
    list: () =>
      identities.all().map((row) => ({
        channel: row.channel,
        userId: row.user_id,
        name: row.name,
        role: row.role,
        pairedAt: row.paired_at,
      })),
    revoke: (channel, userId) =>
      db.tx(() => {
        // In a private chat the chat's id is the person's: nothing more is sent there.
        leave.run(channel, userId);
        return unpair.run(channel, userId).changes > 0;
      }),
    seen: (address, trust, title) =>
      void see.run(address.channel, address.chat, address.thread ?? '', trust, title, now()),
    addresses: () => places.all().map((row) => ({ address: toAddress(row), trust: row.trust, title: row.title })),
    ownerAddresses: () =>
      places
        .all()
        .filter((row) => row.trust === 'owner')
        .map(toAddress),
  };
  return people;
}
