/** Waits for what becomes true by itself. */
import { setTimeout as sleep } from 'node:timers/promises';

/** In ms. */
const PATIENCE = 60_000;

export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`not true after ${PATIENCE} ms: ${String(isTrue)}`);
    await sleep(10);
  }
}
