/**
 * nginx as a careful administrator sets it up: one worker, kept connections on both sides for as many requests as
 * come, no access log, its counters on, request bodies passed on as they come, nothing written to disk, buffers that
 * hold the largest answer's pieces; the policy by geo, map and split_clients.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { childrenOf } from '../cpu.ts';
import { listening, pinned, PROXY_CORE, start, stop } from '../process.ts';
import { missing, versionOf } from '../tools.ts';
import { OFFICE } from '../traffic.ts';
import { CONNECTIONS, type PeerKind } from './peer.ts';

function preamble(directory: string): string {
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${join(directory, kind)};`,
  );
  return `${user}
daemon off;
pid ${join(directory, 'nginx.pid')};
error_log stderr crit;
worker_processes 1;
worker_rlimit_nofile ${CONNECTIONS + 4096};
events { worker_connections ${CONNECTIONS + 2048}; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  client_max_body_size 16m;
  ${paths.join('\n  ')}
`;
}

export const NGINX: PeerKind = {
  unavailable: () => missing('nginx'),
  async start({ directory, port, origins, settings }) {
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
      `${preamble(directory)}
  ${settings.largeHeads === true ? 'large_client_header_buffers 8 64k;' : ''}
  geo $office { default 0; ${OFFICE.map((network) => `${network} 1;`).join(' ')} }
  map $http_user_agent $iphone { default 0; ~iPhone 1; }
  split_clients $cookie_uid $tenth { 10% 1; * 0; }
  map $office$iphone$tenth $variant { default stable; 111 canary; }
  map $http_upgrade $hop { default upgrade; '' ''; }
  ${upstream('stable')}${upstream('canary')}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
      proxy_buffers 8 32k;
      proxy_busy_buffers_size 64k;
      proxy_read_timeout 300s;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $hop;
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
  },
};
