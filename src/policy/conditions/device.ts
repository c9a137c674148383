/** Conditions on the client's device, as its user agent and its client hints tell. */
import { Range } from 'semver';
import { Type, type Static } from 'typebox';
import { hintsText } from '../client-hints.ts';
import type { DeviceFacts } from '../device.ts';
import {
  browserFault,
  modelContradiction,
  modelFault,
  normaliseBrowser,
  normaliseOs,
  osFault,
} from '../device-names.ts';
import { compileRange, emptyRangeFault, rangeFault, VERSION_OPTIONS } from '../version.ts';
import type { ConditionKind } from './condition.ts';
import type { Slot } from './request-view.ts';
import { textKey, type IndexKey, type LookUp, type Under } from './rule-index.ts';
import { closed, list, lowerSet, oneOf, oneOrMany, places } from './texts.ts';

const DeviceType = Type.Union([
  Type.Literal('mobile'),
  Type.Literal('tablet'),
  Type.Literal('desktop'),
  Type.Literal('bot'),
]);

const DeviceMatch = Type.Object(
  {
    type: Type.Optional(Type.Union([DeviceType, Type.Array(DeviceType, { minItems: 1 })])),
    os: Type.Optional(
      Type.Union([
        oneOrMany('operating system, case-insensitive: ios, android, windows, macos, linux, …'),
        Type.Object(
          {
            name: Type.String({ minLength: 1 }),
            version: Type.String({ minLength: 1, description: 'a semver range such as ">=17" or "<14.2"' }),
          },
          closed,
        ),
      ]),
    ),
    model: Type.Optional(oneOrMany('device model, case-insensitive: iPhone, iPad, Pixel 8, …')),
    browser: Type.Optional(oneOrMany('browser name, case-insensitive: chrome, safari, firefox, edge, …')),
  },
  { ...closed, minProperties: 1 },
);
type DeviceMatch = Static<typeof DeviceMatch>;

export const device: ConditionKind<typeof DeviceMatch> = {
  schema: DeviceMatch,
  cost: 8,
  about: 'user',
  check(given, _known, add) {
    const { names, version } = osOf(given);
    for (const [name, at] of places(names, version === null ? '/os' : '/os/name')) add(at, osFault(name));
    if (version !== null) add('/os/version', rangeFault(version));
    for (const [name, at] of places(given.browser, '/browser')) add(at, browserFault(name));
  },
  neverHolds(given, _pathPrefix, add) {
    const { names, version } = osOf(given);
    for (const [name, at] of places(given.model, '/model')) add(at, modelFault(name));
    if (version !== null) add('/os/version', emptyRangeFault(version));
    add('', modelContradiction(list(given.model ?? []), list(names ?? []), list(given.type ?? [])));
  },
  doubts(given, { clientHints = false }) {
    const { names, version } = osOf(given);
    return typeof names !== 'string' || version === null ? [] : versionDoubts(names, version, clientHints);
  },
  compile(given, { view, devices }) {
    const slot: Slot<DeviceFacts> = view.slot('device', (facts) =>
      devices.get(facts.header('user-agent'), hintsText(facts)),
    );
    const { names, version } = osOf(given);
    const types = given.type === undefined ? null : new Set<string>(list(given.type));
    const models = given.model === undefined ? null : lowerSet(list(given.model));
    const browsers = given.browser === undefined ? null : new Set(list(given.browser).map(normaliseBrowser));
    const systems = names === undefined ? null : new Set(list(names).map(normaliseOs));
    const range = version === null ? null : compileRange(version);
    return [
      {
        key: deviceKey(slot, { models, browsers, systems, types }),
        expected: expectedOf(given),
        holds: (view) => {
          const device = view.get(slot);
          if (types !== null && !types.has(device.type)) return false;
          if (systems !== null && !systems.has(device.os) && !systems.has(device.osFamily)) return false;
          if (range !== null && (device.osVersion === null || !range.test(device.osVersion))) return false;
          if (models !== null && !models.has(device.model)) return false;
          return browsers === null || browsers.has(device.browser) || browsers.has(device.browserFamily);
        },
        seen: (view) => shown(view.get(slot)),
      },
    ];
  },
};

/** The names that are asked for, and the range of versions of a single one. */
function osOf({ os }: DeviceMatch): {
  names: string | readonly string[] | undefined;
  version: string | null;
} {
  if (typeof os !== 'object' || Array.isArray(os)) return { names: os, version: null };
  return { names: os.name, version: os.version };
}

function expectedOf(given: DeviceMatch): string {
  const { names, version } = osOf(given);
  const expected: string[] = [];
  if (given.type !== undefined) expected.push(`type ${oneOf([...new Set(list(given.type))])}`);
  if (names !== undefined) expected.push(`os ${oneOf(list(names))}${version === null ? '' : ` ${version}`}`);
  if (given.model !== undefined) expected.push(`model ${oneOf(list(given.model))}`);
  if (given.browser !== undefined) expected.push(`browser ${oneOf(list(given.browser))}`);
  return expected.join(', ');
}

function shown({ type, os, osVersion, model, browser }: DeviceFacts): string | null {
  const facets = [
    type && `type ${type}`,
    os && `os ${os}${osVersion === null ? '' : ` ${osVersion.version}`}`,
    model && `model ${model}`,
    browser && `browser ${browser}`,
  ];
  return facets.filter((facet) => facet !== '').join(', ') || null;
}

type Texts = ReadonlySet<string> | null;

/** By the facet that tells most. */
function deviceKey(
  slot: Slot<DeviceFacts>,
  facets: { models: Texts; browsers: Texts; systems: Texts; types: Texts },
): IndexKey | null {
  const { models, browsers, systems, types } = facets;
  const key = (facet: string, tells: number, texts: ReadonlySet<string>, ask: (under: Under) => LookUp) =>
    textKey(`device ${facet}`, tells, [...texts], ask);
  if (models !== null)
    return key('model', 5, models, (under) => (view, limit) => under(view.get(slot).model, view, limit));
  if (browsers !== null)
    return key('browser', 2, browsers, (under) => (view, limit) => {
      const { browser, browserFamily } = view.get(slot);
      return under(browserFamily, view, under(browser, view, limit));
    });
  if (systems !== null)
    return key('os', 2, systems, (under) => (view, limit) => {
      const { os, osFamily } = view.get(slot);
      return under(osFamily, view, under(os, view, limit));
    });
  if (types === null) return null;
  return key('type', 1, types, (under) => (view, limit) => under(view.get(slot).type, view, limit));
}

/** The version that user agents of an operating system say for ever, and what that may be in truth. */
const FROZEN: ReadonlyMap<string, readonly [said: string, newer: string]> = new Map([
  ['android', ['10.0.0', '99.0.0']],
  ['macos', ['10.15.7', '99.0.0']],
  ['windows', ['10.0.0', '11.0.0']],
]);

function versionDoubts(os: string, version: string, asksForHints: boolean): string[] {
  const name = normaliseOs(os);
  if (rangeFault(version) !== null) return [];
  if (name === 'harmonyos')
    return [
      'most HarmonyOS devices tell the version of Android instead of their own, and meet no range of versions',
    ];
  const frozen = FROZEN.get(name);
  if (frozen === undefined || asksForHints) return [];
  const range = new Range(version, VERSION_OPTIONS);
  const [said, newer] = frozen;
  const decides =
    range.test(said) === range.test(newer) && !range.intersects(new Range(`>${said} <${newer}`));
  // Where the range holds for all newer ones as well, or for none, it does not matter which it is.
  const all = range.test(said) && range.test(newer);
  if (decides || all) return [];
  return [
    `browsers say ${os} ${said.replace(/(\.0)+$/, '')} whatever they run on, so "${version}" does not tell newer versions apart; set clientHints: true for the service, for Chromium's browsers to tell`,
  ];
}
