/**
 * The program that a team would write with http-proxy-3: the policy in a few lines, kept connections to the origins.
 * Arguments: port, stable port, canary port, networks separated by commas.
 */
import { Agent, createServer } from 'node:http';
import { BlockList } from 'node:net';
import { createProxyServer } from 'http-proxy-3';

const [port, stable, canary, networks] = process.argv.slice(2) as [string, string, string, string];

const office = new BlockList();
for (const network of networks.split(',')) {
  const [address, bits] = network.split('/') as [string, string];
  office.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4');
}

/** FNV-1a: a hash that the language makes cheap. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}

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

const server = createServer((request, response) => {
  const address = request.socket.remoteAddress ?? '';
  const uid = /(?:^|; )uid=([^;]*)/.exec(request.headers.cookie ?? '')?.[1];
  const admitted =
    office.check(address, address.includes(':') ? 'ipv6' : 'ipv4') &&
    (request.headers['user-agent'] ?? '').includes('iPhone') &&
    uid !== undefined &&
    hash(uid) % 100 < 10;
  const variant = admitted ? 'canary' : 'stable';
  request.headers['x-canary'] = variant;
  proxy.web(request, response, { target: targets[variant] });
});
server.keepAliveTimeout = 300_000;
server.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 });
