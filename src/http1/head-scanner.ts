/**
 * Finds the end of a head that arrives in pieces, looking at each byte once.
 *
 * It says nothing about whether the head is valid: that is for the parser, when the head is complete. Only what makes the end
 * uncertain, a line end that is not CRLF, is told at once, so that nobody waits for an end that can't come.
 */
import { CR, LF } from './grammar.ts';

/** The parser will refuse the head: it has a bare CR or LF. */
export const BROKEN_LINE = -2;

/**
 * Looks at `bytes[from..end)`, of which all before `from` was looked at. Returns the position after the first CRLF CRLF,
 * -1 when there is none yet, or BROKEN_LINE.
 */
export function findHeadEnd(bytes: Buffer, from: number, end: number): number {
  for (let at = from; at < end; at += 1) {
    const byte = bytes[at] as number;
    const afterCr = at > 0 && bytes[at - 1] === CR;
    if (byte !== LF) {
      if (afterCr) return BROKEN_LINE;
      continue;
    }
    if (!afterCr) return BROKEN_LINE;
    if (at >= 3 && bytes[at - 2] === LF && bytes[at - 3] === CR) return at + 1;
  }
  return -1;
}
