// What is kept of a message without a model: what it plainly states, and nothing else.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plainStatements } from '../../../../memory/consolidation/patterns.ts';

describe('is kept', () => {
  it.each([
    ['My name is Ada Lovelace.', 'identity', 'name', 'My name is Ada Lovelace'],
    ['Hi! My name is Ada.', 'identity', 'name', 'My name is Ada'],
    ['Please call me Ada from now on.', 'identity', 'called', 'Please call me Ada from now on'],
    ['my birthday is 7 May 1990', 'reference', 'birthday', 'My birthday is 7 May 1990'],
    ['My birthday is on May 7th.', 'reference', 'birthday', null],
    ['I live in Frankfurt am Main now.', 'reference', 'home', 'I live in Frankfurt am Main now'],
    ['By the way, I work for Acme Robotics.', 'reference', 'employer', null],
    ['My dentist is Dr. Wu. See you', 'reference', 'dentist', 'My dentist is Dr. Wu'],
    ['my mum is called Ruth', 'reference', 'mother', 'My mum is called Ruth'],
    ['My favorite color is dark green.', 'reference', 'favourite colour', null],
    ['My email is ada@example.org', 'reference', 'email', null],
    ['I prefer short answers.', 'reference', null, 'I prefer short answers'],
    ["I'm allergic to peanuts!", 'reference', null, null],
    ['I am vegetarian.', 'reference', null, null],
    ['Remember that my dog hates rain.', 'reference', null, 'My dog hates rain'],
    ['Please remember that my birthday is 7 May.', 'reference', 'birthday', 'My birthday is 7 May'],
    ['remember: the bins are emptied on Tuesdays', 'reference', null, 'The bins are emptied on Tuesdays'],
    ['Remind me to water the plants', 'state', null, 'Remind me to water the plants'],
    ['I have to send the report by Friday.', 'state', null, 'I have to send the report by Friday'],
    ['Ich heiße Jürgen Müller.', 'identity', 'name', null],
    ['Mein Geburtstag ist am 7. Mai.', 'reference', 'birthday', null],
    ['Ich wohne in München.', 'reference', 'home', null],
    ['Merk dir, dass mein Auto in der Garage steht und blau ist.', 'reference', null, null],
    ['Mein Zahnarzt heißt Dr. Weiß.', 'reference', 'dentist', null],
    ['Ich bevorzuge kurze Antworten.', 'reference', null, null],
    ['我叫王芳。', 'identity', 'name', '我叫王芳'],
    ['请叫我小明吧', 'identity', 'called', null],
    ['我的生日是5月7日', 'reference', 'birthday', null],
    ['我住在北京', 'reference', 'home', null],
    ['请记住：我不喜欢香菜。', 'reference', null, '我不喜欢香菜'],
    ['我对花生过敏', 'reference', null, null],
  ])('%s', (message, tier, slot, text) => {
    const found = plainStatements(message);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ tier, slot });
    if (text) expect(found[0]!.text).toBe(text);
    expect(message).toContain(found[0]!.quote);
  });

  it('several of one message, each with its words', () => {
    const found = plainStatements('Hello. My name is Ada. I live in Paris!\nI prefer tea over coffee.');
    expect(found.map(({ quote }) => quote)).toEqual(['My name is Ada', 'I live in Paris', 'I prefer tea over coffee']);
  });
});

describe('is left to others', () => {
  it.each([
    'Do you remember that film?',
    'Remember that time we got lost in Rome?',
    'Remember that time we got lost in Rome.',
    'I remember that you said so.',
    'Remember to breathe.',
    'my head is killing me',
    'My plan is to leave early.',
    'my code is broken',
    'My favourite mug is broken.',
    'My favourite restaurant is closed today',
    'my favourite food is gone',
    'My birthday is tomorrow',
    'my boss is great',
    'My boss is Not amused',
    'call me when you are done',
    'Call me Tomorrow',
    'call me back',
    'Call me a taxi.',
    'I prefer the second one.',
    'I prefer that',
    'I live in fear of mondays',
    'I work for free',
    'If I live in Paris, do I pay tax?',
    'He said: "I live in Paris."',
    '"I live in Paris."',
    '> My name is Bob.',
    'Translate this to German.\nI live in Paris.',
    'Write a story about Tom. My name is Tom.',
    'Say: my name is Bob.',
    'My name is what?',
    'Is my name Ada?',
    'My password is Hunter2',
    "My name isn't Bob.",
    'I have to go',
    'I have to say that was great',
    '```\nmy name is Ada\n```',
    'Mein Kopf ist müde.',
    'Nenn mich nicht so.',
    'Ich bevorzuge das zweite.',
    '我叫他过来',
    '叫我起床',
    '请叫我起床',
    '我叫了外卖',
    '我喜欢这个',
    '你记住了吗？',
    '记住了',
    `My name is Ada. ${'And more of a paste. '.repeat(60)}`,
  ])('%s', (message) => {
    expect(plainStatements(message)).toEqual([]);
  });
});

it('reads any text in no time, and quotes only what is there', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary', maxLength: 1_200 }),
        fc
          .array(
            fc.constantFrom(
              'my name is ',
              'remember that ',
              'so ',
              'Ada ',
              '. ',
              '记住',
              '我叫',
              '\n',
              'I have to ',
              ' by ',
              '7 May',
              ',',
            ),
            { maxLength: 120 },
          )
          .map((parts) => parts.join('')),
      ),
      (message) => {
        const from = performance.now();
        for (const { quote, text } of plainStatements(message)) {
          expect(message).toContain(quote);
          expect(text.trim()).not.toBe('');
        }
        expect(performance.now() - from).toBeLessThan(200);
      },
    ),
    { numRuns: 300 },
  );
});
