/** Waits for what becomes true by itself; the test's own time limit ends it otherwise. */
import { setTimeout as sleep } from 'node:timers/promises';

export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await sleep(10);
}
