/** What a parser makes of the bytes of one direction of a connection, in a form that two parsers can be compared by. */
export type Kind = 'request' | 'response';

export interface MessageRead {
  /** '' on responses. */
  method: string;
  /** '' on responses. */
  target: string;
  /** 0 on requests. */
  status: number;
  minor: number;
  keepAlive: boolean;
  /** Names as they came, values without the spaces around them. */
  fields: string[];
  trailers: string[];
  /** Decoded, latin1, as far as it came. */
  body: string;
  complete: boolean;
}
