/** How a connection comes about with a Redis that is not ready yet. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { it } from 'node:test';
import { connectRedis } from '../../../src/store/redis/redis-connection.ts';
import { StoreCounters } from '../../../src/telemetry/store-counters.ts';
import { eventually } from '../../support/bounded.ts';

/** On each connection the first so many answers to INFO say that it is loading, for a second to come. */
const LOADING = 5;

it('a Redis that loads its data is asked again on the same connection, sooner than it says', async (t) => {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    let asked = 0;
    socket.on('error', () => {});
    // ioredis sends each command in one write, and none of these has a star in its arguments.
    socket.on('data', (bytes: Buffer) => {
      for (const command of bytes.toString('latin1').split('*').slice(1)) {
        if (!/\r\ninfo\r\n/i.test(command)) {
          socket.write('+OK\r\n');
          continue;
        }
        asked += 1;
        const text = asked > LOADING ? 'loading:0\r\n' : 'loading:1\r\nloading_eta_seconds:1\r\n';
        socket.write(`$${text.length}\r\n${text}\r\n`);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connection = connectRedis({
    url: `redis://127.0.0.1:${port}/0`,
    prefix: 'serin',
    counters: new StoreCounters(),
  });
  t.after(() => {
    connection.close();
    server.close();
  });
  await eventually(() => connections > 0, 'a connection');
  assert.notEqual(connection.condition, 'available');
  await eventually(() => connection.condition === 'available', 'the end of loading');
  // One for commands and one for hints: neither was given up.
  assert.equal(connections, 2);
});
