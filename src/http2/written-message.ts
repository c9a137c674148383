/**
 * How a message is read that the proxy has written in the framing of HTTP/1.1, to go out in HTTP/2: heads, data and trailers apart.
 */
import { type BodyReader, type ChunkedMode } from '../http1/body-reader.ts';
import type { MessageLimits } from '../http1/request-reader.ts';

const HEAD = 1 << 24;

/** What was checked on its way here is not limited again: the proxy's own fields come on top of what it read. */
export const WRITTEN_LIMITS: MessageLimits = {
  requestLine: 1 << 20,
  head: HEAD,
  fields: 1 << 16,
  extension: 256,
  trailer: HEAD,
};

/** HTTP/2 has frames of its own: of chunks it carries the data. */
export const WRITTEN: ChunkedMode = { payloadOnly: true, lenient: false };

/** Adds the data that `body` has just read from `bytes` to `pieces`, as views. */
export function addData(body: BodyReader, bytes: Buffer, pieces: Buffer[]): void {
  if (body.framing === 'chunked') pieces.push(...body.payload);
  else if (body.to > body.from) pieces.push(bytes.subarray(body.from, body.to));
}
