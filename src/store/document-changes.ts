/**
 * What changed from one JSON value to another, as a short list of changes, and the value that a list of changes leads to.
 *
 * It promises that what `withChanges` makes is, and is written as JSON, exactly the later value, and that neither value is
 * changed: what is alike is shared. Whatever stands where changes should, `withChanges` never throws.
 */
import { isRecord } from '../schema/json-value.ts';

type Path = readonly (string | number)[];

/** A place is named by the keys and indices that lead to it. */
export type DocumentChange =
  | readonly ['set', Path, unknown]
  | readonly ['remove', Path]
  /** In a list: from an index on, so many elements go, and those come in their place. */
  | readonly ['splice', Path, number, number, readonly unknown[]];

/** No document of ours is nested a quarter as deep; what is deeper is told whole. */
const DEEPEST = 64;

type Container = { [key: string]: unknown };

export function changesBetween(former: unknown, later: unknown): DocumentChange[] {
  const changes: DocumentChange[] = [];
  compare(former, later, [], changes);
  return changes;
}

function compare(former: unknown, later: unknown, path: Path, changes: DocumentChange[]): void {
  if (Object.is(former, later)) return;
  if (path.length < DEEPEST && Array.isArray(former) && Array.isArray(later))
    compareLists(former, later, path, changes);
  else if (path.length < DEEPEST && isRecord(former) && isRecord(later) && comparable(former, later)) {
    for (const key of Object.keys(former))
      if (!Object.hasOwn(later, key)) changes.push(['remove', [...path, key]]);
    for (const key of Object.keys(later)) {
      if (Object.hasOwn(former, key)) compare(former[key], later[key], [...path, key], changes);
      else changes.push(['set', [...path, key], later[key]]);
    }
  } else changes.push(['set', path, later]);
}

/** Whether keys that go and keys that are added at the end make the same order, which is part of the JSON. */
function comparable(former: Container, later: Container): boolean {
  const kept = Object.keys(former).filter((key) => Object.hasOwn(later, key));
  const keys = Object.keys(later);
  return (
    kept.every((key, index) => key === keys[index]) &&
    !Object.hasOwn(former, '__proto__') &&
    !Object.hasOwn(later, '__proto__')
  );
}

function compareLists(
  former: readonly unknown[],
  later: readonly unknown[],
  path: Path,
  changes: DocumentChange[],
): void {
  const shorter = Math.min(former.length, later.length);
  let start = 0;
  while (start < shorter && isSame(former[start], later[start], path.length + 1)) start++;
  let end = 0;
  while (
    end < shorter - start &&
    isSame(former[former.length - 1 - end], later[later.length - 1 - end], path.length + 1)
  )
    end++;
  if (former.length === later.length) {
    for (let index = start; index < later.length - end; index++)
      compare(former[index], later[index], [...path, index], changes);
    return;
  }
  const put = later.slice(start, later.length - end);
  changes.push(['splice', path, start, former.length - end - start, put]);
}

/** Whether both are written as the same JSON. */
function isSame(one: unknown, other: unknown, depth: number): boolean {
  if (Object.is(one, other)) return true;
  if (depth > DEEPEST || typeof one !== 'object' || typeof other !== 'object') return false;
  if (Array.isArray(one) || Array.isArray(other)) {
    return (
      Array.isArray(one) &&
      Array.isArray(other) &&
      one.length === other.length &&
      one.every((value, index) => isSame(value, other[index], depth + 1))
    );
  }
  if (one === null || other === null) return false;
  const [first, second] = [one as Container, other as Container];
  const [keys, otherKeys] = [Object.keys(first), Object.keys(second)];
  return (
    keys.length === otherKeys.length &&
    keys.every((key, index) => key === otherKeys[index] && isSame(first[key], second[key], depth + 1))
  );
}

/** The later value; undefined where these are no changes of this value. */
export function withChanges(former: unknown, changes: unknown): unknown {
  if (!Array.isArray(changes)) return undefined;
  // Each container is copied once, however many changes are in it.
  const own = new Set<unknown>();
  const root: Container = { value: former };
  own.add(root);
  for (const change of changes as readonly unknown[]) {
    if (!Array.isArray(change) || !isPath(change[1])) return undefined;
    if (!apply(root, own, change as readonly unknown[], change[1])) return undefined;
  }
  return root['value'];
}

function isPath(value: unknown): value is Path {
  return (
    Array.isArray(value) &&
    value.length <= DEEPEST &&
    value.every((key) => (typeof key === 'string' ? key !== '__proto__' : Number.isSafeInteger(key)))
  );
}

function apply(root: Container, own: Set<unknown>, change: readonly unknown[], path: Path): boolean {
  const [kind, , first, second, third] = change;
  const whole = ['value', ...path];
  const last = whole.pop() ?? '';
  let holder: Container | unknown[] = root;
  for (const key of whole) {
    const inner = ownCopy(holder, key, own);
    if (inner === null) return false;
    holder = inner;
  }
  switch (kind) {
    case 'set':
      if (change.length !== 3 || !takes(holder, last)) return false;
      (holder as Container)[last] = first;
      return true;
    case 'remove':
      if (change.length !== 2 || Array.isArray(holder) || !Object.hasOwn(holder, last)) return false;
      return delete holder[last];
    case 'splice': {
      const list = ownCopy(holder, last, own);
      if (change.length !== 5 || !Array.isArray(list) || !Array.isArray(third)) return false;
      if (!isIndex(first, list.length) || !isIndex(second, list.length - first)) return false;
      const rest = list.slice(first + second);
      list.length = first;
      for (const value of third as readonly unknown[]) list.push(value);
      for (const value of rest) list.push(value);
      return true;
    }
    default:
      return false;
  }
}

/** A copy of what the holder has there, made once and put in its place; null where there is no container. */
function ownCopy(
  holder: Container | unknown[],
  key: string | number,
  own: Set<unknown>,
): Container | unknown[] | null {
  if (Array.isArray(holder) !== (typeof key === 'number') || !Object.hasOwn(holder, key)) return null;
  const value = (holder as Container)[key];
  if (own.has(value)) return value as Container | unknown[];
  if (typeof value !== 'object' || value === null) return null;
  const copy = Array.isArray(value) ? [...(value as readonly unknown[])] : { ...(value as Container) };
  own.add(copy);
  (holder as Container)[key] = copy;
  return copy;
}

function takes(holder: Container | unknown[], key: string | number): boolean {
  return Array.isArray(holder)
    ? typeof key === 'number' && Object.hasOwn(holder, key)
    : typeof key === 'string';
}

function isIndex(value: unknown, most: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most;
}
