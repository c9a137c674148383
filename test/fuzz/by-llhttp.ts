/**
 * What llhttp makes of bytes, strictly: the parser of `node:http`, used without the server around it, which would decide
 * things of its own. Node hands it out through a module without documentation, so its shape is checked here.
 */
import { createRequire } from 'node:module';
import type { Kind, MessageRead } from './reading.ts';

interface Parser {
  [callback: number]: (...values: never[]) => unknown;
  initialize(type: number, resource: object, maxHeaderSize: number, lenient: number): void;
  execute(bytes: Buffer): number | (Error & { code?: string });
  finish(): undefined | (Error & { code?: string });
  free(): void;
}

interface ParserClass {
  new (): Parser;
  readonly REQUEST: number;
  readonly RESPONSE: number;
  readonly kOnMessageBegin: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}

const { HTTPParser, methods } = createRequire(import.meta.url)('_http_common') as {
  HTTPParser: ParserClass;
  methods: readonly string[];
};
/** By llhttp's numbers, which are also the places in the list, but for the last one. */
const METHOD_NAMES = new Map<number, string>([...methods.slice(0, -1).entries(), [46, 'QUERY']]);
if (
  typeof HTTPParser?.kOnHeadersComplete !== 'number' ||
  METHOD_NAMES.get(33) !== 'SOURCE' ||
  methods.at(-1) !== 'QUERY'
) {
  throw new Error('this Node hands out its HTTP parser in another way');
}

const HEADER_LIMIT = 1_048_576;

export interface LlhttpReading {
  readonly messages: readonly MessageRead[];
  /** Of the fault, or null. */
  readonly error: string | null;
}

/**
 * Reads `bytes`. `methods`: of the requests that final responses answer, in order, GET beyond the list. `ended`: whether
 * the connection ends after the bytes. An upgrade never happens: what follows such a request is a request again.
 */
export function readByLlhttp(
  kind: Kind,
  bytes: Buffer,
  answered: readonly string[] = [],
  ended = false,
): LlhttpReading {
  const messages: MessageRead[] = [];
  let finals = 0;
  let headDone = false;
  let upgrade = false;
  let fields: string[] = [];
  const parser = new HTTPParser();
  const begin = (): void =>
    parser.initialize(kind === 'request' ? HTTPParser.REQUEST : HTTPParser.RESPONSE, {}, HEADER_LIMIT, 0);
  begin();
  const on = (callback: number, listener: (...values: never[]) => unknown): void => {
    parser[callback] = listener;
  };
  on(HTTPParser.kOnMessageBegin, () => {
    headDone = false;
    fields = [];
  });
  // Called for parts of a long head, and for trailers.
  on(HTTPParser.kOnHeaders, (list: string[]) => {
    if (headDone) messages.at(-1)!.trailers.push(...list);
    else fields.push(...list);
  });
  on(
    HTTPParser.kOnHeadersComplete,
    (
      _major: number,
      minor: number,
      list: string[] | undefined,
      method: number | undefined,
      target: string | undefined,
      status: number | undefined,
      _reason: string | undefined,
      upgrading: boolean,
      keepAlive: boolean,
    ) => {
      headDone = true;
      upgrade = upgrading;
      messages.push({
        method: kind === 'request' ? (METHOD_NAMES.get(method as number) ?? String(method)) : '',
        target: pendingTarget(target),
        status: kind === 'request' ? 0 : (status as number),
        minor,
        keepAlive,
        fields: list === undefined ? fields : [...fields, ...list],
        trailers: [],
        body: '',
        complete: false,
      });
      if (kind === 'request' || (status as number) < 200) return 0;
      // Said before llhttp is told that there is no body, so that without a length it would expect the end of the connection.
      const headOnly = answered[finals] === 'HEAD';
      finals += 1;
      if (headOnly) messages.at(-1)!.keepAlive = true;
      // 1: there is no body, whatever the fields say.
      return headOnly ? 1 : 0;
    },
  );
  on(HTTPParser.kOnBody, (piece: Buffer) => {
    messages.at(-1)!.body += piece.latin1Slice();
  });
  on(HTTPParser.kOnMessageComplete, () => {
    messages.at(-1)!.complete = true;
  });

  let early = '';
  // A head of more than 32 lines comes in parts, of which only the first says the target.
  function pendingTarget(target: string | undefined): string {
    const whole = target ?? early;
    early = '';
    return kind === 'request' ? whole : '';
  }
  const inParts = parser[HTTPParser.kOnHeaders] as (list: string[], target: string) => void;
  on(HTTPParser.kOnHeaders, (list: string[], target: string) => {
    if (!headDone && target !== '') early = target;
    inParts(list, target);
  });

  let error: string | null = null;
  let rest = bytes;
  while (rest.length > 0 && error === null) {
    upgrade = false;
    const used = parser.execute(rest);
    if (typeof used !== 'number') error = used.code ?? used.message;
    else if (used < rest.length && upgrade && kind === 'request') {
      rest = rest.subarray(used);
      begin();
    } else break;
  }
  if (ended && error === null) error = parser.finish()?.code ?? null;
  parser.free();
  return { messages, error };
}
