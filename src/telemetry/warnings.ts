/**
 * Warnings of the request path, a bounded number each second: in an outage every request would write a line, and the log
 * would cost more than the requests. What was left out is counted in the next line of the same message.
 */
import type { Logger } from './log.ts';

/** How many lines of one message may be written within `span` ms. */
export interface WarningBound {
  readonly lines: number;
  readonly span: number;
}

const USUAL: WarningBound = { lines: 10, span: 1000 };

/** For what is worth knowing of each time, unless somebody does it on purpose. */
export const FEW: WarningBound = { lines: 10, span: 60_000 };

/** For what anybody on the network can cause at any time. */
export const SELDOM: WarningBound = { lines: 1, span: 60_000 };

/** `kind` is what is counted by: the message if unsaid. */
export type Warn = (fields: object, message: string, kind?: string) => void;

/** `now`: monotonic, in ms. Messages and kinds are constants of the code, so there are only a few. */
export function createWarnings(
  log: Pick<Logger, 'warn'>,
  monotonicNow: () => number,
  { lines, span }: WarningBound = USUAL,
): Warn {
  const states = new Map<string, { period: number; lines: number; suppressed: number }>();
  return (fields, message, kind = message) => {
    const period = Math.floor(monotonicNow() / span);
    let state = states.get(kind);
    if (state === undefined) states.set(kind, (state = { period, lines: 0, suppressed: 0 }));
    if (state.period !== period) {
      state.period = period;
      state.lines = 0;
    }
    if (state.lines >= lines) {
      state.suppressed += 1;
      return;
    }
    state.lines += 1;
    const { suppressed } = state;
    state.suppressed = 0;
    log.warn(suppressed === 0 ? fields : { ...fields, 'serin.suppressed_lines': suppressed }, message);
  };
}
