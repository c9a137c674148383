/**
 * An endpoint that may be killed at any time: what it is asked stands in a file before it answers, so that a second delivery
 * of the same request shows whatever became of the process.
 *
 *   node bench/chaos/origin.ts PORT NAME FILE
 *
 * Paths: `/down/ID/SIZE/length|chunked|close` sends the content of ID, `/drip/…` the same over half a second, `/up/ID/SIZE` takes it and answers with what came,
 * `/slow/ID/MS` answers late, an upgrade of `/tunnel/ID` echoes. Every answer names the id that it is for.
 */
import { openSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { contentOf, sumOf } from './content.ts';

const [port, name, file] = process.argv.slice(2) as [string, string, string];
const record = openSync(file, 'a');

/** Below it the content goes out in one piece. */
const PIECE = 16_384;
/** Content that drips comes in so many pieces, one every so many ms. */
const DRIPS = 20;
const DRIP = 25;

function note(request: IncomingMessage): string[] {
  const parts = (request.url ?? '').split('/').slice(1);
  // Before anything else: a request that is delivered is one that this line tells of.
  writeSync(record, `${request.method} ${parts[1]} ${process.hrtime.bigint()}\n`);
  return parts;
}

async function send(
  response: ServerResponse,
  id: string,
  body: Buffer,
  framing: string,
  drips = false,
): Promise<void> {
  response.setHeader('x-id', id);
  response.setHeader('x-sum', sumOf(body));
  response.setHeader('x-name', `${name}:${process.pid}`);
  if (framing === 'length') response.setHeader('content-length', body.length);
  if (framing === 'close') {
    response.useChunkedEncodingByDefault = false;
    response.shouldKeepAlive = false;
  }
  const piece = drips ? Math.ceil(body.length / DRIPS) : PIECE;
  for (let at = 0; at < body.length; at += piece) {
    response.write(body.subarray(at, at + piece));
    if (drips) await delay(DRIP);
  }
  response.end();
}

const server = createServer((request, response) => {
  const [kind = '', id = '', size = '0', how = 'length'] = note(request);
  if (kind === 'down' || kind === 'drip') {
    void send(response, id, contentOf(id, Number(size)), how, kind === 'drip');
    return;
  }
  let length = 0;
  let sum = 0;
  request.on('data', (bytes: Buffer) => {
    length += bytes.length;
    sum = crc32(bytes, sum);
  });
  request.on('end', () => {
    const body = Buffer.from(JSON.stringify({ id, length, sum: sum.toString(16) }));
    if (kind === 'slow') setTimeout(() => void send(response, id, body, 'length'), Number(size));
    else void send(response, id, body, 'length');
  });
});
server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
  const [, id = ''] = note(request);
  socket.on('error', () => socket.destroy());
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Id: ${id}\r\nX-Name: ${name}:${process.pid}\r\n\r\n`,
  );
  if (head.length > 0) socket.write(head);
  socket.pipe(socket);
});
server.on('clientError', (_error, socket) => socket.destroy());
// Serin's own must be shorter; that of a pod often is a little longer than its proxy's.
server.keepAliveTimeout = 5000;
server.requestTimeout = 0;
server.listen({ port: Number(port), host: '127.0.0.1', backlog: 1024 }, () =>
  process.stdout.write('listening\n'),
);
