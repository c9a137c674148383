/**
 * The nearest valid name to one that is not, for "did you mean …?".
 *
 * It promises to stay silent rather than guess: only a name that a slip of the fingers explains is offered. It must
 * never take long, whatever the length of the name it is given.
 */

/** Names longer than this are nobody's slip; comparing them would only cost time. */
const LONGEST = 64;

/** Of more candidates the first are compared: a hint is worth some milliseconds and not seconds. */
const MOST_CANDIDATES = 2000;

/**
 * The candidate that differs least from `name`, or undefined where none is near: at most one slip in names of up to
 * four characters, two in names of up to eight, three in longer ones. Case and the separators `-`, `_`, `.` and space
 * do not count, so `path_prefix` finds `pathPrefix`. Of equally near candidates the first wins.
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > LONGEST) return undefined;
  const wanted = fold(name);
  let best: string | undefined;
  let bestDistance = Infinity;
  let seen = 0;
  for (const candidate of candidates) {
    if (++seen > MOST_CANDIDATES) break;
    if (candidate.length > LONGEST) continue;
    const folded = fold(candidate);
    const longer = Math.max(wanted.length, folded.length);
    const allowed = longer <= 4 ? 1 : longer <= 8 ? 2 : 3;
    if (Math.abs(wanted.length - folded.length) > allowed) continue;
    const distance = editDistance(wanted, folded, Math.min(allowed, bestDistance));
    // A name of which every character was mistyped resembles nothing.
    if (distance > 0 && distance >= longer) continue;
    if (distance <= allowed && distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function fold(name: string): string {
  return name.toLowerCase().replace(/[-_. ]/g, '');
}

/**
 * Damerau–Levenshtein distance in its "optimal string alignment" form: insertions, deletions, replacements and swaps of
 * neighbours, no part edited twice. Infinity where it is more than `most`, which keeps the search to a band of the table
 * (Ukkonen 1985): O(min(a.length, b.length) × most).
 */
export function editDistance(a: string, b: string, most = Infinity): number {
  if (Math.abs(a.length - b.length) > most) return Infinity;
  let beforeLast: number[] = [];
  let last: number[] = [];
  let row: number[] = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    [beforeLast, last, row] = [last, row, beforeLast];
    const from = Math.max(1, i - most);
    const to = Math.min(b.length, i + most);
    // What stands beside the band is further than the band reaches.
    row[from - 1] = from === 1 ? i : Infinity;
    let least = from === 1 ? i : Infinity;
    for (let j = from; j <= to; j++) {
      const same = a[i - 1] === b[j - 1];
      const above = j < i + most ? at(last, j) : Infinity;
      let cost = Math.min(above + 1, at(row, j - 1) + 1, at(last, j - 1) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      }
      row[j] = cost;
      least = Math.min(least, cost);
    }
    // A swap reaches back two rows at the price of one, so that one row alone says nothing before it is well beyond.
    if (least > most + 1) return Infinity;
  }
  const distance = at(row, b.length);
  return distance <= most ? distance : Infinity;
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
