/**
 * Bounds for the connections of an HTTP server beside the proxy's own, and fair shares of them.
 *
 * It promises that a newcomer finds a place whatever others hold: where all are taken, the client address with the most connections
 * loses the one that has been idle for longest, or else its oldest. A half request counts as idle. Nobody can have many requests
 * under way on one connection. Whoever answers must look whether the connection is destroyed already.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface ConnectionBounds {
  /** Of all clients, and of one client address. */
  readonly most: number;
  readonly mostOfOne: number;
}

/** Requests that one connection may have under way. Whoever sends more without waiting for answers is no client of ours. */
const MOST_PIPELINED = 32;

interface Client {
  /** The connections without a request under way, the one that has been so for longest first; and the others, the oldest first. */
  readonly idle: Set<Socket>;
  readonly busy: Set<Socket>;
}

/** Holds the server to the bounds from now on. Call it before the server listens. */
export function boundConnections(server: Server, { most, mostOfOne }: ConnectionBounds): void {
  const clients = new Map<string, Client>();
  const underWay = new WeakMap<Socket, number>();
  let count = 0;

  function clientOf(address: string): Client {
    let client = clients.get(address);
    if (client === undefined) clients.set(address, (client = { idle: new Set(), busy: new Set() }));
    return client;
  }

  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress;
    // It was gone before it was taken.
    if (address === undefined) return void socket.destroy();
    const client = clientOf(address);
    client.idle.add(socket);
    count += 1;
    socket.once('close', () => {
      client.idle.delete(socket);
      client.busy.delete(socket);
      count -= 1;
      if (sizeOf(client) === 0 && clients.get(address) === client) clients.delete(address);
    });
    // Those that were destroyed are counted until they have closed: each newcomer costs one all the same.
    if (sizeOf(client) > mostOfOne) destroyOne(client, socket);
    else if (count > most) destroyOne(largest(clients.values()), socket);
  });

  const follow = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    const client = clients.get(socket.remoteAddress ?? '');
    if (client === undefined) return;
    const before = underWay.get(socket) ?? 0;
    if (before >= MOST_PIPELINED) return void socket.destroy();
    if (socket.destroyed) return;
    underWay.set(socket, before + 1);
    if (client.idle.delete(socket)) client.busy.add(socket);
    response.once('close', () => {
      const left = (underWay.get(socket) ?? 1) - 1;
      underWay.set(socket, left);
      if (left === 0 && client.busy.delete(socket)) client.idle.add(socket);
    });
  };
  // Before whoever answers.
  server.prependListener('request', follow);
}

function sizeOf({ idle, busy }: Client): number {
  return idle.size + busy.size;
}

function largest(clients: Iterable<Client>): Client | undefined {
  let found: Client | undefined;
  for (const client of clients) if (found === undefined || sizeOf(client) > sizeOf(found)) found = client;
  return found;
}

/** Destroys another connection than the newest. It is out of the sets at once, so that the next newcomer costs another one. */
function destroyOne(client: Client | undefined, newest: Socket): void {
  for (const sockets of client === undefined ? [] : [client.idle, client.busy]) {
    for (const socket of sockets) {
      if (socket === newest) continue;
      sockets.delete(socket);
      socket.destroy();
      return;
    }
  }
}
