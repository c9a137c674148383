/**
 * A well-behaved HTTP/1.1 client on a raw socket: it notices that a connection has ended before it uses it, goes elsewhere
 * after `Connection: close`, and reads every answer strictly. What happens to a request is a value, never an exception.
 */
import { connect, type Socket } from 'node:net';
import { createReader, type Message } from '../../test/support/strict-reader.ts';
import { value } from '../../test/support/strict-head.ts';

export type Outcome =
  | { readonly kind: 'answer'; readonly message: Message }
  /** `message` is what came of the answer before it ended. */
  | { readonly kind: 'failed'; readonly how: Failure; readonly message: Message | null };

/** How a connection failed its request: `end` is a FIN before the answer was complete. */
export type Failure = 'refused' | 'reset' | 'end' | 'malformed' | 'late' | 'left';

interface Waiting {
  readonly method: string;
  readonly expected: Buffer | null;
  readonly settle: (outcome: Outcome) => void;
  message: Message | null;
  at: number;
}

export interface Connection {
  readonly socket: Socket;
  /** May be given another request. */
  readonly usable: boolean;
  /** Answers that came on it. */
  readonly answered: number;
  /** The bytes of a body that are not what `expected` has at their place: a cross-wired or damaged answer. */
  readonly wrong: boolean;
  /** A fault in what came, or null. */
  readonly fault: string | null;
  /** Tells of a request whose bytes the caller writes by itself; answers come in the order of the calls. */
  expect(method: string, expected?: Buffer): Promise<Outcome>;
  /** After a 101: `receive` gets what comes. */
  tunnel(receive: (bytes: Buffer) => void): void;
  /** Resolves when nothing can come any more. */
  readonly over: Promise<'end' | 'reset'>;
  /** Closes; what is unanswered has `left`. */
  close(reset?: boolean): void;
}

/** Connects; null when the connection is refused or reset at once. */
export async function open(port: number): Promise<Connection | null> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
  const connected = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  if (!connected) return null;
  const waiting: Waiting[] = [];
  let answered = 0;
  let closing = false;
  let ended = false;
  let wrong = false;
  let leaving = false;
  let reset = false;

  const reader = createReader('response', {
    requestMethod: () => waiting[0]?.method ?? 'GET',
    head(message) {
      const first = waiting[0];
      if (first === undefined || (message.status < 200 && message.status !== 101)) return;
      first.message = message;
      if (message.status === 101) done(first, message);
    },
    data(message, bytes) {
      const first = waiting[0];
      if (first?.expected === undefined || first.expected === null || message.status !== 200) return;
      if (!first.expected.subarray(first.at, first.at + bytes.length).equals(bytes)) wrong = true;
      first.at += bytes.length;
    },
    end(message) {
      const first = waiting[0];
      if (first !== undefined && first.message === message && message.status !== 101) done(first, message);
    },
    fault: () => fail('malformed'),
  });

  function done(first: Waiting, message: Message): void {
    waiting.shift();
    answered += 1;
    if (/\bclose\b/i.test(value(message, 'connection') ?? '')) {
      closing = true;
      socket.end();
    }
    first.settle({ kind: 'answer', message });
  }

  function fail(how: Failure): void {
    ended = true;
    for (const one of waiting.splice(0)) one.settle({ kind: 'failed', how, message: one.message });
  }

  const over = new Promise<'end' | 'reset'>((resolve) => {
    socket.on('data', (bytes) => reader.push(bytes));
    socket.on('end', () => {
      reader.finish();
      fail(leaving ? 'left' : 'end');
      socket.end();
      resolve('end');
    });
    socket.on('error', () => {
      reset = true;
    });
    socket.on('close', () => {
      fail(leaving ? 'left' : reset ? 'reset' : 'end');
      resolve(reset ? 'reset' : 'end');
    });
  });

  return {
    socket,
    get usable() {
      return !closing && !ended && !socket.destroyed;
    },
    get answered() {
      return answered;
    },
    get wrong() {
      return wrong;
    },
    get fault() {
      return reader.fault;
    },
    expect: (method, expected) =>
      new Promise((settle) => {
        if (ended) settle({ kind: 'failed', how: reset ? 'reset' : 'end', message: null });
        else waiting.push({ method, expected: expected ?? null, settle, message: null, at: 0 });
      }),
    tunnel: (receive) => reader.tunnel(receive),
    over,
    close(byReset = false) {
      leaving = true;
      if (byReset) socket.resetAndDestroy();
      else socket.destroy();
      fail('left');
    },
  };
}

/** A promise's value, or `late` after `milliseconds`. */
export async function before(outcome: Promise<Outcome>, milliseconds: number): Promise<Outcome> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Outcome>((resolve) => {
    timer = setTimeout(() => resolve({ kind: 'failed', how: 'late', message: null }), milliseconds);
  });
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}
