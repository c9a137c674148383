/**
 * The rule of the codec: what it accepts, llhttp in strict mode accepts and reads identically.
 *
 * llhttp gets exactly the bytes that a proxy would have passed on, and must find the same messages in them, and no fault.
 * Where the codec stopped before the end, llhttp then gets all of the bytes: in those that the codec still waits with it must
 * not find another message, and what it makes of those that the codec refuses is told, so that they can be counted.
 */
import { METHODS } from 'node:http';
import { KNOWN_METHODS } from '../../src/http1/methods.ts';
import { readByCodec, type CodecReading } from './by-codec.ts';
import { readByLlhttp, type LlhttpReading } from './by-llhttp.ts';
import type { Kind, MessageRead } from './reading.ts';

export interface Comparison {
  /** What differs, or null. */
  readonly fault: string | null;
  /** Why the codec stopped. */
  readonly state: string;
  /** What llhttp says of the bytes that the codec refuses: its fault, or `reads`; null where nothing was refused. */
  readonly opinion: string | null;
  readonly messages: readonly MessageRead[];
  /** Messages that both read to their end. */
  readonly complete: number;
}

const NOT_REFUSED = new Set(['between', 'end', 'incomplete', 'until-close']);

function shown(key: string, own: unknown, other: unknown): string {
  return `${key} ${JSON.stringify(own)}, llhttp ${JSON.stringify(other)}`;
}

function sameList(own: readonly string[], other: readonly string[]): boolean {
  if (own.length !== other.length) return false;
  for (let index = 0; index < own.length; index += 1) if (own[index] !== other[index]) return false;
  return true;
}

function difference(own: MessageRead, other: MessageRead): string | null {
  if (own.method !== other.method) return shown('method', own.method, other.method);
  if (own.target !== other.target) return shown('target', own.target, other.target);
  if (own.status !== other.status) return shown('status', own.status, other.status);
  if (own.minor !== other.minor) return shown('minor', own.minor, other.minor);
  if (own.body !== other.body) return shown('body', own.body, other.body);
  if (own.complete !== other.complete) return shown('complete', own.complete, other.complete);
  if (!sameList(own.fields, other.fields)) return shown('fields', own.fields, other.fields);
  if (!sameList(own.trailers, other.trailers)) return shown('trailers', own.trailers, other.trailers);
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
  for (let index = 0; index < ours.length; index += 1) {
    const own = ours[index] as MessageRead;
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

function countComplete(messages: readonly MessageRead[]): number {
  let count = 0;
  for (const message of messages) if (message.complete) count += 1;
  return count;
}

/**
 * Registered methods that llhttp does not know, which it refuses. It gets another method in their place, so that it can be asked about the
 * rest of the message.
 */
const UNKNOWN_TO_LLHTTP = [...KNOWN_METHODS].filter((method) => !METHODS.includes(method));
const STAND_IN = 'REPORT';

/** What llhttp is given: the bytes, with the methods that it does not know replaced; and what it then should read. */
function forLlhttp(
  bytes: Buffer,
  { messages, methodsAt, accepted }: CodecReading,
): { messages: readonly MessageRead[]; bytes: Buffer; accepted: number } {
  if (!messages.some(({ method }) => UNKNOWN_TO_LLHTTP.includes(method)))
    return { messages, bytes, accepted };
  let text = '';
  let at = 0;
  let shorter = 0;
  const read = messages.map((message, index) => {
    if (!UNKNOWN_TO_LLHTTP.includes(message.method)) return message;
    const from = methodsAt[index] as number;
    text += bytes.latin1Slice(at, from) + STAND_IN;
    at = from + message.method.length;
    shorter += message.method.length - STAND_IN.length;
    return { ...message, method: STAND_IN };
  });
  const whole = Buffer.from(text + bytes.latin1Slice(at), 'latin1');
  return { messages: read, bytes: whole, accepted: accepted - shorter };
}

/** Compares the two readings of `bytes`. Throws where the codec contradicts itself. */
export function compare(
  kind: Kind,
  bytes: Buffer,
  answered: readonly string[] = [],
  step = Infinity,
): Comparison {
  const reading = readByCodec(kind, bytes, answered, step);
  const { messages, accepted, state } = reading;
  const untilClose = state === 'until-close';
  if (untilClose) (messages.at(-1) as MessageRead).complete = true;
  const given = forLlhttp(bytes, reading);
  const theirs = readByLlhttp(kind, given.bytes.subarray(0, given.accepted), answered, untilClose);
  let fault = faultOf(given.messages, theirs, untilClose);
  const complete = countComplete(messages);
  let opinion: string | null = null;
  if (fault === null && accepted < bytes.length && state !== 'end') {
    const whole = readByLlhttp(kind, given.bytes, answered);
    if (!NOT_REFUSED.has(state)) {
      opinion = whole.error ?? 'reads';
    } else {
      const later = countComplete(whole.messages);
      if (later > complete) fault = `waits after ${complete} messages, llhttp has read ${later}`;
    }
  }
  return { fault, state, opinion, messages, complete };
}
