/** The origins behind the proxies: nginx, answering 1 KB from memory, stable and canary on two ports. */
import { join } from 'node:path';
import { mkdirSync, writeFileSync } from 'node:fs';
import { LOAD_CORE, listening, pinned, start, stop } from '../process.ts';

export interface Origins {
  readonly stable: number;
  readonly canary: number;
  stop(): Promise<void>;
}

/** What both nginx configurations begin with. Runs as whoever starts it. */
export function nginxPreamble(directory: string): string {
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${join(directory, kind)};`,
  );
  return `${user}
daemon off;
pid ${join(directory, 'nginx.pid')};
error_log stderr crit;
worker_processes 1;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  ${paths.join('\n  ')}
`;
}

/** Starts both origins on the load generator's core. */
export async function startOrigins(directory: string, stable: number, canary: number): Promise<Origins> {
  mkdirSync(directory, { recursive: true });
  const body = 'x'.repeat(1024);
  const server = (name: string, port: number) => `
  server {
    listen 127.0.0.1:${port} backlog=4096;
    default_type application/json;
    location / {
      add_header X-Origin ${name};
      add_header Cache-Control no-store;
      return 200 "${body}";
    }
  }`;
  const file = join(directory, 'nginx.conf');
  writeFileSync(
    file,
    `${nginxPreamble(directory)}${server('stable', stable)}${server('canary', canary)}\n}\n`,
  );
  const started = start(pinned(LOAD_CORE, ['nginx', '-p', directory, '-c', file]));
  await listening(stable, started);
  return { stable, canary, stop: () => stop(started.child) };
}
