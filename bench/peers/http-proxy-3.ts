/** http-proxy-3, the library that most Node projects would take for this. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { listening, pinned, PROXY_CORE, start, stop } from '../process.ts';
import { OFFICE } from '../traffic.ts';
import type { Origins } from './origin.ts';
import type { Peer } from './peer.ts';

export async function startHttpProxy3(port: number, origins: Origins): Promise<Peer> {
  const program = join(import.meta.dirname, 'http-proxy-3-program.ts');
  const manifest = readFileSync(
    join(import.meta.dirname, '../../node_modules/http-proxy-3/package.json'),
    'utf8',
  );
  const command = [
    process.execPath,
    program,
    String(port),
    String(origins.stable),
    String(origins.canary),
    OFFICE.join(','),
  ];
  const started = start(pinned(PROXY_CORE, command));
  await listening(port, started);
  return {
    name: 'http-proxy-3',
    title: `http-proxy-3 ${(JSON.parse(manifest) as { version: string }).version}`,
    port,
    decides: true,
    pids: () => [started.child.pid as number],
    stop: () => stop(started.child),
  };
}
