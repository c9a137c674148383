/**
 * What the codec makes of bytes that come in pieces, put together as the proxy does it: a head that is not whole is collected and
 * scanned, bodies are read as they come. For responses it is the proxy's own relay that puts them together.
 */
import { ChunkedReader } from '../../src/http1/body.ts';
import { REFUSALS } from '../../src/http1/refusal.ts';
import { parseRequestHead, RequestHead } from '../../src/http1/request-head.ts';
import { HeadAccumulator } from '../../src/proxy/connection/head-accumulator.ts';
import { ResponseRelay } from '../../src/proxy/exchange/response-relay.ts';
import type { SocketWriter } from '../../src/net/socket-writer.ts';
import { CHUNKED, LIMITS } from './by-codec.ts';

/** Positions where one piece ends and the next begins, ascending, within the bytes. */
export type Cuts = readonly number[];

export interface PiecesReading {
  /** Of each message: its head, then the bytes of its body that were passed on. */
  readonly messages: readonly string[];
  /** As in `by-codec.ts`. */
  readonly state: string;
}

/** All of the bytes at once, one by one, in pieces of a few, and in two parts at every offset, or at some where they are many. */
export function deliveries(length: number, atMost = 400): Cuts[] {
  const every = (step: number): Cuts =>
    Array.from({ length: Math.ceil(length / step) - 1 }, (_, index) => (index + 1) * step);
  const all: Cuts[] = [[], every(1), every(2), every(3), every(7), every(64)];
  // Of long inputs the ends, where what decides stands, whole; of the middle, as many as there is time for.
  const edge = atMost / 4;
  const step = Math.max(1, Math.floor((length - 2 * edge) / (2 * edge)));
  for (
    let at = 1;
    at < length;
    at += at < edge || at >= length - edge ? 1 : Math.min(step, length - edge - at)
  ) {
    all.push([at]);
  }
  return all;
}

function codeOf(number: number): string {
  return REFUSALS[-number - 1]!.code;
}

/** Reads requests as a client connection does. */
export function readRequestsInPieces(bytes: Buffer, cuts: Cuts): PiecesReading {
  const messages: string[] = [];
  const pieces = new HeadAccumulator();
  const head = new RequestHead();
  const reader = new ChunkedReader();
  let inBody = false;
  let remaining = 0;
  let ended = false;
  const begin = (): void => {
    messages.push(head.text.slice(0, head.length));
    inBody = head.chunked || head.contentLength > 0;
    remaining = Math.max(0, head.contentLength);
    if (head.chunked) reader.reset(CHUNKED);
    ended = !inBody && !head.keepAlive;
  };
  const pass = (text: string): void => {
    messages[messages.length - 1] += text;
  };
  let at = 0;
  for (const end of [...cuts, bytes.length]) {
    while (at < end && !ended) {
      if (!inBody) {
        const before = pieces.length;
        let used: number;
        if (pieces.empty) {
          used = parseRequestHead(bytes, at, end, LIMITS, head);
          if (used === 0) pieces.push(bytes, at, end);
        } else {
          pieces.push(bytes, at, end);
          used = pieces.ready(LIMITS.head)
            ? parseRequestHead(pieces.bytes, 0, pieces.length, LIMITS, head)
            : 0;
        }
        if (used < 0) return { messages, state: codeOf(used) };
        if (used === 0) {
          at = end;
          continue;
        }
        pieces.clear();
        begin();
        at += used - before;
      } else if (head.chunked) {
        const used = reader.push(bytes, at, end);
        if (used < 0) return { messages, state: codeOf(used) };
        if (reader.held !== null) pass(reader.held.latin1Slice());
        pass(bytes.latin1Slice(reader.from, reader.to));
        at += used;
        inBody = !reader.done;
      } else {
        const used = Math.min(remaining, end - at);
        pass(bytes.latin1Slice(at, at + used));
        at += used;
        remaining -= used;
        inBody = remaining > 0;
      }
      if (!inBody && pieces.empty) ended = !head.keepAlive;
    }
  }
  if (ended) return { messages, state: 'end' };
  return { messages, state: inBody || !pieces.empty ? 'incomplete' : 'between' };
}

/** Reads one answer to a request with that method by the proxy's relay: what it wrote to the client, and how it ended. */
export function relayInPieces(bytes: Buffer, cuts: Cuts, method: string): PiecesReading {
  let written = '';
  let state = '';
  const relay: ResponseRelay = new ResponseRelay({
    writer: {
      write: (text: string) => void (written += text),
      writeBytes: (from: Buffer, start: number, end: number) =>
        void (written += from.latin1Slice(start, end)),
    } as unknown as SocketWriter,
    requestMethod: method,
    plainClient: false,
    longBody() {},
    finalHead: (head) => head.text.slice(0, head.length),
    interimHead: (head) => head.text.slice(0, head.length),
    upgraded: () => void (state = 'upgraded'),
    responseComplete: () => void (state = 'complete'),
    responseInvalid: (code) => void (state = code < 0 ? codeOf(code) : 'unexpected_interim'),
  });
  relay.reset();
  let at = 0;
  for (const end of [...cuts, bytes.length]) {
    if (state !== '') break;
    // In the proxy the bytes lie in a buffer that the next read overwrites.
    const piece = Buffer.from(bytes.subarray(at, end));
    relay.push(piece, 0, piece.length, { ...LIMITS, ...CHUNKED });
    piece.fill('#');
    at = end;
  }
  if (state === '') state = relay.endsByClose() ? 'until-close' : 'incomplete';
  return { messages: [written], state };
}

/**
 * What differs between what came of the bytes whole and in pieces, or null. A refusal may come before or after more of the message was
 * passed on. A head that is bad and has no end is refused at once where it comes whole, and awaited where it comes in pieces.
 */
export function differenceOf(whole: PiecesReading, parts: PiecesReading): string | null {
  const [own, other] = [whole.messages.join('\0'), parts.messages.join('\0')];
  const refused = !ENDS.has(whole.state);
  if (whole.state !== parts.state && !(refused && parts.state === 'incomplete' && own === other)) {
    return `${parts.state} instead of ${whole.state}`;
  }
  if (own === other || (refused && other.startsWith(own))) return null;
  return `passed on ${JSON.stringify(other)} instead of ${JSON.stringify(own)}`;
}

const ENDS = new Set(['between', 'end', 'incomplete', 'until-close', 'complete', 'upgraded']);
