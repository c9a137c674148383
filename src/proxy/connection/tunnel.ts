/**
 * A tunnel: after an upgrade, bytes go both ways unread, each direction at the pace of its reader, each with its own end.
 *
 * It holds the endpoint's connection; whose it was hears when bytes move and when the tunnel is over, and nothing else of it.
 */
import type { UpstreamConnection, UpstreamHandler } from '../../upstream/connection.ts';
import type { SocketWriter } from '../../net/socket-writer.ts';

export interface TunnelOwner {
  /** Bytes moved, for the idle timeout. */
  tunnelMoved(): void;
  /** `inOrder`: both sides said that they were done, so what is still on its way arrives. Called once. */
  tunnelOver(inOrder: boolean): void;
}

export class Tunnel implements UpstreamHandler {
  readonly #client: SocketWriter;
  readonly #upstream: SocketWriter;
  readonly #owner: TunnelOwner;
  #clientEnded = false;
  #upstreamEnded = false;

  constructor(client: SocketWriter, upstream: UpstreamConnection, owner: TunnelOwner) {
    this.#client = client;
    this.#upstream = upstream.writer;
    this.#owner = owner;
    upstream.handler = this;
    owner.tunnelMoved();
  }

  fromClient(bytes: Buffer, start: number, end: number): void {
    this.#owner.tunnelMoved();
    this.#upstream.writeBytes(bytes, start, end);
  }

  upstreamBytes(bytes: Buffer, start: number, end: number): void {
    this.#owner.tunnelMoved();
    this.#client.writeBytes(bytes, start, end);
  }

  upstreamConnected(): void {
    // It was before.
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

  /** The client finished sending. */
  clientEnded(): void {
    this.#clientEnded = true;
    this.#upstream.flush();
    this.#upstream.socket.end();
    if (this.#upstreamEnded) this.#owner.tunnelOver(true);
  }

  /** The endpoint finished sending. */
  upstreamEnded(): void {
    this.#upstreamEnded = true;
    this.#client.flush();
    this.#client.socket.end();
    if (this.#clientEnded) this.#owner.tunnelOver(true);
  }

  upstreamClosed(): void {
    this.#owner.tunnelOver(false);
  }
}
