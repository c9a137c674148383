/** Hints that come in numbers are passed on now and then: each one that was left out is made up for by the next. */
import { after, guarded } from '../../runtime/guard.ts';

/** Hints are passed on at most so often, in ms. */
const HINT_SPACING = 5;

/** Calls at once, and then at most once in HINT_SPACING. */
export function spaced(call: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  let waiting = false;
  const now = (): void => {
    waiting = false;
    timer = after(
      HINT_SPACING,
      guarded('hints of the store', () => {
        timer = undefined;
        if (waiting) now();
      }),
    ).unref();
    call();
  };
  return () => {
    if (timer === undefined) now();
    else waiting = true;
  };
}
