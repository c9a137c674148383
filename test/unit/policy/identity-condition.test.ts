/** Conditions on the identity: which identities meet them, what latches say of them, and what is said of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { widens, type Match } from '../../../src/policy/conditions/match.ts';
import { doubtsOf } from '../../../src/policy/doubts.ts';
import { explain } from '../../../src/policy/explain.ts';
import type { IdentityTier } from '../../../src/policy/identity/identity-tier.ts';
import type { Rule } from '../../../src/policy/schema.ts';
import { DocumentError } from '../../../src/schema/faults.ts';
import { validateRollout } from '../../../src/policy/validate.ts';
import {
  Browser,
  contextWithMemory,
  decideOnce,
  idOf,
  mint,
  mintedCookie,
  NOW,
  policy,
  type Request,
} from './fixtures.ts';

const CHAIN: readonly IdentityTier[] = [
  { header: 'X-User-Id' },
  { cookie: 'uid' },
  { cookie: 'serin_id', mint: true },
  { fingerprint: true },
];

const testers = (identity: Match['identity'] & object): Rule[] => [
  { name: 'testers', match: { identity }, percentage: 100 },
];

function holds(identity: Match['identity'] & object, request: Request, chain = CHAIN): boolean {
  return decideOnce(policy(testers(identity), { identity: chain }), request).variant === 'canary';
}

const byHeader = (id: string): Request => ({ headers: { 'x-user-id': id } });
const byCookie = (uid: string): Request => ({ cookies: { uid } });

test('equals, one of, prefix: what a header or a cookie of the application says', () => {
  for (const named of [byHeader, byCookie]) {
    assert.ok(holds({ equals: 'u7' }, named('u7')));
    assert.ok(!holds({ equals: 'u7' }, named('u77')));
    assert.ok(!holds({ equals: 'u7' }, named('U7')));
    assert.ok(holds({ oneOf: ['u7', 'u8'] }, named('u8')));
    assert.ok(!holds({ oneOf: ['u7', 'u8'] }, named('u9')));
    assert.ok(holds({ prefix: 'test-' }, named('test-1')));
    assert.ok(!holds({ prefix: 'test-' }, named('a-test-1')));
  }
});

test('the first tier that speaks is the user, and no other', () => {
  const both = { ...byHeader('u7'), ...byCookie('u8') };
  assert.ok(holds({ equals: 'u7' }, both));
  assert.ok(!holds({ equals: 'u8' }, both));
  // An empty header says nothing, so the cookie speaks.
  assert.ok(holds({ equals: 'u8' }, { ...both, ...byHeader('') }));
});

test('texts of documents are compared as the UTF-8 bytes that clients send', () => {
  assert.ok(holds({ equals: 'Zoë' }, byHeader('Zo\xc3\xab')));
  assert.ok(!holds({ equals: 'Zoë' }, byHeader('Zo\xeb')));
  assert.ok(holds({ prefix: '上海' }, byCookie(Buffer.from('上海市').toString('latin1'))));
});

test('ids that the proxy makes and fingerprints never meet one', () => {
  const rules = policy(testers({ equals: idOf(1) }), { identity: CHAIN });
  assert.equal(decideOnce(rules, { cookies: { serin_id: mintedCookie(rules, idOf(1)) } }).variant, 'stable');
  const prints = (chain: readonly IdentityTier[]) => {
    const { identity } = explain(
      policy(testers({ equals: 'x' }), { identity: chain }),
      { clientAddress: '192.0.2.1' },
      { nowSeconds: NOW, random: mint },
    );
    return identity.value!;
  };
  const chain = [{ fingerprint: true }] as const;
  assert.equal(prints(chain).length, 22);
  assert.ok(!holds({ equals: prints(chain) }, { client: '192.0.2.1' }, chain));
  assert.ok(!holds({ prefix: prints(chain).slice(0, 1) }, { client: '192.0.2.1' }, chain));
  // A text that happens to be one is an identity like any other where somebody gives it.
  assert.ok(holds({ equals: idOf(1) }, byHeader(idOf(1))));
});

test('a cookie of the application under the name of ours is never taken for a name', () => {
  for (const tier of [{ cookie: 'serin_id' }, { cookie: 'other', mint: true }])
    assert.ok(!holds({ prefix: 'a' }, { cookies: { [tier.cookie]: 'abc' } }, [tier]));
});

test('who logs out, or logs in as somebody else, keeps the canary by the cookie', () => {
  const rules = policy(testers({ oneOf: ['u7', 'u8'] }), { identity: CHAIN });
  const browser = new Browser();
  const admitted = browser.send(rules, byHeader('u7'));
  assert.equal(`${admitted.variant} ${admitted.reason} ${admitted.rule}`, 'canary rule testers');
  for (const later of [{}, byHeader('u9'), byHeader('u7')])
    assert.equal(browser.send(rules, later).reason, 'latch');
  // Another device knows nothing of that.
  assert.equal(new Browser().send(rules, {}).variant, 'stable');
  assert.equal(new Browser().send(rules, byHeader('u8')).reason, 'rule');
  // The rule is worth what it says: without it nobody has the canary by it.
  assert.equal(
    browser.send(policy([{ name: 'everyone', percentage: 0 }], { identity: CHAIN })).variant,
    'stable',
  );
});

test('no memory is taken for what the identity itself says', () => {
  const within = contextWithMemory();
  const remembered = (match: Match): string =>
    decideOnce(
      policy([{ name: 'r', match, percentage: 100 }], { identity: CHAIN }, [], within),
      byHeader('u7'),
    ).remember;
  assert.equal(remembered({ identity: { equals: 'u7' } }), '');
  assert.equal(remembered({ identity: { equals: 'u7' }, method: 'GET' }), '');
  assert.notEqual(remembered({ identity: { equals: 'u7' }, header: { 'x-a': { present: false } } }), '');
});

test('an exclude of an identity takes the canary for good, also after the logout', () => {
  const rules = policy([{ name: 'everyone', percentage: 100 }], { identity: CHAIN }, [
    { name: 'auditors', match: { identity: { prefix: 'audit-' } } },
  ]);
  const browser = new Browser();
  assert.equal(browser.send(rules, {}).variant, 'canary');
  assert.equal(browser.send(rules, byHeader('audit-1')).rule, 'auditors');
  assert.equal(browser.send(rules, {}).reason, 'exclude');
});

test('explained: what is asked for, and the identity that a header or a cookie gave', () => {
  const rules = policy(testers({ oneOf: ['u7', 'Zoë'] }), { identity: CHAIN });
  const options = { nowSeconds: NOW, random: mint };
  const conditions = (request: object) => explain(rules, request, options).rules[0]!.conditions;
  assert.deepEqual(conditions({ identity: 'Zoë' }), [
    { kind: 'identity', name: '', expected: 'one of "u7", "Zoë"', seen: 'Zoë', holds: true },
  ]);
  assert.deepEqual(conditions({ clientAddress: '192.0.2.1' })[0], {
    kind: 'identity',
    name: '',
    expected: 'one of "u7", "Zoë"',
    seen: null,
    holds: false,
  });
});

function faults(match: unknown): string[] {
  try {
    validateRollout(
      { rules: [{ name: 'r', match, percentage: 1 }] },
      { segments: [], hasRegionDatabase: false },
    );
    return [];
  } catch (error) {
    assert.ok(error instanceof DocumentError, String(error));
    return error.faults.map(({ pointer, detail }) => `${pointer.replace('/rules/0/match', '')} ${detail}`);
  }
}

test('what no identity can be is refused', () => {
  for (const [match, expected] of [
    [{ identity: {} }, /^\/identity /],
    [{ identity: { equals: 'a', prefix: 'a' } }, /^\/identity /],
    [{ identity: { present: true } }, /^\/identity/],
    [{ identity: { equals: '' } }, /^\/identity\/equals an identity is never empty/],
    [
      { identity: { oneOf: ['u7', ' u8'] } },
      /^\/identity\/oneOf\/1 the value of an identity comes without blanks/,
    ],
    [{ identity: { prefix: 'a\n' } }, /^\/identity\/prefix an identity holds no control characters/],
    [{ identity: { equals: 'x'.repeat(9000) } }, /^\/identity\/equals at most 8192 characters/],
  ] as const)
    assert.match(faults(match)[0] ?? '', expected);
  for (const identity of [{ equals: 'u7' }, { oneOf: ['u7', 'u8'] }, { prefix: 'test ' }])
    assert.deepEqual(faults({ identity }), []);
});

test('a service that nobody names users to is warned of', () => {
  const document = { rules: testers({ equals: 'u7' }) };
  for (const identity of [
    undefined,
    [{ fingerprint: true }],
    [{ cookie: 'serin_id' }],
    [{ cookie: 'x', mint: true }],
  ] as const)
    assert.match(doubtsOf(document, { identity })[0]!, /^rule "testers": .*fingerprints.*override token/);
  for (const identity of [CHAIN, [{ cookie: 'uid' }], [{ header: 'x-user-id' }]] as const)
    assert.deepEqual(doubtsOf(document, { identity }), []);
});

test('to name more users takes the canary from nobody', () => {
  const wider = (before: Match['identity'] & object, after: Match['identity'] & object) =>
    widens({ identity: before }, { identity: after });
  assert.ok(wider({ equals: 'u7' }, { oneOf: ['u8', 'u7'] }));
  assert.ok(wider({ oneOf: ['u7', 'u8'] }, { prefix: 'u' }));
  assert.ok(wider({ prefix: 'test-' }, { prefix: 'te' }));
  assert.ok(wider({ oneOf: ['u7'] }, { equals: 'u7' }));
  assert.ok(!wider({ oneOf: ['u7', 'u8'] }, { equals: 'u7' }));
  assert.ok(!wider({ oneOf: ['u7', 'v8'] }, { prefix: 'u' }));
  assert.ok(!wider({ prefix: 'te' }, { prefix: 'test-' }));
  assert.ok(!wider({ prefix: 'u7' }, { oneOf: ['u7'] }));
});
