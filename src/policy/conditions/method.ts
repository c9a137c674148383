/** Conditions on the request's method. */
import type { ConditionKind } from './condition.ts';
import { textKey, type Under } from './rule-index.ts';
import type { RequestView } from './request-view.ts';
import { holdsAll, list, oneOf, oneOrMany, places, TOKEN } from './texts.ts';

const Method = oneOrMany('request methods, upper case');

export const method: ConditionKind<typeof Method> = {
  schema: Method,
  cost: 1,
  about: 'request',
  check(given, _known, add) {
    for (const [name, at] of places(given, '')) {
      if (!TOKEN.test(name)) add(at, `"${name}" cannot be a method`);
      else if (name !== name.toUpperCase())
        add(at, `methods are upper case: "${name.toUpperCase()}", not "${name}"`);
    }
  },
  neverHolds(given, _pathPrefix, add) {
    for (const [name, at] of places(given, ''))
      add(at, name === 'CONNECT' ? 'CONNECT is refused before any rule is asked' : null);
  },
  widens: (before, after) => holdsAll(after, before),
  compile(given) {
    const methods = list(given);
    const wanted = new Set(methods);
    return [
      {
        key: textKey('method', 1, methods, ask),
        holds: (view) => wanted.has(view.facts.method),
        expected: oneOf(methods),
        seen: (view) => view.facts.method,
      },
    ];
  },
};

const ask = (under: Under) => (view: RequestView, limit: number) => under(view.facts.method, view, limit);
