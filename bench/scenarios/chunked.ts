/** Chunked bodies both ways: every chunk is read, and passed on. */
import { pattern } from '../load/script.ts';
import { LEADERS, peers, type Scenario } from '../scenario.ts';
import { requestOf } from '../traffic.ts';

const SIZE = 16_384;
const PIECE = 4096;

const body = `${Array.from({ length: SIZE / PIECE }, (_, index) => {
  return `${PIECE.toString(16)}\r\n${pattern(SIZE).slice(index * PIECE, (index + 1) * PIECE)}\r\n`;
}).join('')}0\r\n\r\n`;

export const chunked: Scenario = {
  name: 'chunked',
  title: 'Chunked both ways',
  about: '64 kept connections, 16 KiB up and 16 KiB down, each in chunks of 4 KiB.',
  traffic: {
    entries: (cookies) =>
      cookies.slice(0, 200).map((own, index) => ({
        request: requestOf(index, {
          method: 'POST',
          path: `/chunked/${SIZE}`,
          cookies: own,
          fields: ['Content-Type: application/octet-stream', 'Transfer-Encoding: chunked'],
          body,
        }),
        status: 200,
        body: SIZE,
      })),
    connections: 64,
  },
  contenders: peers(LEADERS),
  reference: 'haproxy',
};
