/** Conditions on cookies, by name as it is. Of several cookies of one name the first counts. */
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
} from './text-test.ts';

const Cookies = textTests('tests on cookies, by name');

export const cookie: ConditionKind<typeof Cookies> = {
  schema: Cookies,
  cost: 4,
  about: 'user',
  check: (tests, _known, add) => checkFieldTests('cookie', tests, add),
  neverHolds(tests, _pathPrefix, add) {
    for (const [name, test] of Object.entries(tests))
      neverHoldsText(test, joinPointer('', name), textFault, add);
  },
  widens: sameTests,
  compile: (tests, { view }) =>
    Object.entries(tests).map(([name, test]) => {
      const wire = wireText(name);
      const slot = view.slot(`cookie ${wire}`, (facts) => facts.cookie(wire));
      return { ...compileTextTest(`cookie ${wire}`, test, slot), name };
    }),
};

function textFault(text: string, whole: boolean): string | null {
  const fault = fieldTextFault('a cookie', text, whole);
  if (fault !== null || !text.includes(';')) return fault;
  return `a semicolon ends a cookie, so its value is never ${JSON.stringify(text)}; write what comes before it`;
}
