/**
 * The proxy's own cookies: their names and their `Set-Cookie` lines.
 *
 * Lines are complete, CRLF included, and hold only bytes a header may hold. `Secure` goes with TLS, and always with
 * SameSite=None and Partitioned, which browsers refuse without it. Prefixed names (`__Host-`) are not used: they would
 * forbid a path and plain HTTP.
 */

/** What a service sets for its cookies; see the configuration. */
export interface CookieOptions {
  readonly sameSite: 'Lax' | 'Strict' | 'None';
  readonly secure: 'auto' | 'always';
  readonly partitioned: boolean;
  /** Seconds. */
  readonly maxAge: number;
}

export const IDENTITY_COOKIE = 'serin_id';
export const OVERRIDE_COOKIE = 'serin_override';
/** For calls between services, which keep no cookies. Lower case. */
export const OVERRIDE_HEADER = 'x-serin-override';

export function latchCookie(service: string): string {
  return `serin_latch_${encodeURIComponent(service)}`;
}

/** Writes the lines of one service. */
export interface CookieWriter {
  /** A line that sets the cookie for the service's lifetime of cookies. `secure`: the client came over TLS. */
  set(name: string, value: string, secure: boolean): string;
  /** A line that makes the client forget the cookie. */
  expire(name: string, secure: boolean): string;
}

export function cookieWriter(pathPrefix: string, options: CookieOptions): CookieWriter {
  const always = options.secure === 'always' || options.sameSite === 'None' || options.partitioned;
  const path = `; Path=${cookiePath(pathPrefix)}`;
  const age = `; Max-Age=${Math.max(1, Math.floor(options.maxAge))}`;
  const flags = `; HttpOnly; SameSite=${options.sameSite}`;
  const partitioned = options.partitioned ? '; Partitioned' : '';
  const end = (secure: boolean): string => `${flags}${secure || always ? '; Secure' : ''}${partitioned}\r\n`;
  return {
    set: (name, value, secure) => `Set-Cookie: ${name}=${value}${path}${age}${end(secure)}`,
    expire: (name, secure) => `Set-Cookie: ${name}=${path}; Max-Age=0${end(secure)}`,
  };
}

/** A path as a cookie attribute can hold it: no control character, no `;`, ASCII. */
function cookiePath(pathPrefix: string): string {
  return pathPrefix.replace(/[^\x21-\x3a\x3c-\x7e]/gu, (character) => encodeURIComponent(character));
}
