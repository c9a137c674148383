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

/** Names of headers mind no case, so two tests can be of one header; what is wrong where no value meets both. */
function contradiction(tests: Readonly<Record<string, TextTest>>): string | null {
  const seen = new Map<string, [string, TextTest]>();
  for (const [name, test] of Object.entries(tests)) {
    const before = seen.get(name.toLowerCase());
    if (before !== undefined && contradicts(before[1], test))
      return `"${before[0]}" and "${name}" are one header, and no value meets both tests; leave out one`;
    seen.set(name.toLowerCase(), [name, test]);
  }
  return null;
}

function contradicts(a: TextTest, b: TextTest): boolean {
  if ((a.present === false) !== (b.present === false)) return true;
  const [ours, theirs] = [valuesOf(a), valuesOf(b)];
  return ours !== null && theirs !== null && !ours.some((value) => theirs.includes(value));
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
