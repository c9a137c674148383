/**
 * Says which faults a thread survives, and which errors end it.
 *
 * Promise: a fault is a line of the log (one a minute of each task and code); an error that nobody foresaw is logged before the thread
 * ends, and the thread does end: nobody knows what still holds of its state. The main thread takes the process with it, because
 * traffic must not go on uncontrolled in silence; a worker is replaced.
 */
import { onFault, surviveUncaught } from '../runtime/guard.ts';
import type { Logger } from './log.ts';

export interface FaultLogOptions {
  readonly log: Pick<Logger, 'error' | 'fatal'>;
  /** Called for each fault that was survived. */
  readonly count?: () => void;
  /** Ends the thread. */
  readonly end: (error: unknown) => void;
}

/** To be called once on each thread, when it begins. */
export function surviveFaults({ log, count, end }: FaultLogOptions): void {
  onFault({
    ...(count === undefined ? {} : { count }),
    tell(task, code, error, suppressed) {
      const fields = { 'serin.task': task, 'error.type': code, err: error };
      const all = suppressed === 0 ? fields : { ...fields, 'serin.suppressed_lines': suppressed };
      log.error(all, 'a fault of the system was survived; what met it is tried again when it is due');
    },
  });
  surviveUncaught((error) => {
    try {
      log.fatal({ err: error }, 'an error that was not foreseen ends this thread');
    } finally {
      end(error);
    }
  });
}
