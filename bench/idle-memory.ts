/**
 * Memory of an idle keep-alive connection: what the resident set of Serin grows by when many connections stand open after one
 * request each, and what a bare Node.js server that answers on its sockets grows by.
 *
 *   node bench/idle-memory.ts [--connections N] [--rest SECONDS] [--hold MINUTES] [--only serin|node] [--no-write]
 *
 * With `--hold` Serin's connections stay open for so long and its resident set is looked at every minute: it must stay flat.
 * With it and without `--no-write` the figures are kept in RESULTS.md.
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
import { machine, writeSection } from './results.ts';

const { values: options } = parseArgs({
  options: {
    connections: { type: 'string', default: '10000' },
    rest: { type: 'string', default: '5' },
    hold: { type: 'string', default: '0' },
    only: { type: 'string' },
    write: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const connections = Math.min(Number(options.connections), 25_000);
const rest = Math.min(Number(options.rest), 3600) * 1000;
const hold = Math.min(Number(options.hold), 120);

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

interface Figures {
  /** KiB of resident memory that one more idle connection costs the process. */
  readonly perConnection: number;
  /** MiB in use, minute by minute from then on. */
  readonly minutes: number[];
}

async function measure(name: string, pid: number, port: number, hold: number): Promise<Figures> {
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
  const minutes = [Math.round(rested / 2 ** 20)];
  for (let minute = 1; minute <= hold; minute += 1) {
    await delay(60_000);
    minutes.push(Math.round(rss(pid) / 2 ** 20));
    console.log(`${name} after ${minute} minutes: ${minutes.at(-1)} MiB`);
  }
  const left = sockets.filter((socket) => !socket.destroyed && !socket.readableEnded).length;
  if (left < connections)
    throw new Error(`Only ${left} of ${connections} connections were still open at the end`);
  for (const socket of sockets) socket.destroy();
  return { perConnection: (rested - before) / connections / 1024, minutes };
}

let bareFigures: Figures | null = null;
if (options.only !== 'serin') {
  const port = await freePort();
  const bare = start([process.execPath, '-e', BARE, String(port)]);
  await listening(port, bare);
  bareFigures = await measure('bare Node.js', bare.child.pid!, port, 0);
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
  const { perConnection, minutes } = await measure('Serin', serin.pid, serin.proxyPort, hold);
  await serin.stop();
  if (hold > 0 && options.write) {
    const most = Math.max(...minutes.slice(1));
    writeSection(
      'idle-memory',
      'Idle connections over time',
      [
        `${connections} kept connections after one request each (\`node bench/idle-memory.ts --hold ${hold}\`): ` +
          `**${perConnection.toFixed(1)} KiB of resident memory each**` +
          `${bareFigures === null ? '' : `, a bare Node.js socket ${bareFigures.perConnection.toFixed(1)}`}; the goal is ≤ 6.`,
        `Resident memory of the process at the beginning ${minutes[0]} MiB, after ${hold} minutes ${minutes.at(-1)} MiB, at most ${most} MiB between.`,
      ].join('\n\n'),
      { machine: machine(), connections, perConnection, minutes },
    );
  }
  origin.closeAllConnections();
  origin.close();
}
