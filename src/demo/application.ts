/**
 * The demonstration application: one small HTTP server that says which variant and endpoint answered.
 *
 * It stands in for a team's own service. It promises the same paths in both variants, so that whatever differs
 * between two answers is the variant. It must never be imported outside the demonstration and tests.
 *
 *   /                 one line of JSON: variant, version, endpoint, method, path
 *   /headers          the same with the request's header fields as they arrived
 *   /echo             POST: the body comes back; upgrade to WebSocket: every message comes back
 *   /events           server-sent events, one a second
 *   /status/{code}    answers with that status
 *   /slow/{ms}        answers after that many milliseconds, a minute at most
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Variant } from '../policy/rollout.ts';
import { serveWebSocketEcho } from './websocket-echo.ts';
import { after, every, guarded } from '../runtime/guard.ts';

export interface ApplicationIdentity {
  readonly variant: Variant;
  readonly version: string;
  /** The endpoint's name in answers, such as `canary-1`. */
  readonly endpoint: string;
}

export interface RunningApplication {
  readonly port: number;
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

const EVENT_INTERVAL = 1_000;
const SLOWEST = 60_000;

/** The page for browsers: the same facts, large, in a colour of the variant. */
function page(identity: ApplicationIdentity): string {
  const colour = identity.variant === 'canary' ? '#f2c230' : '#7a8fa6';
  return `<!doctype html><meta charset="utf-8"><title>${identity.variant}</title>
<style>body{margin:0;min-height:100vh;display:grid;place-content:center;text-align:center;background:${colour};font:1.2rem system-ui}
h1{font-size:5rem;margin:0}</style>
<h1>${identity.variant}</h1><p>version ${identity.version}, endpoint ${identity.endpoint}</p>
`;
}

function handle(identity: ApplicationIdentity, request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const facts = { ...identity, method: request.method, path };
  const json = (status: number, value: unknown): void => {
    const body = `${JSON.stringify(value)}\n`;
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    });
    response.end(body);
  };
  if (path === '/echo' && request.method === 'POST') {
    const type = request.headers['content-type'] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, 'x-variant': identity.variant });
    request.pipe(response);
    return;
  }
  // Only /echo reads a body; whatever else was sent is thrown away.
  request.resume();
  if (path === '/headers') {
    json(200, { ...facts, headers: request.headers });
    return;
  }
  if (path === '/events') {
    serveEvents(identity, response);
    return;
  }
  const status = /^\/status\/([2-5][0-9][0-9])$/.exec(path)?.[1];
  if (status !== undefined) {
    json(Number(status), facts);
    return;
  }
  const delay = /^\/slow\/([0-9]{1,5})$/.exec(path)?.[1];
  if (delay !== undefined) {
    const timer = after(
      Math.min(Number(delay), SLOWEST),
      guarded('a slow answer', () => json(200, facts)),
    );
    response.on('close', () => clearTimeout(timer));
    return;
  }
  if (request.headers.accept?.includes('text/html') === true) {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(page(identity));
    return;
  }
  json(200, facts);
}

function serveEvents(identity: ApplicationIdentity, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  let count = 0;
  const send = (): void => {
    count += 1;
    response.write(`id: ${count}\ndata: ${JSON.stringify({ ...identity, count })}\n\n`);
  };
  send();
  const timer = every(EVENT_INTERVAL, guarded('events', send));
  response.on('close', () => clearInterval(timer));
}

/** Starts the application on a free loopback port (or `port`). Rejects when it can't listen. */
export async function startApplication(identity: ApplicationIdentity, port = 0): Promise<RunningApplication> {
  const server: Server = createServer((request, response) => handle(identity, request, response));
  // Longer than the proxy keeps an idle connection, so that the application never closes one under a request.
  server.keepAliveTimeout = 75_000;
  const tunnels = new Set<Socket>();
  server.on('upgrade', (request, socket: Socket, head) => {
    tunnels.add(socket);
    socket.on('close', () => tunnels.delete(socket));
    serveWebSocketEcho(request, socket, head, `${identity.variant}: `, { 'x-variant': identity.variant });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of tunnels) socket.destroy();
      }),
  };
}
