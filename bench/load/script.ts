/**
 * The load generator's script: a file of what is sent and what must come back.
 *
 * All numbers little-endian: the count of entries and four bytes of nothing; then for each entry the length of the request (u32),
 * the status that must come (i32), the length of the body that must come (i64, -1: any), the length of the reply (u32), four
 * bytes of nothing, the request's bytes, and the reply's. An entry with a reply is no HTTP: after an upgrade the bytes
 * are sent as they are, and exactly the reply must come.
 */
import { writeFileSync } from 'node:fs';

/** Stands for a number of twelve digits that no other request of the run has. Only in requests up to 128 KiB. */
export const NEVER_SEEN = '@@@@@@@@@@@@';

export interface Entry {
  readonly request: string | Buffer;
  readonly status: number;
  /** Bytes of the body; it is the pattern of `http.h`. */
  readonly body: number;
  readonly reply?: Buffer;
}

export function writeScript(file: string, entries: readonly Entry[]): void {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(entries.length, 0);
  const parts = entries.flatMap(({ request, status, body, reply }) => {
    const bytes = typeof request === 'string' ? Buffer.from(request, 'latin1') : request;
    const fixed = Buffer.alloc(24);
    fixed.writeUInt32LE(bytes.length, 0);
    fixed.writeInt32LE(status, 4);
    fixed.writeBigInt64LE(BigInt(body), 8);
    fixed.writeUInt32LE(reply?.length ?? 0, 16);
    return [fixed, bytes, reply ?? Buffer.alloc(0)];
  });
  writeFileSync(file, Buffer.concat([head, ...parts]));
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** The pattern of all bodies, as `http.h` has it. */
export function pattern(length: number): string {
  return LETTERS.repeat(Math.ceil(length / LETTERS.length)).slice(0, length);
}
