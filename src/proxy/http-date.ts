/**
 * The Date field, as a line that is made once a second and used for every answer until then.
 *
 * Source of the format: RFC 9110, section 5.6.7 (IMF-fixdate), which is what `toUTCString` gives.
 */

/** `seconds`: wall clock, whole seconds since 1970. */
export function dateLine(seconds: number): string {
  return `Date: ${new Date(seconds * 1000).toUTCString()}\r\n`;
}
