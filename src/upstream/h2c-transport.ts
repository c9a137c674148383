/**
 * The transport of endpoints that speak HTTP/2 without TLS: what looks like a connection of HTTP/1.1 is a stream of a session
 * that many share.
 *
 * Promise: a session gets no more streams than its endpoint allows; one that is going away gets no new ones, and a connection
 * that stands for its streams is closed before it can be used again. A session is `ready` when the endpoint has shown
 * that it speaks HTTP/2, so that one that does not counts as one that can't be connected to.
 */
import { connect, type ClientHttp2Session, type Settings } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { FieldCounter } from '../http2/field-counter.ts';
import { spareFromStreamFaults } from '../http2/stream-faults.ts';
import { watchedSocket } from '../http2/watched-socket.ts';
import { EndpointStream, type WholeBlock } from '../http2/endpoint-stream.ts';
import { readBuffer } from '../net/read-buffer.ts';
import type { EndpointAddress } from '../contract/endpoint-address.ts';
import { lookup, type Transport } from './transport.ts';
import { after, type Guarded, guarded } from '../runtime/guard.ts';

/** Streams of one session, whatever more its endpoint allows: a lost session takes all of them along. */
const MOST_STREAMS = 100;

/** Bytes of an answer that may wait for the client, and what a session may send ahead. */
const STREAM_WINDOW = 256 * 1024;
const SESSION_WINDOW = 4 * 1024 * 1024;

/** The kernel asks for a sign of life after so many ms of silence; pings of HTTP/2 would make gRPC servers hang up on us. */
const KEEP_ALIVE = 30_000;

/** Bytes and fields of an answer's head; the exact limits are the codec's. */
const HEADER_LIST_SIZE = 256 * 1024;
const HEADER_LIST_PAIRS = 1024;

/** In MB, of all streams of a session together. */
const SESSION_MEMORY = 64;

/** How long a session is kept that nobody uses, in ms. Connections that are given back for further use keep it for longer. */
const UNUSED_TIME = 5000;

interface Shared {
  readonly session: ClientHttp2Session;
  /** Of what the endpoint sends. */
  readonly fields: FieldCounter;
  readonly streams: Set<EndpointStream>;
  /** Called when the session is ready. */
  readonly waiting: Map<EndpointStream, () => void>;
  ready: boolean;
  going: boolean;
  capacity: number;
  /** Runs while no connection stands for a stream of it. */
  unused: NodeJS.Timeout | undefined;
  /** Ends it; streams under way go on. */
  end(): void;
  readonly endUnused: Guarded;
}

export function h2cTransport(): Transport {
  const byDestination = new Map<string, Shared[]>();
  return {
    id: 'h2c',
    open(destination, ready, receive) {
      const key = `${destination.host} ${destination.port}`;
      let sessions = byDestination.get(key);
      if (sessions === undefined) byDestination.set(key, (sessions = []));
      let shared = sessions.find((one) => !one.going && one.streams.size < one.capacity);
      if (shared === undefined) {
        shared = openSession(destination, (gone) => {
          const all = byDestination.get(key);
          if (all === undefined) return;
          all.splice(all.indexOf(gone) >>> 0, 1);
          if (all.length === 0) byDestination.delete(key);
        });
        sessions.push(shared);
      }
      return openStream(shared, ready, receive).asSocket();
    },
  };
}

function openStream(
  shared: Shared,
  ready: () => void,
  receive: (bytes: Buffer, length: number) => void,
): EndpointStream {
  const { fields } = shared;
  const isWhole: WholeBlock = ({ id }, list) => fields.take(id ?? 0) * 2 === list.length;
  const stream = new EndpointStream(receive, isWhole);
  stream.use(shared.session);
  shared.streams.add(stream);
  clearTimeout(shared.unused);
  if (shared.ready) {
    process.nextTick(() => {
      if (!stream.destroyed) ready();
    });
  } else {
    shared.waiting.set(stream, ready);
  }
  stream.once('close', () => {
    shared.waiting.delete(stream);
    shared.streams.delete(stream);
    if (shared.streams.size > 0) return;
    // Nobody holds a connection that stands for a stream of it.
    if (shared.ready && !shared.going) shared.unused = after(UNUSED_TIME, shared.endUnused).unref();
    else shared.end();
  });
  return stream;
}

function openSession(destination: EndpointAddress, onGone: (gone: Shared) => void): Shared {
  const { host, port } = destination;
  const fields = new FieldCounter(0);
  const open = (receive: (bytes: Buffer) => void): Socket =>
    connectTcp({
      host,
      port,
      lookup,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE,
      onread: {
        buffer: readBuffer,
        callback(length) {
          receive(readBuffer.subarray(0, length));
          return true;
        },
      },
    });
  const session = connect('http://endpoint.invalid', {
    createConnection: () => watchedSocket(open, (bytes) => fields.read(bytes))[1],
    settings: {
      enablePush: false,
      initialWindowSize: STREAM_WINDOW,
      maxHeaderListSize: HEADER_LIST_SIZE,
    },
    maxHeaderListPairs: HEADER_LIST_PAIRS,
    maxSessionMemory: SESSION_MEMORY,
    maxSendHeaderBlockLength: 1 << 24,
    strictSingleValueFields: false,
    // Values are trimmed here; nghttp2 would leave out the fields.
    strictFieldWhitespaceValidation: false,
  } as Parameters<typeof connect>[1]);
  const shared: Shared = {
    session,
    fields,
    streams: new Set(),
    waiting: new Map(),
    ready: false,
    going: false,
    capacity: MOST_STREAMS,
    unused: undefined,
    end() {
      retire();
      if (shared.ready) session.close();
      else session.destroy();
    },
    endUnused: guarded('an unused session', () => shared.end()),
  };
  let failure: Error = Object.assign(new Error('the session is gone'), { code: 'SESSION_GONE' });
  session.once('connect', () => session.setLocalWindowSize(SESSION_WINDOW));
  session.on('remoteSettings', (settings: Settings) => {
    shared.capacity = Math.min(MOST_STREAMS, settings.maxConcurrentStreams ?? MOST_STREAMS);
    if (shared.ready) return;
    shared.ready = true;
    for (const [stream, ready] of shared.waiting) if (!stream.destroyed) ready();
    shared.waiting.clear();
  });
  const retire = (): void => {
    if (shared.going) return;
    shared.going = true;
    onGone(shared);
    for (const stream of shared.streams) {
      stream.going = true;
      if (stream.resting) stream.destroy(failure);
    }
  };
  session.once('goaway', retire);
  // Others' answers go on where they can; an endpoint whose session is at fault as a whole hears so, and closes.
  spareFromStreamFaults(session, () => shared.end());
  session.on('error', (error: Error) => {
    failure = error;
  });
  session.once('close', () => {
    retire();
    clearTimeout(shared.unused);
    for (const stream of shared.streams) stream.destroy(failure);
  });
  return shared;
}
