/**
 * Loaded into a Serin process with `--import`: writes how long the main thread's event loop was held at most, in ms, to the file that
 * BENCH_LOOP_DELAY names whenever SIGUSR2 comes, and begins to measure anew. Two figures: by the clock, and by the thread's CPU
 * time between two turns of a timer, which other work on the machine does not add to.
 */
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const file = process.env['BENCH_LOOP_DELAY'];
if (isMainThread && file !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const used = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let [last, most] = [used(), 0];
  setInterval(() => {
    const now = used();
    most = Math.max(most, now - last);
    last = now;
  }, 1).unref();
  process.on('SIGUSR2', () => {
    writeFileSync(file, JSON.stringify([delay.max / 1e6, most]));
    delay.reset();
    most = 0;
  });
}
