/**
 * The metrics of how connections come in: TLS handshakes, PROXY headers, and the certificates in use.
 */
import { WORKER_SLOT } from './worker-counters.ts';
import type { MetricFamily, Sample } from './metric-family.ts';
import { sumSlot, type ProcessReading } from './process-metrics.ts';

type Family = MetricFamily<ProcessReading>;

export const TLS_METRICS: readonly Family[] = [
  {
    name: 'serin_tls_handshakes_total',
    help: 'TLS handshakes with clients that succeeded; resumed: by a session of an earlier one.',
    type: 'counter',
    labels: ['resumed'],
    collect: ({ workers }) => {
      const resumed = sumSlot(workers, WORKER_SLOT.handshakesResumed);
      const all = sumSlot(workers, WORKER_SLOT.handshakes);
      return [
        { labels: { resumed: 'no' }, value: Math.max(0, all - resumed) },
        { labels: { resumed: 'yes' }, value: resumed },
      ];
    },
  },
  reasons(
    'serin_tls_handshake_failures_total',
    'TLS handshakes with clients that failed, by reason.',
    ({ source }) => source.handshakeFailures,
    WORKER_SLOT.handshakesFailed,
  ),
  reasons(
    'serin_proxy_headers_refused_total',
    'Connections closed for their PROXY header, by reason.',
    ({ source }) => source.proxyHeaderFaults,
    WORKER_SLOT.proxyHeadersRefused,
  ),
  {
    name: 'serin_connections_arriving',
    help: 'Connections that still owe a PROXY header or a TLS handshake.',
    type: 'gauge',
    labels: [],
    collect: ({ workers }) => [{ labels: {}, value: sumSlot(workers, WORKER_SLOT.pendingHandshakes) }],
  },
  {
    name: 'serin_certificate_expiry_timestamp_seconds',
    help: 'When a certificate in use expires, in seconds since 1970; of a file with several, the first to expire.',
    type: 'gauge',
    labels: ['file'],
    collect: ({ source }) =>
      source.certificates().map(({ file, expires }) => ({ labels: { file }, value: expires / 1000 })),
  },
  {
    name: 'serin_certificate_stale',
    help: '1 while the files of a certificate in use hold something else that can not be used.',
    type: 'gauge',
    labels: ['file'],
    collect: ({ source }) =>
      source.certificates().map(({ file, stale }) => ({ labels: { file }, value: Number(stale) })),
  },
  {
    name: 'serin_certificate_reloads_total',
    help: 'Changed files of certificates that were read, by result.',
    type: 'counter',
    labels: ['result'],
    collect: ({ source: { control } }) => [
      { labels: { result: 'success' }, value: control.certificateReloads },
      { labels: { result: 'failure' }, value: control.failedCertificateReloads },
    ],
  },
];

function reasons(
  name: string,
  help: string,
  names: (reading: ProcessReading) => readonly string[],
  slot: number,
): Family {
  return {
    name,
    help,
    type: 'counter',
    labels: ['reason'],
    collect: (reading) =>
      names(reading).map((reason, index): Sample => ({
        labels: { reason },
        value: sumSlot(reading.workers, slot + index),
      })),
  };
}
