/** How the command fails: what is said, and with which exit code (as sysexits.h has them, 1 for a refusal). */
import { messageOf } from '../schema/thrown.ts';

export const EXIT = {
  ok: 0,
  /** The API refused or failed, or a change did not come to be applied. */
  refused: 1,
  usage: 64,
  /** Nobody answers, or the store cannot take the write now: the same again may work. */
  unavailable: 69,
  configuration: 78,
} as const;

/** The command line is not one of ours. */
export class UsageError extends Error {}

/** Something went wrong that the message explains; no stack is of any use. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.name = 'CommandError';
    this.exitCode = exitCode;
  }
}

/** Runs `read`; what it throws about the command line becomes a usage error. */
export function parse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}
