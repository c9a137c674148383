/**
 * The load generator and the origin behind the proxies find what is wrong with answers: what a benchmark trusts must have
 * been seen to fail.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildPrograms, type Programs } from '../../../bench/load/build.ts';
import { failedOf, openLoad, type LoadResult } from '../../../bench/load/client.ts';
import { startOrigins, type Origins } from '../../../bench/load/origin.ts';
import { NEVER_SEEN, pattern, writeScript, type Entry } from '../../../bench/load/script.ts';

const directory = mkdtempSync(join(tmpdir(), 'serin-load-test-'));
const skip = spawnSync('cc', ['--version']).error === undefined ? false : 'there is no C compiler';
let programs: Programs;
let origins: Origins;

before(async () => {
  if (skip !== false) return;
  programs = await buildPrograms(directory);
  origins = await startOrigins(programs.origin);
});

after(async () => {
  if (skip === false) await origins.stop();
  rmSync(directory, { recursive: true, force: true });
});

const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: notes.test\r\n${fields}\r\n`;

async function load(
  entries: readonly Entry[],
  more: {
    port?: number;
    rate?: number;
    perConnection?: number;
    connections?: number;
    upgrade?: boolean;
  } = {},
): Promise<LoadResult> {
  const script = join(directory, 'script');
  writeScript(script, entries);
  const program = programs.client;
  const running = await openLoad({
    program,
    script,
    port: origins.stable,
    connections: 4,
    seconds: 0.1,
    ...more,
  });
  try {
    return await running.go();
  } finally {
    await running.end();
  }
}

test(
  'answers by length and in chunks, and bodies both ways, are verified and counted',
  { skip },
  async () => {
    const body = pattern(10_000);
    const result = await load([
      { request: get('/'), status: 200, body: 1024 },
      { request: get('/bytes/300000'), status: 200, body: 300_000 },
      { request: get('/chunked/16384'), status: 200, body: 16_384 },
      {
        request: `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n${body}`,
        status: 200,
        body: 1024,
      },
      {
        request: `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2710\r\n${body}\r\n0\r\n\r\n`,
        status: 200,
        body: 1024,
      },
    ]);
    assert.ok(result.requests > 20);
    assert.equal(failedOf(result), 0);
  },
);

test('a wrong byte in a request body is answered by 400, and counted', { skip }, async () => {
  const body = pattern(100).replace('c', 'd');
  const request = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n${body}`;
  const result = await load([{ request, status: 200, body: 1024 }]);
  assert.equal(result.requests, 0);
  assert.ok((result.failures['status'] ?? 0) > 0);
});

test('a body of another length than expected is counted', { skip }, async () => {
  const result = await load([{ request: get('/'), status: 200, body: 1000 }]);
  assert.equal(result.requests, 0);
  assert.ok((result.failures['length'] ?? 0) > 0);
});

/** A server that answers everything with the same bytes and then closes. */
async function answering(text: string): Promise<{ port: number; close(): void }> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => socket.end(text, 'latin1'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

const cases = [
  ['a foreign byte', `HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n${pattern(99)}!`, 'body'],
  ['a cut body', `HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n${pattern(50)}`, 'closed'],
  [
    'a second answer',
    `HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n${pattern(100)}HTTP/1.1 200 OK\r\n\r\n`,
    'extra',
  ],
  ['no framing', `HTTP/1.1 200 OK\r\n\r\n${pattern(100)}`, 'length'],
] as const;

for (const [what, text, reason] of cases) {
  test(`${what} is found`, { skip }, async () => {
    const server = await answering(text);
    try {
      const more = { port: server.port, perConnection: 1 };
      const result = await load([{ request: get('/'), status: 200, body: 100 }], more);
      assert.equal(result.requests, 0);
      assert.ok((result.failures[reason] ?? 0) > 0, JSON.stringify(result.failures));
    } finally {
      server.close();
    }
  });
}

test('an open loop sends what is due, and latency counts from then', { skip }, async () => {
  // One connection, answers after 20 ms, 200 requests a second: each waits for those before it.
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', () => {
      setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), 20);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const entries = [{ request: get('/'), status: 200, body: 0 }];
    const result = await load(entries, { port, rate: 200, connections: 1 });
    assert.equal(failedOf(result), 0);
    assert.ok(result.latency.max > 100_000, `the last waited ${result.latency.max} µs`);
  } finally {
    server.close();
  }
});

test('each connection has so many requests, and marks become numbers', { skip }, async () => {
  const seen: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      seen.push(/x-number: (\d+)/.exec(bytes.toString('latin1'))?.[1] ?? 'none');
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
  });
  let connections = 0;
  server.on('connection', () => (connections += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const entries = [{ request: get('/', `x-number: ${NEVER_SEEN}\r\n`), status: 200, body: 0 }];
    const { requests } = await load(entries, { port, perConnection: 1 });
    assert.ok(requests > 0);
    assert.equal(new Set(seen).size, seen.length);
    assert.equal(connections, seen.length);
  } finally {
    server.close();
  }
});

test('the origin upgrades to WebSocket and echoes', { skip }, async () => {
  const fields =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n';
  const frame = Buffer.from([0x81, 0x82, 1, 2, 3, 4, 0x68 ^ 1, 0x69 ^ 2]);
  const reply = Buffer.from([0x81, 2, 0x68, 0x69]);
  const entries = [
    { request: get('/', fields), status: 101, body: 0 },
    { request: frame, status: 0, body: 0, reply },
  ];
  const result = await load(entries, { upgrade: true });
  assert.ok(result.requests > 0);
  assert.equal(failedOf(result), 0);
});
