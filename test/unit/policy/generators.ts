/**
 * Arbitrary rules and requests that meet each other often: few names, few values, few networks.
 */
import * as fc from 'fast-check';
import type { Match } from '../../../src/policy/conditions/match.ts';
import type { TextTest } from '../../../src/policy/conditions/text-test.ts';
import type { ExcludeRule, Rule } from '../../../src/policy/schema.ts';
import { ANDROID, IPHONE, type Request } from './fixtures.ts';

export { facts } from './fixtures.ts';

const value = fc.constantFrom('a', 'b', 'ab', '8.1.0', '8.2.0', '');
const textTest: fc.Arbitrary<TextTest> = fc.oneof(
  fc.boolean().map((present) => ({ present })),
  value.map((equals) => ({ equals })),
  fc.array(value, { minLength: 1, maxLength: 3 }).map((oneOf) => ({ oneOf })),
  fc.constantFrom('a', '8.').map((prefix) => ({ prefix })),
  fc.constantFrom('>=8.2.0', '<8.2', '*').map((semver) => ({ semver })),
);
const valueTests = fc.dictionary(fc.constantFrom('x-a', 'x-b', 'c'), textTest, { minKeys: 1, maxKeys: 2 });
const path = fc.constantFrom('/', '/a', '/a/b', '/a/b/c', '/b');
const pathTest = fc.oneof(
  path.map((equals) => ({ equals })),
  path.map((prefix) => ({ prefix })),
  fc.array(path, { minLength: 1, maxLength: 2 }).map((oneOf) => ({ oneOf })),
);
const device = fc.oneof(
  fc.constantFrom('iPhone', 'Pixel 8').map((model) => ({ model })),
  fc.constantFrom('ios', 'android', 'linux').map((os) => ({ os })),
  fc.constantFrom('>=17', '<17').map((version) => ({ os: { name: 'ios', version } })),
  fc.constantFrom('mobile' as const, 'desktop' as const).map((type) => ({ type })),
  fc.constantFrom('safari', 'chrome', 'mobile safari').map((browser) => ({ browser })),
);
const region = fc.oneof(
  fc.constantFrom('CN', 'GB').map((country) => ({ country })),
  fc.constantFrom('SH', 'ENG').map((subdivision) => ({ subdivision })),
  fc.constant({ city: 'Shanghai' }),
);
const identity = fc.oneof(
  fc.constantFrom('a', 'b', 'user 1', 'u7').map((equals) => ({ equals })),
  fc.constant({ oneOf: ['a', 'ab', 'user 2'] }),
  fc.constantFrom('a', 'u', 'u1', 'zoë', 'user').map((prefix) => ({ prefix })),
);
const segment = fc.constantFrom('office', 'lab', ['office', 'lab']);
const cidr = fc.constantFrom('10.8.0.0/16', '10.8.1.0/24', '203.0.113.0/26', '2001:db8:1::/48', [
  '10.0.0.0/8',
  '192.0.2.0/24',
]);
const method = fc.constantFrom('GET', 'POST', ['GET', 'HEAD']);

const userConditions = {
  header: valueTests,
  cookie: valueTests,
  query: valueTests,
  identity,
  segment,
  cidr,
  device,
};

function matchOf(conditions: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Match> {
  const one = Object.entries(conditions).map(([kind, given]) =>
    given.map((value): Match => ({ [kind]: value })),
  );
  const any = fc.oneof(...one);
  const several = fc.array(any, { minLength: 2, maxLength: 3 });
  return fc
    .oneof({ weight: 3, arbitrary: any.map((part) => [part]) }, { weight: 1, arbitrary: several })
    .map((parts) => Object.assign({}, ...parts) as Match);
}

/** Every kind of condition. */
export const anyMatch = matchOf({ ...userConditions, region, method, path: pathTest });
/** Conditions that need no region database and say something about the user, none about the request. */
export const userMatch = matchOf(userConditions);

const address = fc.constantFrom(
  '10.8.1.7',
  '10.8.9.9',
  '10.200.0.1',
  '203.0.113.7',
  '203.0.113.200',
  '192.0.2.9',
  '2001:db8:1::7',
  '2001:db8:2::7',
);
const values = fc.dictionary(fc.constantFrom('x-a', 'x-b', 'c'), value, { maxKeys: 2 });

export const anyRequest: fc.Arbitrary<Request> = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'HEAD'),
    path: fc.constantFrom('/', '/a', '/a/b', '/a/b/c/d', '/b/../a', '/%61/b', '/x'),
    client: address,
    headers: values,
    cookies: values,
    query: values.map((entries) => new URLSearchParams(entries).toString()),
    userAgent: fc.constantFrom(IPHONE, ANDROID, ''),
  })
  .map(({ userAgent, ...request }) => ({
    ...request,
    headers: userAgent === '' ? request.headers : { ...request.headers, 'user-agent': userAgent },
  }));

const percentage = fc.oneof(
  fc.constantFrom(0, 1, 10, 20, 50, 100),
  fc.nat(1_000_000).map((units) => units / 10_000),
);

/** Rules with names of their own. */
export function rulesOf(
  match: fc.Arbitrary<Match>,
  size: fc.ArrayConstraints = { minLength: 1, maxLength: 8 },
): fc.Arbitrary<Rule[]> {
  return fc
    .array(fc.record({ match: fc.option(match, { nil: undefined, freq: 4 }), percentage }), size)
    .map((rules) =>
      rules.map(({ match, percentage }, index) => ({
        name: `rule ${index}`,
        percentage,
        ...(match === undefined ? {} : { match }),
      })),
    );
}

export function excludesOf(match: fc.Arbitrary<Match>): fc.Arbitrary<ExcludeRule[]> {
  return fc
    .array(match, { maxLength: 2 })
    .map((matches) => matches.map((match, index) => ({ name: `exclude ${index}`, match })));
}
