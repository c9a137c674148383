/**
 * Addresses as the configuration writes them: `10.1.0.7:8080`, `[2001:db8::7]:8080`, `notes.internal:8080`.
 *
 * Nothing is resolved here. What a resolver could read as another address than a person does (`0x7f.1`, `2130706433`)
 * is refused.
 */
import type { EndpointAddress } from '../contract/endpoint-address.ts';
import { parseAddress, type ClientAddress } from '../ip/address.ts';
import { refuseDestination } from '../ip/destination.ts';

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/**
 * Where a listener binds; port 0 is any free one. A string is the fault, as a sentence. Host names are allowed
 * (`localhost`), IPv6 addresses stand in brackets and are returned without.
 */
export function parseListen(text: string): EndpointAddress | string {
  return parseHostPort(text, 0, '127.0.0.1:8080 or [::1]:8080');
}

/**
 * One endpoint of a variant. A string is the fault, as a sentence: also for link-local addresses, where cloud metadata
 * services answer, and for addresses that are nobody's.
 */
export function parseEndpoint(text: string): EndpointAddress | string {
  const parsed = parseHostPort(text, 1, '10.1.0.7:8080, [2001:db8::7]:8080 or notes.internal:8080');
  if (typeof parsed === 'string') return parsed;
  const address = parseAddress(parsed.host);
  if (address === null) return parsed;
  // Whoever lists a loopback address means it: a sidecar, a test, the demonstration.
  const refusal = refuseDestination(address, true);
  // One address has one text, so that it shows where it is listed twice.
  return refusal === null ? { ...parsed, host: address.text } : `"${clip(text)}" ${refusal}`;
}

/** True where only this machine can connect: 127.0.0.0/8, ::1, localhost. Any other host name counts as reachable. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true;
  const address = parseAddress(host);
  if (address === null) return false;
  if (address.family === 4) return address.v4 >>> 24 === 127;
  return address.w0 === 0 && address.w1 === 0 && address.w2 === 0 && address.w3 === 1;
}

/** `host:port` again, an IPv6 address in brackets. */
export function formatHostPort({ host, port }: EndpointAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function parseHostPort(text: string, lowestPort: number, examples: string): EndpointAddress | string {
  const quoted = `"${clip(text)}"`;
  if (text.includes('://')) return `${quoted} has a scheme; expected only an address such as ${examples}`;
  const [, bracketed, name, portText] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(text) ?? [];
  const host = bracketed ?? name;
  if (host === undefined) {
    return parseAddress(text) !== null || text.split(':').length > 2
      ? `${quoted} is not an address with a port; write an IPv6 address in brackets, such as [2001:db8::7]:8080`
      : `${quoted} is not an address with a port; expected ${examples}`;
  }
  if (bracketed !== undefined && parseIpv6(bracketed) === null) {
    return `${quoted} does not hold an IPv6 address in its brackets; expected ${examples}`;
  }
  if (bracketed === undefined && !isHost(host)) {
    return host === ''
      ? `${quoted} has no host; expected ${examples}`
      : `${quoted} holds neither an IPv4 address nor a host name; expected ${examples}`;
  }
  if (portText === undefined) return `${quoted} has no port; expected ${examples}`;
  const port = /^(0|[1-9][0-9]{0,4})$/.test(portText) ? Number(portText) : -1;
  if (port < lowestPort || port > 65_535) {
    return `${quoted} has no valid port; expected a number from ${lowestPort} to 65535 after the last colon`;
  }
  return { host: bracketed ?? host.toLowerCase(), port };
}

function parseIpv6(text: string): ClientAddress | null {
  return text.includes(':') && !text.includes('%') ? parseAddress(text) : null;
}

/** An IPv4 address of four decimal numbers, or a host name that no resolver takes for an address. */
function isHost(text: string): boolean {
  if (parseAddress(text)?.family === 4) return true;
  if (text.length > 253) return false;
  const labels = text.split('.');
  const last = labels.at(-1) ?? '';
  // WHATWG URL: a name whose last label is a number is an address, in one of its odd notations.
  if (/^([0-9]+|0x[0-9a-f]*)$/i.test(last)) return false;
  return labels.every((label) => LABEL.test(label));
}

function clip(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}
