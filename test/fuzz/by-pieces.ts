/**
 * What the product's own readers make of bytes that come in pieces: the reader of requests as a client connection pushes to it, and for
 * responses the relay that writes them to the client.
 */
import { PROTOCOL_ERRORS } from '../../src/http1/protocol-errors.ts';
import { RequestReader } from '../../src/http1/request-reader.ts';
import { ResponseRelay, type RelayStep } from '../../src/proxy/exchange/response-relay.ts';
import { LIMITS } from './by-codec.ts';

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
  return PROTOCOL_ERRORS[-number - 1]!.code;
}

/** Reads requests as a client connection does. */
export function readRequestsInPieces(bytes: Buffer, cuts: Cuts): PiecesReading {
  const messages: string[] = [];
  const reader = new RequestReader();
  const { head, body } = reader;
  let ended = false;
  let at = 0;
  for (const end of [...cuts, bytes.length]) {
    // In the proxy the bytes lie in a buffer that the next read overwrites.
    const piece = Buffer.from(bytes.subarray(at, end));
    for (let from = 0; from < piece.length && !ended; from += reader.used) {
      switch (reader.push(piece, from, piece.length, LIMITS)) {
        case 'refused':
          return { messages, state: codeOf(reader.refusal) };
        case 'head':
          messages.push(head.text.slice(0, head.length));
          ended = body.done && !head.keepAlive;
          break;
        case 'body':
          messages[messages.length - 1] +=
            (body.held?.latin1Slice() ?? '') + piece.latin1Slice(body.from, body.to);
          ended = body.done && !head.keepAlive;
          break;
        case 'more':
          break;
      }
    }
    piece.fill('#');
    at = end;
  }
  if (ended) return { messages, state: 'end' };
  return { messages, state: body.done && reader.pieces.length === 0 ? 'between' : 'incomplete' };
}

/** Reads one answer to a request with that method by the proxy's relay: what it wrote to the client, and how it ended. */
export function relayInPieces(bytes: Buffer, cuts: Cuts, method: string): PiecesReading {
  let written = '';
  const relay = new ResponseRelay({
    writer: {
      write: (text: string) => void (written += text),
      writeBytes: (from: Buffer, start: number, end: number) =>
        void (written += from.latin1Slice(start, end)),
    },
    finalHead: (head) => head.text.slice(0, head.length),
    interimHead: (head) => head.text.slice(0, head.length),
  });
  relay.reset(method, false, true);
  let step: RelayStep = 'more';
  let at = 0;
  for (const end of [...cuts, bytes.length]) {
    if (step !== 'more') break;
    // In the proxy the bytes lie in a buffer that the next read overwrites.
    const piece = Buffer.from(bytes.subarray(at, end));
    step = relay.push(piece, 0, piece.length, LIMITS);
    piece.fill('#');
    at = end;
  }
  let state: string = step;
  if (step === 'invalid') state = relay.refusal < 0 ? codeOf(relay.refusal) : 'unexpected_interim';
  else if (step === 'more') state = relay.reader.endsByClose() ? 'until-close' : 'incomplete';
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
