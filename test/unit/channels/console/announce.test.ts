// A screen reader hears each finished sentence of a streaming answer once, and all of it in the end.
import { describe, expect, it } from 'vitest';
import { type Spoken, speak } from '../../../../channels/console/src/announce.ts';

function listen(text: string, step: number): string[] {
  const heard: string[] = [];
  let spoken: Spoken | null = null;
  for (let end = step; end < text.length + step; end += step) {
    const done = end >= text.length;
    const next = speak(spoken, 'a', text.slice(0, end), done);
    spoken = next.spoken;
    if (next.say) heard.push(next.say);
  }
  return heard;
}

describe('announcing', () => {
  const text = 'It rains today. Take **an umbrella**!\n\nMore at [the site](https://a.example) later';

  it('says whole sentences, in order, once, however the text arrives', () => {
    for (const step of [1, 3, 7, 1000]) {
      expect(listen(text, step).join(' ')).toBe('It rains today. Take an umbrella! More at the site later');
    }
    expect(listen(text, 5).length).toBeGreaterThan(1);
  });

  it('names code instead of spelling it', () => {
    const said = listen('Run this:\n\n```sh\nrm -rf. Now! ok\n```\n\nThen wait. Bye', 4).join(' ');
    expect(said).not.toContain('rm');
    expect(said).toContain('Then wait.');
    expect(said).toContain('(code)');
  });

  it('another answer starts anew', () => {
    const first = speak(null, 'a', 'One. Two', true);
    expect(speak(first.spoken, 'b', 'Three. ', false).say).toBe('Three.');
  });
});
