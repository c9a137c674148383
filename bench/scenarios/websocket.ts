/** WebSocket echo: what a byte costs in a tunnel. */
import type { Entry } from '../load/script.ts';
import { pattern } from '../load/script.ts';
import { LEADERS, OTHERS, peers, type Scenario } from '../scenario.ts';
import { requestOf } from '../traffic.ts';

const SIZE = 512;
const MASK = [0x37, 0xfa, 0x21, 0x3d] as const;

/** A text frame (RFC 6455, 5.2), masked as clients must, and as it comes back from the echo. */
function frames(text: string): { sent: Buffer; echoed: Buffer } {
  const data = Buffer.from(text, 'latin1');
  const length = [data.length >> 8, data.length & 255];
  return {
    sent: Buffer.concat([
      Buffer.from([0x81, 0x80 | 126, ...length, ...MASK]),
      data.map((byte, index) => byte ^ (MASK[index & 3] as number)),
    ]),
    echoed: Buffer.concat([Buffer.from([0x81, 126, ...length]), data]),
  };
}

function entries(cookies: readonly string[]): Entry[] {
  const handshake = requestOf(1, {
    path: '/socket',
    cookies: cookies[1] ?? '',
    fields: [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ],
  });
  const { sent, echoed } = frames(pattern(SIZE));
  return [
    { request: handshake, status: 101, body: 0 },
    { request: sent, status: 0, body: 0, reply: echoed },
  ];
}

export const websocket: Scenario = {
  name: 'websocket',
  title: 'WebSocket echo',
  about: '64 upgraded connections, messages of 512 bytes; the figures are per message, there and back.',
  traffic: { entries, connections: 64, upgrade: true },
  contenders: peers([
    ...LEADERS,
    'haproxy-tcp',
    ...OTHERS.filter((name) => name !== 'fastify-http-proxy' && name !== 'traefik'),
  ]),
  reference: 'haproxy',
};
