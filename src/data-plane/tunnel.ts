/**
 * A tunnel: after an upgrade, bytes go both ways unread, each direction at the pace of its reader, each with its own end.
 *
 * Bytes from the endpoint lie in a buffer shared by all connections and are copied before they are written.
 */
import type { Socket } from 'node:net';

export class Tunnel {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #active: () => void;
  #clientEnded = false;
  #upstreamEnded = false;

  /** `active` is called whenever bytes move, for the idle timeout. */
  constructor(client: Socket, upstream: Socket, active: () => void) {
    this.#client = client;
    this.#upstream = upstream;
    this.#active = active;
    active();
  }

  fromClient(chunk: Buffer): void {
    this.#active();
    if (!this.#upstream.write(chunk)) this.#client.pause();
  }

  fromUpstream(bytes: Buffer, start: number, end: number): void {
    this.#active();
    const copy = Buffer.allocUnsafeSlow(end - start);
    bytes.copy(copy, 0, start, end);
    if (!this.#client.write(copy)) this.#upstream.pause();
  }

  upstreamDrained(): void {
    this.#client.resume();
  }

  clientDrained(): void {
    this.#upstream.resume();
  }

  /** The client finished sending. True when both sides have. */
  clientEnded(): boolean {
    this.#clientEnded = true;
    this.#upstream.end();
    return this.#upstreamEnded;
  }

  /** The endpoint finished sending. True when both sides have. */
  upstreamEnded(): boolean {
    this.#upstreamEnded = true;
    this.#client.end();
    return this.#clientEnded;
  }
}
