/** Conditions on header fields, by name in any case. */
import { joinPointer } from '../../schema/json-value.ts';
import { wireText } from '../../schema/latin1.ts';
import type { ConditionKind } from './condition.ts';
import {
  checkFieldTests,
  compileTextTest,
  fieldTextFault,
  neverHoldsText,
  sameTests,
  textTests,
  valuesOf,
  type TextTest,
} from './text-test.ts';

const Headers = textTests('tests on header fields, by name');

export const header: ConditionKind<typeof Headers> = {
  schema: Headers,
  cost: 3,
  about: 'user',
  check: (tests, _known, add) => checkFieldTests('header', tests, add),
  neverHolds(tests, _pathPrefix, add) {
    for (const [name, test] of Object.entries(tests)) {
      const fault = (text: string, whole: boolean) => fieldTextFault('a header', text, whole);
      neverHoldsText(test, joinPointer('', name), fault, add);
    }
    add('', contradiction(tests));
  },
  doubts: (tests) => Object.entries(tests).flatMap(([name, test]) => doubtsOf(name, test)),
  widens: sameTests,
  headers: (tests) => Object.keys(tests).map((name) => name.toLowerCase()),
  compile: (tests, { view }) =>
    Object.entries(tests).map(([given, test]) => {
      const name = given.toLowerCase();
      const field = wireText(name);
      const slot = view.slot(`header ${field}`, (facts) => facts.header(field));
      return { ...compileTextTest(`header ${field}`, test, slot), name };
    }),
};

/** Names of headers mind no case, so several tests can be of one header; what is wrong where no value meets all of them. */
function contradiction(tests: Readonly<Record<string, TextTest>>): string | null {
  const spellings = Map.groupBy(Object.keys(tests), (name) => name.toLowerCase());
  for (const names of spellings.values()) {
    if (names.length === 1 || canAllHold(names.map((name) => tests[name]!))) continue;
    const [last, ...others] = names.map((name) => `"${name}"`).toReversed();
    return `${others.toReversed().join(', ')} and ${last} are one header, and no value meets all tests; leave out one`;
  }
  return null;
}

/** Whether some value may meet all tests. A range of versions is believed to fit whatever else is asked. */
function canAllHold(tests: readonly TextTest[]): boolean {
  const absent = tests.filter(({ present }) => present === false);
  if (absent.length > 0) return absent.length === tests.length;
  const values = tests.map(valuesOf).find((list) => list !== null);
  const prefixes = tests.flatMap(({ prefix = [] }) => prefix);
  if (values === undefined) {
    // One of them has to begin with all others.
    return prefixes.every((one) => prefixes.every((other) => one.startsWith(other) || other.startsWith(one)));
  }
  const isMet = (value: string, test: TextTest): boolean =>
    (valuesOf(test)?.includes(value) ?? true) && value.startsWith(test.prefix ?? '');
  return values.some((value) => tests.every((test) => isMet(value, test)));
}

/** Fields of answers, which requests do not have (RFC 9110, and what browsers read in answers). */
const OF_ANSWERS = new Set(
  (
    'set-cookie,location,server,etag,age,vary,allow,retry-after,www-authenticate,proxy-authenticate,accept-ranges,last-modified,expires,' +
    'strict-transport-security,content-security-policy,x-frame-options,x-powered-by,access-control-allow-origin,accept-ch'
  ).split(','),
);
/** HTTP/2 has no fields about the connection (RFC 9113, section 8.2.2). */
const OF_CONNECTIONS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

function doubtsOf(name: string, { present }: TextTest): string[] {
  const lower = name.toLowerCase();
  if (present === false) return [];
  if (OF_ANSWERS.has(lower)) return [`the header "${name}" is one of answers; requests hardly ever have it`];
  if (OF_CONNECTIONS.has(lower))
    return [`the header "${name}" does not exist in HTTP/2, which most browsers speak`];
  return [];
}
