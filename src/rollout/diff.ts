/**
 * What changed between two documents, value by value, for people and for the history.
 *
 * Rules are matched by name, not by place, so that a new rule at the top is one addition. It never changes its input.
 */
import { isDeepStrictEqual } from 'node:util';

export interface Difference {
  readonly op: 'add' | 'remove' | 'replace';
  /** RFC 6901; into the later document, or into the earlier one where something was removed. */
  readonly pointer: string;
  /** The name of the rule, exclude rule or other named thing that the place is inside of, if any. */
  readonly name?: string;
  readonly from?: unknown;
  readonly to?: unknown;
}

/** Differences beyond this many are cut off: nobody reads them, and a history page must stay small. */
const MOST_DIFFERENCES = 200;

/** The differences from `before` to `after`, at most 200. An undefined document is an absent one. */
export function diff(before: unknown, after: unknown): Difference[] {
  const found: Difference[] = [];
  compare(before, after, '', undefined, found);
  return found;
}

function compare(
  before: unknown,
  after: unknown,
  pointer: string,
  name: string | undefined,
  found: Difference[],
): void {
  if (found.length >= MOST_DIFFERENCES || before === after) return;
  const place = { pointer, ...(name === undefined ? {} : { name }) };
  if (before === undefined) found.push({ op: 'add', ...place, to: after });
  else if (after === undefined) found.push({ op: 'remove', ...place, from: before });
  else if (isNamedList(before) && isNamedList(after)) compareNamed(before, after, pointer, found);
  else if (isObject(before) && isObject(after)) compareMembers(before, after, pointer, name, found);
  // Only what has no parts of its own is compared whole, so that each value is looked at once, however deep it stands.
  else if (!isDeepStrictEqual(before, after))
    found.push({ op: 'replace', ...place, from: before, to: after });
}

function compareMembers(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  pointer: string,
  name: string | undefined,
  found: Difference[],
): void {
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    compare(member(before, key), member(after, key), `${pointer}/${escape(key)}`, name, found);
  }
}

function compareNamed(
  before: readonly Named[],
  after: readonly Named[],
  pointer: string,
  found: Difference[],
): void {
  const remaining = new Set(after.map(({ name }) => name));
  for (const [index, item] of before.entries()) {
    if (!remaining.has(item.name)) compare(item, undefined, `${pointer}/${index}`, item.name, found);
  }
  const former = new Map(before.map((item) => [item.name, item]));
  for (const [index, item] of after.entries()) {
    compare(former.get(item.name), item, `${pointer}/${index}`, item.name, found);
  }
}

interface Named {
  readonly name: string;
}

function isNamedList(value: unknown): value is readonly Named[] {
  return Array.isArray(value) && value.every((item) => isObject(item) && typeof item['name'] === 'string');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function member(object: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function escape(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
