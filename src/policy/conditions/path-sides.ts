/**
 * Which path conditions of a policy hold for a path, and whether that depends on how a server reads the path.
 *
 * A condition is meant for what the application takes the path for. Where one reading meets it and another does not, the path is ambiguous
 * and its request is refused: otherwise whoever writes paths so could leave an exclude rule behind, or step into a rule. A path that
 * is plain is never looked at here.
 */
import { isUnambiguous, isUnder } from '../path.ts';
import { readingsAgree, readingsOf } from '../path-readings.ts';

/** A condition on the path: what it names, in normal form. */
export interface PathSide {
  readonly exact: readonly string[];
  /** '' where it names none. */
  readonly prefix: string;
}

/**
 * Says of paths whether a condition holds in one reading and not in another. What a condition names is read in every way too: an
 * endpoint reads that as it reads the request.
 */
export function compilePathSides(sides: readonly PathSide[]): (path: string) => boolean {
  if (sides.length === 0) return () => false;
  const exact = new Map<string, number[]>();
  const prefixes = new Map<string, number[]>();
  for (const [index, side] of sides.entries()) {
    for (const path of side.exact) for (const reading of readingsOf(path)) add(exact, reading, index);
    if (side.prefix !== '') for (const reading of readingsOf(side.prefix)) add(prefixes, reading, index);
  }
  const longest = Math.max(0, ...[...prefixes.keys()].map((prefix) => prefix.length));
  const holding = (path: string): string => {
    const held = new Set(exact.get(path));
    for (let at = path.indexOf('/', 1); at >= 0 && at <= longest; at = path.indexOf('/', at + 1)) {
      for (const index of prefixes.get(path.slice(0, at)) ?? []) held.add(index);
      for (const index of prefixes.get(path.slice(0, at + 1)) ?? []) held.add(index);
    }
    for (const whole of ['/', path]) {
      if (isUnder(path, whole)) for (const index of prefixes.get(whole) ?? []) held.add(index);
    }
    return held.size < 2 ? [...held].join() : [...held].toSorted((a, b) => a - b).join();
  };
  return (path) => !isUnambiguous(path) && !readingsAgree(path, holding);
}

function add(to: Map<string, number[]>, path: string, index: number): void {
  const list = to.get(path);
  if (list === undefined) to.set(path, [index]);
  else if (!list.includes(index)) list.push(index);
}
