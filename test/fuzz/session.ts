/**
 * Many inputs, one after another, all made from one number: the same number gives the same session again. A finding carries its
 * input, made as short as it goes.
 */
import { compare } from './compare.ts';
import { InputSource } from './input.ts';
import { createRandom } from './random.ts';
import type { Kind } from './reading.ts';

export interface Finding {
  /** Of the session, and the place of the input in it. */
  readonly seed: number;
  readonly index: number;
  readonly kind: Kind;
  readonly fault: string;
  /** Latin1, made as short as it goes. */
  readonly text: string;
  readonly answered: readonly string[];
  readonly step: number;
}

export interface SessionResult {
  readonly executions: number;
  /** Inputs of which the codec refused nothing. */
  readonly accepted: number;
  /** Messages whose head both accepted and read alike, and complete ones. */
  readonly heads: number;
  readonly complete: number;
  /** How often the codec stopped for which reason. */
  readonly states: ReadonlyMap<string, number>;
  /** Of the refused inputs, how often llhttp said what: "code of the codec, space, fault of llhttp or `reads`". */
  readonly opinions: ReadonlyMap<string, number>;
  /** Inputs that led somewhere new. */
  readonly kept: number;
  readonly bytes: number;
  readonly findings: readonly Finding[];
}

const KEPT_FINDINGS = 20;
const ROOM = 1_048_576;

/** All inputs are read from one buffer, as a proxy reads: what stands after an input is left over from others. */
const room = Buffer.alloc(ROOM, 'GET / HTTP/1.1\r\nHost: leftover\r\n\r\n0\r\n\r\n');

function bytesOf(text: string, at: number): Buffer {
  if (text.length > ROOM - at) return Buffer.from(text, 'latin1');
  room.write(text, at, 'latin1');
  return room.subarray(at, at + text.length);
}

/** The fault of an input, or null; a codec that throws is at fault, too. */
function faultOf(kind: Kind, text: string, answered: readonly string[], step: number): string | null {
  try {
    return compare(kind, Buffer.from(text, 'latin1'), answered, step).fault;
  } catch (error) {
    return String(error);
  }
}

/** Takes out whatever is not needed for a fault. */
function shortened(kind: Kind, text: string, answered: readonly string[], step: number): string {
  let short = text;
  for (let length = Math.ceil(short.length / 2); length >= 1; length = Math.floor(length / 2)) {
    for (let at = 0; at < short.length;) {
      const less = short.slice(0, at) + short.slice(at + length);
      if (faultOf(kind, less, answered, step) === null) at += length;
      else short = less;
    }
  }
  return short;
}

function count(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}

/** Runs `executions` inputs, at most `seconds` long. An execution: one input, delivered to both parsers, and compared. */
export function runSession(kind: Kind, seed: number, executions: number, seconds = Infinity): SessionResult {
  const states = new Map<string, number>();
  const opinions = new Map<string, number>();
  const findings: Finding[] = [];
  const random = createRandom(seed);
  const source = new InputSource(kind);
  let accepted = 0;
  let heads = 0;
  let complete = 0;
  let bytes = 0;
  let done = 0;
  const until = performance.now() + seconds * 1_000;
  for (; done < executions && findings.length < KEPT_FINDINGS; done += 1) {
    if ((done & 1023) === 0 && performance.now() > until) break;
    const input = source.next(random);
    const { text, answered, step } = input;
    bytes += text.length;
    let fault: string | null;
    try {
      const came = compare(kind, bytesOf(text, done & 7), answered, step);
      fault = came.fault;
      heads += came.messages.length;
      complete += came.complete;
      count(states, came.state);
      if (came.opinion === null) accepted += 1;
      else count(opinions, `${came.state} ${came.opinion}`);
      source.learn(input, came);
    } catch (error) {
      fault = String(error);
    }
    if (fault === null) continue;
    const short = shortened(kind, text, answered, step);
    findings.push({
      seed,
      index: done,
      kind,
      fault: faultOf(kind, short, answered, step) ?? fault,
      text: faultOf(kind, short, answered, step) === null ? text : short,
      answered,
      step,
    });
  }
  return {
    executions: done,
    accepted,
    heads,
    complete,
    states,
    opinions,
    kept: source.kept,
    bytes,
    findings,
  };
}
