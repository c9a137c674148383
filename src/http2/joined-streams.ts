/**
 * What a client's stream and an endpoint's tell each other past the exchange between them, because HTTP/1.1 has no words for it: that
 * a body has a length and trailers too. Where one of the two is a connection of HTTP/1.1 there is nothing to tell.
 */
import type { Socket } from 'node:net';
import { ClientStream } from './client-stream.ts';
import { EndpointStream } from './endpoint-stream.ts';

/** Before the head of a request is written to `endpoint`. `allows` says by its lower-case name whether a trailer may pass. */
export function joinRequest(client: Socket, endpoint: Socket, allows: (name: string) => boolean): void {
  const to: unknown = endpoint;
  if (!(to instanceof EndpointStream)) return;
  const from: unknown = client;
  to.source = from instanceof ClientStream ? from : null;
  to.allowsTrailer = allows;
}

/** Before the head of an answer is written to `client`. */
export function joinAnswer(endpoint: Socket, client: Socket): void {
  const to: unknown = client;
  if (!(to instanceof ClientStream)) return;
  const from: unknown = endpoint;
  to.toDeclare = from instanceof EndpointStream ? from.declared : -1;
}
