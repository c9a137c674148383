/** The whole command: help, the choice of a command, and how failures are shown and end. */
import { DocumentError } from '../schema/faults.ts';
import { visibleLine, visibleText } from '../schema/visible-text.ts';
import { runCommand } from './commands.ts';
import { CommandError, EXIT, UsageError } from './failure.ts';
import { helpOn, USAGE } from './help.ts';
import { LOCAL_COMMANDS } from './local-commands.ts';
import type { Surroundings } from './options.ts';

/** Runs what `words` say. Resolves to the exit code, always: what goes wrong is said on standard error. */
export async function runSerin(
  words: readonly string[],
  terminal: Omit<Surroundings, 'data'>,
): Promise<number> {
  // Whatever prints, prints through here: names, reasons and errors may be anybody's.
  const surroundings: Surroundings = {
    ...terminal,
    out: (text) => terminal.out(visibleText(text)),
    err: (text) => terminal.err(visibleText(text)),
    data: terminal.out,
  };
  try {
    return await choose(words, surroundings);
  } catch (error) {
    return fail(error, surroundings);
  }
}

async function choose(words: readonly string[], surroundings: Surroundings): Promise<number> {
  if (words.length === 0) {
    surroundings.err(`${USAGE}\n`);
    return EXIT.usage;
  }
  if (words[0] === 'help' || words.includes('--help') || words.includes('-h'))
    return help(words, surroundings);
  const local = LOCAL_COMMANDS.get(words.slice(0, 2).join(' '));
  const code = await (local?.run(words.slice(2), surroundings) ?? runCommand(words, surroundings));
  if (code !== undefined) return code;
  throw unknownCommand(words);
}

/** `serin help rollout put`, `serin rollout put --help`; `serin rollout --help` has all that begin so. */
function help(words: readonly string[], { out }: Surroundings): number {
  const named = words.filter((word) => word !== '--help' && word !== '-h');
  if (named[0] === 'help') named.shift();
  if (named.length === 0) {
    out(`${USAGE}\n`);
    return EXIT.ok;
  }
  for (const length of [2, 1]) {
    const text = named.length < length ? undefined : helpOn(named.slice(0, length).join(' '));
    if (text === undefined) continue;
    out(`${text}\n`);
    return EXIT.ok;
  }
  throw unknownCommand(named);
}

function unknownCommand(words: readonly string[]): UsageError {
  return new UsageError(`there is no command "${words.slice(0, 2).join(' ')}"`);
}

function fail(error: unknown, { err }: Surroundings): number {
  if (error instanceof UsageError) {
    err(`serin: ${visibleLine(error.message)}\nserin --help says what there is\n`);
    return EXIT.usage;
  }
  if (error instanceof CommandError) {
    err(`serin: ${error.message}\n`);
    return error.exitCode;
  }
  if (error instanceof DocumentError) {
    err(`serin: ${error.message}\n`);
    return EXIT.configuration;
  }
  // A fault of this program: whoever reports it needs the stack.
  err(`serin: ${String(error instanceof Error ? error.stack : error)}\n`);
  return EXIT.refused;
}
