/**
 * The pace of an exchange: which side holds the other up, and who is waited for until when.
 *
 * It promises that neither side is read faster than the other one takes, and that whoever holds an exchange up has a deadline, which
 * `exchange-timeouts.ts` knows.
 */
import type { BodyReader } from '../../http1/body-reader.ts';
import type { ResponseReader } from '../../http1/response-reader.ts';
import type { ServiceSettings } from '../../contract/snapshot.ts';
import type { SlowClient } from '../../telemetry/counters.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { Attempts } from './attempts.ts';
import { ExchangeTimeouts } from './exchange-timeouts.ts';
import type { RequestContext } from './request-context.ts';
import { LONG_BODY } from './response-relay.ts';

export class ExchangePace {
  /** The client reads its answer slowly: nothing more is read for it. */
  clientBlocked = false;
  /** The endpoint reads the body slowly: taking more would only fill memory. */
  endpointBlocked = false;
  readonly #timeouts: ExchangeTimeouts;
  readonly #request: RequestContext;
  readonly #body: BodyReader;
  readonly #attempts: Attempts;
  readonly #answer: ResponseReader;

  constructor(context: WorkerContext, request: RequestContext, attempts: Attempts, answer: ResponseReader) {
    this.#timeouts = new ExchangeTimeouts(context, request);
    this.#request = request;
    this.#body = request.reader.body;
    this.#attempts = attempts;
    this.#answer = answer;
  }

  /** Before the next request. */
  begin(): void {
    this.clientBlocked = false;
    this.endpointBlocked = false;
  }

  /** The request is being sent to an endpoint, at `now`. */
  sending(settings: ServiceSettings, now: number): void {
    this.endpointBlocked = false;
    this.#timeouts.begin(this.#request.head, settings, this.#body.done, now);
  }

  /** `used` bytes of the body went to the endpoint. A long body is read into a buffer of its own. */
  sent(used: number): void {
    const { done } = this.#body;
    const { writer } = this.#request.side;
    if (done) writer.readShort(this.#attempts.up!.writer.blocked);
    else if (used > LONG_BODY) writer.readLong();
    if (this.#request.phase === 'answering') {
      if (!this.clientBlocked) this.#timeouts.stillAsked(done, used);
    } else if (done) this.#attempts.sent(this.#timeouts.forHead(true));
    else this.#timeouts.forBody(used);
  }

  /** The endpoint takes no more for now. */
  endpointStalled(): void {
    if (this.#body.done) return;
    if (!this.endpointBlocked && !this.clientBlocked)
      this.#timeouts.endpointStalled(this.#request.phase === 'answering');
    this.endpointBlocked = true;
    this.#request.side.pauseReading();
  }

  /** The endpoint takes more again. */
  endpointDrained(): void {
    if (!this.endpointBlocked) return;
    this.endpointBlocked = false;
    if (!this.clientBlocked) this.#timeouts.endpointDrained();
  }

  /** The client has the head of the answer, and more is to come. `withheld`: perhaps nothing more of the body comes. */
  answerBegins(withheld: boolean): void {
    if (!this.clientBlocked) this.#timeouts.forMore(this.#body.done || withheld, this.endpointBlocked);
  }

  /** More of the answer came. */
  answerGoesOn(): void {
    if (!this.#body.done && !this.endpointBlocked && !this.clientBlocked) this.#timeouts.forMore(false);
  }

  /** What was written for the client has not left. Only what an endpoint sends can be held up. */
  clientStalled(): void {
    const { phase } = this.#request;
    const answered = this.#answer.begun && (phase === 'waiting' || phase === 'answering');
    if (this.clientBlocked || !answered) return;
    this.clientBlocked = true;
    this.#attempts.up?.socket.pause();
    this.#timeouts.forReader();
  }

  clientDrained(): void {
    if (!this.clientBlocked) return;
    this.clientBlocked = false;
    if (this.#request.phase === 'idle') return;
    this.#timeouts.forMore(this.#body.done, this.endpointBlocked);
    this.#attempts.up?.socket.resume();
  }

  /** The time for the answer to begin is up: whether that is the endpoint's fault. A body that does not go on is the client's. */
  get endpointLate(): boolean {
    return this.#body.done || this.endpointBlocked || this.#timeouts.call;
  }

  /** What the client, whose time is up, did wrong; null where it read enough of its answer: it has more time. */
  slowClient(now: number): SlowClient | null {
    return this.clientBlocked ? this.#timeouts.slowReader() : this.#timeouts.slowSender(now);
  }
}
