/**
 * Everything at once, by a fixed seed: clients that pipeline, dawdle, split, leave and reset, against origins that are
 * slow, cut, reset, talk too much or nonsense. Whatever happens, an answer is the answer of its own request or an
 * error, nothing that may not be is delivered twice, and when it is over the proxy holds nothing any more.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { eventually } from '../support/bounded.ts';
import { answer, reply, type Received } from '../support/origin.ts';
import { startPair } from '../support/pair.ts';
import { ask, connect, request, type RawClient } from '../support/raw-client.ts';
import { seeded } from '../support/seeded.ts';

const pair = startPair({
  workers: 2,
  service: { timeouts: { responseHead: '600ms', responseIdle: '2s', requestBodyIdle: '1s' } },
});

/** Another one can be tried by SERIN_CHAOS_SEED. */
const SEED = Number(process.env['SERIN_CHAOS_SEED'] ?? 20_260_101);
const CLIENTS = 300;
const PER_CLIENT = 6;

/** What an origin does with a request, by the number in its path. */
function behave(received: Received): void {
  const [, , kind = '', id = ''] = received.path.split('/');
  const { socket } = received.connection;
  const body = `own ${id} ${'.'.repeat(Number(id) % 5_000)}`;
  switch (kind) {
    case 'plain':
      answer(received, { body });
      return;
    case 'chunks':
      answer(received, { chunks: [body.slice(0, 7), body.slice(7)] });
      return;
    case 'late':
      setTimeout(() => answer(received, { body }), Number(id) % 40);
      return;
    case 'bytes': {
      const bytes = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      void (async () => {
        for (let at = 0; at < bytes.length && !socket.destroyed; at += 97) {
          socket.write(bytes.subarray(at, at + 97));
          await nextTurn();
        }
      })();
      return;
    }
    case 'close':
      socket.end();
      return;
    case 'reset':
      socket.resetAndDestroy();
      return;
    case 'cut':
      reply(received, `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`);
      socket.end();
      return;
    case 'more':
      // In one write: what comes later than the next request cannot be told from its answer, by nobody.
      socket.cork();
      answer(received, { body });
      reply(received, 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged');
      socket.uncork();
      return;
    case 'junk':
      reply(received, 'nonsense\r\n\r\n');
      return;
    default:
    // 'never': no answer at all.
  }
}

const KINDS = [
  'plain',
  'plain',
  'plain',
  'chunks',
  'late',
  'bytes',
  'close',
  'reset',
  'cut',
  'more',
  'junk',
  'never',
];

interface Asked {
  readonly id: string;
  readonly kind: string;
  readonly post: boolean;
}

async function sendOne(client: RawClient, asked: Asked, random: () => number): Promise<void> {
  const path = `/chaos/${asked.kind}/${asked.id}`;
  const bytes = asked.post
    ? request(path, { method: 'POST', body: 'x'.repeat(Number(asked.id) % 3_000) })
    : request(path);
  if (random() < 0.3) await client.writeSplit(bytes, 1 + Math.floor(random() * 200));
  else client.write(bytes);
}

/** One client's life; gives what it asked for and how each ended. */
async function live(number: number, random: () => number): Promise<void> {
  const client = await connect(pair.port);
  const asked: Asked[] = Array.from({ length: PER_CLIENT }, (_, index) => ({
    id: String(number * PER_CLIENT + index + 1),
    kind: KINDS[Math.floor(random() * KINDS.length)] as string,
    post: random() < 0.4,
  }));
  const pipelines = random() < 0.3;
  const leavesAfter = random() < 0.2 ? Math.floor(random() * PER_CLIENT) : PER_CLIENT;
  if (pipelines) for (const one of asked) await sendOne(client, one, random);
  for (const [index, one] of asked.entries()) {
    if (!pipelines) await sendOne(client, one, random);
    if (index === leavesAfter) {
      if (random() < 0.5) client.reset();
      else client.destroy();
      return;
    }
    const message = await client.answer().catch((error: unknown) => String(error));
    if (typeof message === 'string') {
      assert.match(message, /^Error: connection over/, `client ${number}, ${one.kind} ${one.id}`);
      // Only an answer that was cut, or a close that an earlier answer announced, ends a connection.
      break;
    }
    if (message.status === 200) {
      assert.match(
        message.body.toString(),
        new RegExp(`^own ${one.id} `),
        `client ${number} got another's answer`,
      );
    } else {
      assert.ok([408, 502, 504].includes(message.status), `${message.status} for ${one.kind}`);
      // Timeouts are also the machine's matter; a 502 needs an origin that failed, or a POST that may not be sent again.
      const failing = ['close', 'reset', 'junk', 'cut'].includes(one.kind);
      assert.ok(message.status !== 502 || failing || one.post, `502 for ${one.kind}`);
    }
    if (/close/.test(message.fields.find(([name]) => name.toLowerCase() === 'connection')?.[1] ?? '')) break;
  }
  client.destroy();
}

test(
  'chaos: own answers only, nothing delivered twice, nothing left behind',
  { timeout: 240_000 },
  async () => {
    pair.origin.otherwise({ end: behave });
    const random = seeded(SEED);
    const lanes = Array.from({ length: 40 }, async (_, lane) => {
      for (let number = lane; number < CLIENTS; number += 40) await live(number, random);
    });
    await Promise.all(lanes);

    const posts = pair.origin.requests.filter(({ message }) => message.method === 'POST');
    assert.ok(posts.length > 100);
    assert.equal(new Set(posts.map(({ path }) => path)).size, posts.length, 'a POST was delivered twice');
    assert.deepEqual(pair.origin.faults, []);

    pair.origin.otherwise({ end: (received) => answer(received, { body: 'fine' }) });
    const gauges = ['serin_requests_in_flight', 'serin_connections_open', 'serin_tunnels_open'];
    for (const gauge of gauges) {
      await eventually(async () => (await pair.serin.metric(gauge)) === 0, `${gauge} to be 0`);
    }
    for (let count = 0; count < 50; count++) {
      assert.equal((await ask(pair.port, request(`/after/${count}`))).body.toString(), 'fine');
    }
    assert.equal(await pair.serin.metric('serin_worker_restarts_total'), 0, pair.serin.output());
  },
);
