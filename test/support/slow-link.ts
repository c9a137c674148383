/** A link to a server on the loopback interface that can be slow, lose answers, or be cut. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Cleanup } from './redis.ts';

export interface SlowLink {
  readonly port: number;
  /** How long each piece is held back, in ms, in each direction. */
  delay: number;
  /** The same, of what comes from a client only. */
  delayThere: number;
  /** What comes from a client passes while this is true of it; the rest of that connection vanishes, both ways. */
  answers: (fromClient: Buffer) => boolean;
  /** Ends all connections. */
  cut(): void;
}

/** Answers whose request was refused by `answers` are lost, and their connection is ended. */
export async function startSlowLink(t: Cleanup, to: number): Promise<SlowLink> {
  const sockets = new Set<Socket>();
  const link = {
    port: 0,
    delay: 0,
    delayThere: 0,
    answers: (_fromClient: Buffer): boolean => true,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
  };
  const server = createServer((client) => {
    const upstream = connect(to, '127.0.0.1');
    let mute = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    const pass = (into: Socket, piece: Buffer, delay: number): void => {
      if (delay === 0) into.write(piece);
      else setTimeout(() => into.write(piece), delay);
    };
    client.on('data', (piece: Buffer) => {
      if (!link.answers(piece)) mute = true;
      pass(upstream, piece, link.delay + link.delayThere);
    });
    upstream.on('data', (piece: Buffer) => {
      if (mute) client.destroy();
      else pass(client, piece, link.delay);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  link.port = (server.address() as AddressInfo).port;
  t.after(() => {
    link.cut();
    server.close();
  });
  return link;
}
