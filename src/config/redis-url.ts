/**
 * Reads the URL of a Redis: one server, servers that Sentinels watch, or a Cluster.
 *
 * No fault and no description holds the password.
 */
import type { EndpointAddress } from '../contract/endpoint-address.ts';
import { formatHostPort, parseEndpoint } from '../net/host-port.ts';

export interface RedisTarget {
  readonly kind: 'server' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  /** The server; or the Sentinels; or some nodes of the Cluster. */
  readonly addresses: readonly EndpointAddress[];
  /** The master's name, where Sentinels are asked; `''` otherwise. */
  readonly master: string;
  readonly database: number;
  readonly username: string | null;
  readonly password: string | null;
  /** What the Sentinels themselves want; null: nothing. */
  readonly sentinelPassword: string | null;
}

const PORTS = { server: 6379, sentinel: 26_379, cluster: 6379 } as const;

const FORMS =
  'redis://HOST:6379/0, redis+sentinel://HOST1:26379,HOST2:26379/MASTER/0 or redis+cluster://HOST1:6379,HOST2:6379 (rediss… for TLS)';

/** A string is the fault: what is wrong and what would be right. */
export function parseRedisUrl(text: string): RedisTarget | string {
  if (text.includes('@') && !/^[a-z+-]+:\/\/[^@/?#]*@[^@]*$/.test(text))
    return 'the name or the password holds a character that must be encoded; write %40 for "@", %2F for "/", %3F for "?", %23 for "#"';
  const form =
    /^redis(s?)(?:[+-](sentinel|cluster))?:\/\/(?:([^@/?#]*)@)?([^@/?#]*)((?:\/[^?#]*)?)(?:\?([^#]*))?$/.exec(
      text,
    );
  if (form === null) return `not the URL of a Redis; expected ${FORMS}`;
  const [, tls = '', kindText = 'server', user, hosts = '', path = '', query = ''] = form;
  const kind = kindText === 'sentinel' || kindText === 'cluster' ? kindText : 'server';
  const addresses: EndpointAddress[] = [];
  for (const part of hosts.split(',')) {
    const address = parseServer(part, PORTS[kind]);
    if (typeof address === 'string') return address;
    addresses.push(address);
  }
  if (kind === 'server' && addresses.length > 1)
    return 'several hosts; expected one, or redis+sentinel:// or redis+cluster://';

  const segments = path.split('/').slice(1);
  if (segments.at(-1) === '') segments.pop();
  const master = kind === 'sentinel' ? segments.shift() : '';
  if (master === undefined) return 'no name of the master; expected redis+sentinel://HOST:26379/MASTER';
  const databaseText = segments.shift() ?? '0';
  if (segments.length > 0) return `too long a path; expected ${FORMS}`;
  if (!/^[0-9]{1,4}$/.test(databaseText))
    return 'not the number of a database after the last "/"; expected such as 0';
  const database = Number(databaseText);
  if (kind === 'cluster' && database !== 0) return 'a Cluster has only the database 0; leave it out';

  const credentials = parseUser(user);
  if (typeof credentials === 'string') return credentials;
  const parameters = new URLSearchParams(query);
  let sentinelPassword: string | null = null;
  for (const [name, value] of parameters) {
    if (name !== 'sentinelPassword' || kind !== 'sentinel')
      return `unknown parameter "${name}"; only sentinelPassword is known, with redis+sentinel://`;
    sentinelPassword = value;
  }
  const decoded = decode(master);
  if (decoded === null) return 'the name of the master is not percent-encoded UTF-8';
  return { kind, tls: tls === 's', addresses, master: decoded, database, ...credentials, sentinelPassword };
}

/** The URL without what is secret. */
export function describeRedis({ kind, tls, addresses, master }: RedisTarget): string {
  const scheme = `redis${tls ? 's' : ''}${kind === 'server' ? '' : `+${kind}`}`;
  const hosts = addresses.map((address) => formatHostPort(address));
  return `${scheme}://${hosts.join(',')}${master === '' ? '' : `/${master}`}`;
}

function parseServer(text: string, defaultPort: number): EndpointAddress | string {
  if (text === '') return `no host; expected ${FORMS}`;
  const hasPort = text.startsWith('[') ? /\]:/.test(text) : text.includes(':');
  return parseEndpoint(hasPort ? text : `${text}:${defaultPort}`);
}

function parseUser(user: string | undefined): { username: string | null; password: string | null } | string {
  if (user === undefined || user === '') return { username: null, password: null };
  const colon = user.indexOf(':');
  const username = decode(colon === -1 ? user : user.slice(0, colon));
  const password = decode(colon === -1 ? '' : user.slice(colon + 1));
  if (username === null || password === null)
    return 'the name or the password is not percent-encoded; write %40 for "@", %2F for "/", %25 for "%"';
  if (colon === -1 || password === '')
    return 'a name without a password; expected NAME:PASSWORD@ or :PASSWORD@';
  return { username: username === '' ? null : username, password };
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
