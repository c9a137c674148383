/**
 * An endpoint that answers as soon as it has a request's head, and reads the rest of the request afterwards, as applications do
 * that refuse a request by its head. Its connections serve on once the body is read, unless its path asks for the contrary.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface EarlyEndpoint {
  readonly port: number;
  stop(): Promise<void>;
}

const TEXT = 'answered before the body was read\n';

export async function startEarlyEndpoint(): Promise<EarlyEndpoint> {
  const server: Server = createServer((request, response) => {
    const closes = request.url?.startsWith('/closes') === true;
    const headers = { 'content-length': String(TEXT.length), ...(closes ? { connection: 'close' } : {}) };
    response.writeHead(Number(request.url?.split('/').at(-1)), headers).end(TEXT);
    request.resume();
  });
  // With a listener of its own no 100 is sent: the answer is all that the client hears.
  server.on('checkContinue', (request, response) => server.emit('request', request, response));
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
