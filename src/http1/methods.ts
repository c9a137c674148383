/**
 * The methods that requests may have, and which of them may be delivered twice.
 *
 * A request with any other method never gets past the head. Sources: the IANA registry of HTTP methods, RFC 9110, section 9.2.2.
 */

/** Of the registry, but PRI, which only begins HTTP/2; CONNECT is refused apart. */
const REGISTERED =
  'ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE GET HEAD LABEL LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL ' +
  'MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST PROPFIND PROPPATCH PUT QUERY REBIND REPORT SEARCH TRACE UNBIND ' +
  'UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL';

/** Widely used, and known to llhttp. */
const COMMON = 'M-SEARCH NOTIFY PURGE SOURCE SUBSCRIBE UNSUBSCRIBE';

/** A method that another parser on the way takes for something else may not pass; those of the registry are refused at worst. */
export const KNOWN_METHODS: ReadonlySet<string> = new Set(`${REGISTERED} ${COMMON}`.split(' '));

/** Methods that may be delivered twice. */
export const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);
