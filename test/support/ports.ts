/**
 * Free ports on the loopback interface for processes that must be told theirs. Ports come from below the range that
 * the kernel hands out to outgoing connections, so that no connection of a parallel test can take one in between,
 * and each is checked by an exclusive listen (a `reusePort` listener of another process would not be noticed by one).
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

const FIRST = 11_000;
const LAST = 32_000;
const handedOut = new Set<number>();

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen({ host: '0.0.0.0', port, exclusive: true });
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** A port that nobody listens on now and that this process has not handed out before. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(FIRST, LAST);
    if (handedOut.has(port)) continue;
    handedOut.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port found between ${FIRST} and ${LAST} in 200 attempts`);
}
