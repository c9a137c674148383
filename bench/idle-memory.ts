/**
 * Memory of an idle keep-alive connection: what the resident set of Serin grows by when many connections stand open after one
 * request each, and what a bare Node.js server that answers on its sockets grows by.
 *
 *   node bench/idle-memory.ts [--connections N] [--rest SECONDS] [--only serin|node]
 *
 * Connections come from this process and one loopback address, so its ports are the limit.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePort } from '../test/support/ports.ts';
import { startSerin } from '../test/support/serin.ts';
import { listening, start, stop } from './process.ts';

const { values: options } = parseArgs({
  options: {
    connections: { type: 'string', default: '10000' },
    rest: { type: 'string', default: '5' },
    only: { type: 'string' },
  },
});
const connections = Math.min(Number(options.connections), 25_000);
const rest = Math.min(Number(options.rest), 3600) * 1000;

/** A few hundred bytes, as a mobile client sends them. */
const REQUEST =
  'GET /notes/1?page=2 HTTP/1.1\r\nHost: notes.test\r\nUser-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X)\r\n' +
  'Accept: application/json\r\nAccept-Language: en-GB\r\nAccept-Encoding: gzip\r\nCookie: session=0123456789abcdef\r\n\r\n';

/** Answers anything that arrives with a small response; nothing else. */
const BARE = `
  const answer = 'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok';
  require('node:net').createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', () => socket.write(answer));
  }).listen({ host: '127.0.0.1', port: Number(process.argv[1]), backlog: 4096 });
`;

function rss(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1]) * 1024;
}

/** Opens a connection, makes one request, and resolves with the socket once the answer has begun to arrive. */
async function visit(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.once('data', () => resolve());
    socket.write(REQUEST, 'latin1');
  });
  socket.removeAllListeners('error');
  socket.on('error', () => {});
  return socket;
}

async function many(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let from = 0; from < count; from += 50) {
    const batch = Array.from({ length: Math.min(50, count - from) }, () => visit(port));
    sockets.push(...(await Promise.all(batch)));
  }
  return sockets;
}

/** KiB of resident memory that one more idle connection costs the process. */
async function measure(name: string, pid: number, port: number): Promise<void> {
  // What a first load costs is not booked on the connections.
  for (const socket of await many(port, 200)) socket.destroy();
  await delay(rest);
  const before = rss(pid);
  const sockets = await many(port, connections);
  await delay(1000);
  const at = rss(pid);
  await delay(rest);
  const rested = rss(pid);
  const open = sockets.filter((socket) => !socket.destroyed && !socket.readableEnded).length;
  const kib = (bytes: number): string => (bytes / connections / 1024).toFixed(2);
  console.log(
    `${name.padEnd(12)} ${kib(rested - before)} KiB per connection (${kib(at - before)} right after; ${open} of ${connections} open; before ${Math.round(before / 2 ** 20)} MiB)`,
  );
  for (const socket of sockets) socket.destroy();
}

if (options.only !== 'serin') {
  const port = await freePort();
  const bare = start([process.execPath, '-e', BARE, String(port)]);
  await listening(port, bare);
  await measure('bare Node.js', bare.child.pid!, port);
  await stop(bare.child);
}
if (options.only !== 'node') {
  const origin = createServer({ keepAliveTimeout: 600_000 }, (_, response) => response.end('ok'));
  await new Promise<void>((resolve) => {
    origin.listen(0, '127.0.0.1', resolve);
  });
  const serin = await startSerin({
    services: {
      notes: {
        hosts: ['*'],
        stable: { endpoints: [`127.0.0.1:${(origin.address() as AddressInfo).port}`] },
      },
    },
    configuration: { proxy: { timeouts: { keepAlive: '7200s' } }, log: { level: 'warn' } },
  });
  await measure('Serin', serin.pid, serin.proxyPort);
  await serin.stop();
  origin.closeAllConnections();
  origin.close();
}
