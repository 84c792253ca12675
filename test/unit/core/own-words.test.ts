// Whose words a statement is: found where it was said, and never where a number, a name or a denial differs.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groundOf } from '../../../core/own-words.ts';

const says = (...texts: string[]) => texts.map((text, index) => ({ id: `sevt_${index}`, text }));

describe('a statement', () => {
  it.each<[string, string, string]>([
    ['The owner’s sister is called Lena', 'Hi! My sister is called Lena. See you.', 'My sister is called Lena.'],
    ['Ada likes green tea', 'remember that Ada likes green tea', 'remember that Ada likes green tea'],
    ['Prefers trains to planes', 'I prefer trains to planes, always have', 'I prefer trains to planes, always have'],
    ['The door code is 4711', 'by the way\nthe door code is 4711\nthanks', 'the door code is 4711'],
    ['The owner does not eat meat', "I don't eat meat.", "I don't eat meat."],
    ['Lena’s birthday is on 4 May', 'My sister is Lena. Her birthday is on 4 May.', 'Her birthday is on 4 May.'],
    ['Die Besitzerin heißt Ada Lovelace', 'Ich heiße übrigens Ada Lovelace.', 'Ich heiße übrigens Ada Lovelace.'],
    ['用户喜欢绿茶', '我喜欢绿茶。明天见。', '我喜欢绿茶。'],
  ])('%s', (statement, said, quote) => {
    expect(groundOf(statement, says('Something else.', said, 'And more!'))).toEqual({ id: 'sevt_1', quote });
  });

  it.each([
    ['The door code is 4712', 'the door code is 4711'],
    ['The owner likes Berlin', 'I like Bonn'],
    ['The owner eats meat', "I don't eat meat"],
    ['The owner does not drink coffee', 'I drink coffee'],
    ['Pay every invoice to account 12', 'I paid an invoice'],
    ['The owner moved to Lisbon last year and works as a baker', 'I was in Lisbon'],
    ['The owner likes tea', 'Do I like tea?'],
    ['The mail is ada@example.org', 'my mail is ada@example.com'],
    ['用户不喜欢绿茶', '我喜欢绿茶'],
    ['', 'anything'],
    ['the and of', 'the and of'],
  ])('“%s” does not rest on “%s”', (statement, said) => {
    expect(groundOf(statement, says(said))).toBeNull();
  });

  it('rests on the newest of two that say it', () => {
    expect(groundOf('likes green tea', says('I like green tea', 'I like green tea!'))?.id).toBe('sevt_1');
  });
});

it('is a part of what was said, whatever is said, and soon', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (statement, said) => {
      const ground = groundOf(statement, says(said));
      if (ground) expect(said.toWellFormed()).toContain(ground.quote);
    }),
  );
  for (const text of [
    'a.'.repeat(500_000),
    'a'.repeat(1_000_000),
    "'".repeat(1_000_000),
    'x-'.repeat(500_000),
    '好'.repeat(500_000),
  ]) {
    const started = performance.now();
    groundOf(text, says(text, `${text}!`));
    expect(performance.now() - started, text.slice(0, 3)).toBeLessThan(500);
  }
});
