/**
 * Cuts a stream of bytes into lines, as a watch of Kubernetes sends them: one JSON object each.
 *
 * It promises to give each line once and whole, however the stream was cut into pieces, and to hold no more than the longest
 * line that it takes. What follows the last line end is never given: half an event is none.
 */

/** A line is longer than it may be. */
export class LineTooLong extends Error {
  constructor(most: number) {
    super(`a line is longer than ${most} bytes`);
    this.name = 'LineTooLong';
  }
}

export interface LineCutter {
  /** Calls for each line that ends in `bytes`, without its end; empty lines are left out. Throws LineTooLong. */
  push(bytes: Uint8Array): void;
  /** Bytes of a line whose end has not come. */
  readonly pending: number;
}

export function createLineCutter(most: number, onLine: (line: Buffer) => void): LineCutter {
  let pieces: Uint8Array[] = [];
  let pending = 0;
  return {
    push(bytes) {
      let start = 0;
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
        if (pending + end - start > most) throw new LineTooLong(most);
        pieces.push(bytes.subarray(start, end));
        start = end + 1;
        const line = Buffer.concat(pieces);
        pieces = [];
        pending = 0;
        const length = line.at(-1) === 13 ? line.length - 1 : line.length;
        if (length > 0) onLine(line.subarray(0, length));
      }
      if (start === bytes.length) return;
      pending += bytes.length - start;
      if (pending > most) throw new LineTooLong(most);
      // Copied: who reads a stream may use its buffer again.
      pieces.push(Uint8Array.prototype.slice.call(bytes, start));
    },
    get pending() {
      return pending;
    },
  };
}
