/** Every command over the API by the words that name it, and the choice among them. */
import type { Command } from './command.ts';
import { readInvocation, type Surroundings } from './options.ts';
import { READ_COMMANDS } from './read-commands.ts';
import { WRITE_COMMANDS } from './rollout-commands.ts';

export const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ...Object.entries(READ_COMMANDS),
  ...Object.entries(WRITE_COMMANDS),
]);

/** Runs the command that `args` name; undefined where they name none of these. */
export async function runCommand(
  args: readonly string[],
  surroundings: Surroundings,
): Promise<number | undefined> {
  for (const length of [2, 1]) {
    const command = COMMANDS.get(args.slice(0, length).join(' '));
    if (command === undefined || args.length < length) continue;
    const invocation = readInvocation(args.slice(length), command.words, command.options, surroundings);
    return command.run(invocation, surroundings);
  }
  return undefined;
}
