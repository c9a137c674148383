/** How the process ends when it can't go on: the reason on standard error, in one line where it is a known one, and its exit code. */
import { say } from './arguments.ts';
import { DocumentError } from '../schema/faults.ts';
import { StoreError } from '../store/store.ts';

/** Exit codes, as sysexits.h has them: 78 for a configuration that can't be used. */
const EXIT_FAILURE = 1;
const EXIT_CONFIGURATION = 78;

export function fail(error: unknown): never {
  const known = error instanceof DocumentError || error instanceof StoreError;
  const text = known
    ? error.message
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);
  say(text);
  process.exit(error instanceof DocumentError ? EXIT_CONFIGURATION : EXIT_FAILURE);
}
