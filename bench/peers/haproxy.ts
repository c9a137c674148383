/**
 * HAProxy as a careful administrator sets it up: one thread, kept connections on both sides, no logging, its counters
 * on as always; and in TCP mode, which reads nothing of what it copies, as the floor.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listening, pinned, PROXY_CORE, start, stop } from '../process.ts';
import { versionOf } from '../tools.ts';
import { OFFICE } from '../traffic.ts';
import type { Origins } from './origin.ts';
import type { Peer } from './peer.ts';

const COMMON = `global
  nbthread 1
  maxconn 4096
defaults
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
`;

async function startHaproxy(
  name: string,
  title: string,
  directory: string,
  port: number,
  configuration: string,
): Promise<Peer> {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'haproxy.cfg');
  writeFileSync(file, configuration);
  const started = start(pinned(PROXY_CORE, ['haproxy', '-db', '-f', file]));
  await listening(port, started);
  return {
    name,
    title: `${title} ${versionOf('haproxy')}`,
    port,
    decides: name === 'haproxy',
    pids: () => [started.child.pid as number],
    stop: () => stop(started.child),
  };
}

/** HTTP mode with the policy: office networks and iPhone and 10 % of the users by their cookie. */
export function startHaproxyHttp(directory: string, port: number, origins: Origins): Promise<Peer> {
  mkdirSync(directory, { recursive: true });
  const networks = join(directory, 'office.lst');
  writeFileSync(networks, `${OFFICE.join('\n')}\n`);
  const backend = (name: 'stable' | 'canary') => `
backend ${name}
  http-request set-header X-Canary ${name}
  server ${name} 127.0.0.1:${origins[name]} maxconn 4096
`;
  return startHaproxy(
    'haproxy',
    'HAProxy',
    directory,
    port,
    `${COMMON}  mode http
  option http-keep-alive
  option forwardfor
  http-reuse always

frontend proxy
  bind 127.0.0.1:${port} backlog 4096
  acl office src -f ${networks}
  acl iphone req.hdr(user-agent) -m sub iPhone
  acl tenth req.cook(uid),xxh32,mod(100) lt 10
  http-request set-header X-Forwarded-Proto http
  use_backend canary if office iphone tenth
  default_backend stable
${backend('stable')}${backend('canary')}`,
  );
}

/** TCP mode: the floor that no proxy in user space gets under. */
export function startHaproxyTcp(directory: string, port: number, origins: Origins): Promise<Peer> {
  return startHaproxy(
    'haproxy-tcp',
    'HAProxy in TCP mode',
    directory,
    port,
    `${COMMON}  mode tcp

frontend proxy
  bind 127.0.0.1:${port} backlog 4096
  default_backend stable

backend stable
  server stable 127.0.0.1:${origins.stable} maxconn 4096
`,
  );
}
