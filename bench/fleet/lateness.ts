/**
 * How late an idle thread is woken on this machine while the run goes on: no latency that is measured beside it can be better, and
 * what it shows is not Serin's.
 */
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

const EVERY = 10;

if (!isMainThread) {
  const late: number[] = [];
  let due = performance.now() + EVERY;
  const tick = (): void => {
    late.push(performance.now() - due);
    due = performance.now() + EVERY;
    timer = setTimeout(tick, EVERY);
  };
  let timer = setTimeout(tick, EVERY);
  parentPort?.once('message', () => {
    clearTimeout(timer);
    parentPort?.postMessage(late);
  });
}

/** Begins to measure; `stop` gives the latenesses in ms, sorted. */
export function startLateness(): { stop(): Promise<number[]> } {
  const worker = new Worker(new URL(import.meta.url));
  return {
    stop: () =>
      new Promise((resolve) => {
        worker.once('message', (late: number[]) => {
          resolve(late.toSorted((a, b) => a - b));
          void worker.terminate();
        });
        worker.postMessage('stop');
      }),
  };
}
