/**
 * Reduces the failures of a union to those of the branch that was evidently meant.
 *
 * A validator reports every branch of an `anyOf`, most of which the author never had in mind. It promises that
 * at least one failure remains of every union that failed, and never invents a fault in a branch that was not meant.
 */
import { isRecord } from './json-value.ts';

/** One failed keyword, as the validator reports it. */
export interface Failure {
  readonly pointer: string;
  readonly schemaPath: string;
  readonly keyword: string;
  readonly params: { readonly [name: string]: unknown };
  /** The keyword's value in the schema. */
  readonly expected: unknown;
  /** The schema that holds the keyword. */
  readonly schema: { readonly [keyword: string]: unknown };
  /** The value that failed. */
  readonly value: unknown;
  readonly message: string;
}

/** Unknown keys of one object that are named; nobody corrects more in one go. */
const MOST_UNKNOWN = 60;

interface Branch {
  readonly schema: unknown;
  readonly failures: readonly Failure[];
}

/**
 * Replaces the failures of every union by those of one branch, or by a single failure with the keyword `union` whose
 * `expected` lists the branches, where no branch is nearer than the others.
 */
export function reduceUnions(failures: readonly Failure[]): Failure[] {
  const unions = new Map<string, Failure>();
  for (const failure of failures) {
    if (failure.keyword === 'anyOf' || failure.keyword === 'oneOf') unions.set(placeOf(failure), failure);
  }
  if (unions.size === 0) return [...failures];
  const kept: Failure[] = [];
  const inside = new Map<Failure, Failure[]>();
  for (const failure of failures) {
    const union = outermost(failure, unions);
    if (union !== null) ofUnion(inside, union).push(failure);
    else if (unions.get(placeOf(failure)) === failure) ofUnion(inside, failure);
    else kept.push(failure);
  }
  for (const [union, within] of inside) kept.push(...reduceUnion(union, within));
  return kept;
}

function ofUnion(inside: Map<Failure, Failure[]>, union: Failure): Failure[] {
  let list = inside.get(union);
  if (list === undefined) inside.set(union, (list = []));
  return list;
}

function placeOf({ schemaPath, pointer }: { readonly schemaPath: string; readonly pointer: string }): string {
  return `${schemaPath}\n${pointer}`;
}

/**
 * The outermost union that the failure is within, or null. It is looked up by its place: a document that is wrong all over has as
 * many unions as failures, and must not cost their product.
 */
function outermost(failure: Failure, unions: ReadonlyMap<string, Failure>): Failure | null {
  for (const { index } of failure.schemaPath.matchAll(/\/(?:anyOf|oneOf)(?=\/)/g)) {
    const schemaPath = failure.schemaPath.slice(0, index + '/anyOf'.length);
    for (const pointer of withPrefixes(failure.pointer)) {
      const union = unions.get(placeOf({ schemaPath, pointer }));
      if (union !== undefined) return union;
    }
  }
  return null;
}

/** The pointers of all that a place is inside of, the root first, and its own. */
function withPrefixes(pointer: string): string[] {
  const prefixes = [''];
  for (let end = 1; end > 0; end = end < pointer.length ? end + 1 : 0) {
    const next = pointer.indexOf('/', end);
    end = next === -1 ? pointer.length : next;
    prefixes.push(pointer.slice(0, end));
  }
  return prefixes;
}

function reduceUnion(union: Failure, within: readonly Failure[]): Failure[] {
  const branches = branchesOf(union, within);
  const ofRightKind = branches.filter(
    (branch) => !branch.failures.some((failure) => isMismatch(failure, union)),
  );
  if (ofRightKind.length > 1 && isRecord(union.value)) {
    const keys = Object.keys(union.value);
    const { value } = union;
    const known = new Set(ofRightKind.flatMap((branch) => propertyNames(branch.schema)));
    // Keys that no branch knows: which branch was meant is open, so all of their fields are on offer.
    const unknown = keys.filter((key) => !known.has(key));
    if (known.size > 0 && unknown.length > 0) {
      return unknown.slice(0, MOST_UNKNOWN).map((key) => ({
        ...union,
        keyword: 'additionalProperties',
        params: { additionalProperty: key },
        schema: { properties: Object.fromEntries([...known].map((name) => [name, true])) },
      }));
    }
    if (keys.length === 0) return [asUnion(union, ofRightKind)];
    const score = (branch: Branch): number =>
      propertyNames(branch.schema).filter((name) => Object.hasOwn(value, name)).length * 1000 -
      branch.failures.length;
    ofRightKind.sort((a, b) => score(b) - score(a));
  }
  const [meant] = ofRightKind.sort((a, b) =>
    isRecord(union.value) ? 0 : a.failures.length - b.failures.length,
  );
  const remaining = reduceUnions(meant?.failures ?? []);
  if (meant === undefined || remaining.length === 0) return [asUnion(union, branches)];
  return remaining.map((failure) => asExclusive(failure, union, meant, ofRightKind));
}

/** A field that only another branch knows: both were meant, and they exclude each other. */
function asExclusive(failure: Failure, union: Failure, meant: Branch, branches: readonly Branch[]): Failure {
  const key = failure.params['additionalProperty'];
  if (failure.keyword !== 'additionalProperties' || failure.pointer !== union.pointer) return failure;
  if (typeof key !== 'string' || !isRecord(union.value)) return failure;
  const value = union.value;
  const one = propertyNames(meant.schema).find((name) => Object.hasOwn(value, name));
  const known = branches.some((branch) => propertyNames(branch.schema).includes(key));
  return one !== undefined && known
    ? { ...failure, keyword: 'exclusive', params: { one, other: key } }
    : failure;
}

/** The union's branches, those of unions directly inside it included. */
function branchesOf(union: Failure, failures: readonly Failure[]): Branch[] {
  const schemas = Array.isArray(union.expected) ? union.expected : [];
  return schemas.flatMap((schema: unknown, index): Branch[] => {
    const prefix = `${union.schemaPath}/${index}/`;
    const own = failures.filter((failure) => failure.schemaPath.startsWith(prefix));
    const nested = own.find(
      (failure) => failure.schemaPath === `${prefix}anyOf` && failure.pointer === union.pointer,
    );
    return nested === undefined ? [{ schema, failures: own }] : branchesOf(nested, own);
  });
}

/** True when the value is not even of the branch's kind, so that the branch cannot have been meant. */
function isMismatch(failure: Failure, union: Failure): boolean {
  return failure.pointer === union.pointer && ['type', 'const', 'enum'].includes(failure.keyword);
}

function asUnion(union: Failure, branches: readonly Branch[]): Failure {
  return { ...union, keyword: 'union', expected: branches.map((branch) => branch.schema) };
}

function propertyNames(schema: unknown): string[] {
  return isRecord(schema) && isRecord(schema['properties']) ? Object.keys(schema['properties']) : [];
}
