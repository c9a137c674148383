/**
 * A request in words, made into the facts that a real one would have.
 *
 * Texts of a description are Unicode; they become the UTF-8 bytes that a client would send, so that an explanation and
 * a request agree. What no request could say is a DocumentError with a pointer into the description.
 */
import { parseAddress, UNKNOWN_ADDRESS, type ClientAddress } from '../ip/address.ts';
import type { CompiledPolicy } from './compile.ts';
import type { RequestFacts } from './facts.ts';
import { DocumentError, type Fault } from '../schema/faults.ts';
import { joinPointer } from '../schema/json-value.ts';
import { trimBlanks, wireText } from '../schema/latin1.ts';

export interface DescribedRequest {
  /** GET where it is not said. */
  readonly method?: string;
  /** The path, with the query where there is one; `/` where it is not said. */
  readonly path?: string;
  /** By name, in any case. Cookies are the header `cookie`. */
  readonly headers?: { readonly [name: string]: string | readonly string[] };
  /** The client's address, as it is found behind trusted proxies. */
  readonly clientAddress?: string;
  /** The address of the socket's other end; the client's where it is not said. */
  readonly peerAddress?: string;
  /** The user: taken as what the first tier of the service's identity chain says that can say it. */
  readonly identity?: string;
  /** Whether the client came over TLS. */
  readonly secure?: boolean;
}

/** More than any proxy is configured to take, in characters and in lines. */
const LARGEST_HEAD = 65_536;
const MOST_LINES = 1000;

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const MINTED_ID = /^[A-Za-z0-9_-]{16,64}$/;

/** Whether the text has a control character other than a tab. */
function holdsControl(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code < 32 && code !== 9) || code === 127) return true;
  }
  return false;
}

/** The facts. Throws DocumentError `request_invalid`. */
export function describedFacts(request: DescribedRequest, policy: CompiledPolicy): RequestFacts {
  const faults: Fault[] = [];
  const { method = 'GET', path: target = '/', secure = false } = request;
  if (!TOKEN.test(method)) faults.push({ pointer: '/method', detail: `"${method}" cannot be a method` });
  if (!target.startsWith('/')) faults.push({ pointer: '/path', detail: 'a path begins with "/"' });
  const headers = readHeaders(request.headers ?? {}, faults);
  const client = readAddress(request.clientAddress, UNKNOWN_ADDRESS, '/clientAddress', faults);
  const peer = readAddress(request.peerAddress, client, '/peerAddress', faults);
  const cookies = readCookies(headers.get('cookie') ?? '');
  if (request.identity !== undefined)
    setIdentity(wireText(request.identity), policy, headers, cookies, faults);
  if (faults.length > 0)
    throw new DocumentError('request_invalid', 'The described request is not valid.', faults);
  const question = target.indexOf('?');
  return {
    method,
    path: wireText(question < 0 ? target : target.slice(0, question)),
    query: question < 0 ? '' : wireText(target.slice(question + 1)),
    client,
    peer,
    secure,
    header: (lowerName) => headers.get(lowerName),
    cookie: (name) => cookies.get(name)?.[0],
    otherCookies: (name) => cookies.get(name)?.slice(1) ?? [],
  };
}

function readHeaders(
  headers: { readonly [name: string]: string | readonly string[] },
  faults: Fault[],
): Map<string, string> {
  const found = new Map<string, string>();
  const lines = Object.values(headers).flatMap((given) => (typeof given === 'string' ? [given] : given));
  const size = lines.reduce((sum, line) => sum + line.length, 0);
  if (size > LARGEST_HEAD || lines.length > MOST_LINES) {
    const detail = `the headers have ${lines.length} lines of ${size} characters; no head has more than ${MOST_LINES} of ${LARGEST_HEAD}`;
    faults.push({ pointer: '/headers', detail });
    return found;
  }
  for (const [name, given] of Object.entries(headers)) {
    const pointer = joinPointer('/headers', name);
    const lowerName = name.toLowerCase();
    // Lines of one field are joined as RFC 9110 says, cookies as RFC 6265 does.
    const value = typeof given === 'string' ? given : given.join(lowerName === 'cookie' ? '; ' : ', ');
    if (!TOKEN.test(name)) faults.push({ pointer, detail: `"${name}" cannot be the name of a header` });
    if (holdsControl(value)) faults.push({ pointer, detail: 'a header holds no control characters' });
    found.set(lowerName, trimBlanks(wireText(value)));
  }
  return found;
}

function readAddress(
  text: string | undefined,
  otherwise: ClientAddress,
  pointer: string,
  faults: Fault[],
): ClientAddress {
  if (text === undefined) return otherwise;
  const address = parseAddress(text);
  if (address !== null) return address;
  faults.push({ pointer, detail: `"${text}" is not an address; write it like 203.0.113.7 or 2001:db8::7` });
  return otherwise;
}

/** The values of each name, in order. */
function readCookies(header: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals < 0) continue;
    const name = trimBlanks(pair.slice(0, equals));
    const values = found.get(name) ?? [];
    values.push(trimBlanks(pair.slice(equals + 1)));
    found.set(name, values);
  }
  return found;
}

/** Lets the first tier that can say it say the identity, and the tiers before it nothing. */
function setIdentity(
  identity: string,
  { chain, context }: CompiledPolicy,
  headers: Map<string, string>,
  cookies: Map<string, string[]>,
  faults: Fault[],
): void {
  const pointer = '/identity';
  if (identity === '' || holdsControl(identity)) {
    faults.push({ pointer, detail: 'an identity is not empty and holds no control characters' });
    return;
  }
  let chosen = chain.findIndex(({ kind }) => kind === 'header' || kind === 'cookie');
  if (chosen < 0 && MINTED_ID.test(identity)) chosen = chain.findIndex(({ kind }) => kind === 'minted');
  if (chosen < 0) {
    const detail =
      'the identities of this service are minted: give 16 to 64 letters, digits, "-" and "_", or the request\'s cookies';
    faults.push({ pointer, detail });
    return;
  }
  for (const { kind, name } of chain.slice(0, chosen)) (kind === 'header' ? headers : cookies).delete(name);
  const { kind, name } = chain[chosen]!;
  if (kind === 'header') headers.set(name, identity);
  else cookies.set(name, [kind === 'minted' ? context.mintedIds.seal('', identity, '', '') : identity]);
}
