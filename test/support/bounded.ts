/**
 * Bounded waiting: every wait of a test ends, with words that say what did not happen. Tests wait for events and for
 * conditions, never for a length of time.
 *
 * The limit is far above what anything here takes, also on a machine that has much else to do: it ends a test that hangs, and says
 * nothing about speed.
 */
import { setTimeout as delay } from 'node:timers/promises';

/** In ms. */
const LIMIT = 60_000;

/** The promise's value; rejects when it has not settled within `milliseconds`. */
export async function within<T>(promise: Promise<T>, what: string, milliseconds = LIMIT): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${milliseconds} ms: ${what}`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until `condition` gives a truthy value, and returns that; rejects after `milliseconds`. */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  what: string,
  milliseconds = LIMIT,
  pause = 5,
): Promise<NonNullable<T>> {
  const end = performance.now() + milliseconds;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await delay(pause);
  }
}
