/**
 * A listener that never accepts and whose queue is full, so that a connection attempt gets no answer at all: what a
 * dead or hopelessly overloaded machine looks like, on loopback.
 */
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';

export interface FullListener {
  /** As the configuration of the proxy names it. */
  readonly endpoint: string;
  close(): Promise<void>;
}

/** Listens, tells its port, and then blocks for ever: the kernel alone answers, until the queue is full. */
const LISTENER = `
  const { createServer } = require('node:net');
  const { parentPort } = require('node:worker_threads');
  const server = createServer();
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
  });
`;

export async function startFullListener(): Promise<FullListener> {
  const worker = new Worker(LISTENER, { eval: true });
  const port = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  // More than the queue holds: those that do not fit keep trying, as the proxy's own will.
  const fillers: Socket[] = Array.from({ length: 6 }, () => connect({ host: '127.0.0.1', port }));
  let established = 0;
  await new Promise<void>((resolve) => {
    for (const filler of fillers) {
      filler.on('error', () => {});
      filler.on('connect', () => {
        established += 1;
        if (established === 2) resolve();
      });
    }
  });
  return {
    endpoint: `127.0.0.1:${port}`,
    async close() {
      for (const filler of fillers) filler.destroy();
      await worker.terminate();
    },
  };
}
