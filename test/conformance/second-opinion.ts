/**
 * The second opinion on what was forwarded: Node's own parser (llhttp, strict) reads the same bytes. Where it sees
 * other requests than the strict reader of `test/support`, something ambiguous went through.
 */
import { createServer } from 'node:http';
import { Duplex } from 'node:stream';

/** What llhttp sees in a stream of requests: `METHOD target body-length`, one a request, then `error CODE` if any. */
export async function readByLlhttp(bytes: Buffer): Promise<string[]> {
  const seen: string[] = [];
  const server = createServer(
    { requireHostHeader: false, insecureHTTPParser: false },
    (request, response) => {
      let length = 0;
      const index = seen.push('') - 1;
      request.on('data', (piece: Buffer) => (length += piece.length));
      request.on('end', () => {
        seen[index] = `${request.method} ${request.url} ${length}`;
        response.end();
      });
      request.on('error', () => {});
    },
  );
  // An upgrade request is an ordinary one here; a tunnel is the origin's choice.
  server.on('checkContinue', (request, response) => server.emit('request', request, response));
  const finished = Promise.withResolvers<void>();
  server.on('clientError', (error: NodeJS.ErrnoException) => {
    seen.push(`error ${error.code}`);
    finished.resolve();
  });
  const stream = new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(),
    final: (done) => {
      done();
      finished.resolve();
    },
    destroy: (_error, done) => {
      done(null);
      finished.resolve();
    },
  });
  server.emit('connection', stream);
  stream.push(bytes);
  stream.push(null);
  await finished.promise;
  stream.destroy();
  return seen.filter((line) => line !== '');
}
