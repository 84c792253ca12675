// What a screen reader hears of a streaming answer: whole sentences as they are finished, each once.

export interface Spoken {
  id: string;
  /** Characters of the answer that were said already. */
  upTo: number;
}

/** Markdown marks read aloud are noise; code is named, not spelled. */
function plain(markdown: string): string {
  return markdown
    .replace(/```[^\n]*\n[\s\S]*?(```|$)/g, ' (code) ')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[*_`#>|~]+/g, '')
    .replace(/\s+/g, ' ')
    .trim();
}

const STOPS = ['. ', '! ', '? ', '\n\n', ':\n'];

/** The part of `text` to say now, and where that leaves us. With `done` the rest is said, finished sentence or not. */
export function speak(spoken: Spoken | null, id: string, text: string, done: boolean): { say: string; spoken: Spoken } {
  const from = spoken?.id === id ? Math.min(spoken.upTo, text.length) : 0;
  const rest = text.slice(from);
  // A dot in code ends no sentence: code is said together with what follows it.
  const prose = rest.replace(/```[\s\S]*?(```|$)/g, (code) => '`'.repeat(code.length));
  const end = done ? rest.length : Math.max(...STOPS.map((stop) => prose.lastIndexOf(stop) + 1));
  return { say: end > 0 ? plain(rest.slice(0, end)) : '', spoken: { id, upTo: from + end } };
}
