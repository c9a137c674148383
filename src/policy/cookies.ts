/**
 * The proxy's own cookies: their names and their `Set-Cookie` lines.
 *
 * Lines are complete, CRLF included, and hold only bytes a header may hold. They are for all paths of the host (`Path=/`), so that
 * every path is decided by the same cookie. `Secure` goes with TLS, and always with SameSite=None and Partitioned, which browsers
 * refuse without it. Prefixed names (`__Host-`) are not used: they would forbid plain HTTP.
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
  /** A line that sets the cookie for all paths of the host. `secure`: the client came over TLS. */
  set(name: string, value: string, secure: boolean): string;
  /** A line that sets it for the paths of the service alone. */
  setForService(name: string, value: string, secure: boolean): string;
  /** Lines that make the client forget the cookie, whichever of the two set it. */
  expire(name: string, secure: boolean): string;
}

export function cookieWriter(pathPrefix: string, options: CookieOptions): CookieWriter {
  const always = options.secure === 'always' || options.sameSite === 'None' || options.partitioned;
  const path = `; Path=${cookiePath(pathPrefix)}`;
  const whole = '; Path=/';
  const age = `; Max-Age=${Math.max(1, Math.floor(options.maxAge))}`;
  const flags = `; HttpOnly; SameSite=${options.sameSite}`;
  const partitioned = options.partitioned ? '; Partitioned' : '';
  const end = (secure: boolean): string => `${flags}${secure || always ? '; Secure' : ''}${partitioned}\r\n`;
  const set = (name: string, value: string, at: string, secure: boolean): string =>
    `Set-Cookie: ${name}=${value}${at}${age}${end(secure)}`;
  const expire = (name: string, at: string, secure: boolean): string =>
    `Set-Cookie: ${name}=${at}; Max-Age=0${end(secure)}`;
  return {
    set: (name, value, secure) => set(name, value, whole, secure),
    setForService: (name, value, secure) => set(name, value, path, secure),
    expire: (name, secure) =>
      path === whole ? expire(name, whole, secure) : expire(name, whole, secure) + expire(name, path, secure),
  };
}

/** A path as a cookie attribute can hold it: no control character, no `;`, ASCII. */
function cookiePath(pathPrefix: string): string {
  return pathPrefix.replace(/[^\x21-\x3a\x3c-\x7e]/gu, (character) => encodeURIComponent(character));
}
