/**
 * The application of the fleet run: says its variant and nothing else.
 *
 *   node bench/fleet/origin.ts STABLE-PORT CANARY-PORT
 */
import { createServer } from 'node:net';

const [stable, canary] = process.argv.slice(2).map(Number) as [number, number];
const END = Buffer.from('\r\n\r\n');

for (const [port, variant] of [
  [stable, 'stable'],
  [canary, 'canary'],
] as const) {
  const answer = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n${variant}`, 'latin1');
  createServer({ noDelay: true }, (socket) => {
    // Requests have no bodies, so each head is a request.
    let kept: Buffer = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      kept = kept.length === 0 ? bytes : Buffer.concat([kept, bytes]);
      for (let end = kept.indexOf(END); end >= 0; end = kept.indexOf(END)) {
        kept = kept.subarray(end + END.length);
        socket.write(answer);
      }
    });
    socket.on('error', () => socket.destroy());
  }).listen({ port, host: '127.0.0.1', backlog: 1024 });
}
