/**
 * A tunnel: after an upgrade, bytes go both ways unread, each direction at the pace of its reader, each with its own end.
 */
import type { Wire } from '../upstream/wire.ts';

export class Tunnel {
  readonly #client: Wire;
  readonly #upstream: Wire;
  readonly #active: () => void;
  #clientEnded = false;
  #upstreamEnded = false;

  /** `active` is called whenever bytes move, for the idle timeout. */
  constructor(client: Wire, upstream: Wire, active: () => void) {
    this.#client = client;
    this.#upstream = upstream;
    this.#active = active;
    active();
  }

  fromClient(bytes: Buffer, start: number, end: number): void {
    this.#active();
    this.#upstream.writeBytes(bytes, start, end);
  }

  fromUpstream(bytes: Buffer, start: number, end: number): void {
    this.#active();
    this.#client.writeBytes(bytes, start, end);
  }

  upstreamStalled(): void {
    this.#client.socket.pause();
  }

  clientStalled(): void {
    this.#upstream.socket.pause();
  }

  upstreamDrained(): void {
    this.#client.socket.resume();
  }

  clientDrained(): void {
    this.#upstream.socket.resume();
  }

  /** The client finished sending. True when both sides have. */
  clientEnded(): boolean {
    this.#clientEnded = true;
    this.#upstream.flush();
    this.#upstream.socket.end();
    return this.#upstreamEnded;
  }

  /** The endpoint finished sending. True when both sides have. */
  upstreamEnded(): boolean {
    this.#upstreamEnded = true;
    this.#client.flush();
    this.#client.socket.end();
    return this.#clientEnded;
  }
}
