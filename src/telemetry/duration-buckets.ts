/**
 * The duration buckets: which bounds every latency histogram has, and which bucket a duration falls into.
 *
 * The bounds are exactly the `le` values that `/metrics` shows, and a bucket includes its upper bound, as Prometheus
 * defines it. They are fixed for good: changing one breaks the rate of every dashboard that names it.
 *
 * Finding the bucket takes no loop. The top bits of a double (exponent and first five mantissa bits) divide each
 * octave into 32 cells; no cell holds more than one bound, so a table lookup and one comparison are exact for every double.
 */

const MANTISSAS = [1, 1.5, 2, 2.5, 3, 5, 7.5] as const;

/** Upper bounds in seconds, ascending, 100 µs to 60 s; the bucket after the last is +Inf. */
export const DURATION_BOUNDS: readonly number[] = [
  // Written as decimal literals, parsed, so that 0.0003 is the double that `le="0.0003"` names.
  ...[-4, -3, -2, -1, 0].flatMap((exponent) =>
    MANTISSAS.map((mantissa) => Number(`${mantissa}e${exponent}`)),
  ),
  10,
  15,
  20,
  30,
  60,
];

/** Number of buckets, the one up to +Inf included. */
export const DURATION_BUCKETS = DURATION_BOUNDS.length + 1;

/** A histogram in memory: the counts of its buckets (not cumulative), and after them the sum of what was observed. */
export const HISTOGRAM_SLOTS = DURATION_BUCKETS + 1;

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);

/** Which of the two 32-bit words of a double holds sign and exponent: 1 on little-endian machines. */
const HIGH = ((): 0 | 1 => {
  double[0] = 1;
  return words[0] === 0 ? 1 : 0;
})();

/** High word shifted right by this: 11 bits of exponent and 5 of mantissa remain. */
const CELL_SHIFT = 15;

function cellOf(seconds: number): number {
  double[0] = seconds;
  return words[HIGH]! >>> CELL_SHIFT;
}

const FIRST_CELL = cellOf(DURATION_BOUNDS[0]!);
const LAST_CELL = cellOf(DURATION_BOUNDS.at(-1)!);

/** For each cell the bucket of its smallest value. */
const CELLS = ((): Uint8Array => {
  const cells = new Uint8Array(LAST_CELL - FIRST_CELL + 1);
  let bucket = 0;
  for (let cell = 0; cell < cells.length; cell++) {
    words[HIGH] = (cell + FIRST_CELL) << CELL_SHIFT;
    words[1 - HIGH] = 0;
    const start: number = double[0];
    while (bucket < DURATION_BOUNDS.length && DURATION_BOUNDS[bucket]! < start) bucket++;
    cells[cell] = bucket;
  }
  return cells;
})();

const BOUNDS = Float64Array.from([...DURATION_BOUNDS, Infinity]);

/**
 * The index of the first bucket whose bound is at least `seconds`; the last one is +Inf.
 * Zero, negative values and NaN fall into the first bucket.
 */
export function durationBucket(seconds: number): number {
  // Also true for NaN; and the sign bit never reaches the table.
  if (!(seconds > 0)) return 0;
  double[0] = seconds;
  const cell = (words[HIGH]! >>> CELL_SHIFT) - FIRST_CELL;
  if (cell < 0) return 0;
  if (cell >= CELLS.length) return DURATION_BUCKETS - 1;
  const bucket = CELLS[cell]!;
  return seconds > BOUNDS[bucket]! ? bucket + 1 : bucket;
}

/** Counts `seconds` in the histogram that starts at slot `at`. What is no duration (negative, NaN, infinite) is left out. */
export function observe(slots: Float64Array, at: number, seconds: number): void {
  // A NaN in the sum would stay for ever.
  if (!(seconds >= 0 && seconds < Infinity)) return;
  slots[at + durationBucket(seconds)]!++;
  slots[at + DURATION_BUCKETS]! += seconds;
}
