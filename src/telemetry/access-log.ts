/**
 * The access log: one JSON line per request, for a share of the requests or for all.
 *
 * It never delays a request: a line that the destination cannot take in time is dropped and counted. It never holds a
 * cookie, an authorisation or any other header but the user agent; query strings are left out unless asked for, because
 * applications put secrets there. Names are OpenTelemetry's where it has one, `serin.…` otherwise.
 */
import type { WorkerCounters } from './worker-counters.ts';
import type { LineWriter } from './line-writer.ts';

/** What there is to say about one request; `''` leaves a field out. Strings come as they were on the wire (latin1). */
export interface AccessRecord {
  /** Wall clock at the request's first byte, in ms since 1970. */
  readonly time: number;
  readonly durationSeconds: number;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
  /** The Host field. */
  readonly host: string;
  /** Of HTTP, as the client spoke it. */
  readonly version: '1.0' | '1.1' | '2';
  /** As sent to the client; 0 where no answer was. */
  readonly status: number;
  /** Of the client, as trusted proxies tell it. */
  readonly clientAddress: string;
  readonly userAgent: string;
  readonly requestId: string;
  readonly service: string;
  readonly variant: string;
  readonly reason: string;
  readonly rule: string;
  /** The service's revision that decided; -1 leaves the field out. */
  readonly revision: number;
  /** `host:port` of the endpoint that answered. */
  readonly endpoint: string;
  /** Bytes of the bodies; -1 leaves the field out. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** A code of refusal or an outcome of the upstream attempt; `''` where all went well. */
  readonly errorType: string;
}

export interface AccessLog {
  /** Whether this request is to be logged. Asked once per request, so that nothing is gathered for the others. */
  wanted(): boolean;
  record(entry: AccessRecord): void;
  /** Calls back when all records are out or dropped. */
  flush(done: () => void): void;
}

export interface AccessLogOptions {
  readonly mode: 'sampled' | 'on';
  /** Share of the requests that `sampled` logs, 0 to 1. */
  readonly share: number;
  readonly includeQuery: boolean;
  /** Tells the lines of several workers apart. */
  readonly worker: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

// With these a record fits into one write to a pipe that is not torn apart, whatever the client sends.
const LONGEST_PATH = 1024;
const LONGEST_QUERY = 512;
const LONGEST_OTHER = 256;

/**
 * An access log that writes to `writer` and counts in `counters`. Give the writer `onDropped: (lines) =>
 * counters.logDropped(lines)`, so that what it drops is counted too. For `off` make none.
 */
export function createAccessLog(
  options: AccessLogOptions,
  writer: Pick<LineWriter, 'write' | 'flush'>,
  counters: WorkerCounters,
): AccessLog {
  const { mode, share, random, includeQuery } = options;
  // The part that is the same in every line.
  const head = `{"level":"info","service.name":"serin","serin.worker":${options.worker},"event.name":"http.access","time":"`;
  return {
    wanted: mode === 'on' ? () => true : () => random() < share,
    record: (entry) => {
      if (writer.write(head + accessLine(entry, includeQuery))) counters.logWritten();
    },
    flush: (done) => {
      writer.flush(done);
    },
  };
}

function accessLine(entry: AccessRecord, includeQuery: boolean): string {
  let line =
    `${new Date(entry.time).toISOString()}","http.request.method":${text(entry.method, LONGEST_OTHER)}` +
    `,"url.path":${text(entry.path, LONGEST_PATH)}`;
  if (includeQuery && entry.query !== '') line += `,"url.query":${text(entry.query, LONGEST_QUERY)}`;
  line += `,"network.protocol.version":"${entry.version}"`;
  if (entry.status > 0) line += `,"http.response.status_code":${entry.status}`;
  // Whole microseconds: digits beyond that are noise.
  line += `,"serin.duration":${Math.round(entry.durationSeconds * 1e6) / 1e6}`;
  line += optional('server.address', entry.host);
  line += optional('client.address', entry.clientAddress);
  line += optional('user_agent.original', entry.userAgent);
  line += optional('serin.request_id', entry.requestId);
  line += optional('serin.service', entry.service);
  line += optional('serin.variant', entry.variant);
  line += optional('serin.reason', entry.reason);
  line += optional('serin.rule', entry.rule);
  if (entry.revision >= 0) line += `,"serin.revision":${entry.revision}`;
  line += optional('serin.endpoint', entry.endpoint);
  if (entry.requestBytes >= 0) line += `,"http.request.body.size":${entry.requestBytes}`;
  if (entry.responseBytes >= 0) line += `,"http.response.body.size":${entry.responseBytes}`;
  line += optional('error.type', entry.errorType);
  return `${line}}\n`;
}

function optional(name: string, value: string): string {
  return value === '' ? '' : `,"${name}":${text(value, LONGEST_OTHER)}`;
}

function text(value: string, longest: number): string {
  return JSON.stringify(value.length > longest ? `${value.slice(0, longest)}…` : value);
}
