/**
 * Which fields of a request an endpoint may take for ones that it trusts: those that only the proxy may set, and those that the
 * service's policy reads (its identity, its rules).
 *
 * Two ways lead past the policy. Servers in the manner of CGI make one variable of `X-User-Id` and `X_User_Id` (some of any character
 * that is no letter and no digit), so a look-alike overrides what the policy saw. And many servers add trailers to the headers. So
 * neither passes: one table says both, for heads and trailers, of HTTP/1.1 and of HTTP/2.
 */

/** Names that only the proxy may set, or that say what a message is and from whom. */
const OWNED = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-real-ip',
  'x-canary',
  'x-serin-override',
  'x-serin-mirror',
  'x-request-id',
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'content-type',
  'cookie',
  'authorization',
];

/** Other names by which proxies tell of a client; as trailers nobody needs them. */
const TOLD = /^x-forwarded-|^x-original-/;

export class FieldGuard {
  /** Names that are guarded, as they are, and in the one form that all of their look-alikes have. */
  readonly #names: ReadonlySet<string>;
  readonly #forms: ReadonlySet<string>;
  /** No longer name is a look-alike. */
  readonly longest: number;
  /** A guarded name has a look-alike that needs no odd character. */
  readonly odd: boolean;

  /** `read`: lower-case names of the headers that the policy reads. */
  constructor(read: readonly string[]) {
    const names = [...OWNED, ...read];
    this.#names = new Set(names);
    this.#forms = new Set(names.map(formOf));
    this.longest = Math.max(...names.map((name) => name.length));
    this.odd = names.some((name) => formOf(name) !== name);
  }

  /** Whether a header of this lower-case name, which is not one of those names, could pass for one of them. */
  isLookAlike(name: string): boolean {
    return !this.#names.has(name) && this.#forms.has(formOf(name));
  }

  /** Whether a trailer of this lower-case name may pass. Usable as a value: it needs no `this`. */
  readonly allowsTrailer = (name: string): boolean => {
    const form = formOf(name);
    return !this.#forms.has(form) && !TOLD.test(form);
  };
}

/** The same for all names that a server may make one variable of. */
function formOf(name: string): string {
  return name.replaceAll(/[^a-z0-9]/g, '-');
}

/** For requests of no service. */
export const OWN_FIELDS = new FieldGuard([]);

/**
 * The trailers of a chunked body, lines with an empty one at the end (`text`), without those that may not pass; `text` itself where
 * all may.
 */
export function allowedTrailers(text: string, guard: FieldGuard): string {
  let kept = '';
  for (let at = 0; at < text.length;) {
    const end = text.indexOf('\r\n', at) + 2;
    const colon = text.indexOf(':', at);
    const passes = end - at === 2 || guard.allowsTrailer(text.slice(at, colon).toLowerCase());
    if (passes) kept += text.slice(at, end);
    at = end;
  }
  return kept.length === text.length ? text : kept;
}
