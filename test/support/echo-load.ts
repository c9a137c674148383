/**
 * An application that says what arrived, and clients that ask it through Traefik for many users and keep count: what was lost, what
 * arrived twice, and which variants each user got.
 */
import { once } from 'node:events';
import { Agent, createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { eventually, within } from './bounded.ts';

export const HOST = 'notes.example.com';
/** Where users come from who are nobody special. Everything of 127.0.0.0/8 is this machine. */
export const ELSEWHERE = '127.0.0.9';

interface Echo {
  readonly variant: 'stable' | 'canary';
  readonly url: string;
  readonly headers: Record<string, string | undefined>;
  readonly body: number;
}

export interface Backend {
  readonly address: string;
  /** How often each POST arrived, by the number it carries. */
  readonly posts: Map<string, number>;
  close(): void;
}

/** An application that says what arrived, and echoes whatever comes over an upgraded connection. */
export async function startBackend(variant: string): Promise<Backend> {
  const posts = new Map<string, number>();
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    const once = request.headers['x-once'];
    if (typeof once === 'string') posts.set(once, (posts.get(once) ?? 0) + 1);
    let body = 0;
    request.on('data', (chunk: Buffer) => (body += chunk.length));
    request.on('end', () => {
      const text = JSON.stringify({ variant, url: request.url, headers: request.headers, body });
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
      response.end(text);
    });
  });
  // Longer than Traefik and Serin keep theirs.
  server.keepAliveTimeout = 120_000;
  server.on('upgrade', (_, socket: Socket) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    posts,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

interface Asked {
  readonly port: number;
  readonly from?: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
  readonly agent?: Agent;
}

/** One request; rejects where the connection fails or the answer is not whole. */
export async function ask({
  port,
  from = ELSEWHERE,
  method = 'GET',
  path = '/',
  headers = {},
  body,
  agent,
}: Asked): Promise<{ status: number; echo: Echo; cookies: string[] }> {
  const sent = httpRequest({
    host: '127.0.0.1',
    port,
    localAddress: from,
    method,
    path,
    headers: { host: HOST, ...headers },
    ...(agent === undefined ? { agent: false as const } : { agent }),
  });
  sent.end(body);
  const [answer] = (await within(once(sent, 'response'), `an answer to ${method} ${path}`)) as [
    IncomingMessage,
  ];
  let text = '';
  for await (const chunk of answer.setEncoding('utf8')) text += chunk as string;
  const status = answer.statusCode ?? 0;
  const cookies = answer.headers['set-cookie'] ?? [];
  return { status, echo: (status === 200 ? JSON.parse(text) : null) as Echo, cookies };
}

/** Whether Serin was on the way: it tells the application its variant. */
export const throughSerin = (echo: Echo): boolean => echo.headers['x-canary'] !== undefined;

interface Load {
  readonly requests: number;
  readonly failures: string[];
  /** Requests that came through Serin. */
  readonly routed: number;
  /** What each user got through Serin, each once. */
  readonly variants: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Clients that keep their connections, each asking for another of 500 users every time, until `ended` is true. */
export function startLoad(
  port: number,
  clients: number,
): { readonly counts: () => number; stop(): Promise<Load> } {
  const failures: string[] = [];
  const variants = new Map<string, Set<string>>();
  let [requests, routed] = [0, 0];
  const ended = new AbortController();
  const agents: Agent[] = [];
  const lane = async (lane: number): Promise<void> => {
    // Clients of one machine for each connection, as people are.
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agents.push(agent);
    for (let turn = 0; !ended.signal.aborted; turn++) {
      const user = `user-${(turn * 37 + lane * 61) % 500}`;
      const post = turn % 4 === 3;
      try {
        const { status, echo } = await ask({
          port,
          agent,
          method: post ? 'POST' : 'GET',
          path: `/notes?turn=${turn}`,
          headers: {
            'x-user-id': user,
            ...(post ? { 'x-once': `${lane}-${turn}`, 'content-length': '2000' } : {}),
          },
          ...(post ? { body: Buffer.alloc(2000) } : {}),
        });
        requests++;
        if (status !== 200) failures.push(`${status} for turn ${turn}`);
        else if (post && echo.body !== 2000) failures.push(`${echo.body} bytes arrived`);
        else if (throughSerin(echo)) {
          routed++;
          variants.set(user, (variants.get(user) ?? new Set()).add(echo.variant));
        }
      } catch (error) {
        failures.push(`turn ${turn}: ${(error as Error).message}`);
      }
    }
  };
  const lanes = Array.from({ length: clients }, (_, index) => lane(index));
  return {
    counts: () => requests,
    async stop() {
      ended.abort();
      await Promise.all(lanes);
      for (const agent of agents) agent.destroy();
      return { requests, failures, routed, variants };
    },
  };
}

/** Waits until so many more requests are done. */
export const passes = (load: { counts: () => number }, more: number): Promise<boolean> => {
  const end = load.counts() + more;
  return eventually(() => load.counts() >= end, `${more} more requests`);
};
