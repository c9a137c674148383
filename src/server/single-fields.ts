/**
 * Fields of a request head that may be there once only: two readers could take different ones of two for the true one, and Node
 * keeps the first or joins them, without a word.
 */
const SINGLE: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'content-length',
  'content-type',
  'transfer-encoding',
  'origin',
  'expect',
  'last-event-id',
  'serin-from',
  'serin-to',
  'serin-signature',
]);

/** The first such field that is there twice, in lower case, or null. `rawHeaders` has names and values by turns. */
export function repeatedField(rawHeaders: readonly string[]): string | null {
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!.toLowerCase();
    if (!SINGLE.has(name)) continue;
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return null;
}
