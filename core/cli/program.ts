// The commands: names, arguments and help; each hands over to the file that does it.
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { loadConfig } from '../config.ts';
import { describeError, EXIT, exitCodeOf } from '../errors.ts';
import { KINDS, TIERS } from '../memory.ts';
import { JOBS } from '../schedules.ts';
import { makeBackup, restoreBackup, showBackups } from './backup.ts';
import { chat } from './chat.ts';
import { type Client, createClient } from './client.ts';
import { installHarness } from './doctor/harnesses.ts';
import { doctor } from './doctor/index.ts';
import { evalMemory } from './eval.ts';
import * as hooks from './hooks.ts';
import { start, stop } from './lifecycle.ts';
import { showLogs } from './logs.ts';
import * as memories from './memory.ts';
import * as edits from './memory-edit.ts';
import { decide, pair, showApprovals, showLogin } from './people.ts';
import { exportMemory, importMemory } from './portability.ts';
import { loadEvaluation, loadPrograms, run } from './run.ts';
import * as schedules from './schedules.ts';
import { showSessions, showStatus, showUsage } from './status.ts';
import * as tasks from './tasks.ts';
import type { Terminal } from './terminal.ts';
import { showTrace } from './trace.ts';
import { addCredential, removeCredential, resetVault, rotateCredential, showVault } from './vault.ts';

/** Runs one command line (without `node` and the script) and returns its exit code: 0, 1, 2, 75 or 78. Never throws. */
export async function runCommand(args: readonly string[], terminal: Terminal, version: string): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = createProgram(terminal, version, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    terminal.stderr.write(`${describeError(error)}\n`);
    return exitCodeOf(error);
  }
}

function createProgram(terminal: Terminal, version: string, end: (exitCode: number) => void): Command {
  const client = (): Client => createClient(loadConfig(terminal.env).config, { fetch: terminal.fetch });
  const program = new Command('steward')
    .description('A personal agent that is always on.')
    .version(version)
    .showHelpAfterError('(steward --help lists the commands)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
    });
  const json = ['--json', 'as JSON'] as const;

  program
    .command('run')
    .description('run in the foreground (systemd, containers)')
    .action(async () => end(await run(terminal.stderr)));
  program
    .command('start')
    .description('start under PM2 and show the way into the console')
    .action(async () => end(await start(terminal)));
  program
    .command('stop')
    .description('stop the process and PM2 with it')
    .action(async () => end(await stop(terminal)));
  program
    .command('restart')
    .description('start again, with the code and settings as they are now')
    .action(async () => end(await start(terminal, { restart: true })));
  program
    .command('status')
    .description('what it is doing')
    .option(...json)
    .action((options) => showStatus(client(), terminal, options));
  program
    .command('logs')
    .description('the newest lines of the log')
    .option('-n, --lines <count>', 'how many', count, 100)
    .option('-f, --follow', 'and those to come')
    .option('--json', 'the lines as they are')
    .action((options) => showLogs(loadConfig(terminal.env).config.home, terminal, options, untilInterrupted()));
  program
    .command('login')
    .description('a link that signs a browser in, once')
    .option(...json)
    .action((options) => showLogin(client(), terminal, options));
  program
    .command('chat')
    .description('send one message and print the answer; without text, a conversation')
    .argument('[text]', 'the message; or pipe it in')
    .option('-s, --session <id>', 'another session than the main one')
    .action(async (text: string | undefined, options) => end(await chat(client(), terminal, { text, ...options })));
  program
    .command('sessions')
    .description('conversations and tasks, the latest first')
    .option('-n, --limit <count>', 'how many', count, 20)
    .option('--archived', 'the archived ones too')
    .option(...json)
    .action((options) => showSessions(client(), terminal, options));
  program
    .command('trace')
    .description('what happened: a session event by event, or the way of one message')
    .argument('[id]', 'a session or an event; without it the main session')
    .option('-n, --limit <count>', 'how many events', count, 200)
    .option(...json)
    .action((id: string | undefined, options) => showTrace(client(), terminal, id, options));
  program
    .command('approve')
    .description('allow a tool call that waits; without an id, list what waits')
    .argument('[id]')
    .option(...json)
    .action((id: string | undefined, options) =>
      id ? decide(client(), terminal, { id, allow: true, ...options }) : showApprovals(client(), terminal, options),
    );
  program
    .command('deny')
    .description('refuse a tool call that waits')
    .argument('<id>')
    .option('-m, --message <text>', 'why, for the model')
    .option(...json)
    .action((id: string, options) => decide(client(), terminal, { id, allow: false, ...options }));
  program
    .command('pair')
    .description('approve the code a person was shown; without a code, list who waits')
    .argument('[code]')
    .option('--guest', 'as a guest, not as owner')
    .option('--deny <code>', 'refuse a code')
    .option('--list', 'who is paired')
    .option('--revoke <who>', 'end a pairing (channel:user)')
    .option(...json)
    .action((code: string | undefined, options) => pair(client(), terminal, code, options));
  program
    .command('usage')
    .description('tokens and cost by day and model')
    .option('-d, --days <count>', 'how many days', count, 30)
    .option(...json)
    .action((options) => showUsage(client(), terminal, options));
  const memory = program.command('memory').description('what is remembered: see it, correct it, make it forgotten');
  const fields = (command: Command): Command =>
    command
      .addOption(new Option('--tier <tier>', 'where it belongs').choices(['identity', 'state', 'reference']))
      .addOption(
        new Option('--kind <kind>', 'what it is').choices(
          KINDS.filter((kind) => kind !== 'summary' && kind !== 'file'),
        ),
      )
      .option('--subject <name>', 'whom or what it is about; empty for nothing')
      .option('--slot <name>', 'what about it: a new value takes the place of the old one')
      .option('--from <day>', 'since when it holds, as 2026-03-31')
      .option('--expires <day>', 'until when, or never')
      .option('--pin', 'first among what always stands in the prompt')
      .option(...json);
  memory
    .command('list')
    .description('what is known')
    .addOption(new Option('--tier <tier>').choices(TIERS))
    .addOption(new Option('--kind <kind>').choices(KINDS))
    .option('--subject <name>', 'about this')
    .option('--as-of <day>', 'what held then')
    .option('--retired', 'also what was taken back, superseded or ran out')
    .option('--pinned', 'only what is pinned')
    .option('--scope <id>', 'of a guest’s or group’s session in place of the owner; * for all')
    .option('-n, --limit <count>', 'how many', count, 50)
    .option(...json)
    .action((options) => memories.listMemory(client(), terminal, options));
  memory
    .command('search')
    .description('find what was said and what is known')
    .argument('<words...>')
    .option('--after <day>', 'said on or after this day')
    .option('--before <day>', 'said before this day')
    .option('--by <name>', 'said by this person')
    .option('--items', 'only what is known')
    .option('--said', 'only what was said')
    .option('--retired', 'also what holds no longer')
    .option('-n, --limit <count>', 'how many', count, 10)
    .option(...json)
    .action((words: string[], options) => memories.searchMemory(client(), terminal, words.join(' '), options));
  memory
    .command('show')
    .description('one memory: what it says, and the words it comes from')
    .argument('<id>')
    .option(...json)
    .action((id: string, options) => memories.showMemory(client(), terminal, id, options));
  memory
    .command('history')
    .description('everything that was ever known in its place')
    .argument('<id>')
    .option(...json)
    .action((id: string, options) => memories.showHistory(client(), terminal, id, options));
  memory
    .command('as-of')
    .description('what held on a day')
    .argument('<day>', 'as 2026-03-31')
    .argument('[subject]')
    .option('-n, --limit <count>', 'how many', count, 200)
    .option(...json)
    .action((asOf: string, subject: string | undefined, options) =>
      memories.listMemory(client(), terminal, { ...options, asOf, ...(subject && { subject }) }),
    );
  fields(memory.command('save').description('remember something').argument('<text>')).action((text: string, options) =>
    edits.saveMemory(client(), terminal, text, options),
  );
  fields(
    memory.command('edit').description('a new version; the old one held until now').argument('<id>').argument('[text]'),
  ).action((id: string, text: string | undefined, options, command: Command) => {
    if (text === undefined && Object.keys(options).every((name) => name === 'json'))
      command.error('error: nothing to change: give a text or an option');
    return edits.editMemory(client(), terminal, { id, text }, options);
  });
  for (const pinned of [true, false])
    memory
      .command(pinned ? 'pin' : 'unpin')
      .description(pinned ? 'always first in the prompt' : 'like any other again')
      .argument('<id>')
      .option(...json)
      .action((id: string, options) => edits.pinMemory(client(), terminal, { id, pinned }, options));
  memory
    .command('correct')
    .description('it was wrong: it holds no longer; with a text, that was true instead')
    .argument('<id>')
    .argument('[text]')
    .option('-m, --reason <text>', 'why')
    .option(...json)
    .action((id: string, text: string | undefined, { reason, ...options }) =>
      edits.correctMemory(client(), terminal, { id, text, reason }, options),
    );
  memory
    .command('forget')
    .description('erase a memory (mem_…) or something said (sevt_…) for good')
    .argument('<id>')
    .option('--sources', 'also the messages it came from, and every other place that says it')
    .option('--yes', 'without asking')
    .option(...json)
    .action((id: string, options) => edits.forgetMemory(client(), terminal, id, options));
  memory
    .command('changes')
    .description('what changed, the latest first; with an id, what it did')
    .argument('[id]')
    .option('-n, --limit <count>', 'how many', count, 20)
    .option(...json)
    .action((id: string | undefined, options) => memories.showChanges(client(), terminal, id, options));
  memory
    .command('undo')
    .description('take a change back')
    .argument('<change>')
    .option(...json)
    .action((id: string, options) => edits.undoChange(client(), terminal, id, options));
  memory
    .command('questions')
    .description('what only you can decide')
    .option(...json)
    .action((options) => memories.showQuestions(client(), terminal, options));
  memory
    .command('answer')
    .description('decide a question')
    .argument('<id>')
    .addArgument(new Argument('<answer>').choices(['yes', 'no']))
    .option(...json)
    .action((id: string, answer: string, options) =>
      edits.answerQuestion(client(), terminal, { id, accept: answer === 'yes' }, options),
    );
  memory
    .command('consolidate')
    .description('do now what is done when a session rests, at night or once a week')
    .addArgument(new Argument('[kind]').choices(['idle', 'nightly', 'weekly']).default('nightly'))
    .option('--dry-run', 'only say what would change')
    .option('-s, --session <id>', 'idle: this session')
    .option(...json)
    .action((kind: string, options) => edits.consolidateMemory(client(), terminal, kind, options));
  memory
    .command('stats')
    .description('how much there is')
    .option(...json)
    .action((options) => memories.showStats(client(), terminal, options));
  const listed = (command: Command): Command =>
    command
      .description('what is scheduled, the newest first')
      .option('-n, --limit <count>', 'how many', count, 50)
      .option('-a, --all', 'the removed ones too')
      .option(...json)
      .action((options) => schedules.listSchedules(client(), terminal, options));
  listed(program.command('schedules'));
  const schedule = program.command('schedule').description('what happens by itself, and when');
  listed(schedule.command('list'));
  schedule
    .command('add')
    .description('steward schedule add "every weekday at 7:30" "weather and my open loops"')
    .argument('<when>', 'in words, a cron expression of five fields, or manual: by hand and by webhooks')
    .argument('[text]', 'what the model is asked then; with --message what is said')
    .option('--name <name>', 'a short name; made from the text')
    .option('--tz <zone>', 'the time zone, as Europe/Berlin')
    .addOption(
      new Option('--message', 'the text itself is sent; no model is needed').conflicts(['prompt', 'own', 'main']),
    )
    .option('--prompt', 'the model is asked the text (as usual)')
    .addOption(
      new Option('--job <job>', 'one of Steward’s own in place of a text')
        .choices(JOBS)
        .conflicts(['message', 'prompt', 'own', 'main']),
    )
    .addOption(new Option('--own', 'in a fresh conversation each time (as usual)').conflicts('main'))
    .option('--main', 'in the main conversation')
    .option(
      '--if <news>',
      'only when this is new: loops, http:URL, file:PATH, memory:WORDS, command:LINE (repeat)',
      gather,
    )
    .option('--to <place>', 'where results go, as telegram:42')
    .option('--allow-host <host>', 'its runs may reach this host without asking (repeat for more)', gather)
    .option('--allow-tool <tool>', 'its runs may use this tool without asking (repeat for more)', gather)
    .option('--allow-to <place>', 'its runs may write to this place without asking (repeat for more)', gather)
    .addOption(new Option('--catch-up <which>', 'of runs missed while off').choices(['latest', 'none', 'all']))
    .addOption(
      new Option('--overlap <how>', 'while an earlier run is still at work').choices(['skip', 'queue', 'replace']),
    )
    .option('--quiet <hours>', 'hours in which a run waits, as 22:00-07:00')
    .option('--until <day>', 'no run after this day, as 2026-12-31')
    .option('--model <name>', 'a model of its own')
    .option('--budget <usd>', 'the most a run may cost', amount)
    .option('--idle-only', 'waits until no conversation is active')
    .option(...json)
    .action((when: string, text: string | undefined, options, command: Command) => {
      if ((text === undefined) === (options.job === undefined))
        command.error('error: say what is to happen: a text, or --job without one');
      return schedules.addSchedule(client(), terminal, { when, text }, options);
    });
  const onOne = (name: string, description: string): Command =>
    schedule
      .command(name)
      .description(description)
      .argument('<id>', 'a schedule, by id or name')
      .option(...json);
  onOne('show', 'all about one').action((id: string, options) =>
    schedules.showSchedule(client(), terminal, id, options),
  );
  onOne('next', 'its next runs, in local time')
    .option('-n, --limit <count>', 'how many', count, 5)
    .action((id: string, options) => schedules.showNext(client(), terminal, id, options));
  onOne('history', 'its runs, the latest first')
    .option('-n, --limit <count>', 'how many', count, 20)
    .action((id: string, options) => schedules.showHistory(client(), terminal, id, options));
  onOne('run', 'run it now').action((id: string, options) => schedules.runSchedule(client(), terminal, id, options));
  onOne('why', 'what happened on a day, or why nothing did')
    .argument('[day]', 'as 2026-12-01, today or yesterday; today when left out')
    .action((reference: string, day: string | undefined, options) =>
      schedules.explainSchedule(client(), terminal, { reference, day }, options),
    );
  const verbs = { pause: 'stop it for now', resume: 'let it go on', remove: 'end it for good; its past runs stay' };
  for (const [verb, description] of Object.entries(verbs) as [keyof typeof verbs, string][])
    onOne(verb, description).action((reference: string, options) =>
      schedules.changeSchedule(client(), terminal, { reference, verb }, options),
    );
  program
    .command('export')
    .description('memory into a folder: everything as JSONL, or a tree of Markdown to read and edit')
    .argument('<folder>')
    .addOption(new Option('--format <format>').choices(['jsonl', 'markdown']).default('jsonl'))
    .option(...json)
    .action((folder: string, options) => exportMemory(client(), terminal, folder, options));
  program
    .command('import')
    .description('memory from a file or folder: of Steward, Zylos, OpenClaw, or chat transcripts')
    .argument('<path>')
    .addOption(
      new Option('--format <format>')
        .choices(['jsonl', 'markdown', 'transcript', 'zylos', 'openclaw'])
        .makeOptionMandatory(),
    )
    .option('--own [speaker]', 'these are your own words; in a transcript, those of this speaker')
    .option('--dry-run', 'only say what would come in')
    .option(...json)
    .action((path: string, options) => importMemory(client(), terminal, path, options));
  program
    .command('eval')
    .description('measure, without a running Steward')
    .command('memory')
    .description('how well memory finds the evidence of a public data set’s questions')
    .addOption(new Option('--locomo <file>', 'locomo10.json').conflicts('longmemeval'))
    .option('--longmemeval <file>', 'longmemeval_s.json, or the oracle version')
    .option(...json)
    .action((options, command: Command) => {
      if (!options.locomo && !options.longmemeval)
        command.error('error: say which data set: --locomo FILE or --longmemeval FILE');
      return evalMemory(loadEvaluation, terminal, options);
    });
  const vault = program.command('vault').description('secrets that sandboxes may use and never see');
  vault
    .command('list')
    .description('what there is, without the secrets')
    .option(...json)
    .action((options) => showVault(client(), terminal, options));
  vault
    .command('add')
    .description('keep a secret, read from a hidden prompt or a pipe; it is sent to the hosts named here only')
    .argument('<name>')
    .requiredOption('--host <host>', 'where it may go: a name, an address or *.example.com (repeat for more)', gather)
    .option('--header <name>', 'the header it goes into (Authorization)')
    .option('--prefix <text>', 'what stands before it there ("Bearer " for Authorization)')
    .addOption(new Option('--basic <user>', 'as the password of this user').conflicts(['header', 'prefix', 'env']))
    .addOption(
      new Option('--env <variable>', 'in place of what programs find in this variable').conflicts(['header', 'prefix']),
    )
    .option('--vault <id>', 'another vault than the default one')
    .option(...json)
    .allowExcessArguments()
    .action((name: string, options, command: Command) => {
      refuseSecrets(command);
      return addCredential(client(), terminal, { name, ...options });
    });
  vault
    .command('rotate')
    .description('replace a secret, at once and without a restart')
    .argument('<id>', 'a credential, by id or name')
    .option(...json)
    .allowExcessArguments()
    .action((id: string, options, command: Command) => {
      refuseSecrets(command);
      return rotateCredential(client(), terminal, { id, ...options });
    });
  vault
    .command('remove')
    .description('forget a secret, without a trace')
    .argument('<id>', 'a credential, by id or name')
    .option(...json)
    .action((id: string, options) => removeCredential(client(), terminal, { id, ...options }));
  vault
    .command('reset')
    .description('remove all secrets when their key is lost; Steward must be stopped')
    .option('--yes', 'without asking')
    .action((options) => resetVault(loadConfig(terminal.env).config.home, terminal, options));
  addTaskCommands(program, { client, terminal, json, end });
  addWebhookCommands(program, { client, terminal, json });
  program
    .command('backup')
    .description('a whole copy of the record, made while it is at work; prints its path')
    .option('-l, --list', 'those there are')
    .option(...json)
    .action(({ list, ...options }) =>
      list
        ? showBackups(loadConfig(terminal.env).config.home, terminal, options)
        : makeBackup(client(), terminal, options),
    );
  program
    .command('restore')
    .description('put a backup in the place of the record; Steward must be stopped')
    .argument('<file>', 'its path, or the name of one in backups/')
    .option(...json)
    .action((file: string, options) => restoreBackup(loadConfig(terminal.env).config, terminal, file, options));
  program
    .command('doctor')
    .description('look for what is wrong and say how to mend it')
    .option('--install <harness>', 'bring the program of a harness onto this machine: claude-code, codex or opencode')
    .option(...json)
    .action(async (options) => {
      if (options.install !== undefined) return installHarness(terminal, options.install, loadPrograms);
      end(await doctor(terminal, options, loadPrograms));
    });
  return program;
}

/** Code tasks: a repository goes in, a reviewed branch comes out. */
function addTaskCommands(
  program: Command,
  {
    client,
    terminal,
    json,
    end,
  }: { client(): Client; terminal: Terminal; json: readonly [string, string]; end(exitCode: number): void },
): void {
  const listed = (command: Command): Command =>
    command
      .description('code tasks that have not ended, the newest first')
      .option('-n, --limit <count>', 'how many', count, 50)
      .option('-a, --all', 'the ended ones too')
      .option(...json)
      .action((options) => tasks.listTasks(client(), terminal, options));
  listed(program.command('tasks'));
  const task = program.command('task').description('work on a repository: a reviewed branch comes out');
  listed(task.command('list'));
  task
    .command('new')
    .description('steward task new https://github.com/acme/app "Upgrade the date library and fix what breaks"')
    .argument('<repository>', 'its address, or the path of a folder')
    .argument('<instruction>', 'what is to be done')
    .option('--base <ref>', 'branch, tag or commit to begin from')
    .option('--setup <line>', 'a shell line before the agent begins (repeat for more)', gather)
    .option('--verify <line>', 'a shell line that must pass afterwards, as "npm test" (repeat for more)', gather)
    .option('--harness <name>', 'another coding agent than the usual one')
    .option('--model <name>', 'a model of its own')
    .addOption(
      new Option('--delivery <how>', 'how the branch leaves').choices(['auto', 'pull_request', 'branch', 'patch']),
    )
    .option('--allow-host <host>', 'the agent may reach this host (repeat for more)', gather)
    .option('--minutes <count>', 'the most time at work', count)
    .option('--turns <count>', 'the most answers of the model', count)
    .option('--budget <usd>', 'the most it may cost', amount)
    .option('--to <place>', 'where it is told how it ended, as telegram:42')
    .option('--key <key>', 'the same key is the same task')
    .option(...json)
    .action((repository: string, instruction: string, options) =>
      tasks.newTask(client(), terminal, { repository, instruction }, options),
    );
  const onOne = (name: string, description: string): Command =>
    task.command(name).description(description).argument('<id>', 'a task, by id, the end of it, or title');
  onOne('show', 'all about one')
    .option(...json)
    .action((id: string, options) => tasks.showTask(client(), terminal, id, options));
  onOne('watch', 'what it does, until it ends').action(async (id: string) =>
    end(await tasks.watchTask(client(), terminal, id, untilInterrupted())),
  );
  onOne('diff', 'what it changed, as a patch')
    .option(...json)
    .action((id: string, options) => tasks.showDiff(client(), terminal, id, options));
  onOne('steer', 'say something to the agent; an ended task goes on with it')
    .argument('<text>')
    .option(...json)
    .action((reference: string, text: string, options) =>
      tasks.changeTask(client(), terminal, { reference, verb: 'steer', body: { text } }, options),
    );
  const change = (reference: string, verb: 'pause' | 'resume' | 'stop', body: object, options: tasks.Listing) =>
    tasks.changeTask(client(), terminal, { reference, verb, body }, options);
  const verbs = { pause: 'hold it for now', stop: 'end it; what it did is kept as a patch' };
  for (const [verb, description] of Object.entries(verbs) as [keyof typeof verbs, string][])
    onOne(verb, description)
      .option('-m, --message <text>', 'why')
      .option(...json)
      .action((id: string, { message, ...options }) => change(id, verb, message ? { why: message } : {}, options));
  onOne('resume', 'let it go on')
    .option(...json)
    .action((id: string, options) => change(id, 'resume', {}, options));
  onOne('rollback', 'back to a checkpoint, and on from there; without one, list them')
    .argument('[checkpoint]')
    .option(...json)
    .action((reference: string, checkpoint: string | undefined, options) =>
      tasks.rollbackTask(client(), terminal, { reference, checkpoint }, options),
    );
  for (const allow of [true, false])
    onOne(allow ? 'approve' : 'deny', allow ? 'allow what it waits for' : 'refuse it; with a reason it goes on')
      .option('-m, --message <text>', 'why, for the agent')
      .option(...json)
      .action((reference: string, { message, ...options }) =>
        tasks.decideTask(client(), terminal, { reference, allow, message }, options),
      );
}

/** Programs that start schedules, and programs that are told how runs ended. */
function addWebhookCommands(
  program: Command,
  { client, terminal, json }: { client(): Client; terminal: Terminal; json: readonly [string, string] },
): void {
  const hook = program.command('hook').description('webhooks that come in: each starts a schedule');
  hook
    .command('add')
    .description('let a program start a schedule; prints the secret it signs with, once')
    .argument('<name>', 'its place in the URL: /hooks/NAME')
    .requiredOption('--schedule <id>', 'what it starts, by id or name')
    .addOption(new Option('--scheme <scheme>', 'how it signs').choices(['steward', 'github']).default('steward'))
    .option('--event <name>', 'github: only this event (repeat for more)', gather)
    .option('--action <name>', 'github: only this action, as labeled (repeat)', gather)
    .option('--label <name>', 'github: only with this label (repeat)', gather)
    .option('--repo <owner/name>', 'github: only this repository (repeat)', gather)
    .option('--author <login>', 'github: only what this person wrote and did (repeat)', gather)
    .addOption(new Option('--any-author', 'github: also what strangers write').conflicts('author'))
    .option(...json)
    .action((name: string, options) => hooks.addHook(client(), terminal, { name, ...options }));
  const webhook = program.command('webhook').description('webhooks that go out: who is told how runs ended');
  webhook
    .command('add')
    .description('tell a program, signed; prints the secret it checks with, once')
    .argument('<name>')
    .argument('<url>')
    .option('--event <kind>', 'schedule.failed, schedule.*, task.*, * (repeat)', gather)
    .option('--allow-private', 'this is a server of your own network')
    .option(...json)
    .action((name: string, url: string, options) => hooks.addTarget(client(), terminal, { name, url, ...options }));

  const commands = [
    [hook, hooks.showHooks, hooks.rotateHook, hooks.switchHook, hooks.removeHook, hooks.testHook],
    [webhook, hooks.showTargets, hooks.rotateTarget, hooks.switchTarget, hooks.removeTarget, hooks.testTarget],
  ] as const;
  for (const [command, show, rotate, turn, remove, test] of commands) {
    command
      .command('list')
      .description('what there is, without the secrets')
      .option(...json)
      .action((options) => show(client(), terminal, options));
    const named = (verb: string, description: string, run: (name: string, options: hooks.Options) => Promise<void>) =>
      command
        .command(verb)
        .description(description)
        .argument('<name>')
        .option(...json)
        .action(run);
    named('rotate', 'a new secret, at once; prints it once', (name, options) =>
      rotate(client(), terminal, name, options),
    );
    named('enable', 'switch it on again', (name, options) =>
      turn(client(), terminal, { name, enabled: true }, options),
    );
    named('disable', 'switch it off, and keep it', (name, options) =>
      turn(client(), terminal, { name, enabled: false }, options),
    );
    named('remove', 'for good', (name, options) => remove(client(), terminal, name, options));
    named('test', command === hook ? 'begin a run as a call would' : 'send a test', (name, options) =>
      test(client(), terminal, name, options),
    );
  }
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 100_000)
    throw new InvalidArgumentError('It must be a whole number from 1 to 100000.');
  return value;
}

function amount(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 100_000)) throw new InvalidArgumentError('It must be an amount in USD, as 0.50.');
  return value;
}

/** Commander would repeat the arguments that are too many, and here they are likely a secret. */
function refuseSecrets(command: Command): void {
  if (command.args.length > 1)
    command.error('error: too many arguments: a secret is read from a hidden prompt or a pipe, where nobody sees it');
}

const gather = (host: string, before: string[] = []): string[] => [...before, host];

function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort());
  process.once('SIGTERM', () => controller.abort());
  return controller.signal;
}
