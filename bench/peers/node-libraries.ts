/** What most Node.js projects would take: http-proxy-3, and @fastify/http-proxy; each a program in a file of its own. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { listening, pinned, PROXY_CORE, start, stop } from '../process.ts';
import { OFFICE } from '../traffic.ts';
import type { PeerKind } from './peer.ts';

function library(name: 'http-proxy-3' | 'fastify-http-proxy', module: string): PeerKind {
  return {
    unavailable: () => null,
    async start({ port, origins, settings }) {
      const manifest = join(import.meta.dirname, '../../node_modules', module, 'package.json');
      const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
      const command = [
        process.execPath,
        ...(settings.largeHeads === true ? ['--max-http-header-size=65536'] : []),
        join(import.meta.dirname, `${name}-program.ts`),
        String(port),
        String(origins.stable),
        String(origins.canary),
        OFFICE.join(','),
      ];
      const started = start(pinned(PROXY_CORE, command));
      await listening(port, started);
      return {
        name,
        title: `${module} ${version}`,
        port,
        decides: true,
        pids: () => [started.child.pid as number],
        stop: () => stop(started.child),
      };
    },
  };
}

export const HTTP_PROXY_3 = library('http-proxy-3', 'http-proxy-3');
export const FASTIFY_HTTP_PROXY = library('fastify-http-proxy', '@fastify/http-proxy');
