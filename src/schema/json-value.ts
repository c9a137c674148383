/**
 * Tells whether a value is one that JSON can say, before a schema is asked about it.
 *
 * It promises to end on any input, however deep or tangled, and never to call anything of the value's own.
 */
import type { Fault } from './faults.ts';

/** No document of ours is nested a quarter as deep. */
const DEEPEST = 64;

/** A value with more parts than this is refused unread: no document of ours comes near it. */
const MOST_PARTS = 5_000_000;

/** A value that is still to be looked at. Its pointer is put together only where something is wrong with it. */
interface Part {
  readonly value: unknown;
  readonly parent: Part | null;
  readonly key: string | number;
  readonly depth: number;
}

/**
 * The faults of `value` as JSON: numbers that are not finite, undefined, dates and other objects with a class,
 * keys that would reach an object's prototype or hold control characters, and too deep a nesting. `[]` when it is fit.
 */
export function unfitForJson(value: unknown): Fault[] {
  const faults: Fault[] = [];
  const waiting: Part[] = [{ value, parent: null, key: '', depth: 0 }];
  let parts = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    parts += 1;
    if (parts > MOST_PARTS)
      return [{ pointer: '', detail: `the document has over ${MOST_PARTS} values; expected fewer` }];
    if (faults.length >= 50) return faults;
    const { value: part, depth } = next;
    if (part === null || typeof part === 'string' || typeof part === 'boolean') continue;
    if (typeof part === 'number') {
      if (Number.isFinite(part)) continue;
      faults.push({ pointer: pointerOf(next), detail: `expected a finite number, got ${part}` });
      continue;
    }
    if (typeof part !== 'object') {
      faults.push({
        pointer: pointerOf(next),
        detail: `expected a JSON value, got ${part === undefined ? 'nothing' : `a ${typeof part}`}`,
      });
      continue;
    }
    if (depth >= DEEPEST)
      return [{ pointer: '', detail: `the document is nested over ${DEEPEST} levels deep; expected fewer` }];
    if (Array.isArray(part)) {
      for (let index = part.length - 1; index >= 0; index--) {
        waiting.push({ value: part[index], parent: next, key: index, depth: depth + 1 });
      }
      continue;
    }
    const prototype: unknown = Object.getPrototypeOf(part);
    if (prototype !== Object.prototype && prototype !== null) {
      faults.push({ pointer: pointerOf(next), detail: 'expected a plain JSON object' });
      continue;
    }
    const entries: [string, unknown][] = Object.entries(part);
    for (let index = entries.length - 1; index >= 0; index--) {
      const [key, inner] = entries[index] ?? ['', null];
      const child: Part = { value: inner, parent: next, key, depth: depth + 1 };
      if (key === '__proto__' || CONTROL.test(key)) {
        faults.push({
          pointer: pointerOf(child),
          detail: `the key ${JSON.stringify(key)} is not allowed anywhere; expected a plain name`,
        });
      } else {
        waiting.push(child);
      }
    }
  }
  return faults;
}

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/;

function pointerOf({ parent, key }: Part): string {
  return parent === null ? '' : joinPointer(pointerOf(parent), key);
}

/** `pointer` with one more reference token, escaped by RFC 6901. */
export function joinPointer(pointer: string, key: string | number): string {
  return `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** What the text says as JSON; undefined where it is none. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** True for an object that is not a list. */
export function isRecord(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
