/**
 * The rule of the codec: what it accepts, llhttp in strict mode accepts and reads identically.
 *
 * llhttp gets exactly the bytes that a proxy would have passed on, and must find the same messages in them, and no fault;
 * then the bytes that the codec still waits with, in which it must not find another message.
 */
import { readByCodec } from './by-codec.ts';
import { readByLlhttp, type LlhttpReading } from './by-llhttp.ts';
import type { Kind, MessageRead } from './reading.ts';

export interface Comparison {
  /** What differs, or null. */
  readonly fault: string | null;
  /** Why the codec stopped. */
  readonly state: string;
  /** Messages whose head the codec accepted, and complete ones. */
  readonly heads: number;
  readonly complete: number;
}

const COMPARED = ['method', 'target', 'status', 'minor', 'body', 'complete'] as const;

function difference(ours: MessageRead, theirs: MessageRead): string | null {
  for (const key of COMPARED) {
    if (ours[key] !== theirs[key])
      return `${key} ${JSON.stringify(ours[key])}, llhttp ${JSON.stringify(theirs[key])}`;
  }
  for (const key of ['fields', 'trailers'] as const) {
    const [own, other] = [ours[key], theirs[key]];
    if (own.length !== other.length || own.some((text, index) => text !== other[index])) {
      return `${key} ${JSON.stringify(own)}, llhttp ${JSON.stringify(other)}`;
    }
  }
  return null;
}

/** What differs between the two readings, or null. */
export function faultOf(
  ours: readonly MessageRead[],
  theirs: LlhttpReading,
  untilClose: boolean,
): string | null {
  if (theirs.error !== null) return `llhttp refuses what the codec accepts: ${theirs.error}`;
  if (ours.length !== theirs.messages.length) {
    return `${ours.length} messages, llhttp ${theirs.messages.length}`;
  }
  for (const [index, own] of ours.entries()) {
    const other = theirs.messages[index] as MessageRead;
    const found = difference(own, other);
    if (found !== null) return `message ${index + 1}: ${found}`;
    const last = index === ours.length - 1;
    // To close where the other would not is no fault.
    if (own.keepAlive && !other.keepAlive && !(last && untilClose)) {
      return `message ${index + 1}: the connection is kept, llhttp closes it`;
    }
  }
  return null;
}

/** Compares the two readings of `bytes`. Throws where the codec contradicts itself. */
export function compare(
  kind: Kind,
  bytes: Buffer,
  answered: readonly string[] = [],
  step = Infinity,
): Comparison {
  const { messages, accepted, state } = readByCodec(kind, bytes, answered, step);
  const untilClose = state === 'until-close';
  if (untilClose) (messages.at(-1) as MessageRead).complete = true;
  const theirs = readByLlhttp(kind, bytes.subarray(0, accepted), answered, untilClose);
  let fault = faultOf(messages, theirs, untilClose);
  const complete = messages.filter((message) => message.complete).length;
  if (fault === null && state === 'incomplete' && accepted < bytes.length) {
    const later = readByLlhttp(kind, bytes, answered).messages.filter((message) => message.complete).length;
    if (later > complete) fault = `waits after ${complete} messages, llhttp has read ${later}`;
  }
  return { fault, state, heads: messages.length, complete };
}
