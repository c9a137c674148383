/**
 * What reading a PROXY header comes to. Source of both versions: "The PROXY protocol, versions 1 & 2", Willy Tarreau,
 * https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 */
import type { ClientAddress } from '../ip/address.ts';

/** Why a header is refused, by index: the slots in which workers count them. */
export const PROXY_HEADER_FAULTS = [
  /** The connection begins with something else. */
  'absent',
  /** It did not come in time. */
  'timeout',
  /** Others came while it was owed, and there were too many. */
  'displaced',
  /** The connection ended before it was complete. */
  'closed',
  /** Version 1: not the line that the protocol describes. */
  'bad_line',
  /** Version 2: an unknown version or command, or an unknown or unfit address family. */
  'bad_command',
  /** Version 2: the lengths in it contradict each other, or exceed the limit. */
  'bad_length',
  /** Version 2: the checksum does not match. */
  'bad_checksum',
] as const;
export type ProxyHeaderFault = (typeof PROXY_HEADER_FAULTS)[number];

/** The ends of the connection that the header tells of. */
export interface ProxiedConnection {
  readonly source: ClientAddress;
  readonly sourcePort: number;
  readonly destination: ClientAddress;
  readonly destinationPort: number;
}

export type ProxyHeaderOutcome =
  /** So far it is a header's beginning. */
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'fault'; readonly fault: ProxyHeaderFault }
  /** `length` bytes are the header. `proxied` is null where the connection is the peer's own (LOCAL, UNKNOWN, UNSPEC). */
  | { readonly kind: 'header'; readonly length: number; readonly proxied: ProxiedConnection | null };

export const INCOMPLETE: ProxyHeaderOutcome = { kind: 'incomplete' };

export function faulty(fault: ProxyHeaderFault): ProxyHeaderOutcome {
  return { kind: 'fault', fault };
}
