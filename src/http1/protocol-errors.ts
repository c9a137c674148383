/**
 * Protocol errors: why a message is refused, as stable codes with the status and the sentence a client gets.
 *
 * An error travels as a negative number, so that the parsers return one number and allocate nothing. The order of the list
 * is the order of metrics slots: new codes go to the end.
 */

export interface ProtocolError {
  /** Stable, snake case; used in metrics, logs and answers. */
  readonly code: string;
  /** The status of the answer when a client's request is refused (an endpoint's response gives 502 whatever it says here). */
  readonly status: 400 | 417 | 431 | 501 | 505;
  /** The status's reason phrase. */
  readonly title: string;
  /** What was wrong and what would be right; one sentence, safe to show. */
  readonly detail: string;
}

const TITLES = {
  400: 'Bad Request',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  505: 'HTTP Version Not Supported',
} as const;

const LIST = [
  [
    'bad_method',
    400,
    'The method must be a registered one in upper case, such as GET, followed by one space.',
  ],
  [
    'bad_target',
    400,
    'The request target must be visible ASCII, start with "/" or be an http(s) URL, and be followed by one space.',
  ],
  ['bad_version', 400, 'The request line must end with "HTTP/1.1" or "HTTP/1.0".'],
  ['unsupported_version', 505, 'Only HTTP/1.1 and HTTP/1.0 are spoken here.'],
  ['bad_field_name', 400, 'A header line must be a token, a colon and a value.'],
  ['space_before_colon', 400, 'No space may stand between a field name and its colon.'],
  ['obs_fold', 400, 'A header line may not begin with a space or tab.'],
  ['bare_cr', 400, 'A carriage return must be followed by a line feed.'],
  ['bare_lf', 400, 'A line must end with carriage return and line feed, not with a line feed alone.'],
  ['control_character', 400, 'Control characters may not appear in a message head.'],
  ['request_line_too_long', 431, 'The request line is longer than the limit.'],
  ['head_too_large', 431, 'The message head is larger than the limit.'],
  ['too_many_fields', 431, 'The message head has more fields than the limit.'],
  ['connect', 400, 'CONNECT is not served here.'],
  ['asterisk', 400, 'The target "*" is only for OPTIONS.'],
  ['fragment', 400, 'A request target has no fragment: "#" may not appear in it.'],
  ['missing_host', 400, 'The Host field is missing or empty.'],
  ['duplicate_host', 400, 'There must be one Host field only.'],
  ['bad_host', 400, 'The Host field must be a name or address with an optional port, of at most 512 bytes.'],
  ['host_mismatch', 400, 'The Host field must agree with the authority of the request target.'],
  ['length_and_coding', 400, 'Content-Length and Transfer-Encoding may not be used together.'],
  ['duplicate_length', 400, 'There must be one Content-Length field only.'],
  ['bad_length', 400, 'Content-Length must be one decimal number of at most 9007199254740991.'],
  ['unknown_coding', 501, 'The only transfer coding known here is chunked.'],
  ['bad_coding', 400, 'Transfer-Encoding must be "chunked", once.'],
  ['coding_in_http10', 400, 'HTTP/1.0 has no transfer codings.'],
  ['bad_connection', 400, 'The Connection field must be a list of at most 64 tokens.'],
  [
    'connection_nominates_essential',
    400,
    'The Connection field may not name a field that all recipients need.',
  ],
  ['expectation_unknown', 417, 'The only expectation known here is 100-continue.'],
  ['chunk_size', 400, 'A chunk must begin with its size in hexadecimal digits, of at most 9007199254740991.'],
  ['chunk_extension', 400, 'Chunk extensions must be ";name" or ";name=value", 256 bytes in all at most.'],
  ['chunk_end', 400, 'The data of a chunk must be followed by carriage return and line feed.'],
  ['bad_trailer', 400, 'A trailer line must be a token, a colon and a value.'],
  ['trailer_too_large', 431, 'The trailers are larger or more than the limit.'],
  ['forbidden_trailer', 400, 'A field that frames, routes or authenticates a message may not be a trailer.'],
  [
    'bad_status',
    400,
    'The status line must be "HTTP/1.1" or "HTTP/1.0", a space, and a status from 100 to 599.',
  ],
  ['bad_reason', 400, 'The reason phrase may not have control characters.'],
  ['body_on_bodiless', 400, 'A response of this status has no body, but its fields announce one.'],
  ['closing_interim', 400, 'An interim response may not be of HTTP/1.0, nor close the connection.'],
  [
    'bad_pseudo_field',
    400,
    'An HTTP/2 request has :method, :scheme and :path, and may have :authority, each once, before all fields.',
  ],
  [
    'connection_field',
    400,
    'A field about the connection may not appear in HTTP/2, nor TE with anything but "trailers".',
  ],
  [
    'malformed_field',
    400,
    'A field has a name that is no token in lower case, or a value with a control character, and HTTP/2 allows neither.',
  ],
] as const satisfies readonly (readonly [string, ProtocolError['status'], string])[];

export type ProtocolErrorCode = (typeof LIST)[number][0];

/** All protocol errors in the order of their numbers. */
export const PROTOCOL_ERRORS: readonly ProtocolError[] = LIST.map(([code, status, detail]) => ({
  code,
  status,
  title: TITLES[status],
  detail,
}));

const NUMBERS = new Map<string, number>(LIST.map(([code], index) => [code, -(index + 1)]));

/** The negative number by which the error travels: -(index + 1). */
export function protocolErrorNumber(code: ProtocolErrorCode): number {
  return NUMBERS.get(code) as number;
}

/** The error of a negative number; throws RangeError on any other number, which no parser returns. */
export function protocolErrorOf(number: number): ProtocolError {
  const error = PROTOCOL_ERRORS[-number - 1];
  if (error === undefined) throw new RangeError(`${number} is not the number of a protocol error`);
  return error;
}
