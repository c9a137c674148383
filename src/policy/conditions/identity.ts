/**
 * Conditions on the identity: they name single users, by the identity that the service's identity chain finds.
 *
 * Only an identity that somebody gave the user counts: a header's, or the application's cookie's. An id that the proxy minted and a
 * fingerprint meet no such condition: they are random to whoever writes rules, and change with the browser, the network or the
 * rollout. A browser without a login gets an override token instead.
 */
import { Type, type Static } from 'typebox';
import { compileChain } from '../identity/identity-chain.ts';
import type { ConditionKind } from './condition.ts';
import { closed } from './texts.ts';
import { checkTextTest, compileTextTest, fieldTextFault, neverHoldsText, valuesOf } from './text-test.ts';

/** Exactly one of the fields is given. */
const IdentityTest = Type.Object(
  {
    equals: Type.Optional(Type.String()),
    oneOf: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
    prefix: Type.Optional(Type.String({ minLength: 1 })),
  },
  {
    ...closed,
    minProperties: 1,
    maxProperties: 1,
    description:
      "the user's identity, as a header or a cookie of the application says it; ids that the proxy makes and fingerprints never meet it",
  },
);
type IdentityTest = Static<typeof IdentityTest>;

export const identity: ConditionKind<typeof IdentityTest> = {
  schema: IdentityTest,
  cost: 0,
  about: 'identity',
  check: (test, _known, add) => checkTextTest(test, '', add),
  neverHolds: (test, _pathPrefix, add) => neverHoldsText(test, '', textFault, add),
  doubts(_test, { identity = [] }) {
    if (compileChain(identity).some(({ kind }) => kind === 'header' || kind === 'cookie')) return [];
    return [
      'the service knows its users by ids that the proxy makes and by fingerprints, and these meet no condition on the identity; put the header or the cookie that says who the user is under "identity", or give single browsers an override token',
    ];
  },
  widens,
  compile: (test, { view }) => [
    compileTextTest(
      'identity',
      test,
      view.slot('identity', (_facts, { identity }) => identity),
    ),
  ],
};

function textFault(text: string, whole: boolean): string | null {
  if (text === '') return 'an identity is never empty; leave the value out';
  return fieldTextFault('an identity', text, whole);
}

/** To name one more user takes the canary from nobody. */
function widens(before: IdentityTest, after: IdentityTest): boolean {
  const { prefix } = after;
  if (prefix !== undefined)
    return [before.prefix, ...(valuesOf(before) ?? [])].every((text) => text?.startsWith(prefix) ?? true);
  const [ours, theirs] = [valuesOf(before), valuesOf(after)];
  if (ours === null || theirs === null) return false;
  const named = new Set(theirs);
  return ours.every((value) => named.has(value));
}
