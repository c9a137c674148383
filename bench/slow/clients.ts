/**
 * Slow clients: many connections that keep a server busy with as little as it takes. A process of its own, because one process may
 * not have enough descriptors for all of them: `node bench/slow/clients.ts PORT COUNT FIRST_ADDRESS`.
 *
 * A third each: a head that never ends, a line every two seconds; a body of which a few bytes come and then none; an answer of 1 MB
 * that is never read. It writes a line of JSON each second: how many are connected, and how many the server has closed.
 */
import { connect, type Socket } from 'node:net';
import process from 'node:process';

const [port, count, first] = process.argv.slice(2).map(Number) as [number, number, number];
const EVERY = 2_000;
const OPENED_AT_ONCE = 250;

const HEAD = 'GET /slow HTTP/1.1\r\nHost: slow.test\r\n';
const KINDS = [
  { begin: `${HEAD}X-A: `, drip: 'b\r\nX-A: ', reads: true },
  {
    begin: 'POST /slow HTTP/1.1\r\nHost: slow.test\r\nContent-Length: 100000\r\n\r\nABC',
    drip: '',
    reads: true,
  },
  { begin: 'GET /bytes/1000000 HTTP/1.1\r\nHost: slow.test\r\n\r\n', drip: '', reads: false },
] as const;

let open = 0;
let closed = 0;
let refused = 0;

function attack(index: number): void {
  const kind = KINDS[index % KINDS.length] as (typeof KINDS)[number];
  const address = `127.${1 + ((first + index) >> 16)}.${((first + index) >> 8) & 255}.${(first + index) & 255}`;
  const socket: Socket = connect({ host: '127.0.0.1', port, localAddress: address, allowHalfOpen: false });
  let timer: NodeJS.Timeout | undefined;
  let connected = false;
  socket.on('connect', () => {
    connected = true;
    open += 1;
    socket.write(kind.begin);
    if (kind.drip !== '') timer = setInterval(() => socket.write(kind.drip), EVERY);
  });
  if (kind.reads) socket.resume();
  else socket.pause();
  socket.on('error', () => {});
  socket.on('close', () => {
    clearInterval(timer);
    if (connected) {
      open -= 1;
      closed += 1;
    } else {
      refused += 1;
    }
  });
}

let made = 0;
const opening = setInterval(() => {
  for (let some = 0; some < OPENED_AT_ONCE && made < count; some += 1) attack(made++);
  if (made === count) clearInterval(opening);
}, 50);
setInterval(() => process.stdout.write(`${JSON.stringify({ made, open, closed, refused })}\n`), 1_000);
process.on('disconnect', () => process.exit(0));
