/**
 * Which fields may be trailers, and trailers without those that may not.
 *
 * A field that frames, routes, authenticates or steers a message is of use only before its content: nothing here lets one pass.
 */
import type { FieldBlock } from './field-block.ts';
import { F } from './fields.ts';

/** Fields that frame, route, authenticate or steer a message; RFC 9110, section 6.5.1. */
const FORBIDDEN = new Uint8Array(256);
for (const id of [
  F.HOST,
  F.CONNECTION,
  F.CONTENT_LENGTH,
  F.TRANSFER_ENCODING,
  F.UPGRADE,
  F.EXPECT,
  F.TE,
  F.TRAILER,
  F.KEEP_ALIVE,
  F.PROXY_CONNECTION,
  F.PROXY_AUTHORIZATION,
  F.PROXY_AUTHENTICATE,
  F.PROXY_AUTHENTICATION_INFO,
  F.HTTP2_SETTINGS,
  F.FORWARDED,
  F.X_FORWARDED_FOR,
  F.X_FORWARDED_PROTO,
  F.X_FORWARDED_HOST,
  F.X_FORWARDED_PORT,
  F.X_REAL_IP,
  F.VIA,
  F.X_REQUEST_ID,
  F.X_CANARY,
  F.X_SERIN_OVERRIDE,
  F.COOKIE,
  F.SET_COOKIE,
  F.AUTHORIZATION,
  F.WWW_AUTHENTICATE,
  F.CACHE_CONTROL,
  F.VARY,
  F.EXPIRES,
  F.DATE,
  F.CONTENT_TYPE,
  F.CONTENT_ENCODING,
  F.CONTENT_RANGE,
  F.LOCATION,
  F.RETRY_AFTER,
  F.MAX_FORWARDS,
]) {
  FORBIDDEN[id] = 1;
}

/** Whether the field with this well-known id may not be a trailer. */
export function isForbiddenTrailer(id: number): boolean {
  return FORBIDDEN[id] === 1;
}

/** The lines of `block` that may be trailers, as they came, and the empty line. */
export function trailersKept(block: FieldBlock): Buffer {
  const { text, count, length, fieldId, lineStart } = block;
  let kept = '';
  for (let index = 0; index < count; index += 1) {
    if (isForbiddenTrailer(fieldId[index] as number)) continue;
    kept += text.slice(lineStart[index], index + 1 < count ? lineStart[index + 1] : length - 2);
  }
  return Buffer.from(`${kept}\r\n`, 'latin1');
}
