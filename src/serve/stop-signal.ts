/**
 * The signals that stop the process: the first one drains, a second one ends it at once. An interrupt at a terminal need not wait for load
 * balancers. And the one that has the configuration read anew.
 */
import { detached, guarded } from '../runtime/guard.ts';
import type { Logger } from '../telemetry/log.ts';

const EXIT_FAILURE = 1;

/** `stop` ends the process when it is done. */
export function onStopSignal(stop: () => Promise<void>, log: Pick<Logger, 'fatal'>): void {
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(EXIT_FAILURE);
      stopping = true;
      stop().catch((error: unknown) => {
        log.fatal({ err: error }, 'the stop failed');
        process.exit(EXIT_FAILURE);
      });
    });
  }
}

/** `reload` may reject with a fault of the system, which is survived. */
export function onReloadSignal(reload: () => Promise<unknown>): void {
  const run = guarded('SIGHUP', () => detached('SIGHUP', reload()));
  process.on('SIGHUP', run);
}
