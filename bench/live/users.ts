/**
 * The users of the live proof: three kinds of identity, several devices and places, and a cookie jar for those who
 * keep cookies. Everything about a user follows from the number, but for where a cookie user is at the moment.
 */

export type Kind = 'header' | 'cookie' | 'fingerprint';

export interface User {
  readonly index: number;
  readonly kind: Kind;
  readonly agent: string;
  readonly appVersion: string;
  readonly vip: boolean;
  readonly home: string;
  readonly work: string;
  /** Cookies by name; only cookie users keep any. */
  readonly jar: Map<string, string>;
  /** One request at a time, so that what a user has seen is a sequence. */
  busy: boolean;
}

const KINDS: readonly Kind[] = ['header', 'cookie', 'fingerprint'];

const AGENTS = [
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  'Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1',
];

const VERSIONS = ['8.1.0', '8.2.0', '8.3.1', '9.0.0-beta.1'];

/** The networks that the rules name. Addresses of the users are in them or outside. */
export const OFFICE = ['203.0.113.0/24', '2001:db8:f00::/48'];
export const CAMPUS = '10.8.0.0/16';

export function makeUsers(count: number): User[] {
  return Array.from({ length: count }, (_, index) => {
    const low = index % 250;
    const high = Math.floor(index / 250) % 250;
    return {
      index,
      kind: KINDS[index % 3] as Kind,
      agent: AGENTS[index % 4] as string,
      appVersion: VERSIONS[Math.floor(index / 4) % 4] as string,
      vip: index % 37 === 0,
      home: index % 5 === 0 ? `2001:db8:1:${index.toString(16)}::1` : `198.51.${high}.${low + 1}`,
      work: index % 2 === 0 ? `203.0.113.${low + 1}` : `10.8.${high}.${low + 1}`,
      jar: new Map(),
      busy: false,
    };
  });
}

/** Where the user is: cookie users come and go, the others stay where their number puts them. */
export function whereIs(user: User, random: () => number): string {
  if (user.kind === 'cookie') return random() < 0.5 ? user.work : user.home;
  return user.index % 4 === 0 ? user.work : user.home;
}

/** The Cookie header's value; '' for none. */
export function cookieHeader(user: User): string {
  return [...user.jar].map(([name, text]) => `${name}=${text}`).join('; ');
}

/** Keeps what an answer's Set-Cookie lines say, as a browser would. */
export function keepCookies(user: User, lines: readonly string[]): void {
  if (user.kind !== 'cookie') return;
  for (const line of lines) {
    const [pair, ...attributes] = line.split(';');
    const at = (pair as string).indexOf('=');
    const name = (pair as string).slice(0, at).trim();
    const text = (pair as string).slice(at + 1).trim();
    const expired =
      text === '' || attributes.some((attribute) => /^\s*max-age=(?:0|-\d+)\s*$/i.test(attribute));
    if (expired) user.jar.delete(name);
    else user.jar.set(name, text);
  }
}

/** The header fields of a user's request, in lower case, without Host. */
export function fieldsOf(user: User, address: string): [name: string, text: string][] {
  const fields: [string, string][] = [
    ['user-agent', user.agent],
    ['accept-language', `en-${user.index}`],
    ['x-app-version', user.appVersion],
    ['x-forwarded-for', address],
  ];
  if (user.kind === 'header') fields.push(['x-user-id', `member-${user.index}`]);
  if (user.vip) fields.push(['x-tier', 'vip']);
  const cookies = cookieHeader(user);
  if (cookies !== '') fields.push(['cookie', cookies]);
  return fields;
}
