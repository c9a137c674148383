/**
 * What becomes of requests that are answered before their body is read: `node bench/early-answers.ts [--count 300] [--no-write]`.
 * A few minutes.
 *
 * Clients in five languages send POSTs one after another over kept connections, straight to the proxy and through other proxies in
 * front of it; each endpoint answers by the head alone. A request without an answer, or with another one than the endpoint's, is
 * counted. The other proxies in Serin's place are there for comparison.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '../test/support/ports.ts';
import { startSerin } from '../test/support/serin.ts';
import { clients, SHAPES, type Client, type Counted } from './early/clients.ts';
import { startEarlyEndpoint } from './early/endpoint.ts';
import { listening, start, stop, type Started } from './process.ts';
import { machine, table, writeSection } from './results.ts';
import { missing, versionOf } from './tools.ts';

interface Way {
  readonly name: string;
  readonly port: number;
}

const { values } = parseArgs({
  options: { count: { type: 'string', default: '300' }, 'no-write': { type: 'boolean', default: false } },
});
const COUNT = Number(values.count);
if (!(COUNT >= 1)) throw new Error('--count must be a number, such as 300');
const directory = mkdtempSync(join(tmpdir(), 'serin-early-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

const endpoint = await startEarlyEndpoint();
const serin = await startSerin({
  services: { notes: { hosts: ['*'], stable: { endpoints: [`127.0.0.1:${endpoint.port}`] } } },
  configuration: { log: { level: 'error' } },
});
const running: Started[] = [];

async function proxy(name: string, port: number, text: string, command: readonly string[]): Promise<Way> {
  const file = join(directory, name.replaceAll(' ', '-'));
  writeFileSync(file, text);
  const started = start(command.map((word) => (word === 'FILE' ? file : word)));
  running.push(started);
  await listening(port, started);
  return { name, port };
}

const haproxyText = (port: number, to: number): string => `defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  option http-keep-alive
  http-reuse always
  retries 0
listen all
  bind 127.0.0.1:${port}
  server one 127.0.0.1:${to}
`;

const caddyText = (port: number, to: number): string => `{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  reverse_proxy 127.0.0.1:${to}
}
`;

const nginxText = (port: number, to: number): string => `pid ${directory}/nginx-${port}.pid;
error_log stderr error;
daemon off;
events {}
http {
  access_log off;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  client_max_body_size 0;
  upstream one { server 127.0.0.1:${to}; keepalive 16; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://one;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_next_upstream off;
    }
  }
}
`;

const ways: Way[] = [{ name: 'Serin', port: serin.proxyPort }];
for (const [tool, title, text, command] of [
  ['caddy', 'Caddy', caddyText, ['caddy', 'run', '--adapter', 'caddyfile', '--config', 'FILE']],
  ['nginx', 'nginx', nginxText, ['nginx', '-p', directory, '-e', 'stderr', '-c', 'FILE']],
  ['haproxy', 'HAProxy', haproxyText, ['haproxy', '-db', '-f', 'FILE']],
] as const) {
  if (missing(tool) !== null) continue;
  const name = `${title} ${versionOf(tool)}`;
  for (const [way, to] of [
    [`${name} before Serin`, serin.proxyPort],
    [`${name} instead`, endpoint.port],
  ] as const) {
    const port = await freePort();
    ways.push(await proxy(way, port, text(port, to), command));
  }
}

/** What an endpoint says early, and whether it closes then. */
const ANSWERS = [
  { path: '/keeps/401', status: 401 },
  { path: '/keeps/200', status: 200 },
  { path: '/closes/413', status: 413 },
] as const;

const shown = ({ failed, wrong }: Counted): string => (wrong === 0 ? String(failed) : `${failed} + ${wrong}`);

async function count(client: Client, way: Way): Promise<Counted & { asked: number }> {
  let [failed, wrong, asked] = [0, 0, 0];
  for (const shape of SHAPES.filter((one) => client.can(one))) {
    // Large bodies take long, and differ little from one to the next.
    const each = Math.ceil((shape.bytes > 1_000_000 ? COUNT / 5 : COUNT) / ANSWERS.length);
    for (const { path, status } of ANSWERS) {
      const url = `http://127.0.0.1:${way.port}${path}`;
      const got = await client.post(url, status, each, shape);
      if (got.failed + got.wrong > 0)
        console.log(`${client.name}, ${way.name}, ${shape.name}, ${path}: ${shown(got)} of ${each}`);
      failed += got.failed;
      wrong += got.wrong;
      asked += each;
    }
  }
  return { failed, wrong, asked };
}

const results: { client: string; way: string; failed: number; wrong: number; asked: number }[] = [];
for (const client of clients()) {
  for (const way of ways) results.push({ client: client.name, way: way.name, ...(await count(client, way)) });
}
for (const { child } of running) await stop(child);
await serin.stop();
await endpoint.stop();

const names = [...new Set(results.map(({ client }) => client))];
const rows = ways.map(({ name }) => [
  name,
  ...names.map((client) => {
    const one = results.find((result) => result.client === client && result.way === name)!;
    return `${shown(one)} of ${one.asked}`;
  }),
]);
const { cpu, kernel, node } = machine();
const markdown = [
  table([['through', ...names], ...rows]),
  '',
  `- POSTs whose endpoint answers by their head: 401 and 200 with the connection kept, 413 with \`Connection: close\`. Bodies: ${SHAPES.map(({ name }) => name).join('; ')}; each client sends those that it can. "a + b": a without any answer, b with another one than the endpoint's.`,
  `- ${cpu}, Linux ${kernel}, Node.js ${node}.`,
].join('\n');
console.log(markdown);
if (!values['no-write'])
  writeSection('early-answers', 'Answers before the body (`node bench/early-answers.ts`)', markdown, results);
const own = results.filter(({ way }) => way === 'Serin');
process.exitCode = own.every(({ failed, wrong }) => failed + wrong === 0) ? 0 : 1;
