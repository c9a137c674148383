/**
 * TLS handshakes with clients: from an accepted TCP connection to a socket that carries application bytes.
 *
 * Promise: each handshake ends in one call, `secured` or `failed`, but for those that the caller cuts itself. What a handshake
 * in progress costs and how long it may take is bounded by the caller (`newcomers.ts`).
 */
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { handshakeFailure, type HandshakeFailure } from './handshake-failure.ts';
import type { ServerTls } from './server-tls.ts';
import { tcpBeneath } from './tcp-beneath.ts';

/** What is offered in the handshake (ALPN). Clients that ask for others alone are refused, those that ask for none are taken. */
const PROTOCOLS = ['http/1.1'];
const PROTOCOLS_WITH_HTTP2 = ['h2', 'http/1.1'];

/** The caller's own bound is tighter; this one only keeps Node.js's from being. In ms. */
const HANDSHAKE_BACKSTOP = 600_000;

export interface HandshakeResult {
  /** `protocol` is the one agreed on, `http/1.1` where the client asked for none. `tcp` is what `begin` was given. */
  secured(tcp: Socket, socket: TLSSocket, protocol: string): void;
  failed(tcp: Socket, why: HandshakeFailure): void;
}

export interface Handshakes {
  /** `tcp` must not half-open (`allowHalfOpen`) and not be flowing; what it has buffered is read first. `http2`: it is offered. */
  begin(tcp: Socket, tls: ServerTls, http2: boolean): void;
  useTicketKeys(ticketKeys: Uint8Array): void;
}

/** `ticketKeys`: 48 bytes that all workers share, so that each resumes the sessions of all. */
export function createHandshakes(initialKeys: Uint8Array, result: HandshakeResult): Handshakes {
  let ticketKeys = initialKeys;
  let current: { readonly tls: ServerTls; readonly http2: boolean; readonly server: Server } | null = null;
  const serverFor = (tls: ServerTls, http2: boolean): Server => {
    // It never listens: it is given connections. Those that a former one has secured live on without it.
    if (current?.tls !== tls || current.http2 !== http2)
      current = { tls, http2, server: makeServer(tls, http2, ticketKeys, result) };
    return current.server;
  };
  return {
    begin: (tcp, tls, http2) => void serverFor(tls, http2).emit('connection', tcp),
    useTicketKeys(keys) {
      ticketKeys = keys;
      current?.server.setTicketKeys(Buffer.from(keys));
    },
  };
}

function makeServer(tls: ServerTls, http2: boolean, ticketKeys: Uint8Array, result: HandshakeResult): Server {
  const { fallback, shared, settings } = tls;
  const server = createServer({
    ...shared,
    ...(fallback === null ? {} : { cert: fallback.certificate, key: fallback.key }),
    ALPNProtocols: http2 ? PROTOCOLS_WITH_HTTP2 : PROTOCOLS,
    SNICallback: (name, done) => {
      let context;
      try {
        context = tls.context(name);
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
        return;
      }
      done(null, context);
    },
    requestCert: settings.clientCa !== '',
    rejectUnauthorized: true,
    ticketKeys: Buffer.from(ticketKeys),
    handshakeTimeout: HANDSHAKE_BACKSTOP,
  });
  server.on('secureConnection', (socket) => {
    // Until here the end of the client's bytes was the end; from here on HTTP decides.
    socket.allowHalfOpen = true;
    const { alpnProtocol } = socket;
    result.secured(tcpBeneath(socket), socket, typeof alpnProtocol === 'string' ? alpnProtocol : 'http/1.1');
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    const refused = Boolean(socket.authorizationError);
    const why = refused
      ? 'client_certificate'
      : handshakeFailure(error.code ?? '', settings.strictServerNames);
    const tcp = tcpBeneath(socket);
    socket.destroy();
    result.failed(tcp, why);
  });
  return server;
}
