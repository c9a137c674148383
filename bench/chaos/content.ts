/**
 * The content that the harness sends and expects: made from the id of its request, so that a body that belongs to another
 * request shows at its first byte, and so does one that lacks or repeats a piece.
 */
import { crc32 } from 'node:zlib';

/** `size` bytes that only the request `id` may see. */
export function contentOf(id: string, size: number): Buffer {
  return Buffer.alloc(size, `${id}|`, 'latin1');
}

export function sumOf(bytes: Buffer): string {
  return crc32(bytes).toString(16);
}
