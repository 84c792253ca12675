// Cuts a section into texts that fit one event, between blocks, so that each block stays whole in one of them. Pure.
import type { Block, Section } from './markdown-blocks.ts';

/** UTF-16 units of one event; a longer block is a piece of its own, and is cut. */
const PIECE = 6_000;
/** Repeated above each piece. */
const HEADING = 200;

export interface Piece {
  text: string;
  /** Those whose `raw` is part of `text`. */
  blocks: Block[];
}

export function pieces(section: Section): Piece[] {
  if (section.text.length <= PIECE) return [{ text: section.text.toWellFormed(), blocks: wellFormed(section.blocks) }];
  const head = section.heading === null ? '' : `${section.heading.slice(0, HEADING)}\n`;
  const found: Piece[] = [];
  for (const block of section.blocks) {
    const last = found.at(-1);
    if (last && last.text.length + block.raw.length + 1 <= PIECE) {
      last.text += `\n${block.raw}`;
      last.blocks.push(block);
    } else found.push({ text: head + block.raw, blocks: [block] });
  }
  return found.flatMap((piece) => {
    const text = piece.text.toWellFormed();
    if (text.length <= PIECE * 2) return [{ text, blocks: wellFormed(piece.blocks) }];
    const cut: Piece[] = [];
    for (let at = 0; at < text.length; at += PIECE)
      cut.push({ text: text.slice(at, at + PIECE).toWellFormed(), blocks: [] });
    return cut;
  });
}

const wellFormed = (blocks: readonly Block[]): Block[] =>
  blocks.map((block) => ({ ...block, raw: block.raw.toWellFormed(), text: block.text.toWellFormed() }));
