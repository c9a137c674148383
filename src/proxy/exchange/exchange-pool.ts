/**
 * The exchanges of one worker: connections borrow one for each request and give it back, so that an idle connection holds none.
 *
 * An exchange is large, mostly for the arrays that heads are read into. It promises that a borrowed one is nobody else's, and that no
 * more than a bounded number wait for their next use.
 */
import type { HeadAccumulator } from '../../http1/head-accumulator.ts';
import type { ClientSide } from '../connection/client-side.ts';
import { Exchange } from './exchange.ts';
import type { WorkerContext } from '../worker-context.ts';

/** How many may wait: as many as come and go within a moment, not as many as a rush ever needed. */
const MOST_WAITING = 256;

/** What client connections share: a worker's context, and its exchanges. */
export interface ConnectionContext extends WorkerContext {
  readonly exchanges: ExchangePool;
}

export class ExchangePool {
  /** Stands in where no request runs: never active, and never begun. */
  readonly none: Exchange;
  readonly #context: WorkerContext;
  readonly #waiting: Exchange[] = [];

  constructor(context: WorkerContext) {
    this.#context = context;
    this.none = new Exchange(context);
  }

  /** `pieces`: what `side` has collected of its next head. */
  borrow(side: ClientSide, pieces: HeadAccumulator): Exchange {
    const exchange = this.#waiting.pop() ?? new Exchange(this.#context);
    exchange.request.side = side;
    exchange.request.reader.lend(pieces);
    return exchange;
  }

  /** Takes back one that is not active. Nobody may call it any more. */
  giveBack(exchange: Exchange): void {
    exchange.ending = null;
    if (this.#waiting.length < MOST_WAITING) this.#waiting.push(exchange);
  }
}
