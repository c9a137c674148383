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

/** One parser, made once: it is set to its beginning for each input, as Node does with the parsers that it keeps. */
class Reader {
  readonly #kind: Kind;
  readonly #parser = new HTTPParser();
  readonly #resource = {};
  #messages: MessageRead[] = [];
  #answered: readonly string[] = [];
  #finals = 0;
  #headDone = false;
  #upgrade = false;
  #fields: string[] = [];
  /** A head of more than 32 lines comes in parts, of which only the first says the target. */
  #target = '';

  constructor(kind: Kind) {
    this.#kind = kind;
    const on = (callback: number, listener: (...values: never[]) => unknown): void => {
      this.#parser[callback] = listener;
    };
    on(HTTPParser.kOnMessageBegin, () => {
      this.#headDone = false;
      this.#fields = [];
      this.#target = '';
    });
    // Called for parts of a long head, and for trailers.
    on(HTTPParser.kOnHeaders, (list: string[], target: string) => {
      if (this.#headDone) {
        this.#messages.at(-1)!.trailers.push(...list);
        return;
      }
      if (target !== '') this.#target = target;
      this.#fields.push(...list);
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
      ) => this.#headEnds(minor, list, method, target, status, upgrading, keepAlive),
    );
    on(HTTPParser.kOnBody, (piece: Buffer) => {
      this.#messages.at(-1)!.body += piece.latin1Slice();
    });
    on(HTTPParser.kOnMessageComplete, () => {
      this.#messages.at(-1)!.complete = true;
    });
  }

  #headEnds(
    minor: number,
    list: string[] | undefined,
    method: number | undefined,
    target: string | undefined,
    status: number | undefined,
    upgrading: boolean,
    keepAlive: boolean,
  ): number {
    const request = this.#kind === 'request';
    this.#headDone = true;
    this.#upgrade = upgrading;
    const message: MessageRead = {
      method: request ? (METHOD_NAMES.get(method as number) ?? String(method)) : '',
      target: request ? (target ?? this.#target) : '',
      status: request ? 0 : (status as number),
      minor,
      keepAlive,
      fields:
        list === undefined ? this.#fields : this.#fields.length === 0 ? list : [...this.#fields, ...list],
      trailers: [],
      body: '',
      complete: false,
    };
    this.#messages.push(message);
    if (request || (status as number) < 200) return 0;
    const headOnly = this.#answered[this.#finals] === 'HEAD';
    this.#finals += 1;
    // Said before llhttp is told that there is no body, so that without a length it would expect the end of the connection.
    if (headOnly) message.keepAlive = true;
    // 1: there is no body, whatever the fields say.
    return headOnly ? 1 : 0;
  }

  #begin(): void {
    const type = this.#kind === 'request' ? HTTPParser.REQUEST : HTTPParser.RESPONSE;
    this.#parser.initialize(type, this.#resource, HEADER_LIMIT, 0);
  }

  read(bytes: Buffer, answered: readonly string[], ended: boolean): LlhttpReading {
    const messages: MessageRead[] = [];
    this.#messages = messages;
    this.#answered = answered;
    this.#finals = 0;
    this.#headDone = false;
    this.#fields = [];
    this.#target = '';
    this.#begin();
    let error: string | null = null;
    let rest = bytes;
    while (rest.length > 0 && error === null) {
      this.#upgrade = false;
      const used = this.#parser.execute(rest);
      if (typeof used !== 'number') error = used.code ?? used.message;
      else if (used < rest.length && this.#upgrade && this.#kind === 'request') {
        rest = rest.subarray(used);
        this.#begin();
      } else break;
    }
    if (ended && error === null) error = this.#parser.finish()?.code ?? null;
    return { messages, error };
  }
}

const READERS = { request: new Reader('request'), response: new Reader('response') };

/**
 * Reads `bytes`. `answered`: the methods of the requests that final responses answer, in order, GET beyond the list. `ended`:
 * whether the connection ends after the bytes. An upgrade never happens: what follows such a request is a request again.
 */
export function readByLlhttp(
  kind: Kind,
  bytes: Buffer,
  answered: readonly string[] = [],
  ended = false,
): LlhttpReading {
  return READERS[kind].read(bytes, answered, ended);
}
