/**
 * The facts of a request: all that a decision may look at.
 *
 * The data plane gives them from the parsed head; `explain` makes them from a description. Texts are as they came on
 * the wire, one character a byte. A decision never changes them and never keeps them.
 */
import type { ClientAddress } from '../ip/address.ts';

export interface RequestFacts {
  readonly method: string;
  /** Raw, without the query. */
  readonly path: string;
  /** Raw, without the `?`; '' where there is none. */
  readonly query: string;
  /** The client's address, found behind trusted proxies. */
  readonly client: ClientAddress;
  /** The address of the socket's other end. */
  readonly peer: ClientAddress;
  /** Whether the client came over TLS, as far as a trusted proxy tells. */
  readonly secure: boolean;
  /** A header field by lower-case name, several lines joined with `, `. */
  header(lowerName: string): string | undefined;
  /** The first cookie of that name, as it came. */
  cookie(name: string): string | undefined;
  /** The values of the others of that name, in order; an empty list where there are none, as nearly always. */
  otherCookies(name: string): readonly string[];
}
