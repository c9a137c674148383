/**
 * The admin listener: HTTP in front of the control plane.
 *
 * Each request goes the same way: Host and Origin, token, role, query, body, handler; whatever throws on the way becomes
 * one problem+json answer. It never listens beyond loopback without tokens.
 */
import type { Socket } from 'node:net';
import { fastify, type FastifyReply, type FastifyRequest } from 'fastify';
import { isLoopback } from '../net/host-port.ts';
import type { AdminDefinition } from '../config/admin.ts';
import { createWarnings, FEW } from '../telemetry/warnings.ts';
import { DocumentError } from '../schema/faults.ts';
import { RolloutDocument } from '../policy/schema.ts';
import { boundConnections } from '../server/connection-bounds.ts';
import { repeatedField } from '../server/single-fields.ts';
import type { Logger } from '../telemetry/log.ts';
import { authenticate, authorize, type Caller, checkOrigin, type Presented } from './auth.ts';
import type { Backend } from '../control/api.ts';
import { bodyFormat, checkEncoding } from './bodies.ts';
import { checked, prepareCheck } from '../helper/body-schemas.ts';
import { createEventStreams } from './event-stream.ts';
import { FLEET_ROUTES } from './fleet-routes.ts';
import { openApiDocument } from './openapi.ts';
import { ApiError, problemAnswer, unreadable } from './problem.ts';
import { ROLLOUT_ROUTES } from './rollout-routes.ts';
import type { Route } from './route.ts';
import { SERVICE_ROUTES } from './service-routes.ts';

/** A rollout document with 100,000 networks has some 2 MB; it is read in the helper thread. */
const DOCUMENT_LIMIT = 16 * 1024 * 1024;
/** Everything else is read on the main thread, which a rollback needs too. */
const BODY_LIMIT = 1024 * 1024;
const REQUEST_TIMEOUT = 30_000;
const HEAD_TIMEOUT = 10_000;
/** How long an idle connection is kept, in ms. */
const KEEP_ALIVE = 30_000;
/** A connection on which nothing moves for so long ends, in ms: longer than any answer takes. */
const SILENCE = 120_000;
/** Connections of all clients, and of one address: all may come through one reverse proxy. */
const MOST_CONNECTIONS = 512;
const MOST_OF_ONE = 256;
/** How long who sent what cannot be read has to read why, in ms. */
const LAST_WORDS = 1000;
/** Requests that are still under way so long after `close`, in ms, are cut. */
const CLOSE_TIME = 1000;

const OTHER_PATHS = ['/v1/events', '/openapi.json'];

const ROUTES: readonly Route[] = [...SERVICE_ROUTES, ...ROLLOUT_ROUTES, ...FLEET_ROUTES];

export interface AdminOptions {
  readonly controlPlane: Backend;
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Read at every request, so that a reloaded configuration counts at once. */
  readonly settings: () => AdminDefinition | undefined;
  readonly log: Pick<Logger, 'warn' | 'error'>;
}

export interface AdminServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Rejects when it cannot listen, or when it would listen beyond loopback without tokens. */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const { controlPlane: backend, listen, settings, log } = options;
  if (!isLoopback(listen.host) && (settings()?.tokens ?? []).length === 0) {
    throw new DocumentError('configuration_invalid', 'The admin API would be open to the network.', [
      {
        pointer: '/admin/tokens',
        detail: `give tokens, or let admin.listen be a loopback address, not ${listen.host}`,
      },
    ]);
  }
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 300 },
    exposeHeadRoutes: true,
    keepAliveTimeout: KEEP_ALIVE,
    connectionTimeout: SILENCE,
    http: {
      // A request without Host is refused like one with a wrong Host, and as a problem.
      requireHostHeader: false,
      headersTimeout: HEAD_TIMEOUT,
      connectionsCheckingInterval: 1000,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE,
    },
    frameworkErrors: (error, request, reply) => fail(error, request, reply),
    clientErrorHandler: refuseUnreadable,
  });
  boundConnections(app.server, { most: MOST_CONNECTIONS, mostOfOne: MOST_OF_ONE });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  const monotonicNow = (): number => performance.now();
  const warn = createWarnings(log, monotonicNow, FEW);
  const complain = createWarnings({ warn: log.error.bind(log) }, monotonicNow, FEW);
  // What came in one piece is read to its end, also on a connection that was ended at its beginning.
  app.addHook('onRequest', async (request, reply) => {
    if (request.raw.socket.destroyed) reply.hijack();
  });

  const fail = (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const { body, headers, unexpected } = problemAnswer(error, pathOf(request));
    if (unexpected) complain({ err: error, 'url.path': pathOf(request) }, 'an API request failed');
    void reply.status(body.status).headers(headers).type('application/problem+json').send(json(body));
  };
  app.setErrorHandler(fail);
  app.setNotFoundHandler((request, reply) => {
    try {
      admit(request);
      fail(notFound(request), request, reply);
    } catch (error) {
      fail(error, request, reply);
    }
  });
  app.addHook('onSend', async (_request, reply, payload) => {
    void reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    return payload;
  });

  /** Lets a request in, or throws. */
  function admit(request: FastifyRequest): Caller {
    const field = repeatedField(request.raw.rawHeaders);
    if (field !== null) throw new ApiError('bad_request', `The field ${field} may be there once only.`);
    const { host, origin, authorization } = request.headers;
    const presented: Presented = { host, origin, authorization };
    checkOrigin(presented, settings());
    try {
      return authenticate(presented, settings());
    } catch (error) {
      backend.countLoginFailure();
      warn(
        { 'client.address': request.ip, 'url.path': pathOf(request) },
        'an API request without a valid token',
      );
      throw error;
    }
  }

  function baseOf(request: FastifyRequest): string {
    return (settings()?.publicUrl ?? `http://${request.headers.host}`).replace(/\/+$/, '');
  }

  const streams = createEventStreams(backend);
  for (const route of ROUTES) {
    prepareCheck(route.query);
    if (route.body !== undefined) prepareCheck(route.body);
    app.route({
      method: route.method,
      bodyLimit: route.body === RolloutDocument ? DOCUMENT_LIMIT : BODY_LIMIT,
      url: route.path.replaceAll(/\{([a-z]+)\}/g, ':$1'),
      // Before the body is read: a stranger's 16 MiB are not worth the memory.
      onRequest: async (request) => {
        const caller = admit(request);
        const { service = null } = request.params as { service?: string };
        authorize(caller, route.role, service);
        callers.set(request, caller);
      },
      handler: async (request, reply) => {
        const caller = callers.get(request)!;
        const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        checkEncoding(request.headers['content-encoding']);
        const format =
          route.body === undefined
            ? 'json'
            : bodyFormat(request.headers['content-type'], bytes.length, route.method === 'PATCH');
        const answer = await route.handle({
          backend,
          params: request.params as Record<string, string>,
          query: checked(route.query, { ...(request.query as object) }, '/query') as Record<string, string>,
          actor: caller.name,
          base: baseOf(request),
          header: (name) => headerOf(request, name),
          body: { bytes, format },
          authorizeService: (service) => authorize(caller, route.role, service),
        });
        return reply
          .status(answer.status)
          .headers(answer.headers ?? {})
          .type('application/json')
          .send(json(answer.body));
      },
    });
  }
  app.get('/v1/events', (request, reply) => {
    const caller = admit(request);
    // The answer to HEAD would never end, and nothing would ever be in it.
    if (request.method === 'HEAD') return reply.type('text/event-stream; charset=utf-8').send();
    reply.hijack();
    try {
      streams.open(reply.raw, caller.name, headerOf(request, 'last-event-id'), baseOf(request));
    } catch (error) {
      const { body, headers } = problemAnswer(error, pathOf(request));
      reply.raw.writeHead(body.status, { ...headers, 'content-type': 'application/problem+json' });
      reply.raw.end(json(body));
    }
  });
  app.get('/openapi.json', (request, reply) => {
    admit(request);
    const document = openApiDocument(ROUTES, baseOf(request));
    return reply.type('application/json').send(json(document));
  });

  await app.listen({ host: listen.host, port: listen.port });
  const address = app.server.address();
  return {
    host: listen.host,
    port: typeof address === 'object' && address !== null ? address.port : listen.port,
    async close() {
      streams.close();
      const late = setTimeout(() => app.server.closeAllConnections(), CLOSE_TIME);
      await app.close();
      clearTimeout(late);
    },
  };
}

/** What Node cannot read as HTTP never becomes a request; it is answered as a problem all the same. */
function refuseUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const { body } = problemAnswer(unreadable(error), '');
  const text = json(body);
  const head = [
    `HTTP/1.1 ${body.status} ${body.title}`,
    'content-type: application/problem+json',
    `content-length: ${text.length}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${text.toString()}`);
  // Its end is no end of the connection: the client may keep its own half open for ever.
  const timer = setTimeout(() => socket.destroy(), LAST_WORDS).unref();
  socket.once('close', () => clearTimeout(timer));
  socket.resume();
}

/** Indented, for people read it in a terminal. As bytes: to text the framework would add a charset, which JSON has not. */
function json(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
}

/** Who is calling, from the check until the answer. */
const callers = new WeakMap<FastifyRequest, Caller>();

function headerOf(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0]!;
}

/** 405 where the path exists for another method. */
function notFound(request: FastifyRequest): ApiError {
  const path = pathOf(request);
  const allowed = ROUTES.filter((route) => isAt(route, path)).map(({ method }) => method as string);
  if (OTHER_PATHS.includes(path)) allowed.push('GET');
  if (allowed.length > 0) {
    return new ApiError(
      'method_not_allowed',
      `${request.method} is not for this path; it takes ${allowed.join(', ')}.`,
      {
        allow: allowed.join(', '),
      },
    );
  }
  return new ApiError('not_found', 'There is nothing here. GET /openapi.json lists what there is.');
}

function isAt(route: Route, path: string): boolean {
  const [given, expected] = [path.split('/'), route.path.split('/')];
  return (
    given.length === expected.length &&
    expected.every((part, index) => part.startsWith('{') || part === given[index])
  );
}
