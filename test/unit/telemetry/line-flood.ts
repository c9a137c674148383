/** A worker thread that writes lines of one letter to a descriptor, waiting whenever there is no room. */
import { workerData } from 'node:worker_threads';
import { LineWriter, openOutput } from '../../../src/telemetry/line-writer.ts';

const { fd, letter, lines } = workerData as { fd: number; letter: string; lines: number };
const writer = new LineWriter({ output: openOutput(fd), limit: 50_000, immediate: false });
for (let n = 0; n < lines; n++) {
  const line = `${letter.repeat(900 + (n % 500))}\n`;
  while (!writer.write(line)) await new Promise<void>((resolve) => setTimeout(resolve, 1));
}
const alive = setInterval(() => {}, 1000);
writer.flush(() => {
  clearInterval(alive);
});
