/**
 * The listener for other replicas: one path, one method, and only for who holds a key of the ring.
 *
 * It is reachable from the cluster's network, so nothing is read of a body before its headers are in order, and nothing
 * of its contents is looked at before its signature is verified. Connections, headers, bodies and the bytes of all bodies
 * together are bounded; whoever is slow is cut. A refusal is answered by a status and its reason, and never changes anything.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type SmallServer, startSmallServer } from '../server/small-server.ts';
import type { FleetCounters, PeerRefusal } from '../telemetry/fleet-counters.ts';
import { type BodyBudget, createBodyBudget, type ReceivedBody } from './body-budget.ts';
import { type PeerMessage, readBody } from './peer-message.ts';
import type { PeerSeal } from './peer-seal.ts';

export const PEER_PATH = '/v1/peer';
/** Names the sender and the replica that it is meant for, and carries the signatures. */
export const FROM_HEADER = 'serin-from';
export const TO_HEADER = 'serin-to';
export const SIGNATURE_HEADER = 'serin-signature';

/** Bytes of a body. */
export const BODY_LIMIT = 1_048_576;
/** Bytes of all bodies that are being received. */
const BODIES_LIMIT = 16 * BODY_LIMIT;
/** Of those, from one address. */
const BODIES_OF_ONE = 4 * BODY_LIMIT;
const MOST_CONNECTIONS = 1024;
/** Of one address: replicas on one node may share it. */
const MOST_OF_ONE = 128;
const NAME = /^[A-Za-z0-9._-]{1,253}$/;
/** What is under way so long after `close`, in ms, is cut. */
const CLOSE_TIME = 500;

const STATUS: { readonly [reason in PeerRefusal]: number } = {
  not_found: 404,
  method: 405,
  too_large: 413,
  busy: 503,
  incomplete: 400,
  unsigned: 401,
  recipient: 421,
  signature: 401,
  malformed: 400,
  invalid: 422,
  sender: 403,
  failed: 500,
};

export interface PeerServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** The name of this replica. */
  readonly self: string;
  readonly seal: PeerSeal;
  /** A body is acknowledged once this has settled for each of its messages; one that fails is not. */
  readonly onMessage: (message: PeerMessage, from: string) => void | Promise<void>;
  /** `from` is who it claims to be, or its address; not verified. */
  readonly onRefused: (reason: PeerRefusal, from: string, detail: string) => void;
  readonly counters: FleetCounters;
}

/** Listens. Rejects with the system's error (EADDRINUSE, EACCES, …) when it cannot. */
export function startPeerServer(options: PeerServerOptions): Promise<SmallServer> {
  const { counters, onRefused } = options;
  const bodies = createBodyBudget(BODIES_LIMIT, BODIES_OF_ONE);
  return startSmallServer({
    ...options.listen,
    maxConnections: MOST_CONNECTIONS,
    maxOfOne: MOST_OF_ONE,
    silence: 60_000,
    keepAliveTimeout: 60_000,
    checkingInterval: 1000,
    closeTime: CLOSE_TIME,
    // A connection that could not be accepted; its peer tries again with its next message.
    onError: () => {},
    handle(request, response, closing) {
      const answer = (refusal: Refusal | null): void => {
        if (refusal !== null) {
          counters.peerRefused(refusal.reason);
          onRefused(refusal.reason, refusal.from, refusal.detail);
        }
        send(request, response, refusal, closing());
      };
      receive(request, options, bodies).then(answer, (error: unknown) => {
        answer({ reason: 'failed', from: claimed(request), detail: String(error) });
      });
    },
  });
}

interface Refusal {
  readonly reason: PeerRefusal;
  readonly from: string;
  readonly detail: string;
}

async function receive(
  request: IncomingMessage,
  { self, seal, onMessage, counters }: PeerServerOptions,
  bodies: BodyBudget,
): Promise<Refusal | null> {
  const from = claimed(request);
  const refuse = (reason: PeerRefusal, detail: string): Refusal => ({ reason, from, detail });
  if (request.url !== PEER_PATH) return refuse('not_found', `there is only ${PEER_PATH}`);
  if (request.method !== 'POST') return refuse('method', 'only POST is allowed here');
  const { [FROM_HEADER]: sender, [TO_HEADER]: recipient, [SIGNATURE_HEADER]: signatures } = request.headers;
  if (typeof sender !== 'string' || typeof signatures !== 'string' || !NAME.test(sender)) {
    return refuse('unsigned', `${FROM_HEADER} or ${SIGNATURE_HEADER} is missing`);
  }
  if (recipient !== self) return refuse('recipient', `this replica is "${self}"`);
  const length = Number(request.headers['content-length'] ?? BODY_LIMIT);
  if (!(length <= BODY_LIMIT)) return refuse('too_large', `more than ${BODY_LIMIT} bytes`);

  const receiving = bodies.begin(request.socket.remoteAddress ?? '', () => request.destroy());
  const body = await readWhole(request, receiving);
  receiving.end();
  if (receiving.cut) return refuse('busy', 'too many bodies at once; this one came too slowly');
  if (body === undefined) return refuse('incomplete', 'it ended too early');
  if (body === null) return refuse('too_large', `more than ${BODY_LIMIT} bytes`);
  if (!seal.verify(sender, self, body, signatures)) {
    return refuse('signature', 'no key of this ring signed it; the key rings have no key in common');
  }
  const messages = readBody(body);
  if ('refused' in messages) return refuse(messages.refused, messages.detail);
  const other = messages.find((one) => one.type === 'record' && one.record.name !== sender);
  if (other !== undefined) return refuse('sender', 'a record of another replica than the sender');
  for (const message of messages) {
    await onMessage(message, sender);
    counters.peerReceived(message.type);
  }
  return null;
}

/** Null where it is too long, undefined where it broke off. */
async function readWhole(
  request: IncomingMessage,
  receiving: ReceivedBody,
): Promise<Buffer | null | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      receiving.add(chunk.length);
      if (size > BODY_LIMIT) return null;
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}

function claimed({ headers, socket }: IncomingMessage): string {
  const name = headers[FROM_HEADER];
  return typeof name === 'string' && NAME.test(name) ? name : (socket.remoteAddress ?? 'unknown');
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  refusal: Refusal | null,
  last: boolean,
): void {
  if (response.destroyed) return;
  // What was not read of a body must not be taken for the next request.
  const end = last || !request.complete ? { connection: 'close' } : {};
  if (refusal === null) {
    response.writeHead(204, end).end();
    return;
  }
  response
    .writeHead(STATUS[refusal.reason], { 'content-type': 'text/plain; charset=utf-8', ...end })
    .end(`${refusal.reason}\n`);
}
