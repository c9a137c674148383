/** Frames of HTTP/2 byte by byte, for what no well-made client sends. Heads are written without compression (RFC 7541, 6.2.2). */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { within } from './bounded.ts';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;
export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A head, names and values in turns, in latin1: each a literal that is not indexed. */
export function headBlock(fields: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    parts.push(Buffer.from([0]), text(fields[index]!), text(fields[index + 1]!));
  }
  return Buffer.concat(parts);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  const length: number[] = [];
  if (bytes.length < 127) {
    length.push(bytes.length);
  } else {
    length.push(127);
    let rest = bytes.length - 127;
    for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export interface FrameClient {
  readonly socket: Socket;
  /** Frames received so far. */
  readonly frames: Frame[];
  /** Waits for a frame for which it holds. */
  frame(is: (frame: Frame) => boolean, what: string): Promise<Frame>;
  /** Resolves when the proxy has closed or reset the connection. */
  readonly closed: Promise<void>;
  write(...bytes: Buffer[]): boolean;
  destroy(): void;
}

/** Connects, and sends the preface and empty settings unless told otherwise. */
export async function frameClient(port: number, preface = true): Promise<FrameClient> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  await within(once(socket, 'connect'), 'a connection');
  const frames: Frame[] = [];
  let rest = Buffer.alloc(0);
  let woken = Promise.withResolvers<void>();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {
    // 'close' follows.
  });
  socket.on('data', (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 9) {
      const length = rest.readUIntBE(0, 3);
      if (rest.length < 9 + length) break;
      const payload = rest.subarray(9, 9 + length);
      frames.push({ type: rest[3]!, flags: rest[4]!, stream: rest.readUInt32BE(5), payload });
      rest = rest.subarray(9 + length);
    }
    woken.resolve();
    woken = Promise.withResolvers();
  });
  const client: FrameClient = {
    socket,
    frames,
    closed,
    frame: (is, what) =>
      within(
        (async () => {
          for (;;) {
            const found = frames.find(is);
            if (found !== undefined) return found;
            await Promise.race([woken.promise, closed]);
            if (socket.destroyed && !frames.some(is)) throw new Error(`the connection closed before ${what}`);
          }
        })(),
        what,
      ),
    write: (...bytes) => socket.write(Buffer.concat(bytes)),
    destroy: () => socket.destroy(),
  };
  if (preface) client.write(PREFACE, frame(FRAME.settings, 0, 0));
  return client;
}

/** The error code of a GOAWAY or RST_STREAM. */
export function errorCode({ type, payload }: Frame): number {
  return payload.readUInt32BE(type === FRAME.goaway ? 4 : 0);
}

/** A server that answers each request of HTTP/2 with what `answer` gives for its stream: frames byte by byte, well-made or not. */
export async function frameOrigin(answer: (stream: number) => readonly Buffer[]): Promise<FrameOrigin> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {
      // 'close' follows.
    });
    let rest = Buffer.alloc(0);
    let skipped = false;
    socket.write(frame(FRAME.settings, 0, 0));
    socket.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      if (!skipped) {
        if (rest.length < PREFACE.length) return;
        rest = rest.subarray(PREFACE.length);
        skipped = true;
      }
      while (rest.length >= 9) {
        const length = rest.readUIntBE(0, 3);
        if (rest.length < 9 + length) break;
        const [type, flags, stream] = [rest[3]!, rest[4]!, rest.readUInt32BE(5)];
        rest = rest.subarray(9 + length);
        if (type === FRAME.settings && (flags & ACK) === 0) socket.write(frame(FRAME.settings, ACK, 0));
        if (type === FRAME.headers) socket.write(Buffer.concat(answer(stream)));
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

export interface FrameOrigin {
  readonly endpoint: string;
  close(): Promise<void>;
}
