/**
 * Settings that are part of the design but not of this version.
 *
 * Who writes one hears that, and what to use instead, rather than that the field is unknown. When a setting becomes
 * available, it moves from this table to the schema.
 */
import type { Fault } from '../schema/faults.ts';
import { isRecord, joinPointer } from '../schema/json-value.ts';

interface Unavailable {
  /** Pattern of a pointer; `*` is any name. */
  readonly place: string;
  readonly detail: string;
  /** What stands in for the setting's object while the rest is checked, so that its absence is not a fault as well. */
  readonly instead?: { readonly [field: string]: unknown };
}

const tls =
  'TLS is not available for this listener in this version; reach it over a loopback address or a tunnel';

const UNAVAILABLE: readonly Unavailable[] = ['admin', 'ops'].map((listener): Unavailable => ({
  place: `/${listener}/tls`,
  detail: tls,
}));

/**
 * Finds the settings that are not available, and gives the value without them, for the schema to check. `base` is the
 * pattern of the place where `value` stands in a configuration: `''` for a whole one, `/services/*` for one service.
 */
export function withoutUnavailable(base: string, value: unknown): { rest: unknown; faults: Fault[] } {
  const faults: Fault[] = [];
  let rest = value;
  for (const entry of UNAVAILABLE) {
    if (!entry.place.startsWith(`${base}/`)) continue;
    const tokens = entry.place.slice(base.length + 1).split('/');
    rest = remove(rest, tokens, '', entry, faults);
  }
  return { rest, faults };
}

function remove(
  value: unknown,
  tokens: readonly string[],
  pointer: string,
  entry: Unavailable,
  faults: Fault[],
): unknown {
  const [token = '', ...further] = tokens;
  if (!isRecord(value)) return value;
  const names = token === '*' ? Object.keys(value) : Object.hasOwn(value, token) ? [token] : [];
  if (names.length === 0) return value;
  if (further.length === 0) {
    const { [token]: _removed, ...others } = value;
    faults.push({ pointer: joinPointer(pointer, token), detail: entry.detail });
    return { ...entry.instead, ...others };
  }
  const copy: { [key: string]: unknown } = { ...value };
  for (const name of names)
    copy[name] = remove(copy[name], further, joinPointer(pointer, name), entry, faults);
  return copy;
}
