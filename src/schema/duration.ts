/** Durations as documents write them ("30s", "1h") and as the code counts them (milliseconds). */

/** What a duration looks like: a whole number and a unit. */
export const DURATION_PATTERN = '^[0-9]{1,9}(ms|s|m|h|d)$';

const UNITS: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a duration such as `500ms`, `30s`, `10m`, `24h` or `7d`. Throws a RangeError on anything else. */
export function parseDuration(text: string): number {
  const [, count, unit] = /^([0-9]{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  const factor = unit === undefined ? undefined : UNITS[unit];
  if (count === undefined || factor === undefined) {
    throw new RangeError(`expected a duration such as 30s, got ${JSON.stringify(text)}`);
  }
  return Number(count) * factor;
}

/** The same, or `otherwise` where nothing is said. */
export function milliseconds(text: string | undefined, otherwise: number): number {
  return text === undefined ? otherwise : parseDuration(text);
}
