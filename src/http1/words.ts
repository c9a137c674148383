/**
 * Bytes four at a time: a 32-bit load, a few operations and one branch where a table takes four of each.
 *
 * On heads of mobile clients this takes half the time of a table look-up per byte or a sticky regular expression, and a quarter of
 * `charCodeAt` on a latin1 string (`bench/micro/codec.ts` compares them). Source: "Determine if a word has a byte less than n" in
 * Bit Twiddling Hacks, S. E. Anderson.
 */

let viewed: Buffer | null = null;
let view: DataView = new DataView(new ArrayBuffer(0));

/**
 * A view of the buffer's bytes; index 0 is the buffer's first byte. The last one is kept, because nearly all heads are read from one
 * shared read buffer; so the last buffer stays in memory until another is read.
 */
export function viewOf(bytes: Buffer): DataView {
  if (bytes !== viewed) {
    view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    viewed = bytes;
  }
  return view;
}

/** Whether any byte of a little-endian word is a control character: below 32, the tab included, or 127. */
export function hasControl(word: number): boolean {
  return (((word - 0x20202020) | ((word ^ 0x7f7f7f7f) - 0x01010101)) & ~word & 0x80808080) !== 0;
}

/** The little-endian word of four ASCII characters. */
export function wordOf(text: string): number {
  return (
    text.charCodeAt(0) | (text.charCodeAt(1) << 8) | (text.charCodeAt(2) << 16) | (text.charCodeAt(3) << 24)
  );
}
