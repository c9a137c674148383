/**
 * A gate in a TCP path: it passes bytes on to a port, and can be shut as a broken network would be. A client of it sees its
 * connections cut, or silence, while what is behind the gate knows of nothing.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TcpGate {
  readonly port: number;
  /** Connections from now on lead there; those that are open are cut. */
  lead(port: number): void;
  /** `cut`: connections end, and new ones are closed at once. `silent`: nothing passes, in no direction, and nothing ends. */
  shut(how: 'cut' | 'silent'): void;
  /** Silence ends, and what waited passes. */
  open(): void;
  close(): Promise<void>;
}

export async function startTcpGate(target: number): Promise<TcpGate> {
  let behind = target;
  let state: 'open' | 'cut' | 'silent' = 'open';
  const pairs = new Set<readonly [Socket, Socket]>();

  const server = createServer({ noDelay: true }, (near) => {
    near.on('error', () => {});
    if (state === 'cut') {
      near.destroy();
      return;
    }
    const far = connect({ host: '127.0.0.1', port: behind, noDelay: true });
    far.on('error', () => {});
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [far, near] as const]) {
      from.on('data', (bytes: Buffer) => {
        if (!to.write(bytes)) from.pause();
      });
      to.on('drain', () => {
        if (state === 'open') from.resume();
      });
      from.on('close', () => {
        pairs.delete(pair);
        to.destroy();
      });
    }
    if (state === 'silent') pause(pair);
  });
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');

  function cut(): void {
    for (const [near, far] of pairs) {
      near.destroy();
      far.destroy();
    }
  }

  return {
    port: (server.address() as AddressInfo).port,
    lead(port) {
      behind = port;
      cut();
    },
    shut(how) {
      state = how;
      if (how === 'cut') cut();
      else for (const pair of pairs) pause(pair);
    },
    open() {
      state = 'open';
      for (const [near, far] of pairs) {
        near.resume();
        far.resume();
      }
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      cut();
      await closed;
    },
  };
}

function pause([near, far]: readonly [Socket, Socket]): void {
  near.pause();
  far.pause();
}
