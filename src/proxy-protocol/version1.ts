/** Version 1 of the PROXY header: one line of text, such as `PROXY TCP4 192.0.2.1 192.0.2.9 40000 443`. */
import { parseAddress, type ClientAddress } from '../ip/address.ts';
import { faulty, INCOMPLETE, type ProxyHeaderOutcome } from './outcome.ts';

/** The longest line that the protocol allows, its CRLF included. */
const LONGEST_LINE = 107;

const CR = 13;
const LF = 10;

const LINE = /^PROXY (TCP4|TCP6) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})$/;

/** `bytes` begin with `PROXY `. */
export function readVersion1(bytes: Uint8Array): ProxyHeaderOutcome {
  const end = Math.min(bytes.length, LONGEST_LINE);
  let at = 0;
  while (at < end && bytes[at]! >= 0x20 && bytes[at]! < 0x7f) at += 1;
  if (at === end) return end === LONGEST_LINE ? faulty('bad_line') : INCOMPLETE;
  if (bytes[at] !== CR || at + 2 > LONGEST_LINE) return faulty('bad_line');
  if (at + 1 === bytes.length) return INCOMPLETE;
  if (bytes[at + 1] !== LF) return faulty('bad_line');

  const line = String.fromCharCode(...bytes.subarray(0, at));
  const length = at + 2;
  // What follows UNKNOWN is to be ignored.
  if (line === 'PROXY UNKNOWN' || line.startsWith('PROXY UNKNOWN '))
    return { kind: 'header', length, proxied: null };
  const [, family, from = '', to = '', fromPort, toPort] = LINE.exec(line) ?? [];
  const source = address(from, family === 'TCP6');
  const destination = address(to, family === 'TCP6');
  const sourcePort = Number(fromPort);
  const destinationPort = Number(toPort);
  if (source === null || destination === null || !(sourcePort <= 65_535) || !(destinationPort <= 65_535)) {
    return faulty('bad_line');
  }
  return { kind: 'header', length, proxied: { source, sourcePort, destination, destinationPort } };
}

/** An address as its family writes it: IPv4 mapped into IPv6 is written as IPv6, whatever it means. */
function address(text: string, version6: boolean): ClientAddress | null {
  return text.includes(':') === version6 ? parseAddress(text) : null;
}
