/** The signals that stop the process: the first one drains, a second one ends it at once. An interrupt at a terminal need not wait for load balancers. */
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
