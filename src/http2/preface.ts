/**
 * The first bytes of a connection of HTTP/2 whose client knows beforehand that the server speaks it (RFC 9113, section 3.4).
 */

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const PREFACE_LENGTH = PREFACE.length;

/** Whether `bytes[start..end)` begins with the preface (`whole`), could still become it (`part`), or neither. */
export function matchPreface(bytes: Buffer, start: number, end: number): 'no' | 'part' | 'whole' {
  const length = Math.min(end - start, PREFACE.length);
  if (PREFACE.compare(bytes, start, start + length, 0, length) !== 0) return 'no';
  return length === PREFACE.length ? 'whole' : 'part';
}
