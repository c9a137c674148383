/** What tests of TLS share: certificate files that a proxy reads, and the part of its configuration that names them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { once } from 'node:events';
import { connect, type ConnectionOptions } from 'node:tls';
import { within } from './bounded.ts';
import type { Issued } from './certificates.ts';
import type { Origin } from './origin.ts';
import { freePort } from './ports.ts';
import { startSerin, type Serin } from './serin.ts';

export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Writes a certificate and its key to `NAME.crt` and `NAME.key`, in the order in which tools do: one after the other. */
export async function writeCertificate(
  directory: string,
  name: string,
  { certificate, key }: Issued,
): Promise<CertificateFiles> {
  await mkdir(directory, { recursive: true });
  const files = { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
  await writeFile(files.certificate, certificate);
  await writeFile(files.key, key);
  return files;
}

export interface Secured {
  readonly serin: Serin;
  /** The TLS port. */
  readonly port: number;
}

/** A proxy in front of `origin` with a TLS port; `tls` and `proxy` are more of the configuration there. */
export async function startSecureSerin(
  origin: Origin,
  tls: object,
  proxy: object = {},
  workers = 1,
): Promise<Secured> {
  const port = await freePort();
  const serin = await startSerin({
    services: { notes: { hosts: ['*'], stable: { endpoints: [origin.endpoint] } } },
    configuration: { proxy: { tls: { listen: `127.0.0.1:${port}`, ...tls }, ...proxy } },
    workers,
  });
  return { serin, port };
}

/** The common name of the certificate that a client gets, or the code of the error. */
export async function shown(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, ...options });
  try {
    await within(once(socket, 'secureConnect'), 'a TLS handshake');
    return String(socket.getPeerCertificate().subject['CN']);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'no code';
  } finally {
    socket.destroy();
  }
}
