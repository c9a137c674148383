/** The arguments of the server's command. What is wrong with them ends the process with the usage. */
import { visibleLine, visibleText } from '../schema/visible-text.ts';
import { parseArgs } from 'node:util';
import { messageOf } from '../schema/thrown.ts';

/** As sysexits.h has it. */
const EXIT_USAGE = 64;

export const USAGE = `usage: node src/main.ts --config FILE | --demo

  --config FILE   serve by this configuration (docs/configuration.md)
  --demo          serve the demonstration: small applications, a fresh store
  --help          this text`;

interface Arguments {
  readonly config?: string;
  readonly demo?: boolean;
  readonly help?: boolean;
}

export function readArguments(): Arguments {
  try {
    const options = {
      config: { type: 'string' },
      demo: { type: 'boolean' },
      help: { type: 'boolean' },
    } as const;
    return parseArgs({ options }).values;
  } catch (error) {
    return usage(messageOf(error));
  }
}

export function usage(message: string): never {
  process.stderr.write(`serin: ${visibleLine(message)}\n\n${USAGE}\n`);
  process.exit(EXIT_USAGE);
}

/** To standard error: what is said may quote the configuration, whoever wrote that. */
export function say(text: string): void {
  process.stderr.write(`serin: ${visibleText(text)}\n`);
}
