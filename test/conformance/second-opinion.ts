/**
 * The second opinion on what was forwarded: Node's own parser (llhttp, strict) reads the same bytes. Where it sees
 * other requests than the strict reader of `test/support`, something ambiguous went through.
 */
import { createServer } from 'node:http';
import { Duplex } from 'node:stream';

/** What llhttp sees in a stream of requests: `METHOD target body-length`, one a request, then `error CODE` if any. */
export async function readByLlhttp(bytes: Buffer): Promise<string[]> {
  const seen: string[] = [];
  let following = Buffer.alloc(0);
  const server = createServer(
    { requireHostHeader: false, insecureHTTPParser: false, maxHeaderSize: 65_536 },
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
  server.on('checkContinue', (request, response) => server.emit('request', request, response));
  const finished = Promise.withResolvers<void>();
  // Whether an upgrade happens is the origin's choice; ours makes none, so what follows is a request again.
  server.on('upgrade', (request, _socket, rest) => {
    seen.push(`${request.method} ${request.url} 0`);
    following = rest;
    finished.resolve();
  });
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
  const rest = following.length > 0 ? await readByLlhttp(following) : [];
  return [...seen.filter((line) => line !== ''), ...rest];
}
