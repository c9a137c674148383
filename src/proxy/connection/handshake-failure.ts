/**
 * Why a TLS handshake with a client failed, as a short list that metrics can count: whoever scans the port must not be able to
 * make a series or a log line of his own.
 */

/** By index: the slots in which workers count them. */
export const HANDSHAKE_FAILURES = [
  'timeout',
  'displaced',
  'closed',
  'plain_http',
  'not_tls',
  'version',
  'cipher',
  'protocol',
  'server_name',
  'client_certificate',
  'client_alert',
  'other',
] as const;
export type HandshakeFailure = (typeof HANDSHAKE_FAILURES)[number];

/** `code` is that of Node.js's error; `strict` says that there is no certificate for names that none has. */
export function handshakeFailure(code: string, strict: boolean): HandshakeFailure {
  switch (code) {
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ECONNABORTED':
      return 'closed';
    case 'ERR_SSL_HTTP_REQUEST':
      return 'plain_http';
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return 'not_tls';
    case 'ERR_SSL_UNSUPPORTED_PROTOCOL':
    case 'ERR_SSL_VERSION_TOO_LOW':
      return 'version';
    case 'ERR_SSL_NO_APPLICATION_PROTOCOL':
      return 'protocol';
    case 'ERR_SSL_NO_SHARED_CIPHER':
    case 'ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM':
      // Without a certificate no cipher can be agreed on: that is how OpenSSL puts it.
      return strict ? 'server_name' : 'cipher';
    case 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE':
      return 'client_certificate';
  }
  return code.includes('_ALERT_') ? 'client_alert' : 'other';
}
