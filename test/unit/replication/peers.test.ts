import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import { after, describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { Tombstone } from '../../../src/contract/tombstone.ts';
import { type PeerMessage, readBody } from '../../../src/replication/peer-message.ts';
import { createPeerSeal } from '../../../src/replication/peer-seal.ts';
import { createPeers, type Peers, type PeersOptions } from '../../../src/replication/peers.ts';
import type { KeyData } from '../../../src/policy/keys.ts';
import {
  FleetCounters,
  PEER_FAILURES,
  PEER_MESSAGES,
  PEER_REFUSALS,
  type PeerRefusal,
} from '../../../src/telemetry/fleet-counters.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { eventually, within } from '../../support/bounded.ts';
import { replica } from '../../support/replica.ts';

const key = (id: string, fill: number): KeyData => ({ id, secret: new Uint8Array(32).fill(fill) });
const K1 = key('k1', 1);
const K2 = key('k2', 2);
const K3 = key('k3', 3);

const closing: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const close of closing.toReversed()) await close();
});

interface Peer extends Peers {
  readonly name: string;
  readonly heard: { message: PeerMessage; from: string }[];
  readonly counters: FleetCounters;
  readonly lines: string[];
}

async function peer(name: string, more: Partial<PeersOptions> = {}): Promise<Peer> {
  const heard: Peer['heard'] = [];
  const counters = new FleetCounters();
  const lines: string[] = [];
  const peers = await createPeers({
    listen: { host: '127.0.0.1', port: 0 },
    keys: () => [K1],
    self: name,
    onMessage: (message, from) => void heard.push({ message, from }),
    monotonicNow: () => performance.now(),
    log: createLog({ level: 'warn', destination: { write: (line) => lines.push(line) } }),
    counters,
    ...more,
  });
  closing.push(() => peers.close());
  return { ...peers, name, heard, counters, lines };
}

function join(...all: readonly Peer[]): void {
  const addresses = new Map(all.map(({ name, port }) => [name, `127.0.0.1:${port}`]));
  for (const one of all) one.connect(addresses);
}

const rollback = (rolloutId: string): Tombstone => ({
  service: 'notes',
  rolloutId,
  at: '2026-01-31T12:00:00.000Z',
  actor: 'anonymous',
  reason: null,
  requestId: null,
  changeId: `change of ${rolloutId}`,
});
const rolledBack = (...ids: string[]): PeerMessage => ({ type: 'rollback', rollbacks: ids.map(rollback) });
const record = (name: string, sequence: number): PeerMessage => ({
  type: 'record',
  record: replica(name, { sequence }),
});
const refusals = ({ counters }: Peer, reason: PeerRefusal): number =>
  counters.refused[PEER_REFUSALS.indexOf(reason)]!;

describe('the talk between replicas', () => {
  it('reaches every peer, and says who spoke', async () => {
    const [a, b, c] = [await peer('a'), await peer('b'), await peer('c')];
    join(a, b, c);
    const messages: PeerMessage[] = [
      record('a', 1),
      { type: 'written', revision: 12 },
      rolledBack('r1'),
      { type: 'latches', service: 'notes', rolloutId: 'r1', entries: [[123_456_789_012, 'value']] },
      { type: 'left', boot: 'a-1' },
    ];
    for (const message of messages) a.send(message);
    for (const one of [b, c]) {
      await eventually(() => one.heard.length === messages.length, `all messages at ${one.name}`);
      assert.ok(one.heard.every(({ from }) => from === 'a'));
      for (const message of messages) assert.ok(one.heard.some((heard) => equal(heard.message, message)));
    }
    assert.deepEqual(a.heard, []);
    await eventually(() => a.counters.sent[PEER_MESSAGES.indexOf('record')] === 2, 'acknowledgements');
    assert.equal(b.counters.received[PEER_MESSAGES.indexOf('rollback')], 1);
  });

  it('goes on while key rings are renewed one after another, and ends where they have no key in common', async () => {
    const rings: Record<string, readonly KeyData[]> = { a: [K1], b: [K1] };
    const a = await peer('a', { keys: () => rings['a']! });
    const b = await peer('b', { keys: () => rings['b']! });
    join(a, b);
    let revision = 0;
    const passes = async (): Promise<boolean> => {
      a.send({ type: 'written', revision: ++revision });
      const before = refusals(b, 'signature');
      await eventually(
        () => b.heard.length === revision || refusals(b, 'signature') > before,
        'an answer of the peer',
      );
      return b.heard.length === revision;
    };
    assert.ok(await passes());
    rings['a'] = [K2, K1];
    assert.ok(await passes());
    rings['b'] = [K2, K1];
    rings['a'] = [K2];
    assert.ok(await passes());
    rings['a'] = [K3];
    assert.ok(!(await passes()));
    assert.match(b.lines.join(''), /no key in common/);
  });

  it('says rollbacks until they are acknowledged, at each beat, and of records only the newest', async () => {
    let taking = false;
    const heard: PeerMessage[] = [];
    const a = await peer('a');
    const b = await peer('b', {
      onMessage(message) {
        if (!taking) throw new Error('the disk is full');
        heard.push(message);
      },
    });
    join(a, b);
    // Until the sender knows of a failure it does not say the same again.
    const known = (): number => a.counters.failed[PEER_FAILURES.indexOf('refused')]!;
    a.send(rolledBack('r1'));
    await eventually(() => known() >= 1, '1 failures');
    a.send(rolledBack('r2'));
    await eventually(() => known() >= 2, '2 failures');
    a.send(record('a', 1));
    await eventually(() => known() >= 4, '4 failures');
    taking = true;
    a.send(record('a', 2));
    await eventually(() => heard.length === 2, 'both messages');
    assert.ok(heard.some((one) => equal(one, record('a', 2))));
    assert.ok(heard.some((one) => equal(one, rolledBack('r1', 'r2'))));
    await eventually(() => a.counters.sent[PEER_MESSAGES.indexOf('rollback')] === 1, 'the acknowledgement');
    a.send(record('a', 3));
    await eventually(() => heard.length === 3, 'the next record');
    assert.ok(equal(heard[2]!, record('a', 3)), 'a rollback that was acknowledged is not said again');
  });

  it('says a rollback while others wait for their acknowledgement, with a few requests at most', async () => {
    const heard: string[] = [];
    const acknowledgements: (() => void)[] = [];
    const a = await peer('a');
    const b = await peer('b', {
      onMessage(message) {
        if (message.type !== 'rollback') return undefined;
        heard.push(message.rollbacks.map(({ rolloutId }) => rolloutId).join(' '));
        return new Promise((resolve) => void acknowledgements.push(resolve));
      },
    });
    join(a, b);
    for (const id of ['r1', 'r2', 'r3', 'r4']) {
      a.send(rolledBack(id));
      await eventually(() => heard.at(-1) === id, id);
    }
    a.send(rolledBack('r5'));
    a.send(rolledBack('r6'));
    a.send(record('a', 1));
    await eventually(() => b.counters.received[PEER_MESSAGES.indexOf('record')] === 1, 'the record');
    assert.equal(heard.length, 4);
    acknowledgements[1]!();
    await eventually(() => heard.length === 5, 'the others');
    assert.equal(heard[4], 'r5 r6');
    for (const acknowledge of acknowledgements) acknowledge();
    await eventually(() => a.counters.sent[PEER_MESSAGES.indexOf('rollback')] === 5, 'all acknowledgements');
    a.send(record('a', 2));
    await eventually(() => b.counters.received[PEER_MESSAGES.indexOf('record')] === 2, 'the next record');
    assert.equal(heard.length, 5, 'a rollback that was acknowledged is not said again');
  });

  it('takes rollbacks along to the new address of a peer', async () => {
    const a = await peer('a');
    const silent = await silentServer();
    a.connect(new Map([['b', `127.0.0.1:${silent.port}`]]));
    a.send(rolledBack('r1'));
    await silent.connected;
    const b = await peer('b');
    a.connect(new Map([['b', `127.0.0.1:${b.port}`]]));
    await eventually(() => b.heard.length === 1, 'the rollback');
  });

  it('is held up for nobody by a peer that is silent, and keeps little for it', async () => {
    const silent = await silentServer();
    const [a, b] = [await peer('a'), await peer('b')];
    a.connect(
      new Map([
        ['b', `127.0.0.1:${b.port}`],
        ['silent', `127.0.0.1:${silent.port}`],
      ]),
    );
    a.send(record('a', 1));
    a.send(rolledBack('r1'));
    await eventually(() => b.heard.length === 2, 'both messages');
    const rounds = 1000;
    for (let sequence = 2; sequence < rounds; sequence++) {
      a.send(record('a', sequence));
      a.send({ type: 'written', revision: sequence });
    }
    await eventually(
      () => b.heard.some(({ message }) => equal(message, record('a', rounds - 1))),
      'the last',
    );
    await silent.connected;
    assert.ok(silent.connections <= 2, `${silent.connections} connections`);
    await eventually(() => a.counters.failed.some((count) => count > 0), 'a failure');
  });
});

describe('the listener for replicas', () => {
  const sign = (from: string, to: string, body: string): Record<string, string> => ({
    'serin-from': from,
    'serin-to': to,
    'serin-signature': createPeerSeal(() => [K1]).sign(from, to, Buffer.from(body)),
  });
  const good = JSON.stringify({ messages: [record('a', 1)] });

  it('refuses what is not from a replica, with the reason, and counts it', async () => {
    const b = await peer('b');
    const cases: [PeerRefusal, number, Parameters<typeof post>[1]][] = [
      ['not_found', 404, { path: '/', body: good, headers: sign('a', 'b', good) }],
      ['method', 405, { method: 'GET', headers: sign('a', 'b', '') }],
      ['unsigned', 401, { body: good }],
      ['unsigned', 401, { body: good, headers: { ...sign('a', 'b', good), 'serin-from': 'a b' } }],
      ['recipient', 421, { body: good, headers: sign('a', 'c', good) }],
      ['signature', 401, { body: `${good} `, headers: sign('a', 'b', good) }],
      ['signature', 401, { body: good, headers: { ...sign('a', 'b', good), 'serin-from': 'c' } }],
      ['signature', 401, { body: good, headers: { ...sign('a', 'b', good), 'serin-signature': 'x,,' } }],
      ['malformed', 400, { body: '{"messages":[', headers: sign('a', 'b', '{"messages":[') }],
      ['malformed', 400, { body: '[]', headers: sign('a', 'b', '[]') }],
      ['sender', 403, { body: good, headers: sign('c', 'b', good) }],
      ['too_large', 413, { body: 'x'.repeat(1_048_577), headers: sign('a', 'b', 'x') }],
    ];
    for (const [reason, status, asked] of cases) {
      const before = refusals(b, reason);
      assert.deepEqual(await post(b.port, asked), { status, text: `${reason}\n` });
      assert.equal(refusals(b, reason), before + 1, reason);
    }
    const invalid = JSON.stringify({ messages: [{ type: 'written', revision: -1 }] });
    assert.equal((await post(b.port, { body: invalid, headers: sign('a', 'b', invalid) })).status, 422);
    assert.deepEqual(b.heard, []);
    assert.equal((await post(b.port, { body: good, headers: sign('a', 'b', good) })).status, 204);
    assert.equal(b.heard.length, 1);
  });

  it('refuses a body that grows beyond its limit without having said its length', async () => {
    const b = await peer('b');
    const socket = connect(b.port, '127.0.0.1');
    const answer: Buffer[] = [];
    socket.on('data', (chunk) => answer.push(chunk)).on('error', () => {});
    const headers = Object.entries(sign('a', 'b', 'x')).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(
      `POST /v1/peer HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n${headers.join('')}\r\n`,
    );
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    for (let sent = 0; sent < 17; sent++) socket.write(chunk);
    await within(once(socket, 'close'), 'the end of the connection');
    assert.match(Buffer.concat(answer).toString(), /^HTTP\/1\.1 413 /);
  });

  it('leaves out messages that only a newer replica knows', async () => {
    const b = await peer('b');
    const body = JSON.stringify({ messages: [{ type: 'greeting', of: 'tomorrow' }, record('a', 1)] });
    assert.equal((await post(b.port, { body, headers: sign('a', 'b', body) })).status, 204);
    assert.equal(b.heard.length, 1);
  });
});

describe('reading what a peer says', () => {
  it('gives messages or a reason for any bytes, and never throws', () => {
    const kinds = fc.constantFrom('record', 'rollback', 'written', 'latches', 'final', 'left', 'other');
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .array(fc.tuple(kinds, fc.dictionary(fc.string(), fc.jsonValue())), { maxLength: 5 })
        .map((list) =>
          Buffer.from(JSON.stringify({ messages: list.map(([type, rest]) => ({ ...rest, type })) })),
        ),
      fc.tuple(fc.nat(), fc.nat(255)).map(([at, byte]) => {
        const bytes = Buffer.from(JSON.stringify({ messages: [record('a', 1), rolledBack('r1')] }));
        bytes[at % bytes.length] = byte;
        return bytes;
      }),
    );
    fc.assert(
      fc.property(hostile, (bytes) => {
        const read = readBody(bytes);
        if ('refused' in read) assert.ok(read.detail.length < 2000);
        else for (const { type } of read) assert.ok(type.length > 0);
      }),
      { numRuns: 2000 },
    );
    assert.ok('refused' in readBody(Buffer.from('['.repeat(1_000_000))));
    assert.ok(
      'refused' in
        readBody(
          Buffer.from(`{"messages":[{"type":"left","boot":${'['.repeat(200_000)}${']'.repeat(200_000)}}]}`),
        ),
    );
  });

  it('takes no entry of latches that is not a number and a text', () => {
    for (const entry of [[1, 2], ['1', '2'], [1], [1, 'a', 'b'], [null, 'a']]) {
      const message = { type: 'latches', service: 'notes', rolloutId: 'r', entries: [entry] };
      assert.ok('refused' in readBody(Buffer.from(JSON.stringify({ messages: [message] }))));
    }
  });
});

function equal(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function post(
  port: number,
  asked: { method?: string; path?: string; body?: string; headers?: Record<string, string> },
): Promise<{ status: number; text: string }> {
  const { method = 'POST', path = '/v1/peer', body, headers = {} } = asked;
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Accepts connections and says nothing. */
async function silentServer(): Promise<{ port: number; connected: Promise<unknown>; connections: number }> {
  const sockets: { destroy(): void }[] = [];
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
  });
  const connected = once(server, 'connection');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    connected,
    get connections() {
      return sockets.length;
    },
  };
}
