/** Conditions on the place of the client's address, as the region database knows it. */
import { Type, type Static } from 'typebox';
import { DocumentError } from '../../schema/faults.ts';
import { countryFault, subdivisionFault } from '../countries.ts';
import type { RegionFacts } from '../region.ts';
import type { ConditionKind } from './condition.ts';
import type { Slot } from './request-view.ts';
import { textKey, type IndexKey, type LookUp, type Under } from './rule-index.ts';
import { closed, list, lowerSet, oneOf, oneOrMany, places, upperSet } from './texts.ts';

const RegionMatch = Type.Object(
  {
    country: Type.Optional(oneOrMany('ISO 3166-1 alpha-2 code, such as CN')),
    subdivision: Type.Optional(oneOrMany('ISO 3166-2 code without the country, such as SH')),
    city: Type.Optional(oneOrMany('English city name, such as Shanghai')),
  },
  { ...closed, minProperties: 1 },
);
type RegionMatch = Static<typeof RegionMatch>;

export const region: ConditionKind<typeof RegionMatch> = {
  schema: RegionMatch,
  cost: 9,
  about: 'user',
  check({ country, subdivision }, known, add) {
    if (known?.hasRegionDatabase === false)
      add(
        '',
        'a region needs a database; name one in the configuration, as region: { database: ./GeoLite2-City.mmdb }',
      );
    for (const [code, at] of places(country, '/country'))
      if (!/^[A-Za-z]{2}$/.test(code)) add(at, countryFault(code) ?? '');
    for (const [code, at] of places(subdivision, '/subdivision')) add(at, subdivisionFault(code, []));
  },
  neverHolds({ country, subdivision, city }, _pathPrefix, add) {
    for (const [code, at] of places(country, '/country')) add(at, countryFault(code));
    for (const [code, at] of places(subdivision, '/subdivision'))
      add(at, subdivisionFault(code, list(country ?? [])));
    for (const [name, at] of places(city, '/city')) {
      if (/\p{Script=Latin}/u.test(name)) continue;
      add(at, `databases are asked for English names, which "${name}" is not; write one such as "Shanghai"`);
    }
  },
  compile(given, { view, region }, rule) {
    if (region === null) throw regionMissing(rule);
    const slot: Slot<RegionFacts> = view.slot('region', (facts) => region.lookup(facts.client));
    const countries = given.country === undefined ? null : upperSet(list(given.country));
    const subdivisions = given.subdivision === undefined ? null : upperSet(list(given.subdivision));
    const cities = given.city === undefined ? null : lowerSet(list(given.city));
    return [
      {
        key: regionKey(slot, cities, subdivisions, countries),
        expected: expectedOf(given),
        holds: (view) => {
          const place = view.get(slot);
          if (countries !== null && !countries.has(place.country)) return false;
          if (cities !== null && !cities.has(place.city)) return false;
          return subdivisions === null || place.subdivisions.some((code) => subdivisions.has(code));
        },
        seen: (view) => {
          const { country, subdivisions, city } = view.get(slot);
          return [country, ...subdivisions, city].filter((part) => part !== '').join(', ') || null;
        },
      },
    ];
  },
};

function regionMissing(rule: string): DocumentError {
  const detail = `the rule "${rule}" asks for a region; name a database under "region: { database: … }" first`;
  return new DocumentError('region_database_missing', 'There is no region database.', [
    { pointer: '', detail },
  ]);
}

function expectedOf({ country, subdivision, city }: RegionMatch): string {
  return Object.entries({ country, subdivision, city })
    .flatMap(([facet, given]) => (given === undefined ? [] : `${facet} ${oneOf(list(given))}`))
    .join(', ');
}

function regionKey(
  slot: Slot<RegionFacts>,
  cities: ReadonlySet<string> | null,
  subdivisions: ReadonlySet<string> | null,
  countries: ReadonlySet<string> | null,
): IndexKey | null {
  const key = (facet: string, tells: number, texts: ReadonlySet<string>, ask: (under: Under) => LookUp) =>
    textKey(`region ${facet}`, tells, [...texts], ask);
  if (cities !== null)
    return key('city', 5, cities, (under) => (view, limit) => under(view.get(slot).city, view, limit));
  if (subdivisions !== null)
    return key('subdivision', 5, subdivisions, (under) => (view, limit) => {
      let best = limit;
      for (const code of view.get(slot).subdivisions) best = under(code, view, best);
      return best;
    });
  if (countries === null) return null;
  return key('country', 4, countries, (under) => (view, limit) => under(view.get(slot).country, view, limit));
}
