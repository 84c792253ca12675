// Gives back the room of pieces that no kept snapshot names, and keeps the number of segments small.
import type { Id } from '../../core/types.ts';
import { openChunks, type Place } from './chunks.ts';
import type { Lineage } from './lineage.ts';

/** A segment is written anew when less than this share of it is still named. */
const LIVE_SHARE = 0.5;
const SMALL_BYTES = 4 * 1024 * 1024;
const SMALL_MOST = 32;

/** The new segment is on disk before an old one goes: cut off at any point, nothing that is named is missing. */
export async function compact(lineage: Lineage, ids: readonly Id[], newId: () => Id): Promise<void> {
  const named = new Set<string>();
  for (const id of ids) {
    const loaded = await lineage.load(id);
    for (const entry of loaded?.tree.values() ?? [])
      if (entry.kind === 'file') for (const piece of entry.chunks) named.add(piece);
  }
  const chunks = await openChunks(lineage.folder);
  try {
    const living = new Map<string, { piece: string; place: Place }[]>();
    for (const [piece, place] of chunks.places) {
      if (!named.has(piece)) continue;
      const list = living.get(place.segment);
      if (list) list.push({ piece, place });
      else living.set(place.segment, [{ piece, place }]);
    }
    const small = [...chunks.segments].filter(([name, { packed }]) => living.has(name) && packed < SMALL_BYTES);
    const merged = new Set(small.length > SMALL_MOST ? small.map(([name]) => name) : []);
    const renewed: string[] = [];
    const dead: string[] = [];
    for (const [name, { raw }] of chunks.segments) {
      const pieces = living.get(name);
      const bytes = pieces?.reduce((sum, { place }) => sum + place.length, 0) ?? 0;
      if (!pieces) dead.push(name);
      else if (merged.has(name) || bytes < raw * LIVE_SHARE) renewed.push(name);
    }
    if (renewed.length > 0) {
      const writer = await chunks.write(newId(), true);
      try {
        for (const name of renewed) {
          let [frame, bytes] = [-1, Buffer.alloc(0) as Buffer];
          for (const { place } of living.get(name)!) {
            if (place.frame !== frame) [frame, bytes] = [place.frame, await chunks.frame(name, place.frame)];
            await writer.add(bytes.subarray(place.offset, place.offset + place.length));
          }
        }
        await writer.finish();
      } catch (error) {
        await writer.abandon();
        throw error;
      }
    }
    await chunks.remove([...dead, ...renewed]);
  } finally {
    await chunks.close();
  }
}
