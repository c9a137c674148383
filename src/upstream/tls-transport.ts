/**
 * TLS to the endpoints of a variant.
 *
 * Promise: bytes are written only after the endpoint has shown a certificate for the right name that a believed authority
 * signed (unless the operator took that risk); a failed handshake is never followed by an unencrypted attempt. Sessions are kept by endpoint, and
 * resumed only where they were verified.
 */
import { isIP, type NetConnectOpts, type Socket } from 'node:net';
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  type ConnectionOptions,
  type SecureContext,
} from 'node:tls';
import { readBuffer } from '../net/read-buffer.ts';
import { lookup, type Transport } from './transport.ts';

export interface TlsOptions {
  /** Asked for, and looked for in the endpoint's certificate; `''`: the endpoint's own host. */
  readonly serverName: string;
  readonly verify: boolean;
  readonly credential: {
    /** Differs whenever the contents do. */
    readonly id: string;
    /** PEM text; `''` where there is none. */
    readonly certificate: string;
    readonly key: string;
    /** `''`: the authorities that Node.js knows. */
    readonly ca: string;
  };
}

/** What is offered in the handshake (ALPN). An endpoint that can't choose is taken to speak it. */
const PROTOCOLS = ['http/1.1'];

/** How many endpoints' sessions are kept. */
const MOST_SESSIONS = 4096;

export function tlsTransport(options: TlsOptions): Transport {
  const { serverName, verify, credential } = options;
  let context: SecureContext | null = null;
  /** The newest session with each endpoint. */
  const sessions = new Map<string, Buffer>();
  return {
    id: JSON.stringify(['tls', serverName, verify, credential.id]),
    open(destination, ready, receive): Socket {
      const { host, port } = destination;
      const place = `${host} ${port}`;
      const session = sessions.get(place);
      const settings: ConnectionOptions & NetConnectOpts = {
        host,
        port,
        noDelay: true,
        allowHalfOpen: true,
        lookup,
        ...connectionOptions(options, host, (context ??= makeContext(credential))),
        ...(session === undefined ? {} : { session }),
        onread: {
          buffer: readBuffer,
          callback: (length: number): boolean => {
            receive(readBuffer, length);
            return true;
          },
        },
      };
      const socket = connect(settings);
      socket.once('secureConnect', ready);
      socket.on('session', (newest: Buffer) => {
        if (sessions.size >= MOST_SESSIONS && !sessions.has(place)) sessions.clear();
        sessions.set(place, newest);
      });
      // A session that the endpoint does not like must not make the next attempt fail as well.
      socket.once('error', () => {
        if (sessions.get(place) === session) sessions.delete(place);
      });
      return socket;
    },
  };
}

/** What both requests and health checks ask of an endpoint. */
export function connectionOptions(
  { serverName, verify, credential }: TlsOptions,
  host: string,
  secureContext = makeContext(credential),
): Pick<
  ConnectionOptions,
  'secureContext' | 'servername' | 'checkServerIdentity' | 'rejectUnauthorized' | 'ALPNProtocols'
> {
  const name = serverName === '' ? host : serverName;
  return {
    secureContext,
    // RFC 6066 has no place for addresses.
    servername: isIP(name) === 0 ? name : '',
    checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
    rejectUnauthorized: verify,
    ALPNProtocols: PROTOCOLS,
  };
}

function makeContext({ certificate, key, ca }: TlsOptions['credential']): SecureContext {
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ...(certificate === '' ? {} : { cert: certificate, key }),
    ...(ca === '' ? {} : { ca }),
  });
}
