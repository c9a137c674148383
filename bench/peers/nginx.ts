/**
 * nginx as a careful administrator sets it up: one worker, kept connections on both sides for as many requests as
 * come, no access log, its counters on; the policy by geo, map and split_clients.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { childrenOf } from '../cpu.ts';
import { listening, pinned, PROXY_CORE, start, stop } from '../process.ts';
import { versionOf } from '../tools.ts';
import { OFFICE } from '../traffic.ts';
import { nginxPreamble, type Origins } from './origin.ts';
import type { Peer } from './peer.ts';

export async function startNginx(directory: string, port: number, origins: Origins): Promise<Peer> {
  mkdirSync(directory, { recursive: true });
  const upstream = (name: 'stable' | 'canary') => `
  upstream ${name} {
    server 127.0.0.1:${origins[name]} max_fails=0;
    keepalive 256;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
  }`;
  const file = join(directory, 'nginx.conf');
  writeFileSync(
    file,
    `${nginxPreamble(directory)}
  geo $office { default 0; ${OFFICE.map((network) => `${network} 1;`).join(' ')} }
  map $http_user_agent $iphone { default 0; ~iPhone 1; }
  split_clients $cookie_uid $tenth { 10% 1; * 0; }
  map $office$iphone$tenth $variant { default stable; 111 canary; }
  ${upstream('stable')}${upstream('canary')}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Canary $variant;
      proxy_pass http://$variant;
    }
  }
}
`,
  );
  const started = start(pinned(PROXY_CORE, ['nginx', '-p', directory, '-c', file]));
  await listening(port, started);
  const pid = started.child.pid as number;
  return {
    name: 'nginx',
    title: `nginx ${versionOf('nginx')}`,
    port,
    decides: true,
    pids: () => [pid, ...childrenOf(pid)],
    stop: () => stop(started.child),
  };
}
