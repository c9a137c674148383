/**
 * The program that a team would write with http-proxy-3: the policy in a few lines, kept connections to the origins,
 * upgrades passed on. Arguments: port, stable port, canary port, networks separated by commas.
 */
import { Agent, createServer } from 'node:http';
import { createProxyServer } from 'http-proxy-3';
import { nodePolicy } from './node-policy.ts';

const [port, stable, canary, networks] = process.argv.slice(2) as [string, string, string, string];

const decide = nodePolicy(networks);
const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 1024 });
const proxy = createProxyServer({ agent, xfwd: true });
const targets = {
  stable: { host: '127.0.0.1', port: Number(stable) },
  canary: { host: '127.0.0.1', port: Number(canary) },
};

proxy.on('error', (_error, _request, response) => {
  if ('writeHead' in response && !response.headersSent) response.writeHead(502);
  response.end();
});

const server = createServer({ maxHeaderSize: 65_536 }, (request, response) => {
  const variant = decide(request);
  request.headers['x-canary'] = variant;
  proxy.web(request, response, { target: targets[variant] });
});
server.on('upgrade', (request, socket, head) => {
  const variant = decide(request);
  request.headers['x-canary'] = variant;
  proxy.ws(request, socket, head, { target: targets[variant] });
});
server.keepAliveTimeout = 300_000;
server.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 });
