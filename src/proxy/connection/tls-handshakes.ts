/**
 * TLS handshakes with clients: from an accepted TCP connection to a socket that carries application bytes.
 *
 * Promise: each handshake ends in one call, `secured` or `failed`, but for those that the caller cuts itself. What a handshake
 * in progress costs and how long it may take is bounded by the caller (`pending-handshakes.ts`).
 *
 * A session is resumed only for the server name that it was made for (RFC 6066, 3): OpenSSL looks at a ticket before it looks at the name,
 * so each name has keys of its own for tickets, and the name is read ahead of OpenSSL.
 */
import { guarded, soon } from '../../runtime/guard.ts';
import { constants, createHmac } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { LRUCache } from 'lru-cache';
import { namedServer } from './client-hello.ts';
import { handshakeFailure, type HandshakeFailure } from './handshake-failure.ts';
import type { ServerTls } from './server-tls.ts';
import { tcpBeneath } from '../../net/underlying-socket.ts';

/** What is offered in the handshake (ALPN). Clients that ask for others alone are refused, those that ask for none are taken. */
const PROTOCOLS = ['http/1.1'];
const PROTOCOLS_WITH_HTTP2 = ['h2', 'http/1.1'];

/** The caller's own bound is tighter; this one only keeps Node.js's from being. In ms. */
const HANDSHAKE_BACKSTOP = 600_000;

/** As many server names have what it takes to resume their sessions; the least recently used go first. */
const MOST_SERVERS = 1000;

/** Takes bytes of a connection: the first `length` bytes of `bytes`, valid only during the call. */
type Receive = (bytes: Buffer, length: number) => void;

export interface HandshakeResult {
  /** `protocol` is the one agreed on, `http/1.1` where the client asked for none. `tcp` is what `begin` was given. */
  secured(tcp: Socket, socket: TLSSocket, protocol: string): void;
  failed(tcp: Socket, why: HandshakeFailure): void;
}

export interface Handshakes {
  /**
   * `tcp` must not half-open (`allowHalfOpen`) and not be flowing. Where its bytes do not come out of it as of a stream, `rest` has the
   * first of them, and the others are given to what is returned; null otherwise. `http2`: it is offered.
   */
  begin(tcp: Socket, rest: Buffer | null, tls: ServerTls, http2: boolean): Receive;
  useTicketKeys(ticketKeys: Uint8Array): void;
}

/** `ticketKeys`: 48 bytes that all workers share, so that each resumes the sessions of all. */
export function createHandshakes(initialKeys: Uint8Array, result: HandshakeResult): Handshakes {
  let ticketKeys = initialKeys;
  let current: { readonly tls: ServerTls; readonly http2: boolean } | null = null;
  /** By server name; null is for those that no certificate has, whose sessions are not resumed: there is no end of such names. */
  const servers = new LRUCache<string, Server>({ max: MOST_SERVERS });

  function serverFor(tls: ServerTls, http2: boolean, name: string | null): Server {
    // They never listen: they are given connections. Those that a former one has secured live on without it.
    if (current?.tls !== tls || current.http2 !== http2) {
      current = { tls, http2 };
      servers.clear();
    }
    const known = name !== null && (name === '' || tls.context(name) !== undefined);
    const key = known ? `=${name}` : '';
    let server = servers.get(key);
    if (server === undefined) {
      server = makeServer(tls, http2, known ? keysFor(ticketKeys, name) : null, result);
      servers.set(key, server);
    }
    return server;
  }

  return {
    begin: (tcp, rest, tls, http2) =>
      readAhead(tcp, rest, result, (name) => void serverFor(tls, http2, name).emit('connection', tcp)),
    useTicketKeys(keys) {
      ticketKeys = keys;
      servers.clear();
    },
  };
}

/** A name, a key for HMAC and one for AES, 16 bytes each. */
function keysFor(ticketKeys: Uint8Array, name: string): Buffer {
  return createHmac('sha384', ticketKeys).update(name).digest();
}

/**
 * Reads the server name that the client asks for and puts what it read back; then calls `begin`, or `failed` when the client is gone.
 * Where `rest` is given, it comes first, and what follows it is to be given to what is returned; otherwise it reads by itself.
 */
function readAhead(
  tcp: Socket,
  rest: Buffer | null,
  result: HandshakeResult,
  begin: (name: string | null) => void,
): Receive {
  let bytes: Buffer | null = null;
  const stop = (): void => {
    tcp.off('readable', read);
    tcp.off('end', ended);
    tcp.off('close', ended);
  };
  const ended = (): void => {
    stop();
    tcp.destroy();
    result.failed(tcp, 'closed');
  };
  const take = (chunk: Buffer): void => {
    bytes = bytes === null ? chunk : Buffer.concat([bytes, chunk]);
    const named = namedServer(bytes);
    if (named.more) return;
    stop();
    if (rest !== null) tcp.pause();
    tcp.unshift(bytes);
    // Not now: TLS takes over the reading of the very handle whose read is being handled.
    soon(
      guarded('a handshake', () => {
        if (tcp.destroyed) result.failed(tcp, 'closed');
        else begin(named.name);
      }),
    );
  };
  const read = (): void => {
    const chunk = tcp.read() as Buffer | null;
    if (chunk !== null) take(chunk);
  };
  tcp.on('end', ended);
  tcp.on('close', ended);
  if (rest === null) tcp.on('readable', read);
  else if (rest.length > 0) take(rest);
  // The buffer is used again.
  return (shared, length) => take(Buffer.from(shared.subarray(0, length)));
}

/** `ticketKeys`: null where no session is to be resumed. */
function makeServer(
  tls: ServerTls,
  http2: boolean,
  ticketKeys: Buffer | null,
  result: HandshakeResult,
): Server {
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
    ...(ticketKeys === null
      ? { secureOptions: shared.secureOptions | constants.SSL_OP_NO_TICKET }
      : { ticketKeys }),
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
