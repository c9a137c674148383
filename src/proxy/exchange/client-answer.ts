/**
 * What the client is answered: the heads of an endpoint's answers, the answers that the proxy makes itself, and whether the connection
 * can serve on after them.
 *
 * It writes only answers of our own; an endpoint's come through the relay, which asks here for their heads.
 */
import type { BodyReader, BodyFraming } from '../../http1/body-reader.ts';
import type { ProtocolError } from '../../http1/protocol-errors.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import { joinAnswer } from '../../http2/joined-streams.ts';
import type { SocketWriter } from '../../net/socket-writer.ts';
import type { WorkerContext } from '../worker-context.ts';
import { finalHead, interimHead } from './answer-head.ts';
import type { Attempts } from './attempts.ts';
import { DRAIN_LIMIT } from './body-drain.ts';
import {
  ERROR_RESPONSES,
  errorResponse,
  optionsResponse,
  refusalResponse,
  type ErrorCode,
} from './error-responses.ts';
import type { ExchangeRecord } from './exchange-record.ts';
import { warnOfFailure } from './warn-of.ts';
import type { RequestBody } from './request-body.ts';
import type { RequestContext } from './request-context.ts';
import type { RelayTarget } from './response-relay.ts';

export class ClientAnswer implements RelayTarget {
  /** The connection ends with the answer. */
  closes = false;
  /** Of the answer's head; 0 before there is one. */
  status = 0;
  /** Bytes of content of an answer of our own. */
  size = 0;
  readonly #context: WorkerContext;
  readonly #request: RequestContext;
  readonly #incoming: BodyReader;
  readonly #body: RequestBody;
  readonly #attempts: Pick<Attempts, 'up'>;
  readonly #record: ExchangeRecord;

  constructor(
    context: WorkerContext,
    request: RequestContext,
    body: RequestBody,
    attempts: Pick<Attempts, 'up'>,
    record: ExchangeRecord,
  ) {
    this.#context = context;
    this.#request = request;
    this.#incoming = request.reader.body;
    this.#body = body;
    this.#attempts = attempts;
    this.#record = record;
  }

  /** Before the answer to the request whose head was just read. */
  begin(): void {
    const { head } = this.#request;
    this.closes = !head.keepAlive || head.versionMinor === 0;
    this.status = 0;
    this.size = 0;
  }

  get writer(): SocketWriter {
    return this.#request.side.writer;
  }

  /** Of an interim answer; '' where the client does not understand them. */
  interimHead(head: ResponseHead): string {
    if (head.status === 100) this.#body.continued();
    return this.#request.head.versionMinor === 0 ? '' : interimHead(head);
  }

  /** Of an endpoint's final answer. From here on the request is not sent again. */
  finalHead(head: ResponseHead, framing: BodyFraming): string {
    const { head: request, decision, route, side } = this.#request;
    const { http2 } = side.downstream;
    if (!this.#incoming.done || this.#body.replay.length > 0) this.#body.replay.stop();
    if (http2) joinAnswer(this.#attempts.up!.socket, side.socket);
    this.status = head.status;
    const plain = request.versionMinor === 0;
    const chunked = framing === 'chunked';
    if (framing === 'close' || this.#lastOfDrain || (chunked && plain)) this.closes = true;
    // A stream of HTTP/2 has an end of its own.
    if (!this.#incoming.done && !this.mayDrain && !http2) this.closes = true;
    const { dateLine } = this.#context;
    return finalHead(head, request, route!, decision, this.closes, chunked && !plain, dateLine);
  }

  /** The worker drains, and no further request is here already that would be dropped after a `Connection: close`. */
  get #lastOfDrain(): boolean {
    return this.#context.draining && !(this.#incoming.done && this.#request.side.moreWaits);
  }

  /** Whether so little of the request's body is to come that it can be read for nothing, and certainly comes. */
  get mayDrain(): boolean {
    return this.#incoming.rest <= DRAIN_LIMIT && !this.#body.withheld && !this.#request.side.downstream.http2;
  }

  /** Answers with an error. `bodyStopped`: the rest of the request's body is not to be waited for. True: the connection ends for that. */
  error(code: ErrorCode, bodyStopped: boolean): boolean {
    const { status } = ERROR_RESPONSES[code];
    const incomplete = !this.#incoming.done && (bodyStopped || !this.mayDrain);
    if (this.#lastOfDrain) this.closes = true;
    const closes = this.closes || incomplete;
    this.#record.errorType = code;
    this.#write(status, errorResponse(code, closes, this.#headOnly, this.#context.dateLine));
    if (status >= 500) warnOfFailure(this.#context, this.#request, code, status);
    return incomplete;
  }

  /** Answers a request whose body can't be read; the connection ends. */
  refusal(refusal: ProtocolError): void {
    this.#record.errorType = refusal.code;
    this.#write(refusal.status, refusalResponse(refusal, this.#headOnly, this.#context.dateLine));
  }

  /** Answers OPTIONS that ends here. True: the connection ends with it. */
  options(): boolean {
    const closes = this.closes || !this.#incoming.done;
    this.#write(204, optionsResponse(closes, this.#context.dateLine));
    return closes;
  }

  get #headOnly(): boolean {
    return this.#request.head.method === 'HEAD';
  }

  #write(status: number, text: string): void {
    this.status = status;
    this.size = text.length - text.indexOf('\r\n\r\n') - 4;
    this.writer.write(text);
  }
}
