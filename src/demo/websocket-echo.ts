/**
 * A WebSocket echo (RFC 6455), just enough for the demonstration: text, binary, ping and close frames up to 64 KiB.
 *
 * It must never be used for more than showing that an upgraded connection passes the proxy: it knows no fragmented
 * messages and no extensions, and closes the connection on either.
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

const ACCEPT_SALT = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const MAX_PAYLOAD = 65_536;

const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  /** Bytes of the buffer that the frame took. */
  readonly size: number;
}

/** One whole client frame from the start of `bytes`; null when more bytes are needed, 'bad' when it can't be served. */
function readFrame(bytes: Buffer): Frame | null | 'bad' {
  if (bytes.length < 2) return null;
  const first = bytes.readUInt8(0);
  const second = bytes.readUInt8(1);
  // Only final frames without reserved bits, and a client's frames are always masked.
  if ((first & 0xf0) !== 0x80 || (second & 0x80) === 0) return 'bad';
  let length = second & 0x7f;
  let offset = 2;
  if (length === 127) return 'bad';
  if (length === 126) {
    if (bytes.length < 4) return null;
    length = bytes.readUInt16BE(2);
    offset = 4;
  }
  if (length > MAX_PAYLOAD) return 'bad';
  const size = offset + 4 + length;
  if (bytes.length < size) return null;
  const mask = bytes.subarray(offset, offset + 4);
  const payload = Buffer.from(bytes.subarray(offset + 4, size));
  for (let index = 0; index < payload.length; index++) payload[index]! ^= mask[index & 3]!;
  return { opcode: first & 0x0f, payload, size };
}

function writeFrame(opcode: number, payload: Buffer): Buffer {
  const head =
    payload.length < 126
      ? Buffer.from([0x80 | opcode, payload.length])
      : Buffer.from([0x80 | opcode, 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, payload]);
}

/**
 * Answers an upgrade request and echoes every message, each text with `greeting` before it.
 * A request that is not a WebSocket handshake is answered 400 and closed.
 */
export function serveWebSocketEcho(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  greeting: string,
  headers: Readonly<Record<string, string>>,
): void {
  socket.on('error', () => socket.destroy());
  const key = request.headers['sec-websocket-key'];
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || key === undefined) {
    socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    return;
  }
  const accept = createHash('sha1')
    .update(key + ACCEPT_SALT)
    .digest('base64');
  let answer = `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n`;
  for (const [name, value] of Object.entries(headers)) answer += `${name}: ${value}\r\n`;
  socket.write(`${answer}\r\n`);

  let pending: Buffer = Buffer.alloc(0);
  const take = (chunk: Buffer): void => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    for (;;) {
      const frame = readFrame(pending);
      if (frame === null) return;
      if (frame === 'bad') {
        socket.end(writeFrame(OPCODE.close, Buffer.from([0x03, 0xea])));
        return;
      }
      pending = pending.subarray(frame.size);
      if (frame.opcode === OPCODE.close) {
        socket.end(writeFrame(OPCODE.close, frame.payload));
        return;
      }
      if (frame.opcode === OPCODE.ping) socket.write(writeFrame(OPCODE.pong, frame.payload));
      if (frame.opcode === OPCODE.binary) socket.write(writeFrame(OPCODE.binary, frame.payload));
      if (frame.opcode === OPCODE.text) {
        socket.write(writeFrame(OPCODE.text, Buffer.concat([Buffer.from(greeting), frame.payload])));
      }
    }
  };
  socket.on('data', take);
  if (head.length > 0) take(head);
}
