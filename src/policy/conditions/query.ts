/** Conditions on query parameters, by name as it is. Of several parameters of one name the first counts. */
import { joinPointer } from '../../schema/json-value.ts';
import { wireText } from '../../schema/latin1.ts';
import type { RequestFacts } from '../facts.ts';
import { WantedParameters } from '../query.ts';
import type { ConditionKind } from './condition.ts';
import type { RequestView, Slot } from './request-view.ts';
import { checkTextTest, compileTextTest, neverHoldsText, sameTests, textTests } from './text-test.ts';

const Parameters = textTests('tests on query parameters, by name');

export const query: ConditionKind<typeof Parameters> = {
  schema: Parameters,
  cost: 5,
  about: 'user',
  check(tests, _known, add) {
    for (const [name, test] of Object.entries(tests)) checkTextTest(test, joinPointer('', name), add);
  },
  neverHolds(tests, _pathPrefix, add) {
    // Parameters are decoded, so they can be any text.
    for (const [name, test] of Object.entries(tests))
      neverHoldsText(test, joinPointer('', name), () => null, add);
  },
  widens: sameTests,
  compile: (tests, { view }) =>
    Object.entries(tests).map(([name, test]) => {
      const slot = parametersOf(view).slot(wireText(name));
      return { ...compileTextTest(`query ${wireText(name)}`, test, slot), name };
    }),
};

const known = new WeakMap<RequestView, QuerySlots>();

function parametersOf(view: RequestView): QuerySlots {
  let slots = known.get(view);
  if (slots === undefined) known.set(view, (slots = new QuerySlots(view)));
  return slots;
}

/** The slots of all parameters that a policy asks for: the first that is read reads them all, in one pass over the query. */
class QuerySlots {
  readonly #view: RequestView;
  readonly #wanted = new WantedParameters();
  readonly #slots: Slot<string | undefined>[] = [];
  readonly #values: (string | undefined)[] = [];

  constructor(view: RequestView) {
    this.#view = view;
  }

  slot(name: string): Slot<string | undefined> {
    const index = this.#slots.length;
    const slot = this.#view.slot(`query ${name}`, (facts) => this.#read(facts, index));
    if (this.#slots.includes(slot)) return slot;
    this.#wanted.add(name, index);
    this.#slots.push(slot);
    this.#values.push(undefined);
    return slot;
  }

  #read({ query }: RequestFacts, asked: number): string | undefined {
    if (query !== '') this.#wanted.read(query, this.#values);
    const found = this.#values[asked];
    for (let index = 0; index < this.#slots.length; index++) {
      this.#view.put(this.#slots[index]!, this.#values[index]);
      this.#values[index] = undefined;
    }
    return found;
  }
}
