/**
 * The bounded set of status codes that metrics tell apart.
 *
 * An application can answer with any number; a label must not follow it anywhere. Codes of the IANA registry (and 499,
 * a client that left) keep their number; any other counts under its class, `4xx`, which a matcher such as
 * `code=~"4.."` still finds; what is no status at all is `other`.
 */

const KNOWN: readonly number[] = [
  ...range(100, 103),
  ...range(200, 208),
  226,
  ...range(300, 308),
  ...range(400, 418),
  ...range(421, 426),
  428,
  429,
  431,
  451,
  499,
  ...range(500, 508),
  510,
  511,
];

/** The values of the label `code`, by slot. */
export const STATUS_LABELS: readonly string[] = [
  ...KNOWN.map(String),
  '1xx',
  '2xx',
  '3xx',
  '4xx',
  '5xx',
  'other',
];

const OTHER = STATUS_LABELS.length - 1;

const SLOTS = ((): Uint8Array => {
  const slots = new Uint8Array(600).fill(OTHER);
  for (let status = 100; status < 600; status++) slots[status] = KNOWN.length + Math.floor(status / 100) - 1;
  KNOWN.forEach((status, slot) => (slots[status] = slot));
  return slots;
})();

/** The slot of a status; any number is accepted. */
export function statusSlot(status: number): number {
  return SLOTS[status] ?? OTHER;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
