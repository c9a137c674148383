import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handshakeFailure } from '../../../src/proxy/connection/handshake-failure.ts';

test('errors of OpenSSL and of the system come down to a short list', () => {
  for (const [code, why] of [
    ['ECONNRESET', 'closed'],
    ['EPIPE', 'closed'],
    ['ERR_SSL_HTTP_REQUEST', 'plain_http'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'not_tls'],
    ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'version'],
    ['ERR_SSL_NO_APPLICATION_PROTOCOL', 'protocol'],
    ['ERR_SSL_NO_SHARED_CIPHER', 'cipher'],
    ['ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', 'client_certificate'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'client_alert'],
    ['ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN', 'client_alert'],
    ['ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC', 'other'],
    ['', 'other'],
  ] as const)
    assert.equal(handshakeFailure(code, false), why, code);
  // Without a certificate no cipher can be agreed on.
  for (const code of ['ERR_SSL_NO_SHARED_CIPHER', 'ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM'])
    assert.equal(handshakeFailure(code, true), 'server_name');
});
