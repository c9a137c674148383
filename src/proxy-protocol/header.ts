/**
 * Reads the PROXY header at the beginning of a connection, in either version. No I/O, no state: give it all bytes so far.
 *
 * Strict: what it takes, every reader takes in the same way; the rest is a fault as soon as it can be told.
 */
import { faulty, INCOMPLETE, type ProxyHeaderOutcome } from './outcome.ts';
import { readVersion1 } from './version1.ts';
import { readVersion2, SIGNATURE } from './version2.ts';

/** "PROXY " */
const PREFIX = Uint8Array.of(0x50, 0x52, 0x4f, 0x58, 0x59, 0x20);

/** `bytes` are all that have come; what follows the header in them is left alone. */
export function readProxyHeader(bytes: Uint8Array): ProxyHeaderOutcome {
  if (begins(bytes, PREFIX)) return bytes.length < PREFIX.length ? INCOMPLETE : readVersion1(bytes);
  if (begins(bytes, SIGNATURE)) return bytes.length < SIGNATURE.length ? INCOMPLETE : readVersion2(bytes);
  return faulty('absent');
}

/** Whether `bytes` are the beginning of `start`, or begin with it. */
function begins(bytes: Uint8Array, start: Uint8Array): boolean {
  const length = Math.min(bytes.length, start.length);
  for (let at = 0; at < length; at += 1) {
    if (bytes[at] !== start[at]) return false;
  }
  return true;
}
