/**
 * The listener's side of TLS as one snapshot wants it: certificates, versions, ciphers, and who may come in.
 *
 * A context is made when it is first needed, since a worker may know a thousand certificates and be asked for three. Those of a
 * certificate that has not changed are taken over from the former snapshot. Promise: nothing but AEAD ciphers with forward
 * secrecy, no renegotiation, no early data.
 */
import { constants, createHash } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { compileServerNames, type FindServerName } from './server-names.ts';
import type { Credential, ListenerTls } from '../../contract/snapshot.ts';

/** What Mozilla's "intermediate" list has of ciphers that go without Diffie-Hellman parameters. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** How long a session may be resumed, in seconds. */
const SESSION_TIME = 3600;

/** The options that all contexts of a listener share: for `tls.createServer` too. */
type SharedOptions = SecureContextOptions & {
  readonly sessionIdContext: string;
  readonly secureOptions: number;
};

export class ServerTls {
  readonly settings: ListenerTls;
  /** The credential for clients that ask for no name, or for one that no certificate has; null where they are refused. */
  readonly fallback: Credential | null;
  readonly shared: SharedOptions;
  readonly #find: FindServerName;
  /** By the credential's id. */
  readonly #contexts = new Map<string, SecureContext>();

  /** `previous` is asked for contexts that can be taken over. */
  constructor(settings: ListenerTls, previous: ServerTls | null) {
    const { certificates, strictServerNames, clientCa, minVersion } = settings;
    this.settings = settings;
    this.fallback = strictServerNames ? null : (certificates[0] ?? null);
    this.#find = compileServerNames(certificates.map(({ names }) => names));
    this.shared = {
      minVersion,
      ciphers: CIPHERS,
      // The client knows whether its hardware prefers AES.
      honorCipherOrder: false,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      sessionTimeout: SESSION_TIME,
      // Who was let in by another authority's word may not resume that session now.
      sessionIdContext: createHash('sha256').update(clientCa).digest('hex').slice(0, 32),
      ...(clientCa === '' ? {} : { ca: clientCa }),
    };
    if (previous === null || previous.shared.minVersion !== minVersion) return;
    if (previous.shared.sessionIdContext !== this.shared.sessionIdContext) return;
    for (const { id } of certificates) {
      const context = previous.#contexts.get(id);
      if (context !== undefined) this.#contexts.set(id, context);
    }
  }

  /** The context for a server name as a client sent it, or undefined when none of the certificates is for it. */
  context(serverName: string): SecureContext | undefined {
    const name = serverName.toLowerCase();
    const credential = this.settings.certificates[this.#find(name.endsWith('.') ? name.slice(0, -1) : name)];
    if (credential === undefined) return undefined;
    let context = this.#contexts.get(credential.id);
    if (context === undefined) {
      const { certificate: cert, key } = credential;
      context = createSecureContext({ ...this.shared, cert, key });
      this.#contexts.set(credential.id, context);
    }
    return context;
  }
}

/** `previous` itself when nothing has changed, so that whoever depends on it can tell. */
export function compileServerTls(settings: ListenerTls | null, previous: ServerTls | null): ServerTls | null {
  if (settings === null) return null;
  return previous !== null && alike(previous.settings, settings)
    ? previous
    : new ServerTls(settings, previous);
}

function alike(a: ListenerTls, b: ListenerTls): boolean {
  return (
    a.minVersion === b.minVersion &&
    a.strictServerNames === b.strictServerNames &&
    a.clientCa === b.clientCa &&
    a.certificates.length === b.certificates.length &&
    a.certificates.every(({ id }, index) => b.certificates[index]?.id === id)
  );
}
