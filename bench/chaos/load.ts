/**
 * The load of the chaos run: lanes of clients that each do one thing again and again, so that every way of using a connection
 * is under way when an endpoint dies.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { value } from '../../test/support/strict-head.ts';
import { before, open, type Connection, type Outcome } from './client.ts';
import { contentOf, sumOf } from './content.ts';
import type { Asked, Tally } from './tally.ts';

export interface Load {
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly port: number;
  readonly tally: Tally;
  readonly random: () => number;
  /** Makes the ids of different loads different. */
  readonly name: string;
  /** Lanes of the usual sort; the others come on top. */
  readonly lanes: number;
}

/** Nobody waits for longer, in ms. */
const LATE = 30_000;
const HOST = 'chaos.test';
const REFUSED: Outcome = { kind: 'failed', how: 'refused', message: null };

interface Request extends Asked {
  readonly bytes: readonly Buffer[];
  readonly expected: Buffer | null;
  /** Whether the answer is the one to this request. */
  right(outcome: Outcome): boolean;
}

export function startLoad({ port, tally, random, name, lanes }: LoadOptions): Load {
  const state = { stopped: false };
  let serial = 0;
  const upTo = (most: number): number => Math.floor(random() * most);

  /** A size: mostly small, sometimes large. */
  function someSize(): number {
    const draw = random();
    return draw < 0.75 ? upTo(6000) : draw < 0.95 ? upTo(48_000) : upTo(600_000);
  }

  function nextId(): string {
    serial += 1;
    return `${name}${serial}`;
  }

  function head(method: string, path: string, fields: string): string {
    return `${method} ${path} HTTP/1.1\r\nHost: ${HOST}\r\nX-User-Id: u${upTo(400)}\r\n${fields}\r\n`;
  }

  function download(kind: string, fields = ''): Request {
    const id = nextId();
    const size = someSize();
    const framing = ['length', 'length', 'chunked', 'close'][upTo(4)] as string;
    const method = random() < 0.07 ? 'HEAD' : 'GET';
    const pace = random() < 0.15 ? 'drip' : 'down';
    const expected = contentOf(id, size);
    return {
      id,
      method,
      kind,
      size: 0,
      from: performance.now(),
      bytes: [Buffer.from(head(method, `/${pace}/${id}/${size}/${framing}`, fields), 'latin1')],
      expected,
      right: ({ message }) =>
        message !== null &&
        value(message, 'x-id') === id &&
        value(message, 'x-sum') === sumOf(expected) &&
        (method === 'HEAD' || message.bodyLength === size),
    };
  }

  function upload(kind: string, fields = '', size = someSize()): Request {
    const id = nextId();
    const draw = random();
    const method = draw < 0.6 ? 'POST' : draw < 0.9 ? 'PUT' : 'DELETE';
    const length = method === 'DELETE' ? 0 : size;
    const slow = random() < 0.15;
    const path = slow ? `/slow/${id}/${upTo(400)}` : `/up/${id}/${length}`;
    const body = contentOf(id, length);
    const chunked = length > 0 && random() < 0.4;
    const framing = chunked
      ? 'Transfer-Encoding: chunked\r\n'
      : method === 'DELETE'
        ? ''
        : `Content-Length: ${length}\r\n`;
    const bytes: Buffer[] = [Buffer.from(head(method, path, fields + framing), 'latin1')];
    for (let at = 0; at < length; at += 40_000) {
      const piece = body.subarray(at, at + 40_000);
      if (chunked) bytes.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
      else bytes.push(piece);
    }
    if (chunked) bytes.push(Buffer.from('0\r\n\r\n'));
    return {
      id,
      method,
      kind: `${kind}, ${method}`,
      size: length,
      from: performance.now(),
      bytes,
      expected: null,
      right: ({ message }) =>
        message !== null &&
        value(message, 'x-id') === id &&
        message.body.toString('latin1') === JSON.stringify({ id, length, sum: sumOf(body) }),
    };
  }

  async function write({ socket }: Connection, pieces: readonly Buffer[], slowly: boolean): Promise<void> {
    if (!slowly) {
      socket.write(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces));
      return;
    }
    for (const piece of pieces) {
      if (socket.destroyed || !socket.writable) return;
      socket.write(piece);
      await delay(upTo(5));
    }
  }

  async function ask(connection: Connection, requests: readonly Request[], slowly: boolean): Promise<void> {
    let cut = false;
    const outcomes = requests.map(async (request) => {
      tally.begin(request);
      const outcome = await before(connection.expect(request.method, request.expected ?? undefined), LATE);
      if (cut && outcome.kind === 'failed' && outcome.message === null) tally.behind(request);
      else tally.end(request, outcome, connection, request.right(outcome));
      if (outcome.kind === 'failed') cut = true;
      return outcome;
    });
    await write(
      connection,
      requests.flatMap(({ bytes }) => bytes),
      slowly,
    );
    const ended = await Promise.all(outcomes);
    if (ended.some(({ kind }) => kind === 'failed')) connection.close();
  }

  /** Runs `turn` with a connection again and again; the connection is kept as long as it is usable. */
  async function lane(turn: (connection: Connection) => Promise<void>, think: number): Promise<void> {
    let connection: Connection | null = null;
    while (!state.stopped) {
      if (connection === null || !connection.usable) {
        connection?.close();
        connection = await open(port);
        if (connection === null) {
          // The proxy never goes away in this run.
          const asked: Asked = {
            id: nextId(),
            method: 'GET',
            kind: 'connect',
            size: 0,
            from: performance.now(),
          };
          tally.begin(asked);
          tally.end(asked, REFUSED, null, false);
          await delay(100);
          continue;
        }
      }
      await turn(connection);
      await delay(upTo(think));
    }
    connection?.close();
  }

  const steady = async (connection: Connection): Promise<void> => {
    const request = random() < 0.55 ? download('kept connections, download') : upload('kept connections');
    await ask(connection, [request], random() < 0.2);
  };

  const fresh = async (connection: Connection): Promise<void> => {
    const close = 'Connection: close\r\n';
    const request =
      random() < 0.5 ? download('new connections, download', close) : upload('new connections', close);
    await ask(connection, [request], false);
  };

  /** Downloads in one write. A close-delimited answer would leave the later ones unanswered, as it must. */
  const pipelined = async (connection: Connection): Promise<void> => {
    const requests = Array.from({ length: 2 + upTo(4) }, () => {
      let one = download('pipelined');
      while (one.bytes[0]?.includes('/close ') === true) one = download('pipelined');
      return one;
    });
    await ask(connection, requests, false);
  };

  /** Leaves in the middle of an upload or of a download. */
  const leaver = async (connection: Connection): Promise<void> => {
    const up = random() < 0.5;
    const request = up
      ? upload('clients that leave', '', 50_000 + upTo(300_000))
      : download('clients that leave');
    tally.begin(request);
    const outcome = connection.expect(request.method, request.expected ?? undefined);
    const pieces = up ? request.bytes.slice(0, Math.ceil(request.bytes.length / 2)) : request.bytes;
    await write(connection, pieces, up);
    await delay(upTo(30));
    connection.close(random() < 0.5);
    tally.end(request, await before(outcome, LATE), connection, true);
  };

  const tunnel = async (connection: Connection): Promise<void> => {
    const id = nextId();
    const asked: Asked = { id, method: 'GET', kind: 'tunnels', size: 0, from: performance.now() };
    tally.begin(asked);
    const answered = before(connection.expect('GET'), LATE);
    connection.socket.write(head('GET', `/tunnel/${id}`, 'Connection: Upgrade\r\nUpgrade: echo\r\n'));
    const outcome = await answered;
    if (outcome.kind === 'failed' || outcome.message.status !== 101) {
      tally.end(asked, outcome, connection, false);
      connection.close();
      return;
    }
    const endpoint = value(outcome.message, 'x-name') ?? '';
    if (value(outcome.message, 'x-id') !== id) tally.wrong.push(`tunnel ${id}: the answer of another`);
    let expected: Buffer = Buffer.alloc(0);
    let echoed = Promise.withResolvers<void>();
    connection.tunnel((bytes) => {
      if (!expected.subarray(0, bytes.length).equals(bytes))
        tally.wrong.push(`tunnel ${id}: bytes of another`);
      expected = expected.subarray(bytes.length);
      if (expected.length === 0) echoed.resolve();
    });
    const over = connection.over.then((how) => ({ how }));
    const turns = 3 + upTo(60);
    for (let turn = 0; turn < turns && !state.stopped; turn++) {
      const words = contentOf(`${id}-${turn}`, 1 + upTo(turn === 7 ? 200_000 : 2000));
      echoed = Promise.withResolvers<void>();
      expected = words;
      connection.socket.write(words);
      const late = delay(LATE, { how: 'late' } as const, { ref: false });
      const ended = await Promise.race([echoed.promise, over, late]);
      if (ended !== undefined) {
        tally.broke(asked, ended.how, endpoint);
        connection.close();
        return;
      }
      await delay(upTo(60));
    }
    tally.good(asked);
    connection.close();
  };

  const all = [
    ...Array.from({ length: lanes }, () => lane(steady, 30)),
    ...Array.from({ length: Math.ceil(lanes / 4) }, () => lane(fresh, 40)),
    ...Array.from({ length: Math.ceil(lanes / 4) }, () => lane(pipelined, 80)),
    ...Array.from({ length: Math.ceil(lanes / 8) }, () => lane(leaver, 80)),
    ...Array.from({ length: Math.ceil(lanes / 4) }, () => lane(tunnel, 50)),
  ];
  return {
    async stop() {
      state.stopped = true;
      await Promise.all(all);
    },
  };
}
