/**
 * What a kind of condition is, and what a condition of it is once it is compiled.
 *
 * A kind is one field of a rule's `match`: its schema, what is checked of it, and how it becomes conditions. A condition looks
 * at a request only through its view and never changes anything. A new kind is a file beside this one and a line in `kinds.ts`.
 */
import type { Static, TSchema } from 'typebox';
import type { NetworkSet } from '../../ip/network.ts';
import type { DeviceCache } from '../device.ts';
import type { Region } from '../region.ts';
import type { IdentityTier } from '../identity/identity-tier.ts';
import type { PathSide } from './path-sides.ts';
import type { RequestView } from './request-view.ts';
import type { IndexKey } from './rule-index.ts';

/** One kind of condition. `given` is what a document has under its name, after the schema has passed. */
export interface ConditionKind<Schema extends TSchema = TSchema> {
  readonly schema: Schema;
  /** Conditions of a rule are tested by rising cost; only the order of the numbers counts. */
  readonly cost: number;
  /**
   * What can change while the user stays the same. `request`: each request is tested, and no latch stands in for it (method, path).
   * `identity`: nothing as long as the identity is the same. `user`: whatever there is about a user (place, device, headers).
   */
  readonly about: 'request' | 'identity' | 'user';
  /** Tells what is wrong and no schema can say. What passes compiles. */
  check?(given: Static<Schema>, known: Known | null, add: AddFault): void;
  /** Tells what no request can ever meet. It goes by the form alone; a condition that holds for somebody must not be told. */
  neverHolds?(given: Static<Schema>, pathPrefix: string, add: AddFault): void;
  /** What is right by its form and may not do what its author thinks: a sentence each. */
  doubts?(given: Static<Schema>, service: ServiceTraits): string[];
  /** Whether all who meet `before` surely meet `after`. Where it is not there: only if both are the same. */
  widens?(before: Static<Schema>, after: Static<Schema>): boolean;
  /** Lower-case names of the headers that its conditions read. */
  headers?(given: Static<Schema>): string[];
  /** Throws DocumentError where the rule names what the context does not have. */
  compile(given: Static<Schema>, context: ConditionContext, rule: string): readonly ConditionParts[];
}

/** What conditions are checked against. */
export interface Known {
  /** Names of the configured segments. */
  readonly segments: ReadonlySet<string>;
  readonly hasRegionDatabase: boolean;
}

/** What conditions are doubted by. */
export interface ServiceTraits {
  /** Whether answers of the service ask browsers for client hints. */
  readonly clientHints?: boolean | undefined;
  /** Where it is not said, ids are minted. */
  readonly identity?: readonly IdentityTier[] | undefined;
}

/** `pointer` is relative to the kind's field. A detail that takes a search is worked out only where it is told; null is none. */
export type AddFault = (pointer: string, detail: string | (() => string) | null) => void;

/** What conditions are compiled against. */
export interface ConditionContext {
  readonly view: RequestView;
  readonly segments: ReadonlyMap<string, NetworkSet>;
  readonly devices: DeviceCache;
  /** Null where there is no database. */
  readonly region: Region | null;
  /** The compiled networks of a `cidr` list. */
  networks(cidrs: readonly string[]): NetworkSet;
}

/** What a kind says of a condition. */
export interface ConditionParts {
  /** The name of the header, cookie or query parameter; '' if unsaid. */
  readonly name?: string;
  /** How a rule with it can be found without testing it; null where every request has to be tested. */
  readonly key: IndexKey | null;
  /** What a condition on the path names. */
  readonly side?: PathSide;
  readonly holds: (view: RequestView) => boolean;
  /** What the condition asks for, for people. */
  readonly expected: string;
  /** What the request has, for people; null where it has nothing. */
  readonly seen: (view: RequestView) => string | null;
}

/** A compiled condition. All have the same fields in the same order: they are tested on the request path. */
export interface Condition extends Required<Omit<ConditionParts, 'side'>> {
  /** The field of `match`. */
  readonly kind: string;
  readonly about: ConditionKind['about'];
  readonly side: PathSide | null;
}
