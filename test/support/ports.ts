/**
 * Free ports on the loopback interface for processes that must be told theirs. Ports come from below the range that
 * the kernel hands out to outgoing connections, so that no connection of a parallel test can take one in between,
 * and each is checked by an exclusive listen (a `reusePort` listener of another process would not be noticed by one).
 * Between that check and the listener of the process that is told the port, seconds can pass: a file with this process'
 * number keeps all other test processes of this machine from it.
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FIRST = 11_000;
const LAST = 32_000;
const handedOut = new Set<number>();
const RESERVATIONS = join(tmpdir(), 'serin-test-ports');

function reservationOf(port: number): string {
  return join(RESERVATIONS, `${port}`);
}

/** False where a test process that still runs has it. */
function reserve(port: number): boolean {
  if (handedOut.size === 0)
    process.on('exit', () => handedOut.forEach((one) => rmSync(reservationOf(one), { force: true })));
  mkdirSync(RESERVATIONS, { recursive: true });
  const file = reservationOf(port);
  if (isOfRunningProcess(file)) return false;
  rmSync(file, { force: true });
  try {
    writeFileSync(file, `${process.pid}`, { flag: 'wx' });
  } catch {
    return false;
  }
  handedOut.add(port);
  return true;
}

function isOfRunningProcess(file: string): boolean {
  try {
    process.kill(Number(readFileSync(file, 'utf8')), 0);
    return true;
  } catch (error) {
    // It runs for somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

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

/** A port that nobody listens on now and that no test process has handed out, this one or another that still runs. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(FIRST, LAST);
    if (!reserve(port)) continue;
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port found between ${FIRST} and ${LAST} in 200 attempts`);
}
