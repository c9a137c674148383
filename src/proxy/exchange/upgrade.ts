/**
 * An exchange that became a tunnel: its counts, its idle time, and its end, which is told once.
 */
import { Tunnel, type TunnelOwner } from '../connection/tunnel.ts';
import type { WorkerContext } from '../worker-context.ts';
import { upgradedHead } from './answer-head.ts';
import type { Attempts } from './attempts.ts';
import type { RequestContext } from './request-context.ts';
import type { ResponseHead } from '../../http1/response-head.ts';

export class Upgrade implements TunnelOwner {
  readonly #context: WorkerContext;
  readonly #request: RequestContext;
  readonly #attempts: Attempts;
  readonly #over: (now: number) => void;

  /** `over` is called with the clock's value (ms) when the tunnel has ended. */
  constructor(
    context: WorkerContext,
    request: RequestContext,
    attempts: Attempts,
    over: (now: number) => void,
  ) {
    this.#context = context;
    this.#request = request;
    this.#attempts = attempts;
    this.#over = over;
  }

  /** The endpoint switched protocols; `bytes[start..end)` are the tunnel's first. */
  open(head: ResponseHead, bytes: Buffer, start: number, end: number): void {
    const { side, route } = this.#request;
    side.writer.write(upgradedHead(head));
    this.#context.counters.tunnelOpened();
    route!.counters.tunnelOpened();
    const tunnel = new Tunnel(side.writer, this.#attempts.up!, this);
    if (start < end) tunnel.upstreamBytes(bytes, start, end);
    side.startTunnel(tunnel);
  }

  tunnelMoved(): void {
    this.#request.side.setDeadline(
      this.#context.monotonicNow() + this.#request.route!.settings.tunnelIdleTimeout,
    );
  }

  tunnelOver(inOrder: boolean): void {
    this.close(inOrder);
    this.#request.side.advance();
  }

  /** Ends the tunnel. `inOrder`: what is still on its way to the endpoint arrives. */
  close(inOrder: boolean): void {
    this.#context.counters.tunnelClosed();
    this.#request.route!.counters.tunnelClosed();
    const { up } = this.#attempts;
    // The life of a tunnel is no latency.
    this.#attempts.end('ok', false);
    this.#attempts.up = null;
    if (inOrder) up?.destroyWhenSent();
    else up?.destroy();
    this.#over(this.#context.monotonicNow());
  }
}
