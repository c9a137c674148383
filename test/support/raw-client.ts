/**
 * A client on a raw socket: a test decides about each byte and each piece, and everything that comes back is read
 * strictly. Waiting is bounded; a response that does not come rejects with what came instead.
 */
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { within } from './bounded.ts';
import { createReader, type Message, type StrictReader } from './strict-reader.ts';

export interface ClientOptions {
  /** Loopback address to connect from; the proxy sees it as the peer. */
  localAddress?: string;
  /** Methods of the requests to come, for HEAD; GET where unsaid. */
  methods?: readonly string[];
  /** Speak TLS, with these options. `reset` is not for such a connection. */
  tls?: ConnectionOptions;
  /** Bytes to send before anything else, the TLS handshake included. */
  preface?: string | Buffer;
  /** Keep no response bodies flowing: start paused. */
  paused?: boolean;
}

export interface RawClient {
  readonly socket: Socket;
  readonly reader: StrictReader;
  /** 1xx answers but 101. */
  readonly interim: Message[];
  /** Final answers, complete or under way, in order. A 101 is final. */
  readonly answers: Message[];
  /** Writes latin1 text or bytes. */
  write(bytes: string | Buffer): void;
  /** Writes in pieces of `size` bytes, each given to the kernel apart. */
  writeSplit(bytes: string | Buffer, size: number): Promise<void>;
  /** The next final answer that no earlier call returned, once complete. */
  answer(milliseconds?: number): Promise<Message>;
  /** Resolves when the connection is over: by a clean FIN (or our own close) or by a reset. */
  readonly over: Promise<'end' | 'reset'>;
  /** Resolves when the proxy has sent its FIN or reset the connection. */
  readonly finished: Promise<'end' | 'reset'>;
  /** All bytes received so far. */
  raw(): Buffer;
  /** Bytes received after a 101. */
  tunnelled(): Buffer;
  /** Half-closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
  /** Closes by RST. */
  reset(): void;
}

const RAW_KEPT = 1_048_576;

const latin1 = (bytes: string | Buffer) => (typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);

/** Connects to a loopback port. */
export async function connect(port: number, options: ClientOptions = {}): Promise<RawClient> {
  const tcp = connectSocket({
    host: '127.0.0.1',
    port,
    noDelay: true,
    allowHalfOpen: true,
    ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
  });
  await within(once(tcp, 'connect'), `connection to port ${port}`);
  if (options.preface !== undefined) tcp.write(latin1(options.preface));
  const socket = options.tls === undefined ? tcp : await secure(tcp, options.tls);

  const interim: Message[] = [];
  const answers: Message[] = [];
  const methods = options.methods ?? [];
  const kept: Buffer[] = [];
  let keptLength = 0;
  const tunnelled: Buffer[] = [];
  let taken = 0;
  let ending: 'end' | 'reset' | null = null;
  let woken = Promise.withResolvers<void>();
  function wake(): void {
    woken.resolve();
    woken = Promise.withResolvers<void>();
  }

  const reader = createReader('response', {
    requestMethod: () => methods[answers.length] ?? 'GET',
    head(message) {
      if (message.status < 200 && message.status !== 101) interim.push(message);
      else answers.push(message);
      if (message.status === 101) reader.tunnel((bytes) => tunnelled.push(bytes));
      wake();
    },
    end: wake,
    fault: wake,
  });

  const finished = new Promise<'end' | 'reset'>((resolve) => {
    socket.on('end', () => {
      reader.finish();
      ending ??= 'end';
      resolve(ending);
      wake();
    });
    socket.on('error', () => {
      ending ??= 'reset';
      resolve(ending);
      wake();
    });
    socket.on('close', () => {
      ending ??= 'end';
      resolve(ending);
      wake();
    });
  });
  const over = new Promise<'end' | 'reset'>((resolve) => {
    socket.on('close', () => resolve(ending ?? 'end'));
  });
  socket.on('data', (bytes: Buffer) => {
    if (keptLength < RAW_KEPT) kept.push(bytes.subarray(0, RAW_KEPT - keptLength));
    keptLength += bytes.length;
    reader.push(bytes);
    wake();
  });
  if (options.paused === true) socket.pause();

  /** Why no complete answer will come any more, or null. */
  function hopeless(): string | null {
    if (reader.fault !== null) return `malformed answer: ${reader.fault}`;
    if (ending !== null) return `connection over (${ending}) before an answer was complete`;
    return null;
  }

  async function nextAnswer(): Promise<Message> {
    const index = taken;
    taken += 1;
    for (;;) {
      const message = answers[index];
      if (message?.complete === true) return message;
      const why = hopeless();
      if (why !== null) {
        const tail = Buffer.concat(kept).toString('latin1').slice(-400);
        throw new Error(`${why}; received: ${JSON.stringify(tail)}`);
      }
      await woken.promise;
    }
  }

  return {
    socket,
    reader,
    interim,
    answers,
    write(bytes) {
      socket.write(latin1(bytes));
    },
    async writeSplit(bytes, size) {
      const all = latin1(bytes);
      for (let from = 0; from < all.length && !socket.destroyed; from += size) {
        // The callback comes also when the connection breaks; that is for `answer` to tell.
        await new Promise((resolve) => socket.write(all.subarray(from, from + size), resolve));
        await nextTurn();
      }
    },
    answer: (milliseconds) => within(nextAnswer(), 'an answer', milliseconds),
    over,
    finished,
    raw: () => Buffer.concat(kept),
    tunnelled: () => Buffer.concat(tunnelled),
    end: () => socket.end(),
    destroy: () => socket.destroy(),
    reset: () => socket.resetAndDestroy(),
  };
}

/** Rejects with the error of the handshake. */
async function secure(tcp: Socket, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({ ...options, socket: tcp });
  await within(once(socket, 'secureConnect'), 'a TLS handshake');
  return socket;
}

/** One request on a fresh connection: its final answer. The connection is closed afterwards. */
export async function ask(
  port: number,
  bytes: string | Buffer,
  options: ClientOptions = {},
): Promise<Message> {
  const client = await connect(port, options);
  try {
    client.write(bytes);
    return await client.answer();
  } finally {
    client.destroy();
  }
}

/** A request's text; `host` and the empty line are added. */
export function request(
  target: string,
  options: { method?: string; headers?: readonly string[]; body?: string; host?: string } = {},
): string {
  const { method = 'GET', headers = [], body, host = 'notes.test' } = options;
  const lines = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...headers];
  if (body !== undefined) lines.push(`Content-Length: ${Buffer.byteLength(body, 'latin1')}`);
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
}
