/**
 * Warnings of the request path, a bounded number each second: in an outage every request would write a line, and the log
 * would cost more than the requests. What was left out is counted in the next line of the same message.
 */
import type { Logger } from '../telemetry/log.ts';

/** Lines of one message in a second. */
const LINES_A_SECOND = 10;

export type Warn = (fields: object, message: string) => void;

/** `now`: monotonic, in ms. Messages are constants of the code, so there are only a few. */
export function createWarnings(log: Pick<Logger, 'warn'>, now: () => number): Warn {
  const states = new Map<string, { second: number; lines: number; suppressed: number }>();
  return (fields, message) => {
    const second = Math.floor(now() / 1000);
    let state = states.get(message);
    if (state === undefined) states.set(message, (state = { second, lines: 0, suppressed: 0 }));
    if (state.second !== second) {
      state.second = second;
      state.lines = 0;
    }
    if (state.lines >= LINES_A_SECOND) {
      state.suppressed += 1;
      return;
    }
    state.lines += 1;
    const { suppressed } = state;
    state.suppressed = 0;
    log.warn(suppressed === 0 ? fields : { ...fields, 'serin.suppressed_lines': suppressed }, message);
  };
}
