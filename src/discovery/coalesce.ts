/**
 * Many changes, few runs: the first change is acted on at once, those that follow it closely together.
 *
 * Each run makes a snapshot of all services, so runs are kept apart by ten times what the last one took, and by 100 ms at least.
 */
import type { After } from './time.ts';

const APART = 100;
const SHARE = 10;

export interface CoalesceOptions {
  readonly run: () => void;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
  readonly after: After;
}

/** Call what it returns at each change. */
export function coalesce({ run, monotonicNow, after }: CoalesceOptions): () => void {
  let busy = false;
  let again = false;
  const go = (): void => {
    const begun = monotonicNow();
    again = false;
    busy = true;
    run();
    after(Math.max(APART, (monotonicNow() - begun) * SHARE), () => {
      busy = false;
      if (again) go();
    });
  };
  return () => {
    if (busy) again = true;
    else go();
  };
}
