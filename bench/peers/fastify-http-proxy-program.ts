/**
 * The program that a team would write with Fastify and @fastify/http-proxy: the policy in a few lines, undici's kept
 * connections to the origins. Arguments: port, stable port, canary port, networks separated by commas.
 */
import httpProxy from '@fastify/http-proxy';
import { fastify } from 'fastify';
import { nodePolicy } from './node-policy.ts';

const [port, stable, canary, networks] = process.argv.slice(2) as [string, string, string, string];

const decide = nodePolicy(networks);
const targets = { stable: `http://127.0.0.1:${stable}`, canary: `http://127.0.0.1:${canary}` };

const server = fastify({ keepAliveTimeout: 300_000, bodyLimit: 16 * 1024 * 1024 });
await server.register(httpProxy, {
  upstream: '',
  undici: { connections: 1024, pipelining: 1, keepAliveTimeout: 300_000 },
  replyOptions: {
    getUpstream: (request) => targets[decide(request.raw)],
    rewriteRequestHeaders: (request, headers) => ({
      ...headers,
      'x-canary': decide(request.raw),
      'x-forwarded-for': request.ip,
    }),
  },
});
await server.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 });
