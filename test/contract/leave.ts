// A process that opens a channel, works with it, stops it, and then has nothing left to do: it must end by itself.
import { OWNER, openWorld, telegram } from './world.ts';

const harness = [telegram].find(({ name }) => name === process.argv[2])!;
const world = await openWorld(harness);
const deadline = Date.now() + 5_000;
const until = async (done: () => boolean) => {
  while (!done() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
};
await until(() => world.heard().length === 1);
const session = world.sessionOf(OWNER);
const here = { channel: harness.name, chat: OWNER };
world.channel.progress(here, session, { kind: 'working' });
world.channel.progress(here, session, { kind: 'text', text: 'half an ans' });
await until(() => world.platform.chat(OWNER).length > 0);
world.channel.progress(here, session, { kind: 'text', text: 'half an answer' });
world.tell({ kind: 'text', markdown: 'a whole answer' });
world.platform.say(OWNER, '/help');
if (process.argv[3] === 'hanging') world.platform.stuck('send', 'hang');
world.tell({ kind: 'text', markdown: 'another' });
world.channel.progress(here, session, { kind: 'working' });
await world.stop();
process.stdout.write('stopped\n');
