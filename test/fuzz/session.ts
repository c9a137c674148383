/**
 * Many inputs, one after another, each made from its own number: a finding names the number, which makes it again.
 */
import { compare } from './compare.ts';
import { generateRequests, generateResponses, type Input } from './grammar.ts';
import { mutate } from './mutate.ts';
import { createRandom } from './random.ts';
import type { Kind } from './reading.ts';

export interface Finding {
  readonly seed: number;
  readonly kind: Kind;
  readonly fault: string;
  /** Latin1, made as short as it goes. */
  readonly text: string;
  readonly answered: readonly string[];
  readonly step: number;
}

export interface SessionResult {
  readonly executions: number;
  /** Messages whose head both accepted and read alike, and complete ones. */
  readonly heads: number;
  readonly complete: number;
  /** How often the codec stopped for which reason. */
  readonly states: ReadonlyMap<string, number>;
  readonly findings: readonly Finding[];
}

const KEPT_FINDINGS = 20;

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

function inputOf(kind: Kind, seed: number): Input & { readonly step: number } {
  const random = createRandom(seed);
  const generate = kind === 'request' ? generateRequests : generateResponses;
  const { text, answered } = generate(random);
  const changed = random.chance(0.4) ? mutate(random, text, generate(random).text) : text;
  // llhttp takes this field for Connection; a proxy takes it out before anything is passed on.
  const proper = changed.replaceAll(/proxy-connection/gi, 'proxy-connectiox');
  return { text: proper, answered, step: random.pick([1, 2, 3, 7, 16, Infinity]) };
}

/** Runs `executions` inputs from the seed on, at most `seconds` long. */
export function runSession(kind: Kind, seed: number, executions: number, seconds = Infinity): SessionResult {
  const states = new Map<string, number>();
  const findings: Finding[] = [];
  let heads = 0;
  let complete = 0;
  let done = 0;
  const until = performance.now() + seconds * 1_000;
  for (; done < executions && findings.length < KEPT_FINDINGS; done += 1) {
    if ((done & 1023) === 0 && performance.now() > until) break;
    // Odd numbers far apart: neighbouring seeds must not share their inputs.
    const own = (Math.imul(seed, 0x9e3779b1) + done) >>> 0;
    const { text, answered, step } = inputOf(kind, own);
    let fault: string | null;
    try {
      const result = compare(kind, Buffer.from(text, 'latin1'), answered, step);
      fault = result.fault;
      heads += result.heads;
      complete += result.complete;
      states.set(result.state, (states.get(result.state) ?? 0) + 1);
    } catch (error) {
      fault = String(error);
    }
    if (fault === null) continue;
    const short = shortened(kind, text, answered, step);
    findings.push({
      seed: own,
      kind,
      fault: faultOf(kind, short, answered, step) ?? fault,
      text: short,
      answered,
      step,
    });
  }
  return { executions: done, heads, complete, states, findings };
}
