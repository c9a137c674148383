/**
 * The cookies of one browser, as RFC 6265 has them: by name, domain and path, sent where host and path match, longer paths first and
 * then the older ones. One host-only cookie replaces another of the same name and path, and keeps its age.
 */

interface Cookie {
  readonly name: string;
  readonly host: string;
  /** Whether hosts below `host` get it too. */
  readonly wide: boolean;
  readonly path: string;
  readonly created: number;
  value: string;
}

export interface CookieJar {
  /** Takes the values of `Set-Cookie` fields of an answer from `host`. */
  keep(host: string, setCookies: readonly string[]): void;
  /** The `Cookie` field of a request, '' for none. */
  header(host: string, path: string): string;
  /** All that is kept, as `name value path`. */
  readonly all: readonly string[];
}

export function cookieJar(): CookieJar {
  let kept: Cookie[] = [];
  let created = 0;

  function keepOne(host: string, line: string): void {
    const [pair = '', ...rest] = line.split(';').map((part) => part.trim());
    const name = pair.slice(0, pair.indexOf('='));
    const value = pair.slice(pair.indexOf('=') + 1);
    const attributes = new Map(
      rest.map((part) => {
        const [key = '', text = ''] = part.split('=');
        return [key.toLowerCase(), text];
      }),
    );
    const path = attributes.get('path') ?? '/';
    const domain = attributes.get('domain');
    const owner = domain ?? host;
    if (owner !== host && !host.endsWith(`.${owner}`)) return;
    const same = (cookie: Cookie): boolean =>
      cookie.name === name &&
      cookie.host === owner &&
      cookie.wide === (domain !== undefined) &&
      cookie.path === path;
    if (Number(attributes.get('max-age') ?? 1) <= 0) {
      kept = kept.filter((cookie) => !same(cookie));
      return;
    }
    const before = kept.find(same);
    if (before === undefined)
      kept.push({ name, host: owner, wide: domain !== undefined, path, created: created++, value });
    else before.value = value;
  }

  return {
    keep(host, setCookies) {
      for (const line of setCookies) keepOne(host, line);
    },
    header(host, path) {
      return kept
        .filter((cookie) => cookie.host === host || (cookie.wide && host.endsWith(`.${cookie.host}`)))
        .filter((cookie) => pathMatches(path, cookie.path))
        .toSorted((a, b) => b.path.length - a.path.length || a.created - b.created)
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ');
    },
    get all() {
      return kept.map(({ name, value, path }) => `${name} ${value} ${path}`);
    },
  };
}

/** RFC 6265, section 5.1.4. */
function pathMatches(path: string, cookiePath: string): boolean {
  if (path === cookiePath) return true;
  return path.startsWith(cookiePath) && (cookiePath.endsWith('/') || path[cookiePath.length] === '/');
}
