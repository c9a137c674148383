/**
 * Conditions that no request can ever meet, by what they ask for: a rule that has one silently admits nobody, and an exclude rule excludes
 * nobody.
 *
 * It goes by the form of what is asked for alone, never by traffic. A condition that holds for somebody must never be named here.
 */
import { list } from './conditions.ts';
import { countryFault, subdivisionFault } from './countries.ts';
import { deviceContradiction, modelFault } from './device-names.ts';
import type { Fault } from '../schema/faults.ts';
import { isUnder, normalisePath } from './path.ts';
import type { Match, PathTest, RegionMatch, ValueTest } from './schema.ts';
import { emptyRangeFault } from './version.ts';

/** `at` is the pointer to the match; `pathPrefix` that of the service, '/' where it is not known. */
export function neverHolds(match: Match, at: string, pathPrefix: string): Fault[] {
  const faults: Fault[] = [];
  const add = (pointer: string, detail: string | null): void => {
    if (detail !== null) faults.push({ pointer: `${at}${pointer}`, detail });
  };
  if (match.region !== undefined) regionFaults(match.region, add);
  for (const kind of ['header', 'cookie', 'query'] as const) {
    for (const [name, test] of Object.entries(match[kind] ?? {})) {
      valueFaults(kind, test, (pointer, detail) =>
        add(`/${kind}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}${pointer}`, detail),
      );
    }
  }
  add('/header', headerContradiction(match.header ?? {}));
  for (const [index, method] of [...list(match.method ?? [])].entries()) {
    if (method === 'CONNECT')
      add(
        typeof match.method === 'string' ? '/method' : `/method/${index}`,
        'CONNECT is refused before any rule is asked',
      );
  }
  if (match.path !== undefined) pathFaults(match.path, pathPrefix, add);
  const { device } = match;
  if (device !== undefined) {
    const models = list(device.model ?? []);
    for (const [index, model] of models.entries())
      add(typeof device.model === 'string' ? '/device/model' : `/device/model/${index}`, modelFault(model));
    if (typeof device.os === 'object' && !Array.isArray(device.os))
      add('/device/os/version', emptyRangeFault(device.os.version));
    add('/device', deviceContradiction(device));
  }
  return faults;
}

type Add = (pointer: string, detail: string | null) => void;

function regionFaults({ country = [], subdivision = [], city = [] }: RegionMatch, add: Add): void {
  const pointer = (field: string, given: string | readonly string[], index: number): string =>
    typeof given === 'string' ? `/region/${field}` : `/region/${field}/${index}`;
  for (const [index, code] of list(country).entries())
    add(pointer('country', country, index), countryFault(code));
  for (const [index, code] of list(subdivision).entries())
    add(pointer('subdivision', subdivision, index), subdivisionFault(code, list(country)));
  for (const [index, name] of list(city).entries()) {
    if (/\p{Script=Latin}/u.test(name)) continue;
    add(
      pointer('city', city, index),
      `databases are asked for English names, which "${name}" is not; write one such as "Shanghai"`,
    );
  }
}

function valueFaults(kind: 'header' | 'cookie' | 'query', test: ValueTest, add: Add): void {
  if (test.semver !== undefined) add('/semver', emptyRangeFault(test.semver));
  // Parameters are decoded, so they can be anything.
  if (kind === 'query') return;
  if (test.equals !== undefined) add('/equals', textFault(kind, test.equals, true));
  if (test.prefix !== undefined) add('/prefix', textFault(kind, test.prefix, false));
  for (const [index, value] of (test.oneOf ?? []).entries())
    add(`/oneOf/${index}`, textFault(kind, value, true));
}

function textFault(kind: 'header' | 'cookie', text: string, whole: boolean): string | null {
  const shown = JSON.stringify(text);
  if (/^[ \t]/.test(text) || (whole && /[ \t]$/.test(text)))
    return `the value of a ${kind} comes without blanks around it, so it is never ${shown}; leave them out`;
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(text))
    return `a ${kind} holds no control characters, so it is never ${shown}`;
  if (kind === 'cookie' && text.includes(';'))
    return `a semicolon ends a cookie, so its value is never ${shown}; write what comes before it`;
  return null;
}

/** Names of headers mind no case, so two tests can be of one header; what is wrong where no value meets both. */
function headerContradiction(tests: Readonly<Record<string, ValueTest>>): string | null {
  const seen = new Map<string, [string, ValueTest]>();
  for (const [name, test] of Object.entries(tests)) {
    const before = seen.get(name.toLowerCase());
    if (before !== undefined && contradicts(before[1], test))
      return `"${before[0]}" and "${name}" are one header, and no value meets both tests; leave out one`;
    seen.set(name.toLowerCase(), [name, test]);
  }
  return null;
}

function contradicts(a: ValueTest, b: ValueTest): boolean {
  if ((a.present === false) !== (b.present === false)) return true;
  const [ours, theirs] = [valuesOf(a), valuesOf(b)];
  return ours !== null && theirs !== null && !ours.some((value) => theirs.includes(value));
}

function valuesOf({ equals, oneOf }: ValueTest): readonly string[] | null {
  return oneOf ?? (equals === undefined ? null : [equals]);
}

function pathFaults(test: PathTest, pathPrefix: string, add: Add): void {
  const [field, paths] =
    test.prefix !== undefined
      ? (['prefix', [test.prefix]] as const)
      : test.oneOf !== undefined
        ? (['oneOf', test.oneOf] as const)
        : (['equals', [test.equals ?? '/']] as const);
  for (const [index, path] of paths.entries()) {
    const pointer = `/path/${field}${field === 'oneOf' ? `/${index}` : ''}`;
    if (/[?#]/.test(path)) {
      add(
        pointer,
        `a path is compared without its query, so it is never "${path}"; put the query under "query"`,
      );
      continue;
    }
    const normal = normalisePath(path);
    const reachable =
      isUnder(normal, pathPrefix) ||
      (field === 'prefix' && isUnder(pathPrefix, normal.replace(/(.)\/$/, '$1')));
    if (!reachable)
      add(
        pointer,
        `the service has the paths under ${pathPrefix} alone, and "${path}" is none; write the whole path`,
      );
  }
}
